"""Random inputs of every operation: shapes, axes, broadcasts, parameters, and the values where formulas change.

`DRAWS` holds a function for each row that has shapes, axes, parameters or a domain of its own; any other row, a user's
too, gets the inputs that it checks itself with, with other numbers of the same signs in them.

>>> row, inputs = draw(np.random.default_rng(0), "linear")
>>> row.name, row.value(*inputs).shape[-1] == inputs[1].shape[0]
('linear', True)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.random import Generator

import reference as ref

from . import shapes
from .drawn import Draw, Drawn, row_of
from .images import IMAGES
from .moves import MOVES
from .norms import NORMS
from .numbers import away_from_zero, masks, positive, real
from .pools import POOLS
from .recurrent import RECURRENT
from .shapes import axis_of, broadcast_pair, broadcastable, shape
from .targets import drawn_loss, drawn_target


def draw(rng: Generator, name: str) -> Drawn:
    """A row of that name, with parameters, and inputs of it: floats, integers, truth values, None if left out."""
    if name in ref.ACTIVATIONS and name not in DRAWS:
        return _activation(rng, name)
    if name in ref.LOSSES:
        return _loss(rng, name)
    return DRAWS.get(name, _like_probes)(rng, name)


def names() -> tuple[str, ...]:
    """Every row that a draw is there for: those with a maker, the activations and the losses."""
    return tuple(sorted({*ref.operations.MAKERS, *ref.ACTIVATIONS, *ref.LOSSES}))


def _like_probes(rng: Generator, name: str) -> Drawn:
    row = ref.operations.get(name)
    inputs = row.probes[int(rng.integers(len(row.probes)))]
    return row, tuple(_like(rng, x) for x in inputs)


def _like(rng: Generator, x: Any) -> Any:
    if x is None or x.dtype.kind != "f":
        return x
    return x * np.exp(0.5 * rng.normal(size=x.shape))


def _activation(rng: Generator, name: str) -> Drawn:
    row = ref.ACTIVATIONS[name]
    size = shape(rng, least=1)
    dim = axis_of(rng, size) if row.rowwise else -1
    if row.shrink > 1:
        size = tuple(n * row.shrink if k == dim % len(size) else n for k, n in enumerate(size))
    return ref.operations.of_activation(name, dim), (real(rng, size),)


def _loss(rng: Generator, name: str) -> Drawn:
    size = (*shape(rng), int(rng.integers(2, 5)))
    y = real(rng, size)
    if name == "bce":
        y = 1 / (1 + np.exp(-y))
    if name == "poisson_nll":
        y = np.abs(y) + 0.1
    rows = y.reshape(-1, size[-1])
    loss = drawn_loss(rng, name, rows, np.dtype(float))
    target = drawn_target(rng, loss, rows, np.dtype(float), kinks=bool(rng.random() < 0.2))
    target = target.reshape(size if target.ndim == rows.ndim else size[:-1])
    return ref.operations.of_loss(loss, str(rng.choice(["mean", "sum", "none"]))), (y, target)


# ── element by element ───────────────────────────────────────────────────────────────────────────────


def _one(values: Callable[[Generator, tuple[int, ...]], Any]) -> Draw:
    return lambda rng, name: (row_of(name), (values(rng, shape(rng)),))


def _two(first: Any = real, second: Any = real, **parameters: Callable[[Generator], Any]) -> Draw:
    def drawn(rng: Generator, name: str) -> Drawn:
        a, b = broadcast_pair(rng)
        found = {key: make(rng) for key, make in parameters.items()} if rng.random() < 0.5 else {}
        return row_of(name, **found), (first(rng, a), second(rng, b))

    return drawn


def _tied(rng: Generator, name: str) -> Drawn:
    """Two arrays, some of whose elements are equal."""
    a, b = broadcast_pair(rng)
    return row_of(name), (np.round(real(rng, a), 0) if rng.random() < 0.3 else real(rng, a), np.round(real(rng, b), 0))


def _three(second: Any = real, third: Any = real, **parameters: Callable[[Generator], Any]) -> Draw:
    def drawn(rng: Generator, name: str) -> Drawn:
        a = shape(rng)
        b, c = broadcastable(rng, a), broadcastable(rng, a)
        found = {key: make(rng) for key, make in parameters.items()} if rng.random() < 0.5 else {}
        return row_of(name, **found), (real(rng, a), second(rng, b), third(rng, c))

    return drawn


def _where(rng: Generator, name: str) -> Drawn:
    a = shape(rng)
    return row_of(name), (masks(rng, broadcastable(rng, a)), real(rng, a), real(rng, broadcastable(rng, a)))


def _masked_fill(rng: Generator, name: str) -> Drawn:
    a = shape(rng)
    return row_of(name, value=float(rng.choice([0.0, -1.5]))), (real(rng, a), masks(rng, broadcastable(rng, a)))


def _dropout(rng: Generator, name: str) -> Drawn:
    a = shape(rng)
    return row_of(name, p=float(rng.choice([0.1, 0.5]))), (real(rng, a), masks(rng, a))


def _clamp(rng: Generator, name: str) -> Drawn:
    low, high = np.sort(np.round(rng.normal(size=2), 1)).tolist()
    bounds = ({"min": low, "max": high}, {"min": low}, {"max": high})[int(rng.integers(3))]
    return row_of(name, **bounds), (real(rng, shape(rng)),)


def _pow(rng: Generator, name: str) -> Drawn:
    if rng.random() < 0.5:
        exponent = float(rng.choice([2.0, 3.0, 0.5, -1.0, -0.5, 1.7, 0.0, 1.0]))
        values = real if exponent in (0.0, 1.0, 2.0, 3.0) else positive
        return row_of(name, exponent=exponent), (values(rng, shape(rng)),)
    a, b = broadcast_pair(rng)
    return row_of(name), (positive(rng, a), np.clip(real(rng, b), -3, 3))


def _prelu(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=2)
    return row_of(name), (real(rng, size), real(rng, (size[1] if rng.random() < 0.7 else 1,)))


# ── reductions ───────────────────────────────────────────────────────────────────────────────────────


def _reduction(values: Any = real, *, along: str = "some", keepdim: bool = True, **more: Any) -> Draw:
    """A reduction along any axes ("some"), one axis ("one"), or all ("all")."""

    def drawn(rng: Generator, name: str) -> Drawn:
        size = shape(rng, least=1)
        found: dict[str, Any] = {key: make(rng) for key, make in more.items()}
        if along == "one":
            found["dim"] = axis_of(rng, size)
        elif along == "some":
            found["dim"] = shapes.axes_of(rng, size)
        if keepdim and rng.random() < 0.5:
            found["keepdim"] = True
        return row_of(name, **found), (values(rng, size),)

    return drawn


def _tied_values(rng: Generator, size: tuple[int, ...]) -> Any:
    return np.round(real(rng, size), 0) if rng.random() < 0.4 else real(rng, size)


def _spread(rng: Generator, name: str) -> Drawn:
    """var and std, of at least as many elements as the correction leaves one of."""
    size = tuple(max(n, 2) for n in shape(rng, least=1))
    found = {"dim": axis_of(rng, size), "correction": int(rng.integers(2)), "keepdim": bool(rng.integers(2))}
    return row_of(name, **found), (rng.normal(size=size) * 10.0 ** rng.uniform(-2, 2),)


# ── products ─────────────────────────────────────────────────────────────────────────────────────────


def _linear(rng: Generator, name: str) -> Drawn:
    *leading, i = shape(rng, least=1)
    o = shapes.length(rng)
    bias = real(rng, (o,)) if rng.random() < 0.6 else None
    return row_of(name), (real(rng, (*leading, i)), real(rng, (o, i)), bias)


def _matmul(rng: Generator, name: str) -> Drawn:
    n, k, p = (shapes.length(rng) for _ in range(3))
    a, b = broadcast_pair(rng, most=2)
    left, right = ((k,), (*a, n, k))[int(rng.random() < 0.8)], ((k,), (*b, k, p))[int(rng.random() < 0.8)]
    return row_of(name), (real(rng, left), real(rng, right))


def _product(left: str, right: str) -> Draw:
    """A product of letters for lengths, as "bnk" and "bkp"."""

    def drawn(rng: Generator, name: str) -> Drawn:
        lengths = {letter: shapes.length(rng) for letter in dict.fromkeys(left + right)}
        return row_of(name), tuple(real(rng, tuple(lengths[letter] for letter in term)) for term in (left, right))

    return drawn


def _added_product(added: str, left: str, right: str) -> Draw:
    def drawn(rng: Generator, name: str) -> Drawn:
        lengths = {letter: shapes.length(rng) for letter in dict.fromkeys(left + right)}
        term = broadcastable(rng, tuple(lengths[letter] for letter in added))
        found = {"beta": 0.5, "alpha": -2.0} if rng.random() < 0.5 else {}
        factors = (real(rng, tuple(lengths[letter] for letter in factor)) for factor in (left, right))
        return row_of(name, **found), (real(rng, term), *factors)

    return drawn


EQUATIONS = (
    "ij,jk->ik", "bij,bkj->bik", "bhqd,bhkd->bhqk", "i,j->ij", "ij->ji", "ij->j", "ii->", "ii->i", "ij,ij->",
    "ij,ij,j->i", "...ij,jk->...ik", "bi,bi->b", "i,i->",
)  # fmt: skip


def _einsum(rng: Generator, name: str) -> Drawn:
    equation = str(rng.choice(EQUATIONS))
    lengths = {letter: shapes.length(rng) for letter in "bhqdkij"}
    leading = shape(rng, most=2)

    def of(term: str) -> Any:
        size = tuple(lengths[letter] for letter in term.removeprefix("..."))
        return real(rng, (*leading, *size) if term.startswith("...") else size)

    return row_of(name, equation=equation), tuple(of(term) for term in equation.split("->", maxsplit=1)[0].split(","))


# ── the table ────────────────────────────────────────────────────────────────────────────────────────


def _factor(rng: Generator) -> float:
    return float(rng.choice([0.5, -2.0, 3.0]))


def _bounded(rng: Generator, size: tuple[int, ...]) -> Any:
    return np.clip(real(rng, size), -20, 20)


def _within_one(rng: Generator, size: tuple[int, ...]) -> Any:
    """Numbers between −1 and 1, some of them close to these."""
    return np.tanh(rng.normal(size=size) * float(rng.choice([0.1, 1.0, 4.0])))


def _above_one(rng: Generator, size: tuple[int, ...]) -> Any:
    return 1 + positive(rng, size)


def _logit(rng: Generator, name: str) -> Drawn:
    found = {"eps": float(rng.choice([0.1, 0.25]))} if rng.random() < 0.5 else {}
    return row_of(name, **found), (np.asarray(0.5 + 0.5 * _within_one(rng, shape(rng))),)


def _above_minus_one(rng: Generator, size: tuple[int, ...]) -> Any:
    return positive(rng, size) - 0.9


DRAWS: Mapping[str, Draw] = MappingProxyType({
    "add": _two(alpha=_factor), "sub": _two(alpha=_factor), "mul": _two(), "div": _two(second=away_from_zero),
    "maximum": _tied, "minimum": _tied, "pow": _pow, "prelu": _prelu, "clamp": _clamp, "where": _where,
    "masked_fill": _masked_fill, "dropout": _dropout, "addcmul": _three(value=_factor),
    "addcdiv": _three(third=away_from_zero, value=_factor), "lerp": _three(),
    **{name: _one(real) for name in ("neg", "abs", "erf")},
    **{name: _one(_bounded) for name in ("exp", "expm1", "sin", "cos")},
    **{name: _one(real) for name in ("atan", "asinh", "erfc", "sign", "floor", "ceil", "trunc", "round")},
    **{name: _one(_bounded) for name in ("sinh", "cosh", "tan", "exp2")},
    **{name: _one(_within_one) for name in ("asin", "acos", "atanh")},
    **{name: _two() for name in ("atan2", "logaddexp")}, "hypot": _two(away_from_zero, away_from_zero),
    "acosh": _one(_above_one), "logit": _logit,
    **{name: _two(second=away_from_zero) for name in ("fmod", "remainder")},
    **{name: _one(positive) for name in ("log", "sqrt", "rsqrt", "log2", "log10")},
    "log1p": _one(_above_minus_one), "reciprocal": _one(away_from_zero),
    "sum": _reduction(), "mean": _reduction(), "amax": _reduction(_tied_values), "amin": _reduction(_tied_values),
    "logsumexp": _reduction(), "vector_norm": _reduction(ord=lambda rng: float(rng.choice([2.0, 1.0, 3.0]))),
    "max": _reduction(_tied_values, along="all", keepdim=False),
    "min": _reduction(_tied_values, along="all", keepdim=False),
    "cumsum": _reduction(along="one", keepdim=False),
    "prod": _reduction(),
    "cumprod": _reduction(along="one", keepdim=False), "logcumsumexp": _reduction(along="one", keepdim=False),
    "var": _spread, "std": _spread,
    "linear": _linear, "matmul": _matmul, "mm": _product("nk", "kp"), "bmm": _product("bnk", "bkp"),
    "mv": _product("nk", "k"), "dot": _product("k", "k"), "outer": _product("n", "p"),
    **MOVES,
    **NORMS,
    **IMAGES,
    **POOLS,
    **RECURRENT,
    "addmm": _added_product("np", "nk", "kp"), "baddbmm": _added_product("bnp", "bnk", "bkp"), "einsum": _einsum,
})  # fmt: skip
