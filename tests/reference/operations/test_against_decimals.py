"""Layer norm, RMS norm and attention in balls against the definition in 80 decimal digits; a part in 10³⁰ is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from flint import arb

from reference import operations as ops
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import precision
from reference.operations.row import Operation

Row = list[Decimal]


@contextmanager
def digits(count: int) -> Iterator[None]:
    with localcontext() as context:
        context.prec = count
        yield


def norm_gradient(x: Row, d: Row, eps: Decimal, *, centre: bool) -> Row:
    """(d − mean d − x̂·mean(d∘x̂))/√(var + ε), the customary formula."""
    n = len(x)
    mean = sum(x) / n if centre else Decimal(0)
    off = [a - mean for a in x]
    root = (sum(a * a for a in off) / n + eps).sqrt()
    normal = [a / root for a in off]
    first = sum(d) / n if centre else Decimal(0)
    second = sum(a * b for a, b in zip(d, normal, strict=True)) / n
    return [(a - first - b * second) / root for a, b in zip(d, normal, strict=True)]


def attention_gradient(q: Row, keys: list[Row], values: list[Row], d: Row) -> Row:
    """Of one query: c·Σ_j P_j(d_P_j − Σ P∘d_P)·K_j."""
    c = 1 / Decimal(len(q)).sqrt()
    e = [(c * sum(a * b for a, b in zip(q, k, strict=True))).exp() for k in keys]
    p = [a / sum(e) for a in e]
    d_p = [sum(a * b for a, b in zip(v, d, strict=True)) for v in values]
    average = sum(a * b for a, b in zip(p, d_p, strict=True))
    d_s = [a * (b - average) for a, b in zip(p, d_p, strict=True)]
    return [c * sum(a * k[i] for a, k in zip(d_s, keys, strict=True)) for i in range(len(q))]


def overlaps(row: Operation, inputs: tuple[Any, ...], d_y: Any, expected: Row) -> bool:
    with precision(300):
        balls = tuple(map(Ball.exact, inputs))
        found = row.pullback(balls, row.value(*balls), Ball.exact(d_y))[0]
        stated = [arb(str(e), abs(float(e)) * 1e-60) for e in expected]
        return all(bool(b.overlaps(e)) for b, e in zip(found.flat, stated, strict=True))


def decimals(x: Any) -> Any:
    return [decimals(a) for a in x] if np.ndim(x) else Decimal(float(x))


@pytest.mark.parametrize("factor", [Decimal(1), 1 + Decimal(10) ** -30])
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "attention"])
def test_the_gradient_in_balls_is_the_definition_s(name: str, factor: Decimal) -> None:
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=(2, 1, 5))
    keys, values = rng.normal(size=(2, 3, 5))
    cases: dict[str, Callable[[], tuple[Operation, tuple[Any, ...], Row]]] = {
        "layer_norm": lambda: (
            ops.layer_norm(), (x,), norm_gradient(decimals(x[0]), decimals(d[0]), decimals(1e-5), centre=True)
        ),
        "rms_norm": lambda: (
            ops.rms_norm(eps=1e-6), (x,), norm_gradient(decimals(x[0]), decimals(d[0]), decimals(1e-6), centre=False)
        ),
        "attention": lambda: (
            ops.scaled_dot_product_attention(),
            (x, keys, values),
            attention_gradient(decimals(x[0]), decimals(keys), decimals(values), decimals(d[0])),
        ),
    }  # fmt: skip
    with digits(80):
        row, inputs, expected = cases[name]()
        assert overlaps(row, inputs, d, [e * factor for e in expected]) == (factor == 1)
