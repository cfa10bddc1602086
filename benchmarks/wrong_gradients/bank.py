"""A bank of wrong gradients, each with one known mistake: what a gradient check has to catch and a diagnosis to name.

The gradients are those of `benchmarks.implementations.naive`, which shares no formula with what is measured.

>>> len({mutant.name for mutant in BANK}) == len(BANK) >= 60
True
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import reference as ref

from ..implementations.naive import Bug, Naive
from .after_backward import (
    Change,
    Leaves,
    accumulated,
    clipped,
    decayed,
    naive,
    of_other_batch,
    slightly_off,
    summed_weights,
    times,
)

__all__ = ["BANK", "CORRECT", "Bug", "Leaves", "Mutant", "naive", "network", "pair", "shuffled"]

Made = Callable[..., ref.Problem]
"""(seed, dtype="float64") ↦ a problem."""


@dataclass(frozen=True)
class Mutant:
    """Gradients with one mistake, or with two.

    Attributes:
        name: unique in the bank.
        kind: the mistake, the same for all places and sizes.
        place: "first", "middle", "last" or "every" layer, "loss", or "leaves" that were right when they were made.
        size: of the mistake, where it has one: a relative error, a learning rate, a slope.
        problem: (seed, dtype) ↦ the problem that it is made on; another one may be taken where the mistake is possible.
        gradients: problem ↦ arrays by place, the loss among them, in the problem's own precision.
        expected_names: kinds by `torch_compare.diagnosis` that count as naming this mistake; none where the
            mistake has no name, so that no name is the right answer.
        status: the verdict that is right.
        dtype: the precision that it is made in, if not told otherwise.
    """

    name: str
    kind: str
    place: str
    size: float | None
    problem: Made
    gradients: Callable[[ref.Problem], Leaves]
    expected_names: frozenset[str]
    status: str = "wrong"
    dtype: str = "float64"


# ── problems ─────────────────────────────────────────────────────────────────────────────────────────


def network(
    seed: int,
    dtype: str = "float64",
    *,
    widths: tuple[int, ...] = (8, 8, 8, 8, 8),
    activation: str | ref.Activation = "tanh",
    last: str | ref.Activation = "identity",
    loss: str | ref.Loss = "mse",
    reduction: str = "mean",
    examples: int = 6,
    bias: bool = True,
) -> ref.Problem:
    """A random network with a random batch, every number of which the precision holds.

    Weights are normal with variance 1/I, so that the gradients of deep networks keep their size.
    """
    rng = np.random.default_rng(seed)
    rows = [*[activation] * (len(widths) - 2), last]
    layers = []
    for (fan_in, fan_out), row in zip(pairwise(widths), rows, strict=True):
        weight = (rng.normal(size=(fan_out, fan_in)) / np.sqrt(fan_in)).astype(dtype)
        layers.append(ref.Layer(weight, (0.3 * rng.normal(size=fan_out)).astype(dtype) if bias else None, row))
    x = rng.normal(size=(examples, widths[0])).astype(dtype)
    judge = ref.losses.get(loss)
    shape = (examples, widths[-1])
    target: Any
    if judge.target == "classes":
        target = rng.integers(0, widths[-1], examples)
        if judge.ignore_index is not None and judge.ignore_index >= 0:
            target[: 1 + examples // 4] = judge.ignore_index
    else:
        target = (rng.random(shape) if judge.target == "probabilities" else rng.normal(size=shape)).astype(dtype)
    return ref.Problem(ref.MLP(tuple(layers)), x, target, judge, reduction)


def _weighted(k: int = 8) -> tuple[float, ...]:
    return tuple(float(w) for w in 0.25 * np.arange(1, k + 1))


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────────


def _bug(kind: str, bug: str, place: str, names: str, made: Made, size: float | None = None, **more: Any) -> Mutant:
    title = f"{bug}, {place}" + ("" if size is None else f", {size:g}")
    return Mutant(
        title, kind, place, size, made, partial(_planted, bugs=(Bug(bug, place, size or 0.0),)), _names(names), **more
    )


def _planted(problem: ref.Problem, bugs: tuple[Bug, ...]) -> Leaves:
    return naive(problem, *bugs)


def _names(names: str) -> frozenset[str]:
    return frozenset(name.strip() for name in names.split("|") if name.strip())


def _after(
    kind: str, title: str, names: str, change: Change, size: float | None = None,
    made: Made = network, place: str = "leaves", **more: Any,
) -> Mutant:  # fmt: skip
    def gradients(problem: ref.Problem) -> Leaves:
        return change(problem, naive(problem))

    return Mutant(
        title + ("" if size is None else f", {size:g}"), kind, place, size, made, gradients, _names(names), **more
    )


def _lower(dtype: str) -> Mutant:
    def gradients(problem: ref.Problem) -> Leaves:
        return {k: np.asarray(v, dtype=problem.dtype) for k, v in naive(problem, dtype=dtype).items()}

    return Mutant(
        f"computed in {dtype}", "lower precision", "every", None, network, gradients, frozenset(), "imprecise"
    )


# ── the bank ─────────────────────────────────────────────────────────────────────────────────────────

PLACES = ("first", "middle", "last", "every")
_tanh = partial(network, last="tanh")
_relu = partial(network, activation="relu", last="relu", widths=(8, 16, 16, 16, 8))
_half = partial(network, loss="half_squared_error")
_classes = partial(network, loss="cross_entropy")
_oblong = partial(network, widths=(5, 7, 4, 6, 3))


def _passes() -> Iterator[Mutant]:
    """Mistakes in a step of the backward pass."""
    for place in PLACES:
        yield _bug("derivative missing", "derivative missing", place, "activation derivative missing", _tanh)
        yield _bug("derivative at the output", "derivative at the output", place, "derivative at the output", _tanh)
        yield _bug("ReLU mask", "mask from the wrong side", place, "mask from the wrong side", _relu)
        yield _bug("transposed", "weight gradient transposed", place, "weight gradient transposed", network)
        yield _bug("not transposed", "weight not transposed", place, "weight not transposed", network)
        for which in ("first", "last"):
            bug = f"bias not summed, {which} example"
            yield _bug("bias not summed", bug, place, "bias gradient not summed", network)
        yield _bug("bias averaged", "bias averaged", place, "bias gradient averaged", network)
        for step in ("gradient", "sign", "Adam"):
            for rate in (0.1, 0.001):
                names = "weights already updated"
                yield _bug("updated weights", f"updated by {step}", place, names, _tanh, rate)
        yield _bug("derivative twice", "derivative twice", place, "derivative applied twice", _tanh)
        yield _bug("detached", "detached", place, "layers below detached|gradient missing", network)
    for other, places in (("below", ("middle", "last")), ("above", ("first", "middle"))):
        for place in places:
            bug = f"derivative of the layer {other}"
            yield _bug("wrong layer", bug, place, "derivative of the wrong layer", _tanh)
    yield _bug("wrong layer", "input of the layer above", "middle", "input of the wrong layer", network)
    yield replace(
        _bug("transposed", "weight gradient transposed", "middle", "weight gradient transposed", _oblong),
        name="weight gradient transposed, middle, oblong",
    )
    yield replace(
        _bug("not transposed", "weight not transposed", "middle", "weight not transposed", _oblong),
        name="weight not transposed, middle, oblong",
    )


def _activations() -> Iterator[Mutant]:
    """Another activation's formula."""
    gelu = partial(network, activation="gelu", last="gelu")
    for place in PLACES:
        yield _bug("tanh GELU", "tanh GELU", place, "tanh formula for GELU", gelu)
    yield _bug("tanh GELU", "tanh GELU in both passes", "every", "tanh formula for GELU", gelu)
    leaky = partial(network, activation="leaky_relu", last="leaky_relu")
    for slope in (0.0, 0.1, 0.2, 0.05):
        yield _bug("leaky slope", "leaky slope", "every", "leaky slope", leaky, slope)
        yield _bug("leaky slope", "leaky slope in both passes", "every", "leaky slope", leaky, slope)
    yield _bug("leaky slope", "leaky slope", "middle", "leaky slope", leaky, 0.1)
    softmax = partial(network, activation="softmax")
    for place in ("first", "middle", "every"):
        names = "softmax Jacobian diagonal"
        yield _bug("softmax Jacobian diagonal", "softmax Jacobian diagonal", place, names, softmax)


def _losses() -> Iterator[Mutant]:
    """Mistakes at the loss."""
    for bug, made, names in (
        ("sum over examples and elements", network, "sum for mean"),
        ("sum over examples", network, "sum for mean"),
        ("sum over elements", network, "sum for mean"),
        ("mean over elements", _half, "mean for sum"),
        ("mean over examples", partial(network, reduction="sum"), "mean for sum"),
        ("mean over examples and elements", partial(network, reduction="sum"), "mean for sum"),
        ("mean over elements", partial(network, reduction="sum"), "mean for sum"),
        ("sum over examples", _half, "sum for mean"),
        ("sum over examples", _classes, "sum for mean"),
        ("sum over examples", partial(network, loss="bce_with_logits"), "sum for mean"),
    ):
        problem = made(0)
        mutant = _bug("reduction", bug, "loss", names, made)
        yield replace(mutant, name=f"{bug}, {problem.loss.name} {problem.reduction}")
    yield _bug("target", "target not subtracted", "loss", "target not subtracted", network)
    twice = "softmax applied twice"
    yield _bug("softmax twice", "softmax applied twice", "loss", twice, _classes)
    yield _bug("softmax twice", "softmax applied twice in both passes", "loss", twice, _classes)
    names = "softmax Jacobian diagonal"
    yield _bug("softmax Jacobian diagonal", "softmax Jacobian of the loss diagonal", "loss", names, _classes)
    logits = partial(network, loss="bce_with_logits")
    yield _bug("sigmoid twice", "sigmoid applied twice", "loss", "sigmoid applied twice", logits)
    names = "sigmoid derivative applied again"
    yield _bug("sigmoid twice", "sigmoid derivative applied again", "loss", names, logits)
    smoothed = partial(network, loss=ref.losses.cross_entropy(label_smoothing=0.2))
    names = "label smoothing mis-normalised"
    yield _bug("label smoothing", "label smoothing ignored", "loss", names, smoothed)
    yield _bug("label smoothing", "label smoothing over the other classes", "loss", names, smoothed)
    ignoring = partial(network, loss=ref.losses.cross_entropy(ignore_index=2))
    names = "ignore_index mis-normalised"
    yield _bug("ignore_index", "mean over all examples", "loss", names, ignoring)
    yield _bug("ignore_index", "ignored examples not zeroed", "loss", "ignored examples not zeroed", ignoring)
    weighted = partial(network, loss=ref.losses.cross_entropy(weight=_weighted()))
    names = "class weights mis-normalised"
    yield replace(
        _bug("class weights", "mean over all examples", "loss", names, weighted), name="class weights, mean over N"
    )
    yield _bug("class weights", "class weights ignored", "loss", names, weighted)
    yield _bug("class weights", "class weights ignored throughout", "loss", names, weighted)
    positive = partial(network, loss=ref.losses.bce_with_logits(pos_weight=_weighted()))
    yield replace(_bug("class weights", "class weights ignored", "loss", names, positive), name="pos_weight ignored")


def _leaves() -> Iterator[Mutant]:
    """What happens to gradients after, or instead of, a right backward pass."""
    yield _after("sign", "sign of every gradient", "sign", times(-1.0))
    yield _after("sign", "sign of every bias", "sign", times(-1.0, ("bias",)))
    yield _after("factor", "factor 2", "factor 2", times(2.0))
    yield _after("factor", "factor 1/2", "factor 1/2", times(0.5))
    yield _after("factor", "factor 2 in every weight", "factor 2", times(2.0, ("weight",)))
    yield _after("factor", "batch size in every weight", "sum for mean", summed_weights)
    yield _after("accumulated", "accumulated, the same batch twice", "factor 2|accumulated", times(2.0))
    yield _after("accumulated", "accumulated, the same batch 3 times", "accumulated", times(3.0))
    wide = partial(network, widths=(24, 10, 8, 8))
    yield _after("accumulated", "accumulated, another batch before", "accumulated", accumulated, made=wide)
    yield _bug("stale batch", "stale inputs", "loss", "stale batch", network)
    yield _after("stale batch", "inputs of another batch", "stale batch", of_other_batch("inputs"), made=wide)
    for title, made in (("targets in another order", network), ("classes of another batch", _classes)):
        yield _after("stale batch", title, "stale batch", of_other_batch("targets"), made=made)
    for rate in (0.1, 1e-4):
        for ends in (("weight",), ("weight", "bias")):
            title = f"weight decay on {' and '.join(ends)}"
            yield _after("weight decay", title, "weight decay mixed in", decayed(rate, ends, np.asarray), rate)
        yield _after("weight decay", "L1 decay", "weight decay mixed in", decayed(rate, ("weight",), np.sign), rate)
    for how, size in (("value", 0.5), ("norm", 1.0), ("norm", 0.1), ("norm of each", 1.0)):
        yield _after("clipped", f"clipped by {how}", "gradient clipped", clipped(how, size), size)
    for dtype in ("float32", "float16", "bfloat16"):
        yield _lower(dtype)


def _inaccurate() -> Iterator[Mutant]:
    """Relative errors, whose size alone decides whether they are caught. None of them is a mistake with a name."""
    for dtype, exponents in (("float64", range(1, 16)), ("float32", range(1, 7))):
        for size in (10.0**-e for e in exponents):
            layer = _bug("relative error", "relative error", "middle", "constant factor", _tanh, size, dtype=dtype)
            yield replace(layer, name=f"relative error in a layer's derivative, {size:g}, {dtype}")
            for where in ("column", "element"):
                title = f"relative error in a weight's {where}, {dtype}"
                names = "constant factor"
                yield _after(
                    "relative error", title, names, slightly_off(size, where), size, _tanh, place="middle", dtype=dtype
                )


BANK: tuple[Mutant, ...] = (*_passes(), *_activations(), *_losses(), *_leaves(), *_inaccurate())
"""Every mutant: mistakes × places × sizes."""


def shuffled(problem: ref.Problem, seed: int = 0, dtype: str | None = None) -> Leaves:
    """Right gradients, every sum in a random order."""
    return Naive(problem, (), dtype, np.random.default_rng(seed)).run()


CORRECT: dict[str, Callable[[ref.Problem], Leaves]] = {
    "naive NumPy": naive,
    "naive NumPy, shuffled sums": shuffled,
}
"""Right gradients of the naive implementation: none of them may be called wrong."""


def pair(problem: ref.Problem, first: Bug, second: Bug) -> Leaves:
    """Gradients with two bugs at once."""
    return naive(problem, first, second)
