"""Products, and products added to a term."""

from __future__ import annotations

import pickle
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import fmpq

import reference as ref
from reference import operations as ops
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import RAISE, precision
from reference.operations.row import Selective
from reference.operations.table import MAKERS
from tests.reference.operations.linear_in_each import U, arrays, assert_mistakes_show, check

Shape = tuple[int, ...]

SHAPES: tuple[tuple[ops.Operation, tuple[Shape | None, ...]], ...] = (
    (ops.linear(), ((5, 3), (4, 3), (4,))),
    (ops.linear(), ((2, 3, 5, 3), (4, 3), (4,))),
    (ops.linear(), ((3,), (4, 3), (4,))),
    (ops.linear(), ((1, 1), (1, 1), (1,))),
    (ops.linear(), ((5, 3), (4, 3), None)),
    (ops.linear(), ((5, 3), (4, 3))),
    (ops.linear(), ((2, 3, 4), (4,))),
    (ops.linear(), ((2, 3, 4), (4,), ())),
    (ops.linear(), ((2, 3, 4), (5, 4), (1,))),
    (ops.linear(), ((2, 3, 4), (5, 4), (3, 1))),
    (ops.linear(), ((3, 4), (5, 4), (3, 5))),
    (ops.matmul(), ((3, 4), (4, 2))),
    (ops.matmul(), ((3,), (3,))),
    (ops.matmul(), ((3,), (3, 2))),
    (ops.matmul(), ((2, 3), (3,))),
    (ops.matmul(), ((3,), (5, 3, 2))),
    (ops.matmul(), ((5, 2, 3), (3,))),
    (ops.matmul(), ((5, 2, 3), (3, 4))),
    (ops.matmul(), ((2, 3), (5, 3, 4))),
    (ops.matmul(), ((5, 1, 2, 3), (4, 3, 2))),
    (ops.matmul(), ((1, 4, 2, 3), (5, 1, 3, 2))),
    (ops.matmul(), ((1, 1), (1, 1))),
    (ops.matmul(), ((2, 2, 2), (2, 2, 2))),
    (ops.mm(), ((3, 4), (4, 2))),
    (ops.bmm(), ((2, 3, 4), (2, 4, 5))),
    (ops.bmm(), ((1, 1, 1), (1, 1, 1))),
    (ops.mv(), ((3, 4), (4,))),
    (ops.dot(), ((4,), (4,))),
    (ops.outer(), ((3,), (4,))),
    (ops.outer(), ((3,), (3,))),
    (ops.addmm(), ((3, 2), (3, 4), (4, 2))),
    (ops.addmm(beta=0.5, alpha=-2.0), ((2,), (3, 4), (4, 2))),
    (ops.addmm(beta=0.0, alpha=2.0), ((3, 1), (3, 4), (4, 2))),
    (ops.addmm(alpha=0.0), ((), (2, 2), (2, 2))),
    (ops.baddbmm(), ((2, 3, 5), (2, 3, 4), (2, 4, 5))),
    (ops.baddbmm(beta=-1.5, alpha=0.25), ((3, 1), (2, 3, 4), (2, 4, 5))),
)


def _name(case: Any) -> str:
    row, shapes = case
    return f"{row.name}-{'-'.join(map(str, shapes))}"


@pytest.mark.parametrize("case", SHAPES, ids=_name)
def test_a_product_is_right_in_every_arithmetic(case: Any) -> None:
    row, shapes = case
    rng = np.random.default_rng(0)
    check(row, tuple(None if s is None else arrays(rng, s)[0] for s in shapes), rng)


@pytest.mark.parametrize(
    ("row", "shapes"),
    [
        (ops.linear(), ((4, 3), (3, 3), (3,))),
        (ops.matmul(), ((2, 3, 3), (2, 3, 3))),
        (ops.mm(), ((3, 3), (3, 3))),
        (ops.bmm(), ((2, 3, 3), (2, 3, 3))),
        (ops.outer(), ((3,), (3,))),
        (ops.addmm(0.5, 2.0), ((3, 3), (3, 3), (3, 3))),
        (ops.baddbmm(0.5, 2.0), ((3, 3), (2, 3, 3), (2, 3, 3))),
    ],
    ids=lambda v: v.name if isinstance(v, ops.Operation) else None,
)
def test_every_mistake_changes_the_gradient(row: ops.Operation, shapes: tuple[Shape, ...]) -> None:
    rng = np.random.default_rng(1)
    assert row.mistakes
    assert_mistakes_show(row, arrays(rng, *shapes), rng)


def test_a_wrong_pullback_cannot_be_made() -> None:
    row = ops.matmul()
    with pytest.raises(ValueError, match="pullback"):
        replace(row, pullback=row.mistakes["gradients_exchanged"])
    with pytest.raises(ValueError, match="pushforward"):
        replace(row, pushforward=lambda inputs, y, changes: y)


def test_an_error_of_1e_30_is_caught_by_the_certificate() -> None:
    """The pullback in balls holds the exact rational numbers, and times 1 + 1e−30 it does not."""
    rng = np.random.default_rng(2)
    a, b, d = rng.normal(size=(2, 3)), rng.normal(size=(3, 2)), rng.normal(size=(2, 2))
    row = ops.matmul()
    with precision(256):
        ball = [Ball.exact(x, RAISE) for x in (a, b, d)]
        d_a: Any = row.pullback(tuple(ball[:2]), row.value(*ball[:2]), ball[2])[0]
        wrong = d_a * (1 + Ball.exact(1e-30, RAISE))
        for k, (i, j) in enumerate(np.ndindex(2, 3)):
            exact = sum(Fraction(d[i, p]) * Fraction(b[j, p]) for p in range(2))
            truth = fmpq(exact.numerator, exact.denominator)
            assert d_a.flat[k].contains(truth)
            assert not wrong.flat[k].contains(truth)


def test_beta_0_reads_no_nan() -> None:
    nan, a = np.full((2, 2), np.nan), np.eye(2)
    row = ops.addmm(beta=0.0)
    y = row.value(nan, a, a)
    np.testing.assert_array_equal(y, a)
    np.testing.assert_array_equal(row.pullback((nan, a, a), y, np.ones((2, 2)))[0], np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("row", "shapes", "message"),
    [
        (ops.linear(), ((2, 3), (4, 4)), r"linear: x: expected shape \(…, 4\) for weight \(4, 4\), got \(2, 3\)"),
        (ops.linear(), ((2, 3), (1, 4, 3)), r"linear: weight: expected shape \(O, I\) or \(I,\)"),
        (ops.linear(), ((2, 3), (4, 3), (3,)), r"linear: bias: expected a shape that is broadcast to \(2, 4\)"),
        (ops.linear(), ((2, 3), (4, 3), (1, 2, 4)), "linear: bias"),
        (ops.matmul(), ((), (2, 3)), "matmul: input: expected an array with axes"),
        (ops.matmul(), ((2, 3), (4, 2)), r"matmul: other: expected 3 rows for input \(2, 3\)"),
        (ops.bmm(), ((2, 3, 4), (4, 5)), "bmm: mat2: expected an array of 3 dimensions"),
        (ops.bmm(), ((2, 3, 4), (1, 4, 5)), r"bmm: mat2: expected shape \(2, 4, 'P'\)"),
        (ops.mm(), ((2, 3), (2, 3)), "mm: mat2"),
        (ops.mv(), ((2, 3), (2,)), "mv: vec"),
        (ops.dot(), ((2,), (3,)), "dot: tensor"),
        (ops.outer(), ((2, 1), (3,)), "outer: input: expected an array of 1 dimension"),
        (ops.addmm(), ((3, 3), (2, 3), (3, 3)), r"addmm: input: expected a shape that is broadcast to \(2, 3\)"),
        (ops.baddbmm(), ((1,), (2, 3, 4), (2, 3, 4)), "baddbmm: batch2"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_named(row: ops.Operation, shapes: tuple[Shape, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        row.value(*(np.ones(s) for s in shapes))


def test_a_factor_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="addmm: beta must be a finite number"):
        ops.addmm(beta=float("nan"))


# ── einsum ───────────────────────────────────────────────────────────────────────────────────────────

EQUATIONS: tuple[tuple[str, tuple[Shape, ...], Shape], ...] = (
    ("ij,jk->ik", ((3, 4), (4, 5)), (3, 5)),
    ("ij,jk", ((3, 4), (4, 5)), (3, 5)),
    ("bA,Aa", ((3, 4), (4, 5)), (5, 3)),
    ("ij->ji", ((2, 3),), (3, 2)),
    ("ij->", ((2, 3),), ()),
    ("ba", ((2, 3),), (3, 2)),
    ("ii->i", ((3, 3),), (3,)),
    ("ii", ((3, 3),), ()),
    ("ijj->i", ((2, 3, 3),), (2,)),
    ("iii->i", ((2, 2, 2),), (2,)),
    ("aab,bcc->ac", ((2, 2, 3), (3, 4, 4)), (2, 4)),
    ("i...->i", ((3, 4, 2),), (3,)),
    ("...b,ab", ((2, 3, 4), (5, 4)), (2, 3, 5)),
    ("...i,...i->...", ((2, 1, 4), (3, 4)), (2, 3)),
    ("...,...->...", ((2, 3), (3,)), (2, 3)),
    ("b...i,bij->b...j", ((2, 3, 4, 5), (2, 5, 6)), (2, 3, 4, 6)),
    ("i...j,j...->...i", ((2, 3, 4), (4, 1)), (3, 2)),
    ("bhqd,bhkd->bhqk", ((2, 3, 4, 5), (2, 3, 6, 5)), (2, 3, 4, 6)),
    ("bhqk,bhkd->bqhd", ((2, 3, 4, 5), (2, 3, 5, 6)), (2, 4, 3, 6)),
    ("ab,bc,cd->ad", ((2, 3), (3, 4), (4, 5)), (2, 5)),
    ("i,j,k->kji", ((2,), (3,), (4,)), (4, 3, 2)),
    ("i,i->", ((3,), (3,)), ()),
    ("i,i->i", ((3,), (3,)), (3,)),
    (",i->i", ((), (3,)), (3,)),
    ("ij,kl->ik", ((2, 3), (4, 5)), (2, 4)),
    ("ij,ij,ij->j", ((2, 3), (2, 3), (1, 3)), (3,)),
    ("ij,jk->ik", ((3, 4), (1, 5)), (3, 5)),
    ("ab,ab->ab", ((1, 3), (2, 1)), (2, 3)),
    ("iji,j->i", ((2, 3, 2), (3,)), (2,)),
)


@pytest.mark.parametrize(("equation", "shapes", "expected"), EQUATIONS, ids=[e for e, *_ in EQUATIONS])
def test_einsum_is_right_in_every_arithmetic(equation: str, shapes: tuple[Shape, ...], expected: Shape) -> None:
    rng = np.random.default_rng(3)
    row = ops.einsum(equation)
    inputs = arrays(rng, *shapes)
    assert np.shape(row.value(*inputs)) == expected
    check(row, inputs, rng)


@pytest.mark.parametrize(("equation", "shapes", "expected"), EQUATIONS, ids=[e for e, *_ in EQUATIONS])
def test_einsum_is_the_sum_over_all_letters(equation: str, shapes: tuple[Shape, ...], expected: Shape) -> None:
    """NumPy's own, which does not add up what "..." stands for: there it gets letters."""
    if "..." in equation and "..." not in equation.partition("->")[2] and "->" in equation:
        equation = equation.replace("...", "xy")
    x = arrays(np.random.default_rng(4), *shapes)
    terms = int(np.prod([max(n, 1) for s in shapes for n in s]))
    truth, size = np.einsum(equation, *x), np.einsum(equation, *map(np.abs, x))
    assert np.all(np.abs(ops.einsum(equation).value(*x) - truth) <= 2 * terms * U * size)


@pytest.mark.parametrize(
    ("equation", "message"),
    [
        ("ij->ii", "the output has the letter 'i' twice"),
        ("ij->ik", "no operand has the letter 'k' of the output"),
        ("i1->i", "expected letters"),
        ("......i->i", r"expected letters and at most one '\.\.\.'"),
        ("i->...i", r"no operand has the '\.\.\.' of the output"),
        ("i->j->k", "expected letters"),
    ],
)
def test_an_equation_that_makes_no_sense_is_refused(equation: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.einsum(equation)


def test_operands_that_do_not_fit_an_equation_are_named() -> None:
    row = ops.einsum("ij,jk->ik")
    with pytest.raises(ValueError, match="operands: expected 2 of them, got 1"):
        row.value(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"operands\[1\]: expected an axis for each letter of 'jk'"):
        row.value(np.ones((2, 3)), np.ones(3))
    with pytest.raises(ValueError, match=r"operands\[1\]: expected length 3 of 'j', got shape \(4, 2\)"):
        row.value(np.ones((2, 3)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="one length of 'i'"):
        ops.einsum("ii->i").value(np.ones((1, 3)))
    with pytest.raises(TypeError, match="expected a text"):
        ops.einsum(3)  # type: ignore[arg-type]


def test_rows_are_known_by_their_call() -> None:
    for row in (ops.einsum("ij,jk->ik"), ops.addmm(0.5, 2.0), ops.bmm()):
        again = pickle.loads(pickle.dumps(row))
        assert again == row
    assert ops.einsum("ij,jk->ik") != ops.einsum("ij,jk->ki")


def test_the_operations_stand_in_the_table() -> None:
    for name in ("bmm", "addmm", "baddbmm", "outer", "mv", "dot", "mm", "matmul", "linear"):
        assert ref.OPERATIONS[name].name == name
    with pytest.raises(ValueError, match=r"einsum needs parameters: give ref\.operations\.einsum\(equation"):
        ops.get("einsum")


@pytest.mark.parametrize("row", ["linear", "conv1d", "conv_transpose1d"])
def test_a_pullback_that_is_asked_for_some_inputs_gives_these_alone(row: str) -> None:
    """Every choice of x, weight and bias: what is wanted as in the whole pullback, to the bit, and nothing else."""
    rng = np.random.default_rng(0)
    linear = row == "linear"
    inputs = (
        rng.normal(size=(2, 3) if linear else (2, 3, 5)),
        rng.normal(size=(3, 3) if linear else (3, 3, 2)),
        rng.normal(size=3),
    )
    operation = MAKERS[row]()
    assert isinstance(operation.pullback, Selective)
    y = operation.value(*inputs)
    d_y = rng.normal(size=y.shape)
    whole = operation.pullback(inputs, y, d_y)
    for number in range(8):
        wanted = {k for k in range(3) if number >> k & 1}
        for k, (part, right) in enumerate(zip(operation.pullback.gradients(inputs, d_y, wanted), whole, strict=True)):
            assert (part is None) == (k not in wanted)
            assert part is None or np.array_equal(part, right)
