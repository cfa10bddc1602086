"""The search for the mistake that makes such gradients."""
