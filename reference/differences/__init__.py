"""Derivatives of the loss alone, with no derivative formula."""

from .central import Difference, central_difference, complex_step, directional_difference, random_direction

__all__ = ["Difference", "central_difference", "complex_step", "directional_difference", "random_direction"]
