"""The report, the page and the measures that every benchmark shares."""
