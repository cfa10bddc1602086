"""The updates that divide by a root, in parts that may be done wrongly: each part has a name and a right way.

θ parameter, g gradient, t the step from 1, m and v the running means of g and g², η the learning rate, ε what keeps the
divisor from 0, λ the weight decay: as in `reference.optimizers`, whose updates these are if every part is done in its
right way. A `Ways` says how each is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any
Slots = Mapping[str, Any]
H = Mapping[str, Any]
Made = tuple[Array, dict[str, Any]]


@dataclass(frozen=True)
class Ways:
    """How the parts of an update are done.

    Attributes:
        epsilon: "outside" √v̂ + ε; "inside" √(v̂ + ε); "left out"; "before" (√v + ε)/√(1 − β₂ᵗ); "twice" inside and
            outside; "largest" max(√v̂, ε).
        root: whether the square root is taken.
        square: "g²", "|g|" or "g": what v is the mean of.
        first: whether m is corrected for its bias.
        second: whether v is.
        weight_first: whether g enters m by 1 − β₁ (or as it is).
        weight_second: whether g² enters v by 1 − β₂.
        stale_first: whether the step is made with the m from before this gradient.
        stale_second: whether it is made with the v from before it.
        momentum: whether m moves θ (or g itself).
        largest: amsgrad: "v", or "v̂": of what the largest is taken.
        threshold: radam: of ρ, from which v is used.
        rectified: radam: whether r multiplies the step.
        ahead: nadam: whether the next step's share of the momentum is taken.
        scaled: adafactor: whether the RMS of θ multiplies the step.
        relative: adafactor: whether the rate is the smaller of η and 1/√t.
        clip: adafactor: "right" max(1, RMS/d) divides; "none"; "other side" min(1, RMS/d) divides; "multiplied"
            max(1, RMS/d) multiplies; "always" RMS/d divides.
        factored: adafactor: whether the product of rows and columns is divided by the mean.
        rate_inside: rmsprop: whether η enters the momentum's buffer.
        centered: rmsprop: whether the square of the mean gradient is subtracted from v.
        decays_rate: adagrad: whether η falls with t.
        newest: adadelta: whether the mean of the updates is taken after this update.
    """

    epsilon: str = "outside"
    root: bool = True
    square: str = "g²"
    first: bool = True
    second: bool = True
    weight_first: bool = True
    weight_second: bool = True
    stale_first: bool = False
    stale_second: bool = False
    momentum: bool = True
    largest: str = "v"
    threshold: float = 5.0
    rectified: bool = True
    ahead: bool = True
    scaled: bool = True
    relative: bool = True
    clip: str = "right"
    factored: bool = True
    rate_inside: bool = False
    centered: bool = True
    decays_rate: bool = True
    newest: bool = False


RIGHT = Ways()


def divisor(v: Array, correction: float, eps: float, ways: Ways) -> Array:
    """√(v/correction) + ε, or what is taken for it."""
    hat = v / correction
    root = np.sqrt if ways.root else lambda x: x
    return {
        "outside": lambda: root(hat) + eps,
        "inside": lambda: root(hat + eps),
        "left out": lambda: root(hat),
        "before": lambda: (root(v) + eps) / root(np.float64(correction)),
        "twice": lambda: root(hat + eps) + eps,
        "largest": lambda: np.maximum(root(hat), eps),
    }[ways.epsilon]()


def mean(before: Array, new: Array, decay: float, weighted: bool) -> Array:
    """βm + (1 − β)g, or βm + g."""
    return decay * before + ((1 - decay) if weighted else 1.0) * new


def square(g: Array, ways: Ways) -> Array:
    """What v is the mean of."""
    return {"g²": g * g, "|g|": np.abs(g), "g": g}[ways.square]


def begun(h: H, p: Array, g: Array) -> tuple[Array, Array]:
    """Parameter and gradient after climbing and weight decay have been seen to."""
    g = -g if h.get("maximize") else g
    decay = h.get("weight_decay", 0.0)
    if h.get("decoupled", h.get("decoupled_weight_decay")):
        return p * (1 - h["lr"] * decay), g
    return p, g + decay * p


def moments(h: H, g: Array, s: Slots, ways: Ways) -> tuple[Array, Array]:
    """m and v after this gradient."""
    beta1, beta2 = h["betas"]
    m = mean(s["exp_avg"], g, beta1, ways.weight_first)
    return m, mean(s["exp_avg_sq"], square(g, ways), beta2, ways.weight_second)


def used(h: H, g: Array, s: Slots, m: Array, v: Array, ways: Ways) -> tuple[Array, Array]:
    """What the step is made with."""
    m = s["exp_avg"] if ways.stale_first else m if ways.momentum else g
    return m, s["exp_avg_sq"] if ways.stale_second else v


def adam(h: H, p: Array, g: Array, s: Slots, t: int, ways: Ways) -> Made:
    """Adam, AdamW."""
    p, g = begun(h, p, g)
    beta1, beta2 = h["betas"]
    m, v = moments(h, g, s, ways)
    kept = {"exp_avg": m, "exp_avg_sq": v}
    m, v = used(h, g, s, m, v, ways)
    first, second = 1 - beta1**t if ways.first and ways.momentum else 1.0, 1 - beta2**t if ways.second else 1.0
    if h["amsgrad"]:
        v = np.maximum(s["max_exp_avg_sq"], v / second if ways.largest == "v̂" else v)
        kept["max_exp_avg_sq"] = v
        second = 1.0 if ways.largest == "v̂" else second
    return p - h["lr"] / first * m / divisor(v, second, h["eps"], ways), kept


def adamax(h: H, p: Array, g: Array, s: Slots, t: int, ways: Ways) -> Made:
    """Adamax."""
    p, g = begun(h, p, g)
    beta1, beta2 = h["betas"]
    m = mean(s["exp_avg"], g, beta1, ways.weight_first)
    size = {"g²": np.abs(g), "g": g, "|g|": g * g}[ways.square]
    eps = 0.0 if ways.epsilon == "left out" else h["eps"]
    u = np.maximum(beta2 * s["exp_inf"], size + (eps if ways.epsilon != "before" else 0.0))
    kept = {"exp_avg": m, "exp_inf": u}
    u = s["exp_inf"] if ways.stale_second else u + (eps if ways.epsilon == "before" else 0.0)
    m = s["exp_avg"] if ways.stale_first else m if ways.momentum else g
    first = 1 - beta1**t if ways.first and ways.momentum else 1.0
    return p - h["lr"] / first * m / u / (1.0 if ways.second else 1 - beta2**t), kept


def nadam(h: H, p: Array, g: Array, s: Slots, t: int, ways: Ways) -> Made:
    """NAdam."""
    p, g = begun(h, p, g)
    beta1, beta2 = h["betas"]

    def share(k: int) -> float:
        return beta1 * (1 - 0.5 * 0.96 ** (k * h["momentum_decay"]))

    product = s["mu_product"] * share(t)
    m, v = moments(h, g, s, ways)
    kept = {"mu_product": product, "exp_avg": m, "exp_avg_sq": v}
    m, v = used(h, g, s, m, v, ways)
    below = divisor(v, 1 - beta2**t if ways.second else 1.0, h["eps"], ways)
    if not ways.ahead:
        return p - h["lr"] / (1 - beta1**t if ways.first else 1.0) * m / below, kept
    now, later = (1 - product, 1 - product * share(t + 1)) if ways.first else (1.0, 1.0)
    return p - h["lr"] * ((1 - share(t)) / now * g + share(t + 1) / later * m) / below, kept


def radam(h: H, p: Array, g: Array, s: Slots, t: int, ways: Ways) -> Made:
    """RAdam."""
    p, g = begun(h, p, g)
    beta1, beta2 = h["betas"]
    m, v = moments(h, g, s, ways)
    kept = {"exp_avg": m, "exp_avg_sq": v}
    m, v = used(h, g, s, m, v, ways)
    most, correction = 2 / (1 - beta2) - 1, 1 - beta2**t
    length = most - 2 * t * beta2**t / correction
    step = h["lr"] * m / (1 - beta1**t if ways.first and ways.momentum else 1.0)
    if length <= ways.threshold:
        return p - step, kept
    over = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
    # The published epsilon is added before the correction here: "before" is the right way, and "outside" the other.
    swapped = {"outside": "before", "before": "outside"}.get(ways.epsilon, ways.epsilon)
    below = divisor(v, correction if ways.second else 1.0, h["eps"], Ways(epsilon=swapped, root=ways.root))
    return p - step * (over**0.5 if ways.rectified else 1.0) / below, kept


def rmsprop(h: H, p: Array, g: Array, s: Slots, t: int, ways: Ways) -> Made:
    """RMSprop."""
    p, g = begun(h, p, g)
    alpha = h["alpha"]
    v = mean(s["square_avg"], square(g, ways), alpha, ways.weight_second)
    kept = {"square_avg": v}
    v = s["square_avg"] if ways.stale_second else v
    if h["centered"]:
        kept["grad_avg"] = mean(s["grad_avg"], g, alpha, ways.weight_first)
        v = v - kept["grad_avg"] ** 2 if ways.centered else v
    d = g / divisor(v, 1.0, h["eps"], ways)
    if not h["momentum"]:
        return p - h["lr"] * d, kept
    before = s["momentum_buffer"]
    kept["momentum_buffer"] = h["momentum"] * before + (h["lr"] * d if ways.rate_inside else d)
    moving = before if ways.stale_first else kept["momentum_buffer"] if ways.momentum else d
    return p - (1.0 if ways.rate_inside else h["lr"]) * moving, kept


def adagrad(h: H, p: Array, g: Array, s: Slots, t: int, ways: Ways) -> Made:
    """Adagrad."""
    p, g = begun(h, p, g)
    v = square(g, ways) + (s["sum"] if ways.momentum else 0.0)
    rate = h["lr"] / (1 + (t - 1) * h["lr_decay"]) if ways.decays_rate else h["lr"]
    below = divisor(s["sum"] if ways.stale_second else v, 1.0, h["eps"], ways)
    return p - rate * g / below, {"sum": v}


def adadelta(h: H, p: Array, g: Array, s: Slots, t: int, ways: Ways) -> Made:
    """Adadelta, whose ε stands inside both roots."""
    p, g = begun(h, p, g)
    rho, a = h["rho"], s["acc_delta"]
    v = mean(s["square_avg"], square(g, ways), rho, ways.weight_second)
    swapped = Ways(epsilon={"outside": "inside", "inside": "outside"}.get(ways.epsilon, ways.epsilon), root=ways.root)
    below = divisor(s["square_avg"] if ways.stale_second else v, 1.0, h["eps"], swapped)
    d = divisor(a, 1.0, h["eps"], swapped) / below * g
    after = mean(a, d * d if ways.weight_first else g * g, rho, True)
    d = divisor(after, 1.0, h["eps"], swapped) / below * g if ways.newest else d
    return p - h["lr"] * d, {"square_avg": v, "acc_delta": after}


def adafactor(h: H, p: Array, g: Array, s: Slots, t: int, ways: Ways) -> Made:
    """Adafactor."""
    g = -g if h["maximize"] else g
    tiny, least = h["eps"]
    fresh = t ** h["beta2_decay"]

    def rms(x: Array) -> Any:
        return np.sqrt(np.mean(x * x))

    alpha = min(h["lr"], t**-0.5) if ways.relative else h["lr"]
    alpha = alpha * np.maximum(rms(p), least) if ways.scaled else alpha
    p = p if h.get("decoupled") is False else p * (1 - h["lr"] * h["weight_decay"])
    if g.ndim > 1:
        rows = mean(s["row_var"], np.mean(g * g, -1, keepdims=True), 1 - fresh, True)
        columns = mean(s["col_var"], np.mean(g * g, -2, keepdims=True), 1 - fresh, True)
        kept = {"row_var": rows, "col_var": columns, "variance": None}
        if ways.stale_second:
            rows, columns = s["row_var"], s["col_var"]
        whole = np.maximum(rows.mean(-2, keepdims=True), tiny)
        variance = rows * columns / whole if ways.factored else rows * columns
    else:
        variance = mean(s["variance"], g * g, 1 - fresh, True)
        kept = {"row_var": None, "col_var": None, "variance": variance}
        variance = s["variance"] if ways.stale_second else variance
    floored = np.maximum(variance, tiny * tiny)
    update = g / (np.sqrt(floored) if ways.root else floored)
    over = rms(update) / h["d"]
    clip = {"right": np.maximum(over, 1.0), "none": 1.0, "other side": np.minimum(over, 1.0),
            "multiplied": 1 / np.maximum(over, 1.0), "always": over}[ways.clip]  # fmt: skip
    return p - alpha * update / clip, kept


FORMULAS = {
    "adam": adam, "adamw": adam, "adamax": adamax, "nadam": nadam, "radam": radam, "rmsprop": rmsprop,
    "adagrad": adagrad, "adadelta": adadelta, "adafactor": adafactor,
}  # fmt: skip
