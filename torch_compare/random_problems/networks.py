"""Random networks of operations, each a pure function of a short specification.

A network grows value by value: a part is drawn (a residual, a norm, attention, a gate, …), run on what is there, and
kept if its numbers stay in range. What is left over at the end is joined to the output, so that everything counts.

>>> problem = build_network(NetworkSpec(seed=1, parts=3))
>>> sorted(problem.leaves())[:1], problem.loss.name
(['w0'], 'mse')
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.random import Generator

import reference as ref

from .operations import draw, names
from .parts import PARTS, Network, joined

LOSSES = ("mse", "inner_product", "cross_entropy", "half_squared_error", "huber", "l1", "smooth_l1", "soft_margin")
NETWORK_FEATURES = ("zeros", "integers", "scales", "width_1", "batch_1", "sequence_1", "two_inputs")
"""Exact zeros in parameters and inputs; small integers throughout, so that elements tie and kinks are hit; parameters
of every scale from 1e-4 to 1e2; axes of length 1; a second input, which the network takes by broadcasting."""
MAX_PARTS = 10
_CHANCE = 0.15
_LARGEST = 1e4
"""A part whose numbers grow beyond this is not taken."""


@dataclass(frozen=True)
class NetworkSpec:
    """The structure of a random problem on a network of operations; with its seed it determines every number.

    Attributes:
        seed: of everything that the others leave open.
        operation: the name of the only operation, whose vector-Jacobian product is asked for; "" for a network.
        parts: how many parts the network is drawn from.
        loss: a name in `LOSSES`; a single operation has "inner_product".
        reduction: "mean" or "sum".
        dtype: "float64" or "float32".
        features: names in `NETWORK_FEATURES`.
    """

    seed: int
    operation: str = ""
    parts: int = 4
    loss: str = "mse"
    reduction: str = "mean"
    dtype: str = "float64"
    features: tuple[str, ...] = ()


def build_network(spec: NetworkSpec) -> ref.Problem:
    """The problem of a spec.

    Raises:
        ValueError: the spec names something that does not exist, or no finite problem came of it.
    """
    make = _single if spec.operation else _network
    for attempt in range(20):
        rng = np.random.default_rng([spec.seed, attempt])
        with np.errstate(all="ignore"):
            problem = make(rng, spec)
            found = ref.gradients(problem).leaves().values()
            limit = 1e100 if spec.dtype == "float64" else 1e20
            if all(np.all(np.abs(leaf) < limit) for leaf in found):
                return problem
    raise ValueError(f"no finite problem came of {spec}")


def network_spec(rng: Generator, case: int, dtype: str) -> NetworkSpec:
    """A spec for case number `case` of a campaign: each operation comes round in turn, then as many networks."""
    single, everything = case % 2 == 0, names()
    return NetworkSpec(
        seed=int(rng.integers(2**63)),
        operation=everything[case // 2 % len(everything)] if single else "",
        parts=int(rng.integers(1, MAX_PARTS + 1)),
        loss="inner_product" if single else LOSSES[int(rng.integers(len(LOSSES)))],
        reduction="mean" if rng.random() < 0.7 else "sum",
        dtype=dtype,
        features=tuple(f for f in NETWORK_FEATURES if rng.random() < _CHANCE),
    )


def spec_from(data: Any) -> NetworkSpec:
    """The spec that ``dataclasses.asdict`` made the data of, from a file that anybody may have written.

    Raises:
        ValueError: a field is missing, too many, of the wrong kind or out of range; the message names it.

    >>> spec_from({"seed": 1, "parts": 10**9})
    Traceback (most recent call last):
    ...
    ValueError: spec: parts: expected 1 to 10
    """
    known = {entry.name: entry for entry in fields(NetworkSpec)}
    if not isinstance(data, dict) or "seed" not in data or not data.keys() <= known.keys():
        raise ValueError(f"spec: expected an object of {', '.join(known)}")
    choices = {
        "operation": ("", *names()), "loss": LOSSES, "reduction": ("mean", "sum"), "dtype": ("float64", "float32"),
    }  # fmt: skip
    for name, allowed in choices.items():
        if name in data and data[name] not in allowed:
            raise ValueError(f"spec: {name}: no such one")
    for name, low, high in (("seed", 0, 2**64), ("parts", 1, MAX_PARTS)):
        if name in data and (type(data[name]) is not int or not low <= data[name] <= high):
            raise ValueError(f"spec: {name}: expected {low} to {high}")
    features = data.get("features", ())
    if not isinstance(features, list | tuple) or not all(feature in NETWORK_FEATURES for feature in features):
        raise ValueError(f"spec: features: expected some of {', '.join(NETWORK_FEATURES)}")
    return NetworkSpec(**{**data, "features": tuple(features)})


# ── one operation ────────────────────────────────────────────────────────────────────────────────────


def _single(rng: Generator, spec: NetworkSpec) -> ref.Problem:
    row, drawn = draw(rng, spec.operation)
    number = np.dtype(spec.dtype)
    given = {row.name_of(k).translate(_PLAIN): _in_type(x, number) for k, x in enumerate(drawn) if x is not None}
    arguments = [None if x is None else row.name_of(k).translate(_PLAIN) for k, x in enumerate(drawn)]
    constants = {
        name: x for k, (name, x) in enumerate(zip(arguments, drawn, strict=True))
        if name is not None and x is not None and (row.is_data(k) or x.dtype.kind != "f")
    }  # fmt: skip
    inputs = {name: x for name, x in given.items() if name not in constants}
    made = row.value(*(None if name is None else given[name] for name in arguments))
    constants = {name: given[name] for name in constants}
    if not isinstance(made, tuple):
        steps = [ref.Step("y", row, *arguments)]
    else:
        outputs = [f"part{k}" for k in range(len(made))]
        steps = [ref.Step(outputs, row, *arguments)]
        flat = [ref.Step(f"{name}.flat", ref.operations.reshape((-1,)), name) for name in outputs]
        steps += [*flat, ref.Step("y", ref.operations.cat(), *(step.name for step in flat))]
        made = np.concatenate([part.ravel() for part in made])
    target = rng.normal(size=np.shape(made)).astype(number)
    network = ref.Network({}, steps, tuple(inputs), constants=constants)
    return ref.Problem(network, inputs, target, "inner_product", spec.reduction)


_PLAIN = str.maketrans({"[": "", "]": ""})


def _in_type(x: Any, number: Any) -> Any:
    return x.astype(number) if x.dtype.kind == "f" else x


# ── a network ────────────────────────────────────────────────────────────────────────────────────────


def _network(rng: Generator, spec: NetworkSpec) -> ref.Problem:
    features = set(spec.features)
    size = [1 if feature in features else int(rng.integers(1, top + 1))
            for feature, top in (("batch_1", 3), ("sequence_1", 4), ("width_1", 6))]  # fmt: skip
    net = Network(rng, np.dtype(spec.dtype), spec.features)
    h = net.input("x", tuple(size))
    if "two_inputs" in features:
        z = net.input("z", (int(rng.choice([1, size[1]])), int(rng.choice([1, size[2]]))))
        h = net.step("add" if rng.random() < 0.5 else "mul", h, z)
    for _ in range(spec.parts):
        h = _grown(net, h)
    if "x" not in net.used():
        h = net.step("add", h, "x") if net.shape(h) == net.shape("x") else joined(net, h, "x")
    loss = ref.losses.get(spec.loss)
    network = net.network(h)
    target = _target(rng, loss, net.values[h], np.dtype(spec.dtype))
    return ref.Problem(network, net.inputs, target, loss, spec.reduction)


def _grown(net: Network, h: str) -> str:
    """The value that a random part makes of h; h itself if no part stays in range."""
    for _ in range(8):
        part = PARTS[int(net.rng.integers(len(PARTS)))]
        mark = net.mark()
        found = part(net, h)
        if found is not None and np.all(np.abs(net.values[found]) <= _LARGEST) and net.values[found].size:
            return found
        net.back_to(mark)
    return h


def _target(rng: Generator, loss: ref.Loss, y: Any, number: Any) -> Any:
    if loss.target == "classes":
        return rng.integers(0, y.shape[-1], y.shape[:-1])
    if loss.target == "signs":
        return rng.choice([-1.0, 1.0], y.shape).astype(number)
    return np.asarray(rng.normal(size=y.shape)).astype(number)
