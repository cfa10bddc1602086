"""What numbers are: floats, formats, noise and balls, and what each answers in its own way."""
