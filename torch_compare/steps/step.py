"""A step as it is judged: parameters, gradients and state as arrays by place, whatever library they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import get_format
from reference.network.gradients import place_of
from reference.optimizers import OPTIMIZERS, Optimizer
from reference.optimizers.state import State

from ..verdict.given import as_array

Array = Any
Flat = tuple[Array, ...]
Leaves = dict[str, Any]
FREE = ("history", "H_diag")
"""Slots of lbfgs whose form depends on the steps made so far."""


@dataclass(frozen=True, eq=False)
class Stored:
    """An array with the format that it is stored in, for formats that NumPy does not have.

    Attributes:
        values: the numbers.
        format: a name in `reference.arithmetic.formats.FORMATS`.
    """

    values: Array
    format: str


@dataclass(frozen=True)
class Step:
    """What an optimiser is given.

    Attributes:
        optimizer: with its hyperparameters.
        labels: what each array of parameters is called.
        params: float64 (or long double), as they are stored.
        grads: likewise.
        state: before the step.
        formats: what each array is stored in, by place.
    """

    optimizer: Optimizer
    labels: tuple[str, ...]
    params: Flat
    grads: Flat
    state: State
    formats: Mapping[str, str]

    @property
    def start(self) -> Leaves:
        """Parameters and state before the step, by place."""
        return leaves(self.labels, self.params, self.state)

    @property
    def alone(self) -> bool:
        """Whether the optimiser treats every array of parameters by itself."""
        return not self.optimizer.needs_evaluate and not any(isinstance(slot, Mapping) for slot in self.state.values())

    def take(self, optimizer: Optimizer | None = None, grads: Flat | None = None, **state: Any) -> tuple[Flat, State]:
        """One step of the reference, of another optimiser, with other gradients or another state."""
        return take(optimizer or self.optimizer, self.params, grads or self.grads, self.state | state)


def take(optimizer: Optimizer, params: Flat, grads: Flat, state: State) -> tuple[Flat, State]:
    """New parameters and state, in the arithmetic of the arrays.

    Raises:
        ValueError: the optimiser asks for gradients at another point.
    """
    asked = 0

    def evaluate(_: Any) -> tuple[Any, Flat]:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise ValueError(
                f"{optimizer.name}: evaluates the loss at several points a step, so its step does not follow from one "
                "gradient: it is judged with max_iter=1 and line_search_fn=None only"
            )
        return 0.0, grads

    with np.errstate(all="ignore"):
        try:
            return optimizer.step(params, grads, state, evaluate if optimizer.needs_evaluate else None)
        except (OverflowError, ZeroDivisionError) as error:
            raise ValueError(f"{optimizer.name}: the step cannot be computed: {error}") from None


def rebuilt(optimizer: Optimizer, **changes: Any) -> Optimizer:
    """The optimiser with some hyperparameters changed.

    >>> rebuilt(ref.optimizers.sgd(lr=0.5, momentum=0.9), momentum=0.0).hyperparameters["momentum"]
    0.0
    """
    h = dict(optimizer.hyperparameters) | changes
    if h.get("others"):
        others = dict(h["others"])
        h["others"] = OPTIMIZERS[others.pop("name")](**others)
    return OPTIMIZERS[optimizer.name](**h)


def leaves(labels: Sequence[str], params: Sequence[Any], state: Mapping[str, Any]) -> Leaves:
    """Every array and number of parameters and state by its place: "params[0]", "exp_avg[0]", "step"."""
    flat: Leaves = {f"params[{label}]": p for label, p in zip(labels, params, strict=True)}

    def walk(place: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key in value:
                walk(f"{place}.{key}" if place else key, value[key])
        elif isinstance(value, tuple):
            names = labels if len(value) == len(labels) else [str(i) for i in range(len(value))]
            for name, entry in zip(names, value, strict=True):
                walk(f"{place}[{name}]", entry)
        elif value is not None:
            flat[place] = value

    walk("", state)
    return flat


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────


def read_step(optimizer: Optimizer, params: Any, gradients: Any, state: Any) -> Step:
    """The step of such arguments; see `check_step` for what they may be and what it raises."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer: expected one of reference.optimizers, got {type(optimizer).__name__}")
    formats: dict[str, str] = {}
    labels = labels_of(params)
    flat = arrays("params", params, labels, formats)
    grads = arrays("gradients", gradients, labels, formats, flat)
    template = optimizer.init([np.zeros_like(p) for p in flat])  # 0·∞ would begin with NaN
    before = template if state is None else read_state(template, state, labels, formats)
    resolved = _with_own_eps(optimizer, [formats[f"params[{label}]"] for label in labels])
    return Step(resolved, labels, flat, grads, before, formats)


def labels_of(params: Any) -> tuple[str, ...]:
    """What each array is called: its key, its place in the network, or its number."""
    if isinstance(params, ref.MLP):
        return tuple(
            place_of(index, kind)
            for index, layer in enumerate(params.layers)
            for kind in ("weight", "bias")
            if getattr(layer, kind) is not None
        )
    if isinstance(params, Mapping):
        labels = tuple(str(key) for key, value in params.items() if value is not None)
    elif isinstance(params, Sequence) and not isinstance(params, str):
        labels = tuple(str(index) for index, value in enumerate(params) if value is not None)
    else:
        raise TypeError(f"params: expected an MLP, a sequence or a mapping of arrays, got {type(params).__name__}")
    if not labels:
        raise ValueError("params: expected at least one array, got none")
    return labels


def _by_label(what: str, values: Any, labels: Sequence[str]) -> dict[str, Any]:
    if isinstance(values, ref.MLP | ref.Gradients):
        pairs = [
            (place_of(i, kind), getattr(l, kind)) for i, l in enumerate(values.layers) for kind in ("weight", "bias")
        ]
        named = {place: value for place, value in pairs if value is not None}
    elif isinstance(values, Mapping):
        named = {str(key): value for key, value in values.items() if value is not None}
    elif isinstance(values, Sequence) and not isinstance(values, str):
        present = [value for value in values if value is not None]
        if len(present) != len(labels):
            raise ValueError(f"{what}: expected {len(labels)} arrays, one per parameter, got {len(present)}")
        return dict(zip(labels, present, strict=True))
    else:
        raise TypeError(f"{what}: expected arrays as the parameters are given, got {type(values).__name__}")
    if set(named) != set(labels):
        odd = sorted(set(named) ^ set(labels))[0]
        raise ValueError(f"{what}: {odd!r} is {'unknown' if odd in named else 'missing'}; expected {', '.join(labels)}")
    return {label: named[label] for label in labels}


def arrays(
    what: str, values: Any, labels: Sequence[str], formats: dict[str, str], like: Sequence[Array] | None = None
) -> Flat:
    """The arrays in the order of the labels; their formats are noted by place."""
    found = []
    for index, (label, value) in enumerate(_by_label(what, values, labels).items()):
        place = f"{what}[{label}]"
        array, formats[place] = read_array(place, value)
        if like is not None and array.shape != like[index].shape:
            raise ValueError(f"{place}: expected shape {like[index].shape}, that of its parameter, got {array.shape}")
        found.append(_wide(array))
    return tuple(found)


def read_array(place: str, value: Any) -> tuple[Array, str]:
    """The array, and the name of its format."""
    return (value.values, value.format) if isinstance(value, Stored) else as_array(place, value)


def _wide(array: Array) -> Array:
    """As float64, which holds every narrower format; long double stays."""
    return array if array.dtype == np.longdouble else array.astype(np.float64)


def read_state(
    template: Any,
    value: Any,
    labels: Sequence[str],
    formats: dict[str, str],
    place: str = "state",
    *,
    whole: bool = True,
) -> Any:
    """A state in the form of the template, which `init` makes; parts may be missing unless it must be whole."""
    if isinstance(template, Mapping):
        if not isinstance(value, Mapping):
            raise TypeError(f"{place}: expected a mapping with {', '.join(template)}, got {type(value).__name__}")
        for key in value:
            if key not in template:
                raise ValueError(f"{place}: {key!r} is unknown; there are {', '.join(template)}")
        for key in template:
            if whole and key not in value and not _absent(template[key]):
                raise ValueError(f"{place}: {key!r} is missing; there are {', '.join(template)}")
        return {
            key: _free(value[key], f"{place}.{key}", formats)
            if key in FREE
            else read_state(template[key], value[key], labels, formats, f"{place}.{key}", whole=whole)
            for key in template
            if key in value
        } | {key: template[key] for key in template if whole and key not in value}
    if isinstance(template, tuple):
        if isinstance(value, Mapping):
            value = [value.get(label) for label in labels]
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != len(template):
            got = len(value) if isinstance(value, Sequence) else type(value).__name__
            raise ValueError(f"{place}: expected {len(template)} entries, one per parameter, got {got}")
        names = labels if len(template) == len(labels) else [str(i) for i in range(len(template))]
        return tuple(
            read_state(t, v, labels, formats, f"{place}[{name}]", whole=whole)
            for name, t, v in zip(names, template, value, strict=True)
        )
    if template is None:
        if value is not None:
            raise ValueError(f"{place}: expected None, this array has no such slot, got {type(value).__name__}")
        return None
    if isinstance(template, int):
        return _count(value, place)
    if value is None:
        raise ValueError(f"{place}: missing")
    array, formats[place.removeprefix("state.")] = read_array(place, value)
    if array.shape != template.shape and (array.size != 1 or template.size != 1):
        raise ValueError(f"{place}: expected shape {template.shape}, got {array.shape}")
    return _wide(array).reshape(template.shape)


def _absent(slot: Any) -> bool:
    """Whether no array has this slot."""
    return isinstance(slot, tuple) and all(entry is None for entry in slot)


def _count(value: Any, place: str) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{place}: expected a whole number, got {type(value).__name__}") from None
    if not (0 <= number <= 2**53 and number.is_integer()):
        raise ValueError(f"{place}: expected a whole number from 0 to 2⁵³, got {number!r}")
    return int(number)


def _free(value: Any, place: str, formats: dict[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _free(entry, f"{place}.{key}", formats) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_free(entry, f"{place}[{index}]", formats) for index, entry in enumerate(value))
    if isinstance(value, int | float):
        return value
    array, formats[place.removeprefix("state.")] = read_array(place, value)
    return _wide(array) if array.ndim else float(array)


def _with_own_eps(optimizer: Optimizer, stored: Sequence[str]) -> Optimizer:
    """Adafactor's ε₁ as a number: if it is None, it is that of the type of the parameters."""
    if optimizer.name != "adafactor" or optimizer.hyperparameters["eps"][0] is not None:
        return optimizer
    if len(set(stored)) > 1:
        raise TypeError(f"params: adafactor with eps[0]=None takes one type, got {' and '.join(sorted(set(stored)))}")
    bits = get_format(stored[0]).bits
    return rebuilt(optimizer, eps=(2.0 ** (1 - bits), optimizer.hyperparameters["eps"][1]))
