"""Inputs that operations lose their digits on: each row's own edge of the range, its cancellations, its ties.

Sizes follow the number type: `Edge` has the numbers whose squares leave its range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

import reference as ref

Array = Any
Inputs = tuple[Any, ...]
ROWS, WIDTH = 3, 6


@dataclass(frozen=True)
class Edge:
    """The edges of a number type.

    Attributes:
        large: its square is beyond the largest number.
        small: its square is 0.
        epsilon: the spacing of the numbers at 1.
        tail: e^−tail is about the smallest normal number.
    """

    large: float
    small: float
    epsilon: float
    tail: float

    @classmethod
    def of(cls, dtype: Any) -> Edge:
        """The edges of float64 or float32."""
        info = np.finfo(dtype)
        largest, least = np.sqrt(float(info.max)), np.sqrt(float(info.smallest_subnormal))
        return cls(8 * largest, least / 8, float(info.eps), -np.log(float(info.tiny)))


@dataclass(frozen=True)
class Hard:
    """One case: a row, what is hard about it, and its inputs.

    Attributes:
        name: the row's.
        what: what is hard, in a few words.
        parameters: the row's.
        inputs: (rng, edge) ↦ the inputs, in order, float64.
    """

    name: str
    what: str
    parameters: dict[str, Any]
    inputs: Callable[[Generator, Edge], Inputs]

    @property
    def row(self) -> ref.Operation:
        """The row with its parameters."""
        if self.name in ref.operations.MAKERS:
            return ref.operations.MAKERS[self.name](**self.parameters)
        return ref.operations.get(self.name)


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────


def _normal(rng: Generator, *shape: int) -> Array:
    return rng.normal(size=shape or (ROWS, WIDTH))


def _near_constant(rng: Generator, edge: Edge, *shape: int) -> Array:
    """Equal but for the last few bits: the mean of squares less the square of the mean has no digit of it."""
    return 1000 * (1 + edge.epsilon * rng.integers(-8, 9, size=shape or (ROWS, WIDTH)))


def _mean_far(rng: Generator, edge: Edge, *shape: int) -> Array:
    """Spread 1 about a mean whose square is as large as 1/ε."""
    return edge.epsilon**-0.5 + _normal(rng, *shape)


def _squares_overflow(rng: Generator, edge: Edge, *shape: int) -> Array:
    return edge.large * (1 + rng.uniform(0, 1, size=shape or (ROWS, WIDTH))) * rng.choice([-1, 1], shape or (1, WIDTH))


def _squares_underflow(rng: Generator, edge: Edge, *shape: int) -> Array:
    return edge.small * _normal(rng, *shape)


def _thousands(rng: Generator, edge: Edge, *shape: int) -> Array:
    return rng.choice([-1000.0, 1000.0], shape or (ROWS, WIDTH)) + _normal(rng, *shape)


def _one_wins(rng: Generator, edge: Edge, *shape: int) -> Array:
    """One score so far ahead that 1 − its share has half of the digits, or none."""
    z = _normal(rng, *shape)
    z[..., 0] += np.linspace(0.4, 1.2, z[..., 0].size).reshape(z[..., 0].shape) * -np.log(edge.epsilon)
    return z


def _ties(rng: Generator, edge: Edge, *shape: int) -> Array:
    return rng.integers(0, 3, size=shape or (ROWS, WIDTH)).astype(float)


def _tails(rng: Generator, edge: Edge, *shape: int) -> Array:
    return rng.choice([-1, 1], shape or (ROWS, WIDTH)) * rng.uniform(0.05, 0.9, shape or (ROWS, WIDTH)) * edge.tail


def _beyond(rng: Generator, edge: Edge, *shape: int) -> Array:
    return rng.choice([-1, 1], shape or (ROWS, WIDTH)) * 10 ** rng.uniform(2, 6, shape or (ROWS, WIDTH))


def _near_zero(rng: Generator, edge: Edge, *shape: int) -> Array:
    return _normal(rng, *shape) * 10 ** rng.uniform(-12, -1, shape or (ROWS, WIDTH))


def _some_zeros(rng: Generator, edge: Edge, *shape: int) -> Array:
    z = _normal(rng, *shape)
    z[0, 0] = z[1, 1] = z[1, 2] = 0.0
    return z


def _tiny(rng: Generator, edge: Edge, *shape: int) -> Array:
    """From 1 down to the smallest numbers whose reciprocal is finite."""
    return np.exp(-rng.uniform(0, 0.95, shape or (ROWS, WIDTH)) * edge.tail)


# ── the cases ────────────────────────────────────────────────────────────────────────────────────────

Numbers = Callable[..., Array]


def _alone(*numbers: tuple[str, Numbers], of: tuple[str, ...], **parameters: Any) -> Iterator[Hard]:
    for name in of:
        for what, values in numbers:
            yield Hard(name, what, parameters, lambda rng, edge, values=values: (values(rng, edge),))  # type: ignore[misc]


def _norms() -> Iterator[Hard]:
    kinds: tuple[tuple[str, Numbers, float], ...] = (
        ("rows constant but for the last bits", _near_constant, 1e-5),
        ("rows constant but for the last bits, tiny ε", _near_constant, 1e-30),
        ("mean far from 0", _mean_far, 1e-5),
        ("squares overflow", _squares_overflow, 1e-5),
        ("squares underflow, ε = 0", _squares_underflow, 0.0),
    )
    for what, values, eps in kinds:
        for name, more, shape, channels in (
            ("layer_norm", {}, (ROWS, WIDTH), WIDTH), ("rms_norm", {}, (ROWS, WIDTH), WIDTH),
            ("group_norm", {"num_groups": 2}, (2, 4, 3), 4), ("instance_norm", {}, (2, 3, 4), 3),
            ("batch_norm", {}, (5, 3), 3),
        ):  # fmt: skip

            def inputs(
                rng: Generator, edge: Edge, values: Numbers = values, name: str = name, shape: Any = shape,
                channels: int = channels,
            ) -> Inputs:  # fmt: skip
                scales = (_normal(rng, channels), _normal(rng, channels))
                if name == "batch_norm":
                    return values(rng, edge, *shape), None, None, *scales
                return values(rng, edge, *shape), *(scales[:1] if name == "rms_norm" else scales)

            parameters = {**more, "eps": eps} | ({"training": True} if name == "batch_norm" else {})
            yield Hard(name, what, parameters, inputs)
    yield Hard("layer_norm", "rows of one number", {}, lambda rng, edge: (_normal(rng, 4, 1), _normal(rng, 1), None))


def _attention() -> Iterator[Hard]:
    def qkv(rng: Generator, size: float) -> tuple[Array, Array, Array]:
        return size * _normal(rng, 1, 2, 4, 5), size * _normal(rng, 1, 2, 4, 5), _normal(rng, 1, 2, 4, 5)

    name = "scaled_dot_product_attention"
    nobody = np.array([[True, False, True, True], [False] * 4, [True] * 4, [False, False, False, True]])
    yield Hard(name, "scores in the thousands", {}, lambda rng, edge: qkv(rng, 40.0))
    yield Hard(name, "scores in the thousands, causal", {"is_causal": True}, lambda rng, edge: qkv(rng, 40.0))
    yield Hard(name, "one key ahead by far", {}, lambda rng, edge: qkv(rng, 4.0))
    yield Hard(name, "a query that attends to nothing", {}, lambda rng, edge: (*qkv(rng, 1.0), nobody))


def _two() -> Iterator[Hard]:
    for name in ("maximum", "minimum"):
        yield Hard(name, "ties", {}, lambda rng, edge: (_ties(rng, edge), _ties(rng, edge, WIDTH)))
    yield Hard("div", "denominators near 0", {}, lambda rng, edge: (_tiny(rng, edge), _tiny(rng, edge) ** 0.45))
    yield Hard("pow", "large bases, exponents of both signs", {},
               lambda rng, edge: (1 + abs(_beyond(rng, edge)), rng.uniform(-5, 5, (ROWS, WIDTH))))  # fmt: skip
    yield Hard("pow", "base near 1, large exponents", {},
               lambda rng, edge: (1 + 1e-5 * _normal(rng), 1e5 * _normal(rng)))  # fmt: skip
    for name in ("swiglu", "geglu", "reglu"):
        yield Hard(name, "gates in the tails", {}, lambda rng, edge: (_tails(rng, edge), _normal(rng)))
        yield Hard(name, "gates beyond", {}, lambda rng, edge: (_beyond(rng, edge), _normal(rng)))
    yield Hard("prelu", "zeros", {}, lambda rng, edge: (_some_zeros(rng, edge), _normal(rng, WIDTH)))
    for name in ("linear", "matmul"):
        yield Hard(name, "terms of every size", {}, lambda rng, edge: (
            _normal(rng, 4, 9) * 10 ** rng.uniform(-8, 8, (4, 9)), _normal(rng, 9, 9) * 10 ** rng.uniform(-8, 8, (9, 9))
        ))  # fmt: skip
    yield Hard("embedding", "one row forty times", {}, lambda rng, edge: (np.zeros(40, int), _normal(rng, 3, 2)))


def _reductions() -> Iterator[Hard]:
    along = {"dim": -1}
    spread = (
        ("rows constant but for the last bits", _near_constant), ("mean far from 0", _mean_far),
        ("squares overflow", _squares_overflow), ("squares underflow", _squares_underflow),
    )  # fmt: skip
    yield from _alone(*spread, of=("var", "std", "vector_norm", "normalize"), **along)
    for p in (1.0, 3.0):
        yield from _alone(*spread[2:], of=("vector_norm",), ord=p, **along)
    yield from _alone(
        ("±1000", _thousands), ("one far ahead", _one_wins), ("ties", _ties), ("beyond", _beyond),
        of=("softmax", "log_softmax", "softmin", "logsumexp", "logcumsumexp"), **along,
    )  # fmt: skip
    yield from _alone(("ties", _ties), of=("amax", "amin"), **along)
    yield from _alone(("ties", _ties), of=("max", "min"))
    yield from _alone(("zeros among the factors", _some_zeros), ("ties", _ties), of=("prod", "cumprod"), **along)
    yield from _alone(("terms of every size", _beyond), of=("sum", "mean", "cumsum"), **along)
    yield Hard("vector_norm", "a row of zeros", along, lambda rng, edge: (np.zeros((2, 3)),))
    yield Hard("normalize", "a row below ε", along, lambda rng, edge: (1e-14 * _normal(rng),))


def _of_one() -> Iterator[Hard]:
    yield from _alone(("tails", _tails), ("near 0", _near_zero), of=("exp", "expm1"))
    yield from _alone(("near 0", _near_zero), of=("log1p", "sin", "cos", "erf"))
    yield from _alone(("down to the smallest", _tiny), of=("log", "sqrt", "rsqrt", "reciprocal"))
    yield from _alone(("large angles", _beyond), of=("sin", "cos"))
    yield Hard(
        "erf", "tails", {}, lambda rng, edge: (0.9 * rng.choice([-1, 1], 9) * np.sqrt(rng.uniform(1, edge.tail, 9)),)
    )
    yield Hard("log1p", "just above −1", {},
               lambda rng, edge: (-1 + edge.epsilon * 2.0 ** rng.integers(1, 30, (ROWS, WIDTH)),))  # fmt: skip
    yield from _alone(("zeros", _some_zeros), of=("abs",))
    yield Hard("clamp", "at both bounds", {"min": 0.0, "max": 1.0}, lambda rng, edge: (_ties(rng, edge),))
    for exponent in (2.0, 0.5, -1.5):
        yield Hard("pow", f"down to the smallest, exponent {exponent:g}", {"exponent": exponent},
                   lambda rng, edge: (_tiny(rng, edge) ** 0.35,))  # fmt: skip


HARD: tuple[Hard, ...] = (*_norms(), *_attention(), *_two(), *_reductions(), *_of_one())
"""Every hard case, its rows in no particular order."""
