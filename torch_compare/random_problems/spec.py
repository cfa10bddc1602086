"""A random problem as a short specification, from which the same problem is built everywhere.

>>> problem = build(Spec(widths=(3, 4, 2), activations=("tanh", "identity"), loss="mse", batch=5, seed=1))
>>> problem.x.shape, problem.mlp.layers[0].weight.shape
((5, 3), (4, 3))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import reference as ref
from reference import activations as act
from reference import losses as los

from .targets import drawn_loss, drawn_target

FEATURES = ("kinks", "saturated", "dead", "zeros", "integers", "tiny", "huge", "negative_zero")
"""Features that a problem may have besides the ordinary ones: kinks hit exactly, units far in the tails, units that
are off for every example, exact zeros in weights and inputs, small integers throughout (so that sums are
exact), weights down to 1e-12 and up to 1e3 times their usual size, and inputs of −0.0."""
TERMS = ("equal_rows", "one_sign", "zero_weights")
"""Features of the terms that sums over a batch add up: every example the same; inputs, weights and errors of one sign;
every weight and bias 0, so that all outputs are equal. Rounding adds up there like n terms, not like √n."""
MAX_DEPTH, MAX_WIDTH, MAX_BATCH = 100, 64, 32

_VARIANTS: dict[str, Callable[[np.random.Generator], ref.Activation]] = {
    "leaky_relu": lambda rng: act.leaky_relu(float(rng.choice([0.2, 0.0, -0.5, 1.0]))),
    "rrelu": lambda rng: act.rrelu(0.1, 0.5),
    "elu": lambda rng: act.elu(float(rng.choice([2.0, 0.5, -1.0]))),
    "celu": lambda rng: act.celu(float(rng.choice([2.0, 0.3]))),
    "softplus": lambda rng: act.softplus(*((2.0, 20.0), (0.3, 5.0), (1.0, float("inf")))[rng.integers(3)]),
    "hardtanh": lambda rng: act.hardtanh(-0.5, 2.0),
    "hardshrink": lambda rng: act.hardshrink(0.25),
    "softshrink": lambda rng: act.softshrink(0.25),
    "threshold": lambda rng: act.threshold(-0.5, 0.25),
}
"""Rows with parameters other than the default ones, for a third of the layers that can have them."""


OUTPUTS = {
    "bce": ("sigmoid", "softmax", "hardsigmoid", "sigmoid"),
    "nll": ("log_softmax", "logsigmoid", "identity"),
    "kl_div": ("log_softmax", "logsigmoid", "identity"),
}
"""Activations of the last layer that suit a loss; any will do for a loss that is not named."""


_LARGEST_OUTPUT = {"poisson_nll": 30.0}
"""How large the last layer's output may be: poisson_nll takes its exponential."""
_CHANCE = 0.15
"""Of each feature, in a campaign."""


@dataclass(frozen=True)
class Spec:
    """The structure of a random problem; with its seed it determines every number.

    Attributes:
        widths: features before the first layer and behind each layer.
        activations: one name per layer.
        loss: a name in `ref.LOSSES`.
        batch: the number of examples.
        seed: of the numbers.
        biases: whether each layer has a bias; all have if empty.
        reduction: "mean" or "sum".
        dtype: "float64" or "float32".
        features: names in `FEATURES` and `TERMS`.
        variants: whether rows may have parameters other than their defaults.
    """

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    batch: int
    seed: int
    biases: tuple[bool, ...] = ()
    reduction: str = "mean"
    dtype: str = "float64"
    features: tuple[str, ...] = ()
    variants: bool = True


def build(spec: Spec) -> ref.Problem:
    """The problem of a spec.

    Weights that would let the forward or backward pass leave the middle of the type's range are halved
    until they do not: every number of a problem and of its gradients is finite.

    Raises:
        ValueError: the spec names something that does not exist.
    """
    for shrink in (0, 4, 12, 30):
        with np.errstate(all="ignore"):
            problem = _attempt(spec, shrink)
            found = ref.gradients(problem)
            limit = 1e150 if spec.dtype == "float64" else 1e30
            if all(np.all(np.abs(leaf) < limit) for leaf in found.leaves().values()):
                return problem
    raise ValueError(f"no finite problem came of {spec}")


def _attempt(spec: Spec, shrink: int) -> ref.Problem:
    rng = np.random.default_rng(spec.seed)
    number = np.dtype(spec.dtype)
    biases = spec.biases or (True,) * len(spec.activations)
    x = _inputs(rng, spec, number)
    layers: list[ref.Layer] = []
    h = x
    for index, (name, biased) in enumerate(zip(spec.activations, biases, strict=True)):
        last = index == len(spec.activations) - 1
        row = _VARIANTS[name](rng) if spec.variants and name in _VARIANTS and rng.random() < 1 / 3 else act.get(name)
        layer = _layer(rng, spec, row, h.shape[1], spec.widths[index + 1], biased, number)
        h, layer = _bounded(layer, h, shrink, _LARGEST_OUTPUT.get(spec.loss) if last else None)
        layers.append(layer)
    mlp = ref.MLP(tuple(layers))
    loss = drawn_loss(rng, spec.loss, h, number)
    if spec.loss == "poisson_nll" and np.any(h <= 0):
        loss = los.poisson_nll(full=bool(rng.integers(2)))
    target = _of_terms(drawn_target(rng, loss, h, number, "kinks" in spec.features), loss, h, spec)
    return ref.Problem(mlp, x, target, loss, spec.reduction)


def _inputs(rng: np.random.Generator, spec: Spec, number: np.dtype[Any]) -> Any:
    shape = (spec.batch, spec.widths[0])
    x = rng.integers(-3, 4, shape).astype(number) if "integers" in spec.features else rng.normal(size=shape)
    if "zeros" in spec.features:
        x = np.where(rng.random(shape) < 0.3, 0.0, x)
    if "negative_zero" in spec.features:
        x = np.where(rng.random(shape) < 0.3, -0.0, x)
    if "equal_rows" in spec.features:
        x = np.repeat(x[:1], spec.batch, axis=0)
    return (np.abs(x) if "one_sign" in spec.features else x).astype(number)


def _layer(
    rng: np.random.Generator, spec: Spec, row: ref.Activation, fan_in: int, width: int, biased: bool, number: Any
) -> ref.Layer:
    fan_out = width * row.shrink
    features = set(spec.features)
    if "integers" in features:
        weight = rng.integers(-2, 3, (fan_out, fan_in)).astype(float)
        bias = rng.integers(-3, 4, fan_out).astype(float)
    else:
        gain = np.sqrt(2.0 if "relu" in row.name else 1.0)
        weight = rng.normal(size=(fan_out, fan_in)) * gain / np.sqrt(fan_in)
        bias = rng.normal(size=fan_out) * 0.3
    if "tiny" in features and rng.random() < 0.5:
        weight = weight * 10.0 ** -rng.uniform(0, 12)
    if "huge" in features and rng.random() < 0.5:
        weight = weight * 10.0 ** rng.uniform(0, 3)
    if "zeros" in features:
        weight = np.where(rng.random(weight.shape) < 0.3, 0.0, weight) * (rng.random() > 0.1)
    if "saturated" in features:
        bias = bias + rng.choice([-1, 0, 1], fan_out) * 10.0 ** rng.uniform(1, 2.5)
    if "dead" in features:
        bias = np.where(rng.random(fan_out) < 0.4, -100.0, bias)
    if "kinks" in features and row.kinks:
        at = np.array([rng.choice([k.at for k in row.kinks]) for _ in range(fan_out)])
        hit = (rng.random(fan_out) < 0.4) & (biased | (at == 0)) & (at.astype(number) == at)
        weight = np.where(hit[:, None], 0.0, weight)
        bias = np.where(hit, at, bias)
    if "one_sign" in features:
        weight = np.abs(weight)
    if "zero_weights" in features:
        weight, bias = np.zeros_like(weight), np.zeros_like(bias)
    return ref.Layer(weight.astype(number), bias.astype(number) if biased else None, row)


def _bounded(layer: ref.Layer, h: Any, shrink: int, limit: float | None) -> tuple[Any, ref.Layer]:
    """The layer's output, and the layer with its weights halved until that is in range."""
    bound = limit or (1e8 if layer.weight.dtype == np.float64 else 1e4)
    number = np.dtype(layer.weight.dtype).type
    factor = number(0.5**shrink)
    for attempt in range(60):
        bias_factor = factor if shrink or limit or attempt > 20 else number(1)
        bias = None if layer.bias is None else layer.bias * bias_factor
        smaller = ref.Layer(layer.weight * factor, bias, layer.activation)
        output = ref.forward(ref.MLP((smaller,)), h).output
        if np.all(np.abs(output) <= bound):
            break
        factor = factor * number(0.25)
    return output, smaller


def _of_terms(target: Any, loss: ref.Loss, y: Any, spec: Spec) -> Any:
    """The target with what the features of `TERMS` ask of it: that of the first example for all, or beyond every y."""
    if not {"equal_rows", "one_sign"} & set(spec.features):
        return target
    same = np.repeat(target[:1], spec.batch, axis=0)
    beyond = "one_sign" in spec.features and loss.target == "real" and not loss.parameters.get("log_target")
    return (same + y.max(axis=0) - same.min(axis=0)).astype(target.dtype) if beyond else same


def random_spec(rng: np.random.Generator, case: int, dtype: str) -> Spec:
    """A spec for case number `case` of a campaign: every activation and loss comes round in turn."""
    names, loss_names = list(ref.ACTIVATIONS), list(ref.LOSSES)
    loss = loss_names[case % len(loss_names)]
    kind = rng.random()
    depth = int(rng.integers(1, 6) if kind < 0.9 else rng.integers(6, 21) if kind < 0.98 else rng.integers(21, 101))
    most = MAX_WIDTH if depth <= 5 else 12
    widths = [int(np.exp(rng.uniform(0, np.log(most + 1)))) for _ in range(depth + 1)]
    if loss == "multilabel_margin":
        widths[-1] = min(widths[-1], 16)  # it compares every pair of outputs
    mixed = rng.random() < 0.5
    rows = [str(rng.choice(names)) for _ in range(depth)] if mixed else [str(rng.choice(names))] * depth
    rows[int(rng.integers(depth))] = names[case % len(names)]
    if loss in OUTPUTS:
        rows[-1] = str(rng.choice(OUTPUTS[loss]))
    elif depth > 1 and rng.random() < 0.5:
        rows[-1] = "identity"
    return Spec(
        widths=tuple(widths),
        activations=tuple(rows),
        loss=loss,
        batch=int(np.exp(rng.uniform(0, np.log(MAX_BATCH + 1)))),
        seed=int(rng.integers(2**63)),
        biases=tuple(bool(b) for b in (rng.random(depth) < 0.8)) if rng.random() < 0.4 else (),
        reduction="mean" if rng.random() < 0.7 else "sum",
        dtype=dtype,
        features=tuple(f for f in FEATURES if rng.random() < _CHANCE),
    )
