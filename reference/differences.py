"""Derivatives of the loss alone: no derivative formula of this package is used, only its forward pass.

`central_difference` extrapolates central differences (Ridders 1982; Richardson 1911) and returns every
element with an error bar of its own; `complex_step` takes Im L(θ + ih)/h (Squire & Trapp 1998; Martins,
Sturdza & Alonso 2003), which takes no difference and so is as accurate as the forward pass.

Changing one parameter of layer l moves that layer's z along a fixed direction ∂z/∂θ and leaves the layers
before it alone: an element costs a run from layer l on, and many elements and steps run as one batch.

Shapes: E elements, S signed steps, B = E·S variants of the problem, N examples, O a layer's fan-out, K
outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from .arithmetic import Array
from .formats import get_format
from .mlp import Gradients, LayerGradients, Trace, forward
from .noisy import Noisy, Source
from .problem import Problem, loss_value

ROWS = 9
"""Steps of one ladder, each half the one before: the finest is 1/256 of the coarsest."""
COLUMNS = 5
"""Extrapolations: the last column of the tableau is of order h¹⁰."""
LADDERS = 7
"""Ladders at most, each beginning where the one before has 2 steps left: down to 2⁻⁵⁰ of the first step."""
PROBE = 2.0**-26
"""The step that finds the scale, relative to z: √u, where a forward difference balances its two errors."""
RUNS = 16
"""Noisy forward passes that measure the loss's rounding error."""
NOISE = 4.0
"""Rounding errors are bounded by this many σ of the noise model."""
COMPLEX_STEP = 2.0**-332
"""1e-100: its square vanishes beside any number that it is added to."""
UNDERFLOW = 2.0**-960
"""Where a layer's largest imaginary part is less, that of its other numbers may be subnormal."""
ROUNDOFF = 2.0**-53
CORNERS = ("cross_entropy", "bce_with_logits", "soft_margin", "multilabel_soft_margin", "poisson_nll")
"""Losses that turn within 1 of a point that may lie anywhere: steps of the output stay below 1."""
BATCH = 2**18
"""Numbers in one batch of variants, so that it stays in the cache."""


@dataclass(frozen=True, eq=False, slots=True)
class Difference:
    """Derivatives and their error bars.

    Attributes:
        value: the derivatives; NaN where an element is not judged. `.loss` is the loss.
        error: |derivative − value| is at most this; infinite where an element is not judged.
    """

    value: Gradients
    error: Gradients


@dataclass(frozen=True, eq=False, slots=True)
class _Run:
    """What variants of a problem give: each layer's z (E, S, N, O), y (E, S, N, K), the unreduced loss (E, S, …)."""

    preactivations: dict[int, Array]
    output: Array
    terms: Array


_Evaluate = Callable[[Array, Array], _Run]
"""The variants of some elements (E,) at signed steps (E, S)."""


# ── variants of a problem ────────────────────────────────────────────────────────────────────────────


def _in_float64(problem: Problem) -> Problem:
    """The problem in float64: exact for float32 and float16."""
    if problem.reduction == "none":
        raise ValueError(
            'reduction "none" leaves a loss of many numbers, which has no single gradient: use "sum" or "mean"'
        )
    wide = problem.map(lambda values: np.asarray(values, dtype=np.float64))
    return wide.replace(target=wide.target.astype(np.float64)) if wide.target.dtype.kind == "f" else wide


def _of_each(problem: Problem, y: Array, f: Callable[[Array, Array], tuple[Array, ...]]) -> Array:
    """The arrays f(y, target) of each variant of the output y (B, N, K), side by side: (B, …)."""
    variants, target = y.shape[0], problem.target
    arrays = f(y.reshape(-1, y.shape[2]), np.tile(target, (variants, *(1,) * (target.ndim - 1))))
    return np.concatenate([np.zeros((variants, 0)), *(a.reshape(variants, -1) for a in arrays)], axis=1)


def _terms(problem: Problem, y: Array) -> Array:
    """The unreduced losses, (B, …)."""
    return _of_each(problem, y, lambda output, target: (problem.loss.value(output, target),))


def _switches(problem: Problem, y: Array) -> Array:
    """The numbers whose signs say which formula of the loss applies, (B, …)."""
    return _of_each(problem, y, problem.loss.switches)


def _along_elements(problem: Problem, trace: Trace, starts: Array, motions: list[Array]) -> _Evaluate:
    """The variants θₑ + h of elements e, in the order of the layers that they enter.

    Element e moves the z of layer starts[e] by h·motions[e] (N, O); the layers before it stay as they are.
    """

    def evaluate(which: Array, steps: Array) -> _Run:
        examples = problem.x.shape[0]
        preactivations = {}
        h = np.zeros((0, problem.x.shape[1]))
        for index, layer in enumerate(problem.mlp.layers):
            z = h @ layer.weight.T
            if layer.bias is not None:
                z = z + layer.bias
            entering = np.flatnonzero(starts[which] == index)
            if len(entering):
                motion = np.stack([motions[e] for e in which[entering]])[:, None]
                moved = trace.preactivations[index] + steps[entering][:, :, None, None] * motion
                z = np.concatenate([z, moved.reshape(-1, z.shape[1])])
            preactivations[index] = z.reshape(-1, steps.shape[1], examples, z.shape[1])
            h = layer.activation.value(z) if len(z) else np.zeros((0, layer.width))
        y = h.reshape(*steps.shape, examples, -1)
        terms = _terms(problem, y.reshape(-1, *y.shape[2:]))
        return _Run(preactivations, y, terms.reshape(*steps.shape, -1))

    return evaluate


def _along_direction(problem: Problem, direction: Gradients) -> _Evaluate:
    """The variants θ + h·direction."""

    def evaluate(which: Array, steps: Array) -> _Run:
        traces = [forward(moved.mlp, moved.x) for moved in (_moved(problem, direction, h) for h in steps[0])]
        layers = range(len(problem.mlp.layers))
        output = np.stack([trace.output for trace in traces])
        return _Run(
            {index: np.stack([trace.preactivations[index] for trace in traces])[None] for index in layers},
            output[None],
            _terms(problem, output)[None],
        )

    return evaluate


def _moved(problem: Problem, direction: Gradients, h: float) -> Problem:
    places = _places(problem)
    steps = iter([h * direction.leaves()[place] for place in places])
    return problem.map(lambda values: values + next(steps))


def _places(problem: Problem) -> list[str]:
    """The leaves' places in the order in which `Problem.map` visits them."""
    biased = [layer.bias is not None for layer in problem.mlp.layers]
    layers = [f"layers[{i}].{part}" for i, has in enumerate(biased) for part in ("weight", "bias")[: 1 + has]]
    return [*layers, "input"]


def _leaves(problem: Problem) -> dict[str, Array]:
    """Every parameter array and x, by the place of its gradient."""
    arrays: list[Array] = []
    problem.map(lambda values: (arrays.append(values), values)[1])  # type: ignore[func-returns-value]
    return dict(zip(_places(problem), arrays, strict=True))


def _elements(problem: Problem, entries: int | None, seed: int) -> dict[str, Array]:
    """Flat indices into each leaf: all of them, or `entries` drawn at random, evenly over the leaves."""
    leaves = _leaves(problem)
    if entries is None:
        return {place: np.arange(leaf.size) for place, leaf in leaves.items()}
    if entries < 1:
        raise ValueError(f"entries: expected at least 1, got {entries}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(leaves))
    ranked = [(turn, order[k], place, int(index)) for k, (place, leaf) in enumerate(leaves.items())
              for turn, index in enumerate(rng.permutation(leaf.size)[:entries])]  # fmt: skip
    chosen = sorted(ranked)[:entries]
    return {place: np.array(sorted(i for _, _, p, i in chosen if p == place), dtype=int) for place in leaves}


def _motion(problem: Problem, trace: Trace, place: str, index: Array) -> Array:
    """∂z/∂θ for elements of one leaf: (E, N, O), z the pre-activations of the layer that the leaf enters."""
    start = _start(place)
    weight, x = problem.mlp.layers[start].weight, trace.inputs[start]
    motion = np.zeros((len(index), x.shape[0], weight.shape[0]))
    each = np.arange(len(index))
    if place == "input":
        example, feature = np.divmod(index, x.shape[1])
        motion[each, example] = weight[:, feature].T
    elif place.endswith("bias"):
        motion[each, :, index] = 1
    else:
        unit, feature = np.divmod(index, weight.shape[1])
        motion[each, :, unit] = x[:, feature].T
    return motion


def _start(place: str) -> int:
    return 0 if place == "input" else int(place[len("layers[") : place.index("]")])


def _batches(problem: Problem, chosen: dict[str, Array], steps: int) -> Iterator[list[tuple[str, Array]]]:
    """The chosen elements (place, indices), in the order of the layers that they enter, in batches."""
    width = max(layer.weight.shape[0] for layer in problem.mlp.layers)
    size = max(1, BATCH // (steps * problem.x.shape[0] * width))
    pairs = [(place, i) for place in sorted(chosen, key=_start) for i in chosen[place]]
    for first in range(0, len(pairs), size):
        part = pairs[first : first + size]
        yield [(place, np.array([i for p, i in part if p == place])) for place in dict(part)]


class _Tree:
    """Leaves to be filled in, element by element."""

    def __init__(self, problem: Problem, fill: float) -> None:
        self.leaves: dict[str, Array] = {place: np.full(leaf.shape, fill) for place, leaf in _leaves(problem).items()}
        self.layers = len(problem.mlp.layers)

    def put(self, groups: list[tuple[str, Array]], values: Array) -> None:
        """Write the values (E,) of a batch of elements to their places."""
        first = 0
        for place, index in groups:
            self.leaves[place].flat[index] = values[first : first + len(index)]
            first += len(index)

    def gradients(self, loss: Array) -> Gradients:
        """The leaves as a tree like the gradients."""
        layers = tuple(
            LayerGradients(self.leaves[f"layers[{i}].weight"], self.leaves.get(f"layers[{i}].bias"))
            for i in range(self.layers)
        )
        return Gradients(layers, self.leaves["input"], loss)


# ── the base point: its regions and its rounding error ───────────────────────────────────────────────


def _region(z: Array, breaks: tuple[float, ...]) -> Array:
    """Which piece of the activation each z is in: odd on a break, even between breaks."""
    code = np.zeros(z.shape, dtype=np.int8)
    for at in breaks:
        code += z >= at
        code += z > at
    return code


@dataclass(frozen=True, eq=False)
class _Base:
    """A problem at its own parameters, and the rounding error of its loss there."""

    problem: Problem
    trace: Trace
    divisor: float
    sigma: float
    deviations: Array

    @classmethod
    def of(cls, problem: Problem) -> _Base:
        """Measure the rounding error with noisy forward passes; every parameter carries one of its own, too.

        So a sum that happens to be exact at the base point, but not beside it, does not pass for exact.
        """
        trace = forward(problem.mlp, problem.x)
        source = Source(get_format("float64"), RUNS, np.random.default_rng(0))
        noisy = problem.map(
            lambda v: Noisy(v + np.where(v == 0, 2.0**-200, 2 * ROUNDOFF * v) * source.errors(v.shape), source)
        )
        output = forward(noisy.mlp, noisy.x).output
        loss = loss_value(noisy, output)
        divisor = problem.loss.divisor(trace.output, problem.target) if problem.reduction == "mean" else 1.0
        return cls(problem, trace, float(divisor), float(loss.spread()), output.data[1:] - output.data[:1])

    def same_region(self, run: _Run) -> Array:
        """Whether each variant (E, S) lies in the base point's region: no formula changes on the way."""
        lead = run.output.shape[:2]
        same = np.all(np.isfinite(run.terms), axis=2)
        for index, z in run.preactivations.items():
            breaks = self.problem.mlp.layers[index].activation.all_breaks
            if breaks:
                base = _region(self.trace.preactivations[index], breaks)
                same[: len(z)] &= np.all(_region(z, breaks) == base, axis=(2, 3))
        y = run.output.reshape(-1, *run.output.shape[2:])
        base = np.sign(_switches(self.problem, self.trace.output[None]))
        same &= np.all(np.sign(_switches(self.problem, y)) == base, axis=1).reshape(lead)
        return same & np.all(self.problem.loss.domain(run.output), axis=(2, 3))

    def reach(self, run: _Run, h: Array) -> Array:
        """How far each element can go, from its variants at ±h: (E,).

        To half of 1 + |z| in every activation's argument and in the output; not to a break, nor to a
        switch of the loss, nor out of its domain.
        """
        reach = np.full(h.shape, np.inf)
        for index, z in run.preactivations.items():
            base, row = self.trace.preactivations[index], self.problem.mlp.layers[index].activation
            rate = np.abs(z[:, 0] - z[:, 1]) / 2
            room = np.full(base.shape, np.inf) if row.homogeneous else (1 + np.abs(base)) / 2
            if row.rowwise:
                room = np.minimum(room, 1.0)
            for at in row.all_breaks:
                room = np.minimum(room, 0.75 * np.abs(base - at))
            reach[: len(z)] = np.minimum(reach[: len(z)], _least_ratio(room, rate))
        y = self.trace.output
        step = (run.output[:, 0] - run.output[:, 1]) / 2
        # what compares the entries of a row turns within 1 of their differences, however large they are
        room = np.minimum((1 + np.abs(y)) / 2, 1.0 if self.problem.loss.name in CORNERS else np.inf)
        reach = np.minimum(reach, _least_ratio(room, np.abs(step)))
        switch = _switches(self.problem, y[None])[0]
        sides = _switches(self.problem, run.output.reshape(-1, *y.shape)).reshape(len(h), 2, -1)
        reach = np.minimum(reach, _least_ratio(0.75 * np.abs(switch), np.abs(sides[:, 0] - sides[:, 1]) / 2))
        if self.problem.loss.domain_text != "any real number":
            for _ in range(60):
                far = np.minimum(reach, 2.0**60)[:, None, None] * step / 0.75
                inside = self.problem.loss.domain(y + far) & self.problem.loss.domain(y - far)
                reach = np.where(np.all(inside, axis=(1, 2)), reach, reach / 2)
        return reach * h

    def noise(self, run: _Run) -> Array:
        """σ of the loss at variants (E, S): the output's rounding error carried through the loss there."""
        y = run.output
        deviations = self.deviations[: RUNS // 2]
        signs = np.where(np.random.default_rng(1).random(deviations.shape) < 0.5, -1.0, 1.0)
        strayed = y[:, :, None] + (deviations + 2 * ROUNDOFF * np.abs(y[:, :, None]) * signs)
        terms = _terms(self.problem, strayed.reshape(-1, *y.shape[2:])).reshape(*strayed.shape[:3], -1)
        error = (terms - run.terms[:, :, None]).sum(axis=3) / self.divisor
        return np.sqrt(np.mean(error * error, axis=2))


def _least_ratio(room: Array, rate: Array) -> Array:
    """The least room/rate over the elements that move at all: (E,)."""
    ratio = np.where(rate > 0, room / rate, np.inf)
    return np.where(np.isnan(ratio), 0, ratio).min(axis=tuple(range(1, rate.ndim)), initial=np.inf)


# ── extrapolation ────────────────────────────────────────────────────────────────────────────────────


def _power_of_two(h: Array) -> Array:
    """The power of two at or below h, within the range where h·z and 1/h do not overflow."""
    return np.ldexp(1.0, np.frexp(np.clip(h, 2.0**-500, 2.0**500))[1] - 1)


def _extrapolate(base: _Base, evaluate: _Evaluate, scale: Array) -> tuple[Array, Array]:
    """Derivatives along E elements and their error bars, each (E,); scale (E,) is how far a step may well go."""
    every = np.arange(len(scale))
    probe = _power_of_two(scale * PROBE)
    for _ in range(3):
        near = evaluate(every, np.stack([probe, -probe], axis=1))
        reach = base.reach(near, probe)
        if np.all(reach >= 16 * probe):
            break
        probe = np.where(reach >= 16 * probe, probe, _power_of_two(probe * 2.0**-13))
    check = np.stack(_quotients(base, near, probe[:, None], base.sigma))
    h = _power_of_two(np.minimum(reach, scale))
    value, error = np.full(h.shape, np.nan), np.full(h.shape, np.inf)
    todo = every[reach > 0]
    for _ in range(LADDERS):
        if not len(todo):
            break
        v, e, row = _ladder(base, partial(evaluate, todo), h[todo], check[:, todo])
        better = e < error[todo]
        value[todo], error[todo] = np.where(better, v, value[todo]), np.where(better, e, error[todo])
        todo = todo[(row >= ROWS - 3) | ~np.isfinite(e)]
        h = h * 2.0 ** (2 - ROWS)
    return value, error


def _quotients(base: _Base, run: _Run, h: Array, sigma: Array) -> tuple[Array, Array]:
    """(L(h) − L(−h))/2h and the bound on its rounding error, (E, S/2) each; NaN outside the region."""
    half = run.terms.shape[1] // 2
    size = np.abs(run.terms).sum(axis=2) / base.divisor
    good = base.same_region(run)
    # the terms' differences are summed, not the sums' difference: what does not move cancels exactly
    change = (run.terms[:, :half] - run.terms[:, half:]).sum(axis=2) / base.divisor
    quotient = np.where(good[:, :half] & good[:, half:], change / h / 2, np.nan)
    noise = NOISE * (sigma + ROUNDOFF * np.maximum(size[:, :half], size[:, half:])) / h + 2.0**-1074 / h
    return quotient, noise


def _ladder(base: _Base, evaluate: Callable[[Array], _Run], top: Array, check: Array) -> tuple[Array, Array, Array]:
    """The best entry of one tableau, its bar, and its row, (E,) each; top is the first step."""
    fraction = 2.0 ** -np.arange(ROWS)
    h = top[:, None] * fraction
    run = evaluate(np.concatenate([h, -h], axis=1))
    ends = [0, ROWS, ROWS - 1, 2 * ROWS - 1]
    found = base.noise(_Run({}, run.output[:, ends], run.terms[:, ends]))
    far, near = (np.hypot(found[:, k], found[:, k + 1])[:, None] for k in (0, 2))
    quotient, noise = _quotients(base, run, h, base.sigma + near + far * fraction)
    quotient = np.where(np.isnan(quotient)[:, ::-1].cumsum(axis=1)[:, ::-1] > 0, np.nan, quotient)
    best = np.full(top.shape, np.nan), np.full(top.shape, np.inf), np.zeros(top.shape, dtype=int)
    for column in range(1, COLUMNS + 1):
        finer, coarser = quotient[:, 1:], quotient[:, :-1]
        weight = 4.0**column
        raised = finer + (finer - coarser) / (weight - 1)
        noise = (weight * noise[:, 1:] + noise[:, :-1]) / (weight - 1)
        truncation = np.maximum(np.abs(raised - finer), np.abs(raised - coarser))
        for ahead in (1, 2):
            later = np.abs(raised[:, ahead:] - raised[:, :-ahead])
            truncation[:, :-ahead] = np.maximum(truncation[:, :-ahead], later)
        bar = truncation + noise + _disagreement(raised, noise, check) + 2 * ROUNDOFF * np.abs(raised)
        bar = np.where(np.isnan(bar), np.inf, bar)
        row = np.argmin(bar, axis=1)
        each = np.arange(len(row))
        better = bar[each, row] < best[1]
        found = raised[each, row], bar[each, row], row + column
        best = tuple(np.where(better, new, old) for new, old in zip(found, best, strict=True))  # type: ignore[assignment]
        quotient = raised
    return best


def _disagreement(values: Array, noise: Array, check: Array) -> Array:
    """By how much values at finer steps, and the probe's, differ from each by more than rounding explains."""
    rows = values.shape[1]
    apart = np.abs(values[:, None, :] - values[:, :, None]) - noise[:, None, :] - noise[:, :, None]
    apart = np.where(np.triu(np.ones((rows, rows), dtype=bool), 1), apart, 0.0).max(axis=2)
    probe, probe_noise = check
    beside = np.abs(values - probe) - probe_noise - noise
    return np.maximum(np.maximum(apart, np.where(np.isnan(beside), 0.0, beside)), 0.0)


# ── the public functions ─────────────────────────────────────────────────────────────────────────────


def central_difference(problem: Problem, *, entries: int | None = None, seed: int = 0) -> Difference:
    """The derivative of the loss with respect to every parameter and input element, each with its error bar.

    (L(θ + h) − L(θ − h))/2h at steps h that halve, extrapolated to h = 0 (Ridders 1982, §2); the entry of the
    tableau with the least bar is taken. A bar is the sum of

    - truncation: the largest difference from the entry's neighbours in the tableau, two finer ones among them;
    - disagreement with any finer step, and with one near √u, beyond what rounding explains;
    - rounding: `NOISE`·σ/h carried through the tableau's weights, σ that of the loss on `Noisy` arithmetic,
      measured at the base point and, for the output's rounding, at either end of the steps.

    Steps stay on one piece of every activation and of the loss: where a unit that moves sits on a break, or
    the break is too close for any step, the element is not judged. The base point is the stored forward
    pass: the rounding errors of the layers before the parameter's own are in the bar only through σ.

    Args:
        problem: of any NumPy type up to float64. It is computed in float64, which holds the numbers of a
            float32 problem exactly: the result is the derivative at that problem's numbers.
        entries: how many elements to judge, drawn at random and spread evenly over the leaves; all if not given.
        seed: of that draw.

    Returns:
        Value and error as trees like the gradients. Elements that are not judged have the value NaN and an
        infinite error, as all have where the loss is not finite. The loss is the value's, with its error.

    Raises:
        ValueError: reduction is "none", or entries is below 1.

    >>> from reference import gradients, initialize
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> problem = Problem(mlp, np.array([[0.3, -0.7]]), np.array([[1.0]]), loss="mse")
    >>> found, g = central_difference(problem), gradients(problem)
    >>> bool(np.all(abs(found.value.input - g.input) <= found.error.input)), bool(np.all(found.error.input < 1e-12))
    (True, True)
    """
    problem = _in_float64(problem)
    with np.errstate(all="ignore"):
        base = _Base.of(problem)
        value, error = _Tree(problem, np.nan), _Tree(problem, np.inf)
        for groups in _batches(problem, _elements(problem, entries, seed), 2 * ROWS) if np.isfinite(base.sigma) else ():
            starts, motions = _starts_and_motions(problem, base.trace, groups)
            size = np.array([np.abs(motion).max() for motion in motions])
            still = size == 0
            widest = np.array([1 + np.abs(base.trace.preactivations[start]).max() for start in starts])
            evaluate = _along_elements(problem, base.trace, starts, motions)
            v, e = _extrapolate(base, evaluate, widest / np.where(still, 1, size))
            value.put(groups, np.where(still, 0, v))
            error.put(groups, np.where(still, 0, e))
        loss = loss_value(problem, base.trace.output)
    return Difference(value.gradients(loss), error.gradients(np.asarray(NOISE * base.sigma)))


def directional_difference(problem: Problem, direction: Gradients) -> tuple[float, float]:
    """⟨∇L, direction⟩ and its error bar by central differences: a check of a network of any size at once.

    Args:
        problem: as for `central_difference`.
        direction: a tree like the gradients; its loss does not count.

    Returns:
        The derivative and its bar; NaN and infinity where it is not judged.

    Raises:
        ValueError: reduction is "none".

    >>> from reference import gradients, initialize
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> problem = Problem(mlp, np.array([[0.3, -0.7]]), np.array([[1.0]]), loss="mse")
    >>> along = random_direction(problem, seed=1)
    >>> value, error = directional_difference(problem, along)
    >>> expected = sum(np.sum(g * along.leaves()[place]) for place, g in gradients(problem).leaves().items())
    >>> bool(abs(value - expected) <= error < 1e-12)
    True
    """
    problem = _in_float64(problem)
    largest = max(float(np.abs(leaf).max()) for leaf in direction.leaves().values())
    if largest == 0:
        return 0.0, 0.0
    with np.errstate(all="ignore"):
        base = _Base.of(problem)
        if not np.isfinite(base.sigma):
            return np.nan, np.inf
        size = max(float(np.abs(leaf).max()) for leaf in _leaves(problem).values())
        scale = np.array([(size if size > 0 else 1.0) / largest])
        value, error = _extrapolate(base, _along_direction(problem, direction), scale)
    return float(value[0]), float(error[0])


def random_direction(problem: Problem, seed: int) -> Gradients:
    """A tree like the gradients, float64, of independent standard normal numbers; its loss is None.

    >>> from reference import initialize
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> random_direction(Problem(mlp, np.ones((3, 2)), np.ones((3, 1)), loss="mse"), seed=1).input.shape
    (3, 2)
    """
    rng = np.random.default_rng(seed)
    tree = _Tree(problem, 0.0)
    tree.leaves = {place: rng.standard_normal(leaf.shape) for place, leaf in tree.leaves.items()}
    return tree.gradients(None)


def complex_step(problem: Problem, *, entries: int | None = None, seed: int = 0) -> Gradients:
    """The derivatives as Im L(θ + ih)/h, h = 2⁻³³²: nothing cancels but what cancels in the forward pass.

    Squire & Trapp 1998, eq. 1; Martins, Sturdza & Alonso 2003, eq. 6. It holds for analytic functions, so
    for every row on each piece of its formula. An element is not judged where a unit that it moves sits on a
    break, nor where the product of h and a derivative underflows however h is chosen (derivatives below 1e-220,
    give or take). There is no bar: the error is the rounding error of a forward pass, for which the textbook
    `rounding_scale` stands (a softmax or its logarithm near 0 or 1 loses the digits that 1 − y loses), and an
    error of 1e-199 times the third derivative, which shows where the first is 0.

    Args:
        problem: as for `central_difference`, in complex128 of which float32 and float64 are exact parts.
        entries: how many elements to judge, drawn at random and spread evenly over the leaves; all if not given.
        seed: of that draw.

    Returns:
        A tree like the gradients, float64; NaN where an element is not judged.

    Raises:
        ValueError: reduction is "none", or entries is below 1.

    >>> from reference import gradients, initialize
    >>> mlp = initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
    >>> problem = Problem(mlp, np.array([[0.3, -0.7]]), np.array([[1.0]]), loss="mse")
    >>> bool(np.max(abs(complex_step(problem).input - gradients(problem).input)) < 1e-15)
    True
    """
    problem = _in_float64(problem)
    found = _Tree(problem, np.nan)
    with np.errstate(all="ignore"):
        trace = forward(problem.mlp, problem.x)
        divisor = problem.loss.divisor(trace.output, problem.target) if problem.reduction == "mean" else 1.0
        for groups in _batches(problem, _elements(problem, entries, seed), 2):
            starts, motions = _starts_and_motions(problem, trace, groups)
            evaluate = _along_elements(problem, trace, starts, motions)
            h = np.full((len(starts), 1), COMPLEX_STEP)
            run = evaluate(np.arange(len(starts)), 1j * h)
            derivative = run.terms.imag.sum(axis=2) / h / divisor
            weakest, strongest = _imaginary_range(run)
            small = (strongest > 0) & ((weakest < UNDERFLOW) | np.all(run.terms.imag == 0, axis=(1, 2)))
            if np.any(small):
                h = COMPLEX_STEP * _power_of_two(2.0**-170 / strongest[small, None]) * np.array([2.0**-30, 1.0])
                again = evaluate(np.flatnonzero(small), 1j * h)
                pair = again.terms.imag.sum(axis=2) / h / divisor
                # an error of h²f‴/6 would make the second 2⁶⁰ times as wrong as the first
                sound = (np.abs(pair[:, 1] - pair[:, 0]) <= np.abs(pair[:, 0]) / 2) & ~(
                    _imaginary_range(again)[0] < UNDERFLOW
                )
                derivative[small, 0] = np.where(sound, pair[:, 0], np.nan)
            found.put(groups, np.where(_beyond_a_break(problem, trace, run), np.nan, derivative[:, 0]))
        loss = loss_value(problem, trace.output)
    return found.gradients(loss)


def _imaginary_range(run: _Run) -> tuple[Array, Array]:
    """The least and the greatest, over layers where one is not 0, of the largest imaginary part: (E,) each."""
    strongest = np.abs(run.terms.imag).max(axis=(1, 2))
    weakest = np.where(strongest > 0, strongest, np.inf)
    for z in (*run.preactivations.values(), run.output):
        size = np.abs(z.imag).max(axis=(1, 2, 3), initial=0.0)
        weakest[: len(z)] = np.minimum(weakest[: len(z)], np.where(size > 0, size, np.inf))
        strongest[: len(z)] = np.maximum(strongest[: len(z)], size)
    return weakest, strongest


def _beyond_a_break(problem: Problem, trace: Trace, run: _Run) -> Array:
    """Whether an element moves a unit or the loss off a point where the formula changes: (E,).

    Or whether complex products round to the other side of such a point than real ones.
    """
    switch, base = (_switches(problem, y) for y in (run.output[:, 0], trace.output[None]))
    beyond = np.any(((switch.real == 0) & (switch.imag != 0)) | (np.sign(switch.real) != np.sign(base)), axis=1)
    for index, z in run.preactivations.items():
        breaks = problem.mlp.layers[index].activation.all_breaks
        if breaks:
            region, here = _region(z.real, breaks), _region(trace.preactivations[index], breaks)
            beyond[: len(z)] |= np.any(((here % 2 == 1) & (z.imag != 0)) | (region != here), axis=(1, 2, 3))
    return beyond


def _starts_and_motions(problem: Problem, trace: Trace, groups: list[tuple[str, Array]]) -> tuple[Array, list[Array]]:
    """The layer that each element of a batch enters, and how it moves that layer's z."""
    starts = np.concatenate([np.full(len(index), _start(place)) for place, index in groups])
    return starts, [motion for place, index in groups for motion in _motion(problem, trace, place, index)]
