"""Which mistake makes such gradients."""
