"""An optimiser: a pure pair (init, update), on networks or on lists of arrays.

Nothing is changed in place: `update` takes parameters, gradients and state, and returns new ones. The state is a tree
of dictionaries, tuples, arrays and numbers, so that it can be saved and training resumed bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from ..arithmetic.array import Array, refuse_masked
from ..functions.recipe import Recorded, frozen
from ..network.gradients import Gradients
from ..network.mlp import MLP, Layer
from ..network.unchecked import unchecked
from .blocks import Rule
from .state import State, check_steps, require_form, require_same_slots

Flat = tuple[Array, ...]
Evaluate = Callable[[Any], tuple[Any, Any]]
"""parameters ↦ (loss, gradients), both as `update` takes them: for optimisers that ask for more than one a step."""
FlatEvaluate = Callable[[Flat], tuple[Any, Flat]]
Step = Callable[[Flat, Flat, State, FlatEvaluate | None], tuple[Flat, State]]

P = TypeVar("P")
"""Parameters: an MLP, or a sequence of arrays with None for an absent bias; the kind that goes in comes out."""


@dataclass(frozen=True, eq=False)
class Optimizer(Recorded):
    """One optimiser with its hyperparameters.

    Attributes:
        name: as in torch.optim, in lower case.
        formula: the update in plain mathematics: θ parameter, g gradient, t the step from 1.
        source: the paper.
        hyperparameters: by torch.optim's names, read-only.
        start: flat parameters ↦ the state before the first step.
        step: (flat parameters, flat gradients, state, evaluate) ↦ (new parameters, new state).
        needs_evaluate: whether `update` must be given `evaluate`.
    """

    name: str
    formula: str
    source: str
    hyperparameters: Mapping[str, Any]
    start: Callable[[Flat], State] = field(repr=False)
    step: Step = field(repr=False)
    needs_evaluate: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "hyperparameters", frozen(self.hyperparameters))

    def init(self, params: object) -> State:
        """The state before the first step.

        Args:
            params: an MLP, or a sequence of arrays; None stands for an absent bias.

        Raises:
            TypeError: neither of both, or a masked array.
            ValueError: there is no array.
        """
        return self.start(_flat(params))

    def update(self, params: P, grads: object, state: State, evaluate: Evaluate | None = None) -> tuple[P, State]:
        """One step.

        Args:
            params: an MLP, or a sequence of arrays.
            grads: its `Gradients`, or a sequence of arrays of the same shapes.
            state: from `init` or the last `update`.
            evaluate: parameters ↦ (loss, gradients), for an optimiser that asks for it (`needs_evaluate`).

        Returns:
            New parameters of the same kind, and the new state.

        Raises:
            TypeError: parameters, gradients or a state of another kind, masked arrays, or `evaluate` is missing.
            ValueError: there is no array, gradients whose number, shape or type does not fit the parameters, or a state
                that was made for others, by another optimiser or by no number of steps.
        """
        old, slopes = _flat(params), _flat_gradients(params, grads)
        _check(old, slopes, state)
        if self.needs_evaluate and evaluate is None:
            raise TypeError(f"{self.name}: evaluates the loss at several points a step: give evaluate=")
        flat_evaluate = None if evaluate is None else _flattened(params, evaluate)
        try:
            new, after = self.step(old, slopes, state, flat_evaluate)
        except (KeyError, TypeError, ValueError):
            # A state of another optimiser lacks what the step asks for; to look first would cost every step.
            require_form(f"state of {self.name}", state, self.start(old))
            raise
        return rebuilt(params, new), after


def by_array(
    name: str,
    formula: str,
    source: str,
    hyperparameters: Mapping[str, Any],
    slots: Callable[[Array], Mapping[str, Any]],
    rule: Rule,
) -> Optimizer:
    """An optimiser whose rule treats every array by itself; `in_blocks` makes one of a rule for single elements.

    Args:
        name: see `Optimizer`.
        formula: see `Optimizer`.
        source: see `Optimizer`.
        hyperparameters: see `Optimizer`.
        slots: parameter ↦ its slots before the first step.
        rule: see `Rule`.
    """

    def start(params: Flat) -> State:
        made = [slots(p) for p in params]
        return {"step": 0} | {key: tuple(m[key] for m in made) for key in made[0]}

    def step(params: Flat, grads: Flat, state: State, evaluate: FlatEvaluate | None) -> tuple[Flat, State]:
        count = state["step"] + 1
        names = [key for key in state if key != "step"]
        new, changed = [], []
        for index, (p, g) in enumerate(zip(params, grads, strict=True)):
            slots_before = {key: state[key][index] for key in names}
            moved, kept = rule(p, g, slots_before, count)
            require_same_slots(name, index, slots_before, kept)
            new.append(moved)
            changed.append(kept)
        return tuple(new), {"step": count} | {key: tuple(c[key] for c in changed) for key in names}

    return Optimizer(name, formula, source, hyperparameters, start, step)


def rebuilt(params: P, flat: Sequence[Array]) -> P:
    """The flat arrays in the shape of params: an MLP, or a list with None where params has it."""
    arrays = iter(flat)
    if isinstance(params, MLP):
        layers = tuple(
            unchecked(
                Layer,
                weight=next(arrays),
                bias=None if layer.bias is None else next(arrays),
                activation=layer.activation,
            )
            for layer in params.layers
        )
        return cast(P, unchecked(MLP, layers=layers))
    return cast(P, [None if p is None else next(arrays) for p in cast(Sequence[Array | None], params)])


def _flat(params: object, name: str = "params", other: str = "an MLP") -> Flat:
    if isinstance(params, MLP):
        return tuple(a for layer in params.layers for a in (layer.weight, layer.bias) if a is not None)
    if not isinstance(params, Sequence) or isinstance(params, str):
        raise TypeError(f"{name}: expected {other} or a sequence of arrays, got {type(params).__name__}")
    for index, p in enumerate(params):
        if p is not None and not hasattr(p, "shape"):
            raise TypeError(f"{name}[{index}]: expected an array, got {type(p).__name__}")
        refuse_masked(f"{name}[{index}]", p)
    flat = tuple(p for p in params if p is not None)
    if not flat:
        raise ValueError(f"{name}: expected at least one array, got none in a {type(params).__name__}")
    return flat


def _flat_gradients(params: object, grads: object) -> Flat:
    if not isinstance(grads, Gradients):
        return _flat(grads, "grads", "Gradients")
    if not isinstance(params, MLP):
        raise TypeError(f"grads: a Gradients goes with an MLP, but params is a {type(params).__name__}")
    for place, leaf in grads.leaves().items():
        refuse_masked(f"grads: {place}", leaf)
    return tuple(a for layer in grads.layers for a in (layer.weight, layer.bias) if a is not None)


def _flattened(params: object, evaluate: Evaluate) -> FlatEvaluate:
    def at(flat: Flat) -> tuple[Any, Flat]:
        there = rebuilt(params, flat)
        loss, grads = evaluate(there)
        return loss, _flat_gradients(there, grads)

    return at


def _check(params: Flat, grads: Flat, state: State) -> None:
    if len(params) != len(grads):
        raise ValueError(f"grads: expected {len(params)} arrays, one per parameter, got {len(grads)}")
    for index, (p, g) in enumerate(zip(params, grads, strict=True)):
        if p.shape != g.shape:
            raise ValueError(f"grads[{index}]: expected shape {p.shape}, that of its parameter, got {g.shape}")
        if p.dtype != g.dtype:
            raise ValueError(f"grads[{index}]: expected {p.dtype}, the type of its parameter, got {g.dtype}")
    check_steps("state", state)
    for key, slot in state.items():
        if isinstance(slot, tuple) and len(slot) != len(params):
            raise ValueError(f"state[{key!r}]: made for {len(slot)} arrays, the parameters are {len(params)}")
        refuse_masked(f"state[{key!r}]", slot)


# ── what the rules share ─────────────────────────────────────────────────────────────────────────────


def zeros_like(p: Array) -> Array:
    """+0 of p's shape, in p's arithmetic.

    >>> import numpy as np
    >>> zeros_like(np.array([-2.0, 3.0]))
    array([0., 0.])
    """
    zero = 0 * p
    return zero * zero


def one_element(value: float, p: Array) -> Array:
    """The value as an array of one element with as many axes as p, in p's arithmetic.

    >>> import numpy as np
    >>> one_element(0.5, np.zeros((2, 3), np.float32))
    array([[0.5]], dtype=float32)
    """
    return zeros_like(p).sum(keepdims=True) + value


def moved_towards(m: Array, g: Array, weight: float) -> Array:
    """(1 − w)m + wg, from the nearer of both, as torch.lerp does: a mean of equal numbers is that number.

    Nearer to g, 1 − w is formed in the arithmetic of the arrays.

    >>> import numpy as np
    >>> moved_towards(np.array([1.0]), np.array([2.0]), 0.25)
    array([1.25])
    """
    return m + weight * (g - m) if weight < 0.5 else g - (g - m) * (1 - one_element(weight, m))


def running_square(v: Array, g: Array, decay: float) -> Array:
    """βv + (1 − β)g², in torch's order: ((1 − β)g)g.

    >>> import numpy as np
    >>> running_square(np.array([1.0]), np.array([2.0]), 0.75)
    array([1.75])
    """
    return decay * v + (1 - decay) * g * g


def real_numbers(name: str, p: Array) -> Array:
    """The parameters, or TypeError that names the optimiser where they are not real floating numbers."""
    if isinstance(p.dtype, str) or p.dtype.kind != "f":
        raise TypeError(f"{name}: expected parameters of real floating numbers, got {p.dtype}")
    return p
