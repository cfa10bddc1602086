"""Derivatives of the loss alone, with no derivative formula."""

from .central import Difference, central_difference, directional_difference, random_direction
from .complex_step import complex_step

__all__ = ["Difference", "central_difference", "complex_step", "directional_difference", "random_direction"]
