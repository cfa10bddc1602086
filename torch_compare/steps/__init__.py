"""An optimiser's step, judged."""
