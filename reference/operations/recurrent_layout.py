"""How ATen lays out what a recurrent network takes: the state of every layer and way, and the list of its weights.

Shapes: T steps, N sequences, I features, L layers, D ways (2 if bidirectional), H features of the state, P of h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .arguments import expect
from .recurrent_gates import Gates
from .row import Inputs
from .through_time import Weights


@dataclass(frozen=True, slots=True)
class Options:
    """The parameters of a recurrent network, and how many arrays of weights a layer has one way."""

    has_biases: bool
    num_layers: int
    bidirectional: bool
    batch_first: bool

    @property
    def ways(self) -> int:
        """D."""
        return 2 if self.bidirectional else 1

    def axes(self, x: Any) -> Any:
        """The time in front, or back in its place."""
        return x.swapaxes(-3, -2) if self.batch_first else x


def weights_of(params: Sequence[Any], options: Options, projected: bool) -> tuple[Weights, ...]:
    """The weights of every layer and way, of torch's list."""
    each = 2 + 2 * options.has_biases + projected
    found = []
    for k in range(0, len(params), each):
        own = list(params[k : k + each])
        w_hr = own.pop() if projected else None
        b_ih, b_hh = own[2:] or (None, None)
        found.append(Weights(own[0], own[1], b_ih, b_hh, w_hr))
    return tuple(found)


def params_of(weights: Sequence[Weights], options: Options, projected: bool) -> tuple[Any, ...]:
    """Torch's list again."""
    names = ("w_ih", "w_hh", *(("b_ih", "b_hh") * options.has_biases), *(("w_hr",) * projected))
    return tuple(getattr(w, name) for w in weights for name in names)


def check_inputs(gates: Gates, inputs: Inputs, options: Options) -> None:
    """Raise ValueError unless the arrays fit together."""
    x, *state = inputs[: 1 + gates.states]
    params, name = inputs[1 + gates.states :], gates.name
    kind = "(N, T, I)" if options.batch_first else "(T, N, I)"
    expect(name, x.ndim == 3, "input", f"sequences of one length {kind}, no PackedSequence", f"shape {x.shape}")
    expect(name, min(x.shape) > 0, "input", "a step, a sequence and a feature at least", f"shape {x.shape}")
    batch, count = options.axes(x).shape[1], options.num_layers * options.ways
    for label, h in zip(("hx", "cx"), state, strict=False):
        fits = h.ndim == 3 and h.shape[:2] == (count, batch)
        expect(name, fits, label, f"shape ({count}, {batch}, H)", h.shape)
    p, h = state[0].shape[2], state[-1].shape[2]
    projected = p != h
    each = 2 + 2 * options.has_biases + projected
    wanted = f"{each} arrays for each of {count} layers and ways"
    expect(name, len(params) == each * count, "params", wanted, len(params))
    rows = len(gates.blocks) * h
    for k, given in enumerate(params):
        fan_in = x.shape[2] if k // each < options.ways else p * options.ways
        shapes: list[tuple[int, ...]] = [(rows, fan_in), (rows, p), *([(rows,)] * 2 * options.has_biases), (p, h)]
        shape = shapes[k % each]
        expect(name, given.shape == shape, f"params[{k}]", f"shape {shape}", given.shape)
