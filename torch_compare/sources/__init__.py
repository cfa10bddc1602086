"""Gradients from different sources, held against each other."""
