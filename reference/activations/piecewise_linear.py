"""Activations made of straight lines: their kinks are all there is to differentiate."""

from __future__ import annotations

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import indicator, is_negative
from ..functions.basics import nothing, one, zero
from ..functions.parameters import check_finite
from ..functions.recipe import recorded
from .row import Activation, Elementwise, Kink


def _straight(
    name: str, formula: str, source: str, value: Elementwise, slope: Elementwise, **rest: object
) -> Activation:
    """A piecewise linear row: its second derivative is 0 wherever it has one, and no formula cancels."""
    return Activation(name, formula, source, value, slope, zero, textbook_derivative=nothing, **rest)  # type: ignore[arg-type]


@recorded
def identity() -> Activation:
    """a(z) = z."""
    return _straight("identity", "z", "the identity", lambda z: z, one, homogeneous=True, slope_formula="1")


@recorded
def relu() -> Activation:
    """max(z, 0); 0 at the kink."""
    return _straight(
        "relu",
        "max(z, 0)",
        "Nair & Hinton 2010, Rectified linear units improve restricted Boltzmann machines",
        lambda z: np.maximum(z, 0),
        lambda z: indicator(z > 0, z),
        kinks=(Kink(0.0, 0.0, 0.0, 1.0),),
        homogeneous=True,
        slope_formula="1 if z > 0 else 0",
    )


@recorded
def hardtanh(min_val: float = -1.0, max_val: float = 1.0) -> Activation:
    """min(max(z, min_val), max_val); 0 at both kinks. Raises ValueError unless min_val < max_val."""
    check_finite("hardtanh", min_val=min_val, max_val=max_val)
    if not min_val < max_val:
        raise ValueError(f"hardtanh: min_val must be less than max_val, got {min_val!r} and {max_val!r}")
    return _straight(
        "hardtanh",
        "min(max(z, min_val), max_val)",
        "Collobert 2004, Large scale machine learning (thesis)",
        lambda z: np.minimum(np.maximum(z, min_val), max_val),
        lambda z: indicator((z > min_val) & (z < max_val), z),
        kinks=(Kink(min_val, 0.0, 0.0, 1.0), Kink(max_val, 0.0, 1.0, 0.0)),
        parameters={"min_val": min_val, "max_val": max_val},
        slope_formula="1 if min_val < z < max_val else 0",
    )


@recorded
def relu6() -> Activation:
    """min(max(z, 0), 6); 0 at both kinks."""
    return _straight(
        "relu6",
        "min(max(z, 0), 6)",
        "Krizhevsky 2010, Convolutional deep belief networks on CIFAR-10",
        lambda z: np.minimum(np.maximum(z, 0), 6),
        lambda z: indicator((z > 0) & (z < 6), z),
        kinks=(Kink(0.0, 0.0, 0.0, 1.0), Kink(6.0, 0.0, 1.0, 0.0)),
        slope_formula="1 if 0 < z < 6 else 0",
    )


def _leaky(name: str, source: str, slope: float, parameters: dict[str, float]) -> Activation:
    def derivative(z: Array) -> Array:
        right = indicator(z > 0, z)
        return right + (1 - right) * slope

    return _straight(
        name,
        "z if z > 0 else slope·z",
        source,
        lambda z: np.where(is_negative(z), z * slope, z),
        derivative,
        kinks=(Kink(0.0, slope, slope, 1.0),),
        homogeneous=True,
        parameters=parameters,
        slope_formula="1 if z > 0 else slope",
    )


@recorded
def leaky_relu(negative_slope: float = 0.01) -> Activation:
    """z if z > 0 else negative_slope·z; the left slope at the kink. Any finite slope, negative ones too."""
    check_finite("leaky_relu", negative_slope=negative_slope)
    return _leaky("leaky_relu", "Maas, Hannun & Ng 2013", negative_slope, {"negative_slope": negative_slope})


@recorded
def rrelu(lower: float = 1 / 8, upper: float = 1 / 3) -> Activation:
    """Randomised leaky ReLU in evaluation: the slope is (lower + upper)/2, as a float64."""
    check_finite("rrelu", lower=lower, upper=upper)
    if not lower <= upper:
        raise ValueError(f"rrelu: lower must not exceed upper, got {lower!r} and {upper!r}")
    return _leaky("rrelu", "Xu et al. 2015, arXiv:1505.00853", (lower + upper) / 2, {"lower": lower, "upper": upper})


@recorded
def hardsigmoid() -> Activation:
    """min(max(z + 3, 0), 6)/6; 0 at both kinks."""
    return _straight(
        "hardsigmoid",
        "min(max(z + 3, 0), 6)/6",
        "Howard et al. 2019, arXiv:1905.02244, §5.2",
        lambda z: np.minimum(np.maximum(z + 3, 0), 6) / 6,
        lambda z: indicator((z > -3) & (z < 3), z) / 6,
        kinks=(Kink(-3.0, 0.0, 0.0, 1 / 6), Kink(3.0, 0.0, 1 / 6, 0.0)),
        shift=3.0,
        textbook_value=one,
        slope_formula="1/6 if −3 < z < 3 else 0",
    )


@recorded
def hardshrink(lambd: float = 0.5) -> Activation:
    """z where |z| > lambd, else 0; 0 at both jumps. Raises ValueError unless lambd ≥ 0."""
    check_finite("hardshrink", lambd=lambd)
    if lambd < 0:
        raise ValueError(f"hardshrink: lambd must not be negative, got {lambd!r}")

    def outside(z: Array) -> Array:
        return indicator((z > lambd) | (z < -lambd), z)

    at = {-lambd, lambd}
    return _straight(
        "hardshrink",
        "z if |z| > λ else 0",
        "Donoho & Johnstone 1994, Ideal spatial adaptation by wavelet shrinkage",
        lambda z: np.where((z <= lambd) & (z >= -lambd), zero(z), z),
        outside,
        kinks=tuple(Kink(k, 0.0, float(k <= 0), float(k >= 0), jump=lambd) for k in sorted(at)),
        parameters={"lambd": lambd},
        slope_formula="1 if |z| > λ else 0",
    )


@recorded
def softshrink(lambd: float = 0.5) -> Activation:
    """sign(z)·max(|z| − lambd, 0); 0 at both kinks. Raises ValueError unless lambd ≥ 0."""
    check_finite("softshrink", lambd=lambd)
    if lambd < 0:
        raise ValueError(f"softshrink: lambd must not be negative, got {lambd!r}")
    return _straight(
        "softshrink",
        "sign(z)·max(|z| − λ, 0)",
        "Donoho 1995, De-noising by soft-thresholding",
        lambda z: np.maximum(z - lambd, 0) + np.minimum(z + lambd, 0),
        lambda z: indicator((z > lambd) | (z < -lambd), z),
        kinks=tuple(Kink(k, 0.0, float(k <= 0), float(k >= 0)) for k in sorted({-lambd, lambd})),
        parameters={"lambd": lambd},
        slope_formula="1 if |z| > λ else 0",
    )


@recorded
def threshold(threshold: float = 0.1, value: float = 20.0) -> Activation:
    """z if z > threshold else value; 0 at the jump. Defaults: the example of torch.nn.Threshold."""
    check_finite("threshold", threshold=threshold, value=value)
    return _straight(
        "threshold",
        "z if z > threshold else value",
        "torch.nn.Threshold",
        lambda z: np.where(z <= threshold, zero(z) + value, z),
        lambda z: indicator(z > threshold, z),
        kinks=(Kink(threshold, 0.0, 0.0, 1.0, jump=threshold - value),),
        parameters={"threshold": threshold, "value": value},
        slope_formula="1 if z > threshold else 0",
    )
