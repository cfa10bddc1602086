"""The activations and losses once more, in balls of 2,600 bits, by formulas written from their definitions.

Nothing here is shared with `reference`. An activation's entry is three functions of a ball z (value, first
and second derivative), each returning the *terms* whose sum it is: the largest of them is the scale on
which a rounding error is measured. Where a definition subtracts nearly equal numbers, the bits suffice.
"""

from .along_rows import ROWWISE
from .elementwise import ELEMENTWISE, celu, elu, hardshrink, hardtanh, leaky, softplus, softshrink, threshold
from .losses import (
    PER_ELEMENT,
    bce,
    bce_with_logits,
    cross_entropy,
    cross_entropy_value,
    gaussian_nll,
    kl_div,
    kl_div_log_target,
    poisson_nll,
    soft_margin,
    squared,
)
from .ulps import BITS, ULPS, Terms, error_in_ulps, exactly, unit_in_last_place

__all__ = [
    "BITS",
    "ELEMENTWISE",
    "PER_ELEMENT",
    "ROWWISE",
    "ULPS",
    "Terms",
    "bce",
    "bce_with_logits",
    "celu",
    "cross_entropy",
    "cross_entropy_value",
    "elu",
    "error_in_ulps",
    "exactly",
    "gaussian_nll",
    "hardshrink",
    "hardtanh",
    "kl_div",
    "kl_div_log_target",
    "leaky",
    "poisson_nll",
    "soft_margin",
    "softplus",
    "softshrink",
    "squared",
    "threshold",
    "unit_in_last_place",
]
