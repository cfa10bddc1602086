"""A bank of wrong gradients, each with one known mistake: what a gradient check has to catch and a diagnosis to name.

>>> len({wrong.name for wrong in BANK}) == len(BANK) >= 60
True
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

import reference as ref

from .after_backward import accumulated, clipped, decayed, of_other_batch, slightly_off, summed_weights, times
from .problems import class_weights, network
from .wrong_gradient import WrongGradient, after_pass, in_lower_precision, in_pass

PLACES = ("first", "middle", "last", "every")
_tanh = partial(network, last="tanh")
_relu = partial(network, activation="relu", last="relu", widths=(8, 16, 16, 16, 8))
_half = partial(network, loss="half_squared_error")
_classes = partial(network, loss="cross_entropy")
_oblong = partial(network, widths=(5, 7, 4, 6, 3))


def _passes() -> Iterator[WrongGradient]:
    """Mistakes in a step of the backward pass."""
    for place in PLACES:
        yield in_pass("derivative missing", "derivative missing", place, "activation derivative missing", _tanh)
        yield in_pass("derivative at the output", "derivative at the output", place, "derivative at the output", _tanh)
        yield in_pass("ReLU mask", "mask from the wrong side", place, "mask from the wrong side", _relu)
        yield in_pass("transposed", "weight gradient transposed", place, "weight gradient transposed", network)
        yield in_pass("not transposed", "weight not transposed", place, "weight not transposed", network)
        for which in ("first", "last"):
            mistake = f"bias not summed, {which} example"
            yield in_pass("bias not summed", mistake, place, "bias gradient not summed", network)
        yield in_pass("bias averaged", "bias averaged", place, "bias gradient averaged", network)
        for step in ("gradient", "sign", "Adam"):
            for rate in (0.1, 0.001):
                names = "weights already updated"
                yield in_pass("updated weights", f"updated by {step}", place, names, _tanh, rate)
        yield in_pass("bias not summed", "one bias gradient for all", place, "one bias gradient for all", network)
        yield in_pass("gradient twice", "gradient twice", place, "upstream gradient applied twice", _tanh)
        names = "pre-activation multiplied in"
        yield in_pass("times the pre-activation", "times the pre-activation", place, names, _tanh)
        yield in_pass("gradient in one term", "gradient in one term", place, "gradient in one term only", _tanh)
        yield in_pass("derivative twice", "derivative twice", place, "derivative applied twice", _tanh)
        yield in_pass("detached", "detached", place, "layers below detached|gradient missing", network)
    for other, places in (("below", ("middle", "last")), ("above", ("first", "middle"))):
        for place in places:
            mistake = f"derivative of the layer {other}"
            yield in_pass("wrong layer", mistake, place, "derivative of the wrong layer", _tanh)
    yield in_pass("wrong layer", "input of the layer above", "middle", "input of the wrong layer", network)
    yield replace(
        in_pass("transposed", "weight gradient transposed", "middle", "weight gradient transposed", _oblong),
        name="weight gradient transposed, middle, oblong",
    )
    yield replace(
        in_pass("not transposed", "weight not transposed", "middle", "weight not transposed", _oblong),
        name="weight not transposed, middle, oblong",
    )


def _activations() -> Iterator[WrongGradient]:
    """Another activation's formula."""
    gelu = partial(network, activation="gelu", last="gelu")
    for place in PLACES:
        yield in_pass("tanh GELU", "tanh GELU", place, "tanh formula for GELU", gelu)
        yield in_pass("wrong GELU", "density missing", place, "derivative term missing", gelu)
        yield in_pass("wrong GELU", "0.3989", place, "constant cut short", gelu)
    yield in_pass("tanh GELU", "tanh GELU in both passes", "every", "tanh formula for GELU", gelu)
    leaky = partial(network, activation="leaky_relu", last="leaky_relu")
    for slope in (0.0, 0.1, 0.2, 0.05):
        yield in_pass("leaky slope", "leaky slope", "every", "leaky slope", leaky, slope)
        yield in_pass("leaky slope", "leaky slope in both passes", "every", "leaky slope", leaky, slope)
    yield in_pass("leaky slope", "leaky slope", "middle", "leaky slope", leaky, 0.1)
    softmax = partial(network, activation="softmax")
    for place in ("first", "middle", "every"):
        names = "softmax Jacobian diagonal"
        yield in_pass("softmax Jacobian diagonal", "softmax Jacobian diagonal", place, names, softmax)
        names = "derivative term missing"
        yield in_pass("wrong softmax", "softmax without its dot product", place, names, softmax)
        names = "softmax's formula for its kin"
        yield in_pass("wrong softmax", "log_softmax formula for softmax", place, names, softmax)


def _losses() -> Iterator[WrongGradient]:
    """Mistakes at the loss."""
    for mistake, made, names in (
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
        wrong = in_pass("reduction", mistake, "loss", names, made)
        yield replace(wrong, name=f"{mistake}, {problem.loss.name} {problem.reduction}")
    yield in_pass("target", "target not subtracted", "loss", "target not subtracted", network)
    twice = "softmax applied twice"
    yield in_pass("softmax twice", "softmax applied twice", "loss", twice, _classes)
    yield in_pass("softmax twice", "softmax applied twice in both passes", "loss", twice, _classes)
    names = "softmax Jacobian diagonal"
    yield in_pass("softmax Jacobian diagonal", "softmax Jacobian of the loss diagonal", "loss", names, _classes)
    logits = partial(network, loss="bce_with_logits")
    yield in_pass("sigmoid twice", "sigmoid applied twice", "loss", "sigmoid applied twice", logits)
    names = "sigmoid derivative applied again"
    yield in_pass("sigmoid twice", "sigmoid derivative applied again", "loss", names, logits)
    smoothed = partial(network, loss=ref.losses.cross_entropy(label_smoothing=0.2))
    names = "label smoothing mis-normalised"
    yield in_pass("label smoothing", "label smoothing ignored", "loss", names, smoothed)
    yield in_pass("label smoothing", "label smoothing over the other classes", "loss", names, smoothed)
    ignoring = partial(network, loss=ref.losses.cross_entropy(ignore_index=2))
    names = "ignore_index mis-normalised"
    yield in_pass("ignore_index", "mean over all examples", "loss", names, ignoring)
    yield in_pass("ignore_index", "ignored examples not zeroed", "loss", "ignored examples not zeroed", ignoring)
    weighted = partial(network, loss=ref.losses.cross_entropy(weight=class_weights()))
    names = "class weights mis-normalised"
    yield replace(
        in_pass("class weights", "mean over all examples", "loss", names, weighted),
        name="class weights, mean over N",
    )
    yield in_pass("class weights", "class weights ignored", "loss", names, weighted)
    yield in_pass("class weights", "class weights ignored throughout", "loss", names, weighted)
    positive = partial(network, loss=ref.losses.bce_with_logits(pos_weight=class_weights()))
    yield replace(in_pass("class weights", "class weights ignored", "loss", names, positive), name="pos_weight ignored")


def _leaves() -> Iterator[WrongGradient]:
    """Gradients changed after, or made instead of, a right backward pass."""
    yield after_pass("sign", "sign of every gradient", "sign", times(-1.0))
    yield after_pass("sign", "sign of every bias", "sign", times(-1.0, ("bias",)))
    yield after_pass("factor", "factor 2", "factor 2", times(2.0))
    yield after_pass("factor", "factor 1/2", "factor 1/2", times(0.5))
    yield after_pass("factor", "factor 2 in every weight", "factor 2", times(2.0, ("weight",)))
    yield after_pass("factor", "batch size in every weight", "sum for mean", summed_weights)
    yield after_pass("accumulated", "accumulated, the same batch twice", "factor 2|accumulated", times(2.0))
    yield after_pass("accumulated", "accumulated, the same batch 3 times", "accumulated", times(3.0))
    wide = partial(network, widths=(24, 10, 8, 8))
    yield after_pass("accumulated", "accumulated, another batch before", "accumulated", accumulated, made=wide)
    yield in_pass("stale batch", "stale inputs", "loss", "stale batch", network)
    yield after_pass("stale batch", "inputs of another batch", "stale batch", of_other_batch("inputs"), made=wide)
    for title, made in (("targets in another order", network), ("classes of another batch", _classes)):
        yield after_pass("stale batch", title, "stale batch", of_other_batch("targets"), made=made)
    for rate in (0.1, 1e-4):
        for ends in (("weight",), ("weight", "bias")):
            title = f"weight decay on {' and '.join(ends)}"
            yield after_pass("weight decay", title, "weight decay mixed in", decayed(rate, ends, np.asarray), rate)
        yield after_pass("weight decay", "L1 decay", "weight decay mixed in", decayed(rate, ("weight",), np.sign), rate)
    for how, size in (("value", 0.5), ("norm", 1.0), ("norm", 0.1), ("norm of each", 1.0)):
        yield after_pass("clipped", f"clipped by {how}", "gradient clipped", clipped(how, size), size)
    for dtype in ("float32", "float16", "bfloat16"):
        yield in_lower_precision(dtype)


def _inaccurate() -> Iterator[WrongGradient]:
    """Relative errors, whose size alone decides whether they are caught. None of them is a mistake with a name."""
    for dtype, exponents in (("float64", range(1, 16)), ("float32", range(1, 7))):
        for size in (10.0**-e for e in exponents):
            layer = in_pass("relative error", "relative error", "middle", "constant factor", _tanh, size, dtype=dtype)
            yield replace(layer, name=f"relative error in a layer's derivative, {size:g}, {dtype}")
            for where in ("column", "element"):
                title = f"relative error in a weight's {where}, {dtype}"
                names = "constant factor"
                yield after_pass(
                    "relative error", title, names, slightly_off(size, where), size, _tanh, place="middle", dtype=dtype
                )


BANK: tuple[WrongGradient, ...] = (*_passes(), *_activations(), *_losses(), *_leaves(), *_inaccurate())
"""Every wrong gradient: mistakes × places × sizes."""
