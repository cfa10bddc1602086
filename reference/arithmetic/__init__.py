"""Numbers: floats, formats, noise and balls, and the few operations that each answers in its own way."""
