"""Training to a loss, and saving it."""
