"""The table of activations: one row each, with torch.nn.functional's names, parameters and defaults.

A function of this module makes a row with parameters of its own: ``leaky_relu(negative_slope=0.2)``.
`ACTIVATIONS` holds every row with its default parameters, by name. z is the pre-activation.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, nextafter

import numpy as np

from . import formulas as f
from .arithmetic import (
    SELU_SCALE,
    SELU_SCALE_ALPHA,
    Array,
    constant,
    indicator,
    largest,
    magnitude,
    tanh_residual,
    two_product,
)
from .rows import Activation, Elementwise, Kink

__all__ = ["ACTIVATIONS", "Activation", "Kink", "get"]


def _zero(z: Array) -> Array:
    return z * 0


def _nothing(z: Array) -> Array:
    return 0.0


def _one(z: Array) -> Array:
    return z * 0 + 1


def _size(z: Array) -> Array:
    return magnitude(z)


def _one_plus_size(z: Array) -> Array:
    return 1 + magnitude(z)


def _finite(row: str, **parameters: float) -> None:
    for name, value in parameters.items():
        if not isinstance(value, int | float) or not isfinite(value):
            raise ValueError(f"{row}: {name} must be a finite number, got {value!r}")


def _straight(name: str, formula: str, source: str, value: Elementwise, slope: Elementwise, **rest: object) -> Activation:
    """A piecewise linear row: its second derivative is 0 wherever it has one, and no formula cancels."""
    return Activation(name, formula, source, value, slope, _zero, textbook_derivative=_nothing, **rest)  # type: ignore[arg-type]


# ── piecewise linear ─────────────────────────────────────────────────────────────────────────────────


def identity() -> Activation:
    """a(z) = z."""
    return _straight("identity", "z", "the identity", lambda z: z, _one, homogeneous=True)


def relu() -> Activation:
    """max(z, 0); 0 at the kink."""
    return _straight(
        "relu",
        "max(z, 0)",
        "Nair & Hinton 2010, §2",
        lambda z: np.maximum(z, 0),
        lambda z: indicator(z > 0, z),
        kinks=(Kink(0.0, 0.0, 0.0, 1.0),),
        homogeneous=True,
    )


def hardtanh(min_val: float = -1.0, max_val: float = 1.0) -> Activation:
    """min(max(z, min_val), max_val); 0 at both kinks. Raises ValueError unless min_val < max_val."""
    _finite("hardtanh", min_val=min_val, max_val=max_val)
    if not min_val < max_val:
        raise ValueError(f"hardtanh: min_val must be less than max_val, got {min_val!r} and {max_val!r}")
    return _straight(
        "hardtanh",
        "min(max(z, min_val), max_val)",
        "Collobert 2004, §3.1",
        lambda z: np.minimum(np.maximum(z, min_val), max_val),
        lambda z: indicator((z > min_val) & (z < max_val), z),
        kinks=(Kink(min_val, 0.0, 0.0, 1.0), Kink(max_val, 0.0, 1.0, 0.0)),
        parameters={"min_val": min_val, "max_val": max_val},
    )


def relu6() -> Activation:
    """min(max(z, 0), 6); 0 at both kinks."""
    return _straight(
        "relu6",
        "min(max(z, 0), 6)",
        "Krizhevsky 2010, §2",
        lambda z: np.minimum(np.maximum(z, 0), 6),
        lambda z: indicator((z > 0) & (z < 6), z),
        kinks=(Kink(0.0, 0.0, 0.0, 1.0), Kink(6.0, 0.0, 1.0, 0.0)),
    )


def _leaky(name: str, source: str, slope: float, parameters: dict[str, float]) -> Activation:
    def derivative(z: Array) -> Array:
        right = indicator(z > 0, z)
        return right + (1 - right) * slope

    return _straight(
        name,
        "z if z > 0 else slope·z",
        source,
        lambda z: np.where(z > 0, z, z * slope),
        derivative,
        kinks=(Kink(0.0, slope, slope, 1.0),),
        homogeneous=True,
        parameters=parameters,
    )


def leaky_relu(negative_slope: float = 0.01) -> Activation:
    """z if z > 0 else negative_slope·z; the left slope at the kink. Any finite slope, negative ones too."""
    _finite("leaky_relu", negative_slope=negative_slope)
    return _leaky("leaky_relu", "Maas, Hannun & Ng 2013, eq. 2", negative_slope, {"negative_slope": negative_slope})


def rrelu(lower: float = 1 / 8, upper: float = 1 / 3) -> Activation:
    """Randomised leaky ReLU in evaluation: the slope is (lower + upper)/2, as a float64."""
    _finite("rrelu", lower=lower, upper=upper)
    if not lower <= upper:
        raise ValueError(f"rrelu: lower must not exceed upper, got {lower!r} and {upper!r}")
    return _leaky("rrelu", "Xu, Wang, Chen & Li 2015, §2.4", (lower + upper) / 2, {"lower": lower, "upper": upper})


def hardsigmoid() -> Activation:
    """min(max(z + 3, 0), 6)/6; 0 at both kinks."""
    return _straight(
        "hardsigmoid",
        "min(max(z + 3, 0), 6)/6",
        "Howard et al. 2019, §5.2",
        lambda z: np.minimum(np.maximum(z + 3, 0), 6) / 6,
        lambda z: indicator((z > -3) & (z < 3), z) / 6,
        kinks=(Kink(-3.0, 0.0, 0.0, 1 / 6), Kink(3.0, 0.0, 1 / 6, 0.0)),
        textbook_value=_one,
    )


def hardshrink(lambd: float = 0.5) -> Activation:
    """z where |z| > lambd, else 0; 0 at both jumps. Raises ValueError unless lambd ≥ 0."""
    _finite("hardshrink", lambd=lambd)
    if lambd < 0:
        raise ValueError(f"hardshrink: lambd must not be negative, got {lambd!r}")

    def outside(z: Array) -> Array:
        return indicator((z > lambd) | (z < -lambd), z)

    at = {-lambd, lambd}
    return _straight(
        "hardshrink",
        "z if |z| > λ else 0",
        "Donoho & Johnstone 1994, eq. 5",
        lambda z: np.where((z > lambd) | (z < -lambd), z, _zero(z)),
        outside,
        kinks=tuple(Kink(k, 0.0, float(k <= 0), float(k >= 0), jump=lambd) for k in sorted(at)),
        parameters={"lambd": lambd},
    )


def softshrink(lambd: float = 0.5) -> Activation:
    """sign(z)·max(|z| − lambd, 0); 0 at both kinks. Raises ValueError unless lambd ≥ 0."""
    _finite("softshrink", lambd=lambd)
    if lambd < 0:
        raise ValueError(f"softshrink: lambd must not be negative, got {lambd!r}")
    return _straight(
        "softshrink",
        "sign(z)·max(|z| − λ, 0)",
        "Donoho 1995, eq. 1.2",
        lambda z: np.maximum(z - lambd, 0) + np.minimum(z + lambd, 0),
        lambda z: indicator((z > lambd) | (z < -lambd), z),
        kinks=tuple(Kink(k, 0.0, float(k <= 0), float(k >= 0)) for k in sorted({-lambd, lambd})),
        parameters={"lambd": lambd},
    )


def threshold(threshold: float = 0.1, value: float = 20.0) -> Activation:
    """z if z > threshold else value; 0 at the jump. Defaults: the example of torch.nn.Threshold."""
    _finite("threshold", threshold=threshold, value=value)
    return _straight(
        "threshold",
        "z if z > threshold else value",
        "torch.nn.Threshold",
        lambda z: np.where(z > threshold, z, _zero(z) + value),
        lambda z: indicator(z > threshold, z),
        kinks=(Kink(threshold, 0.0, 0.0, 1.0, jump=threshold - value),),
        parameters={"threshold": threshold, "value": value},
    )


# ── piecewise smooth ─────────────────────────────────────────────────────────────────────────────────


def hardswish() -> Activation:
    """z·min(max(z + 3, 0), 6)/6; 0 at −3 and 1 at 3."""

    def derivative(z: Array) -> Array:
        inner = indicator((z > -3) & (z < 3), z)
        middle = np.minimum(np.maximum(z, -3), 3)
        return inner * ((2 * middle + 3) / 6) + indicator(z >= 3, z)

    return Activation(
        "hardswish",
        "z·min(max(z + 3, 0), 6)/6",
        "Howard et al. 2019, §5.2",
        lambda z: z * (np.minimum(np.maximum(z + 3, 0), 6) / 6),
        derivative,
        lambda z: indicator((z > -3) & (z < 3), z) / 3,
        kinks=(Kink(-3.0, 0.0, 0.0, -0.5), Kink(3.0, 1.0, 1.5, 1.0)),
        textbook_value=_size,
    )


def _exponential_left(z: Array) -> Array:
    return np.exp(np.minimum(z, 0))


def elu(alpha: float = 1.0) -> Activation:
    """z if z > 0 else alpha·(e^z − 1); the left slope alpha at 0. Any finite alpha, negative ones too."""
    _finite("elu", alpha=alpha)
    return Activation(
        "elu",
        "z if z > 0 else α(e^z − 1)",
        "Clevert, Unterthiner & Hochreiter 2016, eq. 15",
        lambda z: np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0))),
        lambda z: np.where(z > 0, _one(z), alpha * _exponential_left(z)),
        lambda z: np.where(z > 0, _zero(z), alpha * _exponential_left(z)),
        kinks=() if alpha == 1 else (Kink(0.0, alpha, alpha, 1.0),),
        breaks=(0.0,),
        parameters={"alpha": alpha},
    )


def celu(alpha: float = 1.0) -> Activation:
    """max(0, z) + min(0, alpha·(e^(z/alpha) − 1)). Raises ValueError if alpha is 0."""
    _finite("celu", alpha=alpha)
    if alpha == 0:
        raise ValueError("celu: alpha must not be 0")

    def exponent(z: Array) -> tuple[Array, Array]:
        """z/α as a sum of two numbers, for z of the sign where the exponential counts."""
        left = np.minimum(z, 0)
        if alpha == 1:
            return left, _zero(left)
        q = left / alpha
        product, lost = two_product(q, _zero(q) + alpha)
        return q, ((left - product) - lost) / alpha

    def value(z: Array) -> Array:
        q, q_low = exponent(z)
        return np.where(z > 0, z, alpha * np.expm1(q) * (1 + q_low) + alpha * q_low)

    def exponential(z: Array) -> Array:
        q, q_low = exponent(z)
        return np.exp(q) * (1 + q_low)

    return Activation(
        "celu",
        "max(0, z) + min(0, α(e^(z/α) − 1))",
        "Barron 2017, eq. 2",
        value,
        lambda z: np.where(z > 0, _one(z), exponential(z)),
        lambda z: np.where(z > 0, _zero(z), exponential(z) / alpha),
        breaks=(0.0,),
        parameters={"alpha": alpha},
    )


def selu() -> Activation:
    """λz if z > 0 else λα(e^z − 1), λ and α the decimals that torch states; the left slope λα at 0."""
    scale, scale_alpha = (float(c.exact) for c in (SELU_SCALE, SELU_SCALE_ALPHA))
    return Activation(
        "selu",
        "λz if z > 0 else λα(e^z − 1)",
        "Klambauer, Unterthiner, Mayr & Hochreiter 2017, eq. 2",
        lambda z: np.where(
            z > 0, constant(SELU_SCALE, z) * z, constant(SELU_SCALE_ALPHA, z) * np.expm1(np.minimum(z, 0))
        ),
        lambda z: np.where(
            z > 0, _zero(z) + constant(SELU_SCALE, z), constant(SELU_SCALE_ALPHA, z) * _exponential_left(z)
        ),
        lambda z: np.where(z > 0, _zero(z), constant(SELU_SCALE_ALPHA, z) * _exponential_left(z)),
        kinks=(Kink(0.0, scale_alpha, scale_alpha, scale),),
    )


def softplus(beta: float = 1.0, threshold: float = 20.0) -> Activation:
    """log(1 + e^(beta·z))/beta, and z itself where beta·z > threshold, as torch defines it.

    threshold=math.inf gives the smooth function. Raises ValueError unless beta > 0.
    """
    _finite("softplus", beta=beta)
    if beta <= 0 or np.isnan(threshold):
        raise ValueError(f"softplus: beta must be positive and threshold a number, got {beta!r} and {threshold!r}")

    def scaled(z: Array) -> tuple[Array, Array]:
        return (z, _zero(z)) if beta == 1 else two_product(f.limited(z, 2 * f.WIDEST / beta), _zero(z) + beta)

    def exponential(x: Array, x_low: Array) -> Array:
        """exp(−|βz|)."""
        return np.exp(-magnitude(x)) * (1 - np.where(x < 0, -x_low, x_low))

    def linear(z: Array) -> Array:
        return z * beta > threshold

    def value(z: Array) -> Array:
        x, x_low = scaled(z)
        smooth = np.maximum(z, 0) + np.log1p(exponential(x, x_low)) / beta
        return np.where(linear(z), z, smooth)

    def derivative(z: Array) -> Array:
        x, x_low = scaled(z)
        e = exponential(x, x_low)
        return np.where(linear(z), _one(z), np.where(z < 0, e, 1) / (1 + e))

    def second(z: Array) -> Array:
        x, x_low = scaled(z)
        e = exponential(x, x_low)
        d = 1 + e
        return np.where(linear(z), _zero(z), beta * e / (d * d))

    kinks: tuple[Kink, ...] = ()
    if threshold < 36 * 2:
        at = threshold / beta
        while nextafter(at, inf) * beta <= threshold:
            at = nextafter(at, inf)
        left = 1 / (1 + np.exp(-threshold))
        kinks = (Kink(at, float(left), float(left), 1.0, jump=-float(np.log1p(np.exp(-threshold)) / beta)),)
    return Activation(
        "softplus",
        "log(1 + e^(βz))/β, z where βz > threshold",
        "Dugas, Bengio, Bélisle, Nadeau & Garcia 2001, eq. 1; threshold: torch.nn.Softplus",
        value,
        derivative,
        second,
        kinks=kinks,
        parameters={"beta": beta, "threshold": threshold},
    )


def softsign() -> Activation:
    """z/(1 + |z|)."""

    def cube(z: Array) -> Array:
        r = 1 / (1 + magnitude(z))
        return -2 * np.sign(z) * r * r * r

    def derivative(z: Array) -> Array:
        r = 1 / (1 + magnitude(z))
        return r * r

    return Activation(
        "softsign",
        "z/(1 + |z|)",
        "Bergstra, Desjardins, Lamblin & Bengio 2009, eq. 5",
        lambda z: z / (1 + magnitude(z)),
        derivative,
        cube,
        breaks=(0.0,),
        textbook_derivative=lambda z: 1 / (1 + magnitude(z)),
    )


# ── smooth ───────────────────────────────────────────────────────────────────────────────────────────


def sigmoid() -> Activation:
    """1/(1 + e^−z)."""
    return Activation(
        "sigmoid",
        "1/(1 + e^−z)",
        "Verhulst 1845, p. 8",
        f.sigmoid,
        f.sigmoid_derivative,
        f.sigmoid_second,
        textbook_derivative=f.sigmoid,
    )


def logsigmoid() -> Activation:
    """log σ(z) = −log(1 + e^−z)."""

    def second(z: Array) -> Array:
        return -f.sigmoid_derivative(z)

    return Activation(
        "logsigmoid",
        "−log(1 + e^−z)",
        "torch.nn.LogSigmoid",
        lambda z: -f.softplus(-z),
        lambda z: f.sigmoid(-z),
        second,
    )


def tanh() -> Activation:
    """tanh z."""
    return Activation("tanh", "tanh z", "Riccati 1757; DLMF 4.28.4", np.tanh, f.tanh_derivative, f.tanh_second)


def tanhshrink() -> Activation:
    """z − tanh z."""

    def derivative(z: Array) -> Array:
        t = np.tanh(z)
        return t * t

    def second(z: Array) -> Array:
        return -f.tanh_second(z)

    return Activation(
        "tanhshrink", "z − tanh z", "torch.nn.Tanhshrink", tanh_residual, derivative, second, textbook_value=_size
    )


def silu() -> Activation:
    """z·σ(z)."""
    return Activation(
        "silu",
        "z·σ(z)",
        "Elfwing, Uchibe & Doya 2018, eq. 6",
        f.silu,
        f.silu_derivative,
        f.silu_second,
        textbook_derivative=_one_plus_size,
    )


def gelu() -> Activation:
    """z·Φ(z), Φ the standard normal distribution."""
    return Activation(
        "gelu",
        "z·Φ(z)",
        "Hendrycks & Gimpel 2016, §2",
        f.gelu,
        f.gelu_derivative,
        f.gelu_second,
        textbook_value=_size,
    )


def gelu_tanh() -> Activation:
    """½z(1 + tanh(√(2/π)(z + 0.044715z³))): torch's gelu(approximate="tanh")."""

    def textbook(z: Array) -> Array:
        """1 − tanh² carries u and is multiplied by ½z·(inner derivative), which it outlives up to |z| = 8."""
        a = np.minimum(magnitude(z), 8)
        return 1 + a * (1 + a * a / 8)

    return Activation(
        "gelu_tanh",
        "½z(1 + tanh(√(2/π)(z + 0.044715z³)))",
        "Hendrycks & Gimpel 2016, §2",
        f.gelu_tanh,
        f.gelu_tanh_derivative,
        f.gelu_tanh_second,
        textbook_value=_size,
        textbook_derivative=textbook,
    )


def mish() -> Activation:
    """z·tanh(log(1 + e^z))."""
    return Activation(
        "mish",
        "z·tanh(log(1 + e^z))",
        "Misra 2019, eq. 1",
        f.mish,
        f.mish_derivative,
        f.mish_second,
        textbook_derivative=_one_plus_size,
    )


def square() -> Activation:
    """z²."""
    return Activation(
        "square",
        "z²",
        "the chapter; Leshno et al. 1993",
        lambda z: z * z,
        lambda z: 2 * z,
        lambda z: _zero(z) + 2,
        textbook_derivative=_nothing,
    )


# ── along a row ──────────────────────────────────────────────────────────────────────────────────────


def softmax_parts(z: Array) -> tuple[Array, Array, Array, Array]:
    """What softmax and its kin are made of, for z (N, K).

    Returns (top, y, rest, shift): the mask of one largest entry per row (N, K); softmax(z) (N, K);
    1 − y without cancellation at the top (N, K); and log Σ exp z split as (the largest entry, log of the
    sum over exp(z − it)), each (N, 1).
    """
    top, peak = largest(z)
    difference, lost = f.two_sum(z, -peak)
    e = np.exp(difference) * (1 + np.where(difference < -f.WIDEST, _zero(lost), lost))
    one = indicator(top, z)
    others = (e * (1 - one)).sum(axis=1, keepdims=True)
    at_top = (e * one).sum(axis=1, keepdims=True)
    total = at_top + others
    rest = np.where(top, _zero(e) + others, total - e) / total
    return one, e / total, rest, (peak, np.log1p(others + (at_top - 1)))  # type: ignore[return-value]


def _softmax_product(z: Array, v: Array) -> Array:
    """(diag(y) − y yᵀ)v: yᵢ Σⱼ yⱼ(vᵢ − vⱼ), with v taken relative to its value at the largest entry."""
    one, y, _, _ = softmax_parts(z)
    relative = v - (v * one).sum(axis=1, keepdims=True)
    return y * (relative - (y * relative).sum(axis=1, keepdims=True))


def _log_softmax_vjp(z: Array, d_y: Array) -> Array:
    """d_y − y·Σ d_y = (1 − yᵢ)d_yᵢ − yᵢ Σ_{j≠i} d_yⱼ."""
    one, y, rest, _ = softmax_parts(z)
    others = (d_y * (1 - one)).sum(axis=1, keepdims=True)
    at_top = rest * d_y - y * others
    return np.where(one > 0, at_top, d_y - y * d_y.sum(axis=1, keepdims=True))


def log_softmax_value(z: Array) -> Array:
    """z − log Σ exp z; at the largest entry −log(1 + Σ of the others) alone."""
    _, _, _, (peak, log_sum) = softmax_parts(z)
    return (z - peak) - log_sum


def _log_softmax_jvp(z: Array, dz: Array) -> Array:
    one, y, _, _ = softmax_parts(z)
    relative = dz - (dz * one).sum(axis=1, keepdims=True)
    return relative - (y * relative).sum(axis=1, keepdims=True)


def _glu_halves(z: Array) -> tuple[Array, Array]:
    if z.shape[-1] % 2:
        raise ValueError(f"glu: needs an even number of features, got {z.shape[-1]}")
    half = z.shape[-1] // 2
    return z[..., :half], z[..., half:]


def _glu_vjp(z: Array, d_y: Array) -> Array:
    a, b = _glu_halves(z)
    return np.concatenate([d_y * f.sigmoid(b), d_y * a * f.sigmoid_derivative(b)], axis=-1)


def _glu_value(z: Array) -> Array:
    a, b = _glu_halves(z)
    return a * f.sigmoid(b)


def _glu_jvp(z: Array, dz: Array) -> Array:
    (a, b), (da, db) = _glu_halves(z), _glu_halves(dz)
    return da * f.sigmoid(b) + a * f.sigmoid_derivative(b) * db


def _spread(z: Array) -> Array:
    """max z − z: a rounding error of the shift by the maximum is this many u."""
    return largest(z)[1] - z


def _softmax_cancellation(z: Array) -> Array:
    """yᵢ·(relative error of the shift), times what Σ y·d_y leaves."""
    return softmax_parts(z)[1] * (1 + _spread(z))


def _softmin_cancellation(z: Array) -> Array:
    return _softmax_cancellation(-z)


def softmax() -> Activation:
    """e^zᵢ/Σⱼ e^zⱼ along each row."""
    return Activation(
        "softmax",
        "e^zᵢ/Σⱼ e^zⱼ",
        "Bridle 1990, eq. 4",
        lambda z: softmax_parts(z)[1],
        vjp=_softmax_product,
        jvp=_softmax_product,
        textbook_value=_softmax_cancellation,
        textbook_derivative=_softmax_cancellation,
    )


def softmin() -> Activation:
    """softmax(−z) along each row."""
    return Activation(
        "softmin",
        "e^−zᵢ/Σⱼ e^−zⱼ",
        "torch.nn.Softmin",
        lambda z: softmax_parts(-z)[1],
        vjp=lambda z, d_y: -_softmax_product(-z, d_y),
        jvp=lambda z, dz: -_softmax_product(-z, dz),
        textbook_value=_softmin_cancellation,
        textbook_derivative=_softmin_cancellation,
    )


def log_softmax() -> Activation:
    """zᵢ − log Σⱼ e^zⱼ along each row."""
    return Activation(
        "log_softmax",
        "zᵢ − log Σⱼ e^zⱼ",
        "Goodfellow, Bengio & Courville 2016, eq. 6.30",
        log_softmax_value,
        vjp=_log_softmax_vjp,
        jvp=_log_softmax_jvp,
        textbook_value=_size,
        textbook_derivative=lambda z: 1 + softmax_parts(z)[1] * _spread(z),
    )


def glu() -> Activation:
    """a·σ(b), a and b the two halves of each row."""
    return Activation(
        "glu",
        "a·σ(b), z = [a, b]",
        "Dauphin, Fan, Auli & Grangier 2017, eq. 1",
        _glu_value,
        vjp=_glu_vjp,
        jvp=_glu_jvp,
        shrink=2,
        textbook_derivative=lambda z: np.concatenate([_zero(z[..., ::2]) + 1, magnitude(_glu_halves(z)[0])], axis=-1),
    )


_MAKERS: tuple[Callable[[], Activation], ...] = (
    identity, relu, relu6, leaky_relu, rrelu, elu, celu, selu, gelu, gelu_tanh, sigmoid, logsigmoid,
    hardsigmoid, silu, hardswish, mish, softplus, softsign, tanh, tanhshrink, hardtanh, hardshrink,
    softshrink, threshold, square, softmax, log_softmax, softmin, glu,
)  # fmt: skip

ACTIVATIONS: dict[str, Activation] = {row.name: row for row in (make() for make in _MAKERS)}
"""Every row with its default parameters, by name."""


def get(row: str | Activation) -> Activation:
    """The row itself, or the row of that name.

    Raises:
        ValueError: no row has that name (the message lists those that exist).
        TypeError: neither a name nor a row.

    >>> get("tanh").formula
    'tanh z'
    """
    if isinstance(row, Activation):
        return row
    if not isinstance(row, str):
        raise TypeError(f"activation: expected a name or a row, got {type(row).__name__}")
    if row not in ACTIVATIONS:
        raise ValueError(f"activation: no row is named {row!r}; there are {', '.join(sorted(ACTIVATIONS))}")
    return ACTIVATIONS[row]
