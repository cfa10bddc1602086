"""Gradients that are wrong on purpose."""
