"""Bounds that no gradient exceeds."""
