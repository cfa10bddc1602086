"""Other implementations of the same gradients."""
