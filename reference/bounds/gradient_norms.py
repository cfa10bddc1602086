"""How large a gradient can be below a layer: the product of slopes and spectral norms that it passes through.

The backward pass is linear in d_h: row n of it passes layer l as d_x = Wᵀ J(z_n)ᵀ d_h, so that

    ‖d_x‖ ≤ ‖W‖₂ · max|a′| · ‖d_h‖        and        ‖d_h_l‖ ≤ ‖d_out‖ · Π_{k>l} ‖W_k‖₂ · max|a′_k|

in the Euclidean norm of a row and, summed in squares, in the Frobenius norm of the batch (Bengio, Simard & Frasconi
1994, Learning long-term dependencies with gradient descent is difficult; Pascanu, Mikolov & Bengio 2013, §2.1).
Where max|a′| < 1/‖W‖₂ in every layer, the gradient vanishes exponentially.

Shapes: O fan-out, I fan-in of a layer; R = min(O, I).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isinf

import numpy as np

from ..arithmetic.array import Array, is_numpy
from ..network.mlp import MLP, Trace
from .slopes import largest_slope, visited_slope

__all__ = ["gradient_bounds", "spectral_norm"]


def spectral_norm(weight: Array) -> float:
    """A proved upper bound of ‖W‖₂ that is within rounding of it, for W (O, I).

    LAPACK's U Σ Vᵀ is not quite orthogonal, nor quite W: ‖W‖ ≤ ‖U‖·max Σ·‖V‖ + ‖W − UΣVᵀ‖, where ‖U‖² ≤ 1 + ‖UᵀU − I‖
    (Rump 2011, Verified bounds for singular values, BIT 51). The residuals' own rounding is bounded by γₙ|A||B|
    (Higham 2002, Accuracy and Stability, eq. 3.13) and added.

    Raises:
        TypeError: the weight is not a NumPy array of float64 or a smaller floating type.
        ValueError: it is not a matrix, or has an entry that is not finite.

    >>> spectral_norm(np.array([[0.0, 2.0], [0.0, 0.0]])) >= 2.0
    True
    >>> round(spectral_norm(np.array([[3.0], [4.0]])), 12)
    5.0
    """
    if not is_numpy(weight) or weight.dtype.kind != "f" or weight.dtype.itemsize > np.dtype(float).itemsize:
        raise TypeError(f"weight: expected a NumPy array of float64 or below, got {getattr(weight, 'dtype', weight)}")
    if weight.ndim != 2 or not np.all(np.isfinite(weight)):
        raise ValueError(f"weight: expected a matrix of finite numbers, got shape {weight.shape}")
    scale = float(np.max(np.abs(weight)))
    if scale == 0:
        return 0.0
    # A power of two, so that nothing underflows to speak of and the scaling rounds nothing of weight.
    scale = float(np.exp2(np.floor(np.log2(scale))))
    w = weight.astype(float) / scale
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    residual = _bounded_norm(w, u * s, vt)
    stretch = (1 + _bounded_norm(np.eye(len(s)), u.T, u)) * (1 + _bounded_norm(np.eye(len(s)), vt, vt.T))
    return _product(float((np.sqrt(stretch) * s[0] + residual) * (1 + gamma(16))), scale)


def _bounded_norm(target: Array, a: Array, b: Array) -> float:
    """An upper bound of ‖target − ab‖_F for entries up to 2 or so."""
    n = a.shape[1] + 2
    error = np.abs(target - a @ b) + gamma(n) * (np.abs(target) + np.abs(a) @ np.abs(b))
    return float(np.linalg.norm(error) * (1 + gamma(2 * n + error.size + 4)))


def gamma(n: int) -> float:
    """γₙ = n·u/(1 − n·u): what n roundings multiply a product by, at the most (Higham 2002, lemma 3.1).

    >>> gamma(1) > 2.0**-53
    True
    """
    unit = float(np.finfo(float).eps) / 2
    return n * unit / (1 - n * unit)


def gradient_bounds(
    mlp: MLP, trace: Trace | None = None, *, rounding: bool = False, norms: Sequence[float] = ()
) -> Array:
    """β (L + 1,), upper bounds of ‖d_h_l‖/‖d_out‖ for l = 0 (the network's input) to L (its output, β = 1).

    Each product is rounded upwards: an exact gradient cannot exceed its bound. Where an activation has no largest
    slope, that of the trace's pre-activations takes its place.

    Args:
        mlp: the network.
        trace: what `forward` stored; without it unbounded slopes are inf.
        rounding: allow besides for the roundings of a backward pass in float64, layer by layer, barring underflow.
        norms: every layer's `spectral_norm`, where they are known.

    Raises:
        ValueError: there is not one norm per layer.
        TypeError: the network is not of float64 or a smaller floating type.

    >>> from reference.network.initialization import initialize
    >>> gradient_bounds(initialize([4, 4, 4], ["sigmoid", "identity"], seed=0, scheme="zeros"))
    array([0., 0., 1.])
    """
    norms = norms or [spectral_norm(layer.weight) for layer in mlp.layers]
    if len(norms) != len(mlp.layers):
        raise ValueError(f"norms: expected one per layer ({len(mlp.layers)}), got {len(norms)}")
    bounds = [1.0]
    for index in reversed(range(len(mlp.layers))):
        layer = mlp.layers[index]
        fan_out = int(layer.weight.shape[0])
        slope = largest_slope(layer.activation, width=fan_out)
        if isinf(slope) and trace is not None:
            slope = visited_slope(layer.activation, trace.preactivations[index]) * (1 + gamma(_roundings(fan_out)))
        factors = [slope, norms[index], 1 + gamma(_roundings(fan_out)) if rounding else 1.0]
        bound = bounds[-1]
        for factor in factors:
            bound = _product(bound, factor)
        bounds.append(bound)
    return np.array(bounds[::-1])


def _roundings(fan_out: int) -> int:
    """An n with ‖fl(d_x) − d_x‖ ≤ γₙ·‖W‖₂·max|a′|·‖d_h‖, R = min(O, I) ≤ O.

    The product by W: γ_O·‖|d_z||W|‖ ≤ γ_O·√R·‖d_z‖‖W‖₂. Before that, 8 roundings for a derivative within 4 ulps and one
    more; for softmax and its kin 8γ_{O+5}, since the terms of their sums are up to 4|d_h|, and ½ the slope.
    """
    return int(np.ceil(9 * (fan_out + 8) * np.sqrt(fan_out)))


def _product(x: float, y: float) -> float:
    """x·y rounded upwards; 0 times anything is 0, for what is multiplied is 0 exactly."""
    if 0 in (x, y):
        return 0.0
    return float(np.nextafter(x * np.nextafter(y, inf), inf))
