"""Formulas that keep their digits on the whole range of a type."""
