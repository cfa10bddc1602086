"""Files, each of which is read as a stranger's."""
