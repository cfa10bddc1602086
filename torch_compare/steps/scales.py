"""How far a correct implementation's step may lie from the exact one, measured by noisy runs of the same update."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np

from reference.arithmetic.formats import STORED, Format, get_format
from reference.arithmetic.noise_source import NoiseSource, Split
from reference.arithmetic.noisy import Noisy
from reference.network.unchecked import changed
from reference.optimizers import Optimizer
from reference.optimizers.hyperparameters import BELOW_ONE
from reference.optimizers.muon import newton_schulz

from .anchored import Anchored
from .step import FREE, Array, Leaves, Step, leaves, rebuilt, take

RUNS = 32
LARGEST = 2**16
"""Elements of one noisy array: larger ones of an elementwise optimiser are run in pieces."""
SMALL = 1e-30
"""A format whose smallest number is larger than this has a range that squares leave: float16."""
SQUARES = ("exp_avg_sq", "square_avg", "sum", "acc_delta", "row_var", "col_var", "variance")
WHOLE = ("adafactor", "muon", "lbfgs")
"""Optimisers that look at an array as a whole."""


@dataclass(frozen=True)
class Scales:
    """The measure of a step, by place.

    Attributes:
        sigma: the spread of the noisy runs, in which the final rounding of the parameters has no part.
        slack: what rounding to where the number is stored may add, half an ulp for each time.
        runs: of every place of parameters, each run's distance from the noise-free one: (runs, *shape).
    """

    sigma: Leaves
    slack: Leaves
    runs: Leaves = field(repr=False, default_factory=dict)


def exact(step: Step, optimizer: Optimizer | None = None) -> Leaves:
    """What the step makes of the numbers as they are, in long double."""
    optimizer = optimizer or step.optimizer
    wide = _widest(optimizer)
    params, grads = ([a.astype(wide) for a in arrays] for arrays in (step.params, step.grads))
    state = _tree(step.state, lambda a: a.astype(wide))
    return leaves(step.labels, *take(optimizer, tuple(params), tuple(grads), state))


def _widest(optimizer: Optimizer) -> Any:
    """The type of what is exact: that in which NumPy has what the optimiser calls."""
    return np.longdouble if optimizer.name != "muon" else np.float64


def measured(step: Step, fmt: Format, expected: Leaves, *, seed: int = 0, runs: int = RUNS) -> Scales:
    """The scales of a step that is computed in a format.

    Args:
        step: its numbers are taken as exact.
        fmt: of every operation; what is stored in a coarser one is rounded to that besides.
        expected: from `exact`.
        seed: of the noise.
        runs: how many noisy runs there are.
    """
    source = NoiseSource(fmt, runs, np.random.default_rng(seed))
    found = Scales({}, {}, {})
    try:
        with np.errstate(all="ignore"):
            for labels, made in _noisy_steps(step, source):
                _note(found, leaves(labels, *made), step, fmt, source)
    except Split:
        for place, value in expected.items():
            found.sigma[place] = np.full(np.shape(value), np.nan)
    for place, value in expected.items():
        if place not in found.sigma:
            found.sigma[place] = np.zeros(np.shape(value))
        found.sigma[place] = found.sigma[place].reshape(np.shape(value))
        found.slack[place] = _slack(found.slack.get(place), place, value, step, fmt, found.sigma[place])
    if fmt.smallest > SMALL:
        _leave_out_of_range(step, fmt, expected, found)
    return found


def _noisy_steps(step: Step, source: NoiseSource) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The step in noise, array by array where the optimiser goes so: the labels, and what is made."""
    if not step.alone:
        params = tuple(_noisy(p, source) for p in step.params)
        grads = tuple(_noisy(g, source) for g in step.grads)
        yield step.labels, take(step.optimizer, params, grads, _tree(step.state, lambda a: _noisy(a, source)))
        return
    for index, label in enumerate(step.labels):
        p, g = step.params[index], step.grads[index]
        state = {key: (slot[index],) if isinstance(slot, tuple) else slot for key, slot in step.state.items()}
        if step.optimizer.name in WHOLE or p.size <= LARGEST:
            yield (label,), _one(step, p, g, state, source)
            continue
        pieces = []
        for begin in range(0, p.size, LARGEST):
            part = slice(begin, begin + LARGEST)

            def cut(a: Array, part: slice = part, shape: tuple[int, ...] = p.shape) -> Array:
                return a.ravel()[part] if a.shape == shape else a.reshape(1)

            pieces.append(leaves((label,), *_one(step, cut(p), cut(g), _tree(state, cut), source)))
        yield (
            (label,),
            ((_joined([piece[f"params[{label}]"] for piece in pieces], source),), _strung(pieces, label, source)),
        )


def _one(step: Step, p: Array, g: Array, state: Any, source: NoiseSource) -> Any:
    anchored = Anchored(_noisy(p, source).data.astype(_widest(step.optimizer)), source)
    return take(step.optimizer, (anchored,), (_noisy(g, source),), _tree(state, lambda a: _noisy(a, source)))


def _strung(pieces: list[Leaves], label: str, source: NoiseSource) -> dict[str, Any]:
    names = [name for name in pieces[0] if name.endswith(f"[{label}]") and not name.startswith("params[")]
    return {name.removesuffix(f"[{label}]"): (_joined([p[name] for p in pieces], source),) for name in names}


def _joined(parts: list[Any], source: NoiseSource) -> Any:
    data = [part.data for part in parts]
    if all(d.shape[1] == 1 for d in data) and len(data) > 1:
        return parts[0]
    runs = max(len(d) for d in data)
    joined = np.concatenate([np.broadcast_to(d, (runs, *d.shape[1:])) for d in data], axis=1)
    first = parts[0]
    return (
        Anchored(joined, source, first.stored, first.scalars) if isinstance(first, Anchored) else Noisy(joined, source)
    )


def _noisy(a: Array, source: NoiseSource) -> Noisy:
    return Noisy.exact(a, source)


def _tree(tree: Any, change: Callable[[Array], Array]) -> Any:
    """The tree with every floating array changed."""
    if isinstance(tree, Mapping):
        return {key: _tree(value, change) for key, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(_tree(value, change) for value in tree)
    return change(tree) if isinstance(tree, np.ndarray) else tree


def _note(found: Scales, made: Leaves, step: Step, fmt: Format, source: NoiseSource) -> None:
    for place, value in made.items():
        if isinstance(value, Anchored):
            found.slack[place] = (value.stored, value.scalars)
        if not isinstance(value, Noisy):
            continue
        found.sigma[place] = np.float64(value.spread())
        if place.startswith("params["):
            found.runs[place] = np.float64(value.data[1:] - value.data[:1])


def _slack(counts: Any, place: str, value: Any, step: Step, fmt: Format, sigma: Array) -> Any:
    """Half an ulp for each rounding to where the number is stored or computed, whichever is coarser."""
    if not isinstance(value, np.ndarray):
        return np.zeros(np.shape(value))
    stored = STORED.get(step.formats.get(place, fmt.name), fmt)
    coarser = stored if stored.bits < fmt.bits else fmt
    size = np.maximum(np.abs(np.float64(value)), np.abs(np.float64(step.start.get(place, value))).reshape(value.shape))
    if counts is None:
        return np.where((sigma > 0) | (stored.bits < fmt.bits), 0.5 * coarser.ulp(size), 0.0)
    times, scalars = counts
    if step.optimizer.name in ("sgd", "asgd") and step.optimizer.hyperparameters["weight_decay"]:
        times, scalars = (
            max(times, 2),
            max(scalars, 1),
        )  # θ may as well be shrunk first: without momentum it is the same
    held = np.finfo(np.longdouble).eps * size  # what is exact is rounded to long double, by half an ulp of that
    return 0.5 * (times * coarser.ulp(size) + scalars * fmt.ulp(size) + held)


def _leave_out_of_range(step: Step, fmt: Format, expected: Leaves, found: Scales) -> None:
    """Take the scale from where squares leave the format's range: what comes of that is no rounding of the step."""
    least, squares = fmt.smallest_normal, [name for name in step.state if name in SQUARES]
    for label, g in zip(step.labels, step.grads, strict=True):
        if not squares:
            continue
        sizes = [
            np.abs(np.float64(a))
            for a in (g * g, *_slots(squares, label, expected), *_slots(squares, label, step.start))
        ]
        rows, columns = (_slots([name], label, expected) for name in ("row_var", "col_var"))
        sizes += [np.abs(np.float64(r * c)) for r, c in zip(rows, columns, strict=True)]
        apart = [(a > fmt.largest / 4) | ((a > 0) & (a < least)) for a in sizes]
        gone = _least_divisor(step) < least  # then 0 + ε is 0 in the format
        nothing = [(a == 0) & (gone | (a.shape != g.shape) | (g != 0)) for a in sizes[1 : 1 + len(squares)]]
        if step.optimizer.name in WHOLE:
            lost = np.full(g.shape, any(np.any(a) for a in (*apart, *nothing)))
        else:
            lost = np.logical_or.reduce([np.broadcast_to(a, g.shape) for a in (*apart, *nothing)])
        for place, sigma in found.sigma.items():
            if place.endswith(f"[{label}]"):
                found.sigma[place] = np.where(lost if sigma.shape == g.shape else np.any(lost), np.nan, sigma)


def _least_divisor(step: Step) -> float:
    """What keeps the divisor from 0."""
    eps = step.optimizer.hyperparameters.get("eps", 0.0)
    return float(eps[0] ** 2 if isinstance(eps, tuple) else eps)


def _slots(names: list[str], label: str, where: Leaves) -> list[Array]:
    return [where[f"{name}[{label}]"] for name in names if f"{name}[{label}]" in where]


# ── the wider scale ──────────────────────────────────────────────────────────────────────────────────


def with_coarse_scalars(step: Step, scales: Scales, fmt: Format, *, seed: int = 0, runs: int = RUNS) -> Scales:
    """The scales with hyperparameters, and so 1 − βᵗ and the like, rounded to the format too; to float32 at least.

    1 − 0.999 loses three digits where 0.999 is a float32, as in JAX or in CUDA kernels that take β as a float. Muon's
    Newton–Schulz iteration may be bfloat16 besides, as torch's is.
    """
    rng = np.random.default_rng([seed, 1])
    unit = 2.0 ** -max(24, fmt.bits) if fmt.bits < 53 else 2.0**-53

    def shaken(value: Any, key: str) -> Any:
        if isinstance(value, tuple):
            return tuple(shaken(v, key) for v in value)
        if isinstance(value, float) and value:
            moved = value * (1 + unit * rng.uniform(-1, 1))
            return min(moved, BELOW_ONE if key == "betas" else 1.0) if key in ("betas", "rho", "alpha") else moved
        return value

    base = leaves(step.labels, *step.take())
    total = {place: np.zeros(np.shape(value)) for place, value in base.items()}
    strayed = {place: np.zeros((runs, *r.shape[1:])) for place, r in scales.runs.items()}
    for run in range(runs):
        h = {k: shaken(v, k) for k, v in step.optimizer.hyperparameters.items() if k not in ("others", "d")}
        try:
            other = leaves(step.labels, *step.take(rebuilt(step.optimizer, **h), **_shaken_count(step, unit, rng)))
        except (ValueError, ArithmeticError):
            continue  # a hyperparameter at the edge of its range was shaken over it
        for place, value in other.items():
            if place == "step":
                continue
            off = np.float64(value) - np.float64(base[place])
            total[place] = total[place] + np.square(off)
            if place in strayed:
                strayed[place][run] = off.reshape(strayed[place].shape[1:])
    sigma = {p: np.hypot(s, np.sqrt(total[p] / runs)) if p in total else s for p, s in scales.sigma.items()}
    together = {place: r + scales.runs[place] if len(scales.runs[place]) else r for place, r in strayed.items()}
    made = Scales(sigma, scales.slack, together)
    return _with_bfloat16_iteration(step, made, fmt, seed) if step.optimizer.name == "muon" else made


def _shaken_count(step: Step, unit: float, rng: np.random.Generator) -> dict[str, Any]:
    """The count of steps, moved so that one of the powers βᵗ has a rounding error of its own."""
    betas = step.optimizer.hyperparameters.get("betas", (0.0,))
    beta = float(betas[rng.integers(len(betas))])
    return {"step": step.state["step"] + 2 * unit * rng.uniform(-1, 1) / abs(log(beta))} if 0 < beta < 1 else {}


def _with_bfloat16_iteration(step: Step, scales: Scales, fmt: Format, seed: int) -> Scales:
    inside = NoiseSource(get_format("bfloat16"), RUNS, np.random.default_rng([seed, 2]))
    h = step.optimizer.hyperparameters
    optimizer = rebuilt(step.optimizer, orthogonalize=in_format(inside, h["ns_coefficients"], h["ns_steps"], h["eps"]))
    expected = {place: value for place, value in step.start.items() if place not in FREE}
    wide = measured(changed(step, optimizer=optimizer), fmt, expected, seed=seed)
    sigma = {p: np.hypot(s, wide.sigma[p]) if p in wide.sigma else s for p, s in scales.sigma.items()}
    return Scales(sigma, scales.slack, wide.runs)


def in_format(
    inside: NoiseSource, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Callable[[Array], Array]:
    """Muon's Newton–Schulz iteration in the noise of another format than what is around it."""

    def orthogonalize(b: Any) -> Any:
        narrow = Noisy(b.data, inside)
        made: Any = newton_schulz(narrow.jitter(narrow), coefficients, steps, eps)
        return Noisy(made.data, b.source)

    return orthogonalize
