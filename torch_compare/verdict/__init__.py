"""Whether given gradients are right."""
