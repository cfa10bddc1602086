"""What may stand between a mistake's gradients and those given: a factor, a weight decay, a norm that was clipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import reference as ref

from .mistakes import Leaves, Mistake

FITTED = 64 * 2.0**-53
"""Relative uncertainty of a constant that is fitted in float64 to many numbers."""


@dataclass(frozen=True)
class Fit:
    """How gradients that a mistake makes become those that were given.

    Attributes:
        mistakes: what is done to the leaves in addition; none where they are the same already.
        residual: the largest relative distance that is left, by norm.
        uncertainty: relative to a leaf, of the constants that were fitted.
        loss_free: whether the loss may keep its value where the gradients are scaled.
        vague: whether a constant had to be fitted that has no name.
    """

    mistakes: tuple[Mistake, ...]
    residual: float
    uncertainty: float = 0.0
    loss_free: bool = True
    vague: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds of what is done in addition."""
        return tuple(m.name for m in self.mistakes)


def constants(problem: ref.Problem) -> list[tuple[float, str, str]]:
    """The factors that have a name: (value, kind, what it is)."""
    n, k = problem.x.shape[0], problem.mlp.layers[-1].width
    y = ref.forward(problem.mlp, problem.x).output
    d = float(problem.loss.divisor(y, problem.target))
    mean = problem.reduction == "mean"
    named = [(float(d), "what the mean divides by"), (float(n), "the batch size"), (float(k), "the number of outputs"),
             (float(n * k), "the number of output elements")]  # fmt: skip
    found: list[tuple[float, str, str]] = [
        (1.0, "", ""),
        (-1.0, "sign", "the sign is wrong"),
        (2.0, "factor 2", "a factor 2 too many (a square differentiated without its ½), or accumulated over two calls"),
        (0.5, "factor 1/2", "a factor ½ too many"),
    ]
    for value, what in named:
        much = "a sum where the loss takes the mean" if mean else "more than the sum"
        few = "the mean is taken twice" if mean else "a mean where the loss takes the sum"
        if value == k and value != d and mean:
            much = "the mean is taken over the examples where the loss takes it over the elements"
            few = "the mean is taken over the elements where the loss takes it over the examples"
        found.append((value, "sum for mean", f"{what}: {much}"))
        found.append((1 / value, "mean for sum", f"1/{what}: {few}"))
    if d not in (n, k, n * k):
        found.append((d / n, "mis-normalised", "the mean divides by the batch size, not by what the loss divides by"))
    found += [(float(i), "accumulated", f"accumulated over {i} calls") for i in range(3, 9)]
    named_values: set[float] = set()
    kept = []
    for value, kind, what in found:
        if value not in named_values and (value != 1 or not kind):
            named_values.add(value)
            kept.append((value, kind, what))
    kept += [(-v, "sign", f"minus {what}") for v, kind, what in kept[2:] if -v not in named_values]
    return kept


def _scaled(factors: Mapping[str, float], name: str, text: str) -> Mistake:
    return Mistake(
        name,
        text,
        leaves=lambda problem, leaves: {
            k: v * factors[k] if factors.get(k, 1.0) != 1 else v for k, v in leaves.items()
        },
    )


def fits(
    problem: ref.Problem, given: Mapping[str, Any], leaves: Leaves, slack: Callable[[str], float]
) -> tuple[Fit | None, int]:
    """The simplest fit that takes leaves to what was given, roughly; and how many leaves one explains.

    Args:
        problem: the problem.
        given: what was given, by place.
        leaves: what a mistake makes, by place.
        slack: place ↦ the relative distance by norm that counts as the same.
    """
    judged = [k for k in given if k in leaves and k != "loss"]
    if not judged:
        return None, 0
    apart = {k: _distance(given[k], leaves[k]) for k in judged}
    same = [k for k in judged if apart[k] <= slack(k)]
    if len(same) == len(judged):
        loss_kept = "loss" not in given or _distance(given["loss"], leaves["loss"]) <= 1e-6
        return (Fit((), max(apart.values()), loss_free=False), len(same)) if loss_kept else (None, len(same))
    scaled = _factors(problem, given, leaves, judged, slack)
    if scaled is not None:
        return scaled, len(judged)
    for attempt in (_constant, _weight_decay, _normalised, _clipped_values):
        found = attempt(problem, given, leaves, judged, slack)
        if found is not None:
            return found, len(judged)
    return None, len(same)


def _distance(a: Any, b: Any) -> float:
    a, b = np.ravel(np.asarray(a, dtype=float)), np.ravel(np.asarray(b, dtype=float))
    if a.size != b.size:
        return float("inf")
    with np.errstate(all="ignore"):
        size = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
        return float(np.linalg.norm(a - b)) / size if size > 0 else 0.0


def _ratio(a: Any, b: Any) -> float:
    """The factor c that brings c·b nearest to a."""
    a, b = np.ravel(np.asarray(a, dtype=float)), np.ravel(np.asarray(b, dtype=float))
    with np.errstate(all="ignore"):
        return float(a @ b / (b @ b))


def _factors(problem: ref.Problem, given: Any, leaves: Leaves, judged: list[str], slack: Any) -> Fit | None:
    """Every leaf by a factor that has a name, the same for all that are scaled, or 0."""
    table = constants(problem)
    chosen: dict[str, tuple[float, str, str]] = {}
    residual = 0.0
    for place in judged:
        if not np.any(given[place]):
            if np.any(leaves[place]):
                chosen[place] = (0.0, "gradient missing", "it is 0")
            continue
        c = _ratio(given[place], leaves[place])
        if not np.isfinite(c) or c == 0:
            return None
        near = min(table, key=lambda row: abs(np.log(row[0] / c)) if row[0] * c > 0 else np.inf)
        off = _distance(given[place], near[0] * np.asarray(leaves[place], dtype=float))
        if off > slack(place):
            return None
        residual = max(residual, off)
        if near[0] != 1:
            chosen[place] = near
    kinds = set(chosen.values())
    if not 1 <= len(kinds) <= 2:
        return None
    mistakes = []
    for value, kind, what in sorted(kinds):
        places = [k for k in chosen if chosen[k][0] == value]
        everywhere = len(places) == len(judged)
        where = "every gradient" if everywhere else _listed(places)
        yours = "yours is 0" if value == 0 else f"yours = oracle × {value:.6g} everywhere; {what}"
        factors = dict.fromkeys(places, value) | _loss_factor(given, leaves, value, everywhere)
        mistakes.append(_scaled(factors, kind, f"{where}: {yours}"))
    return Fit(tuple(mistakes), residual)


def _loss_factor(given: Any, leaves: Leaves, value: float, everywhere: bool) -> dict[str, float]:
    """The loss is scaled along where everything is and the loss that was given says so."""
    if not everywhere or "loss" not in given:
        return {}
    return {"loss": value} if _distance(given["loss"], value * np.asarray(leaves["loss"], dtype=float)) < 1e-6 else {}


def _listed(places: list[str]) -> str:
    kinds = {p.rpartition(".")[2] for p in places}
    if len(places) > 3 and len(kinds) == 1:
        return f"every {kinds.pop()}"
    return ", ".join(places[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else "")


def _constant(problem: ref.Problem, given: Any, leaves: Leaves, judged: list[str], slack: Any) -> Fit | None:
    """One factor without a name for every leaf that differs: a clipped norm, a learning rate, an inaccurate factor."""
    off = [k for k in judged if _distance(given[k], leaves[k]) > slack(k)]
    parameters = [k for k in judged if k != "input"]
    if sum(np.size(given[k]) for k in off) < 8 or not parameters:
        return None
    a, b = (np.concatenate([np.ravel(np.asarray(s[k], dtype=float)) for k in off]) for s in (given, leaves))
    c = _ratio(a, b)
    if not np.isfinite(c) or c == 0:
        return None
    left = {k: _distance(given[k], c * np.asarray(leaves[k], dtype=float)) for k in off}
    if any(left[k] > slack(k) for k in off):
        return None
    norm = float(np.linalg.norm(np.concatenate([np.ravel(np.asarray(given[k], dtype=float)) for k in parameters])))
    where = "every gradient" if set(off) >= set(parameters) else _listed(off)
    kind, what = "constant factor", "none of the numbers that the problem has: a learning rate, perhaps"
    if abs(c - 1) < 0.01:
        what = f"off by a relative {c - 1:.3g}: one factor on the way to all of them is inaccurate"
    elif where == "every gradient" and _round(norm) and 0 < c < 1:
        kind, what = "gradient clipped", f"its norm over all parameters is {norm:.6g}: clipped to that, or normalised"
    scaled = _scaled(dict.fromkeys(off, c), kind, f"{where}: yours = oracle × {c:.13g} everywhere; {what}")
    return Fit((scaled,), max(left.values()), FITTED, vague=True)


def _round(value: float) -> bool:
    """Whether a number is one that people choose: 1, 0.5, 2.5, 10, 0.01."""
    digits = value / 10.0 ** np.floor(np.log10(value)) if value > 0 else 0.0
    return bool(np.any(np.abs(digits - np.array([1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9, 10])) < 1e-6))


def _normalised(problem: ref.Problem, given: Any, leaves: Leaves, judged: list[str], slack: Any) -> Fit | None:
    """Every leaf by the factor that makes its norm the same round number."""
    places = [k for k in judged if k != "input"]
    norms = [float(np.linalg.norm(np.ravel(given[k]))) for k in places]
    if len(places) < 2 or norms[0] == 0 or not _round(norms[0]) or max(norms) - min(norms) > 1e-6 * norms[0]:
        return None
    factors = {k: _ratio(given[k], leaves[k]) for k in places}
    off = {k: _distance(given[k], factors[k] * np.asarray(leaves[k], dtype=float)) for k in places}
    if any(off[k] > slack(k) or factors[k] <= 0 for k in places):
        return None
    if "input" in judged and _distance(given["input"], leaves["input"]) > slack("input"):
        return None
    text = f"every gradient is normalised: its norm is {norms[0]:.6g}"
    return Fit((_scaled(factors, "gradient clipped", text),), max(off.values()), FITTED)


def _clipped_values(problem: ref.Problem, given: Any, leaves: Leaves, judged: list[str], slack: Any) -> Fit | None:
    """Every element limited to ±v, where v is the largest that was given and occurs more than once."""
    places = [k for k in judged if k != "input"]
    if not places:
        return None
    flat = np.abs(np.concatenate([np.ravel(np.asarray(given[k], dtype=float)) for k in places]))
    bound = float(flat.max())
    if bound == 0 or np.sum(flat == bound) < 2:
        return None
    limited = {k: np.clip(np.asarray(leaves[k], dtype=float), -bound, bound) for k in places}
    off = {k: _distance(given[k], limited[k]) for k in places}
    if any(off[k] > slack(k) for k in places):
        return None
    mistake = Mistake(
        "gradient clipped",
        f"every element is clipped to ±{bound:.6g}",
        leaves=lambda problem, found: {
            k: np.minimum(np.maximum(v, -bound), bound) if k in places else v for k, v in found.items()
        },
    )
    return Fit((mistake,), max(off.values()))


def _weight_decay(problem: ref.Problem, given: Any, leaves: Leaves, judged: list[str], slack: Any) -> Fit | None:
    """λ times the weights, or their signs, added to the gradients of the weights, and to those of the biases or not."""
    weights = [k for k in judged if k.endswith("weight")]
    if not weights:
        return None
    parameters = _parameters(problem)
    for title, shape in (("weights", lambda a: a), ("signs of the weights", np.sign)):
        rest = np.concatenate([np.ravel(np.asarray(given[k], dtype=float) - leaves[k]) for k in weights])
        along = np.concatenate([np.ravel(shape(parameters[k])) for k in weights])
        decay = _ratio(rest, along)
        if not np.isfinite(decay) or decay == 0:
            continue
        with_bias = dict.fromkeys(weights, decay)
        for place in judged:
            if place.endswith("bias") and _distance(given[place], leaves[place]) > slack(place):
                with_bias[place] = decay
        made = {k: leaves[k] + with_bias[k] * shape(parameters[k]) if k in with_bias else leaves[k] for k in judged}
        off = {k: _distance(given[k], made[k]) for k in judged}
        if all(off[k] <= slack(k) for k in judged):
            text = (
                f"{decay:.6g} × the {title} is added to their gradients: a weight decay that belongs to the optimiser"
            )
            return Fit((_decayed(with_bias, shape, text),), max(off.values()), FITTED)
    return None


def _decayed(decay: Mapping[str, float], shape: Callable[[Any], Any], text: str) -> Mistake:
    def add(problem: ref.Problem, leaves: Leaves) -> Leaves:
        parameters = _parameters(problem)
        return {k: v + shape(parameters[k]) * decay[k] if k in decay else v for k, v in leaves.items()}

    return Mistake("weight decay mixed in", text, leaves=add)


def _parameters(problem: ref.Problem) -> dict[str, Any]:
    found = {}
    for index, layer in enumerate(problem.mlp.layers):
        found[f"layers[{index}].weight"] = layer.weight
        if layer.bias is not None:
            found[f"layers[{index}].bias"] = layer.bias
    return found
