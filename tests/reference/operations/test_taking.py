"""Numbers taken from places and put there: repeated places, padding rows, indices out of range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reference import operations as ops
from reference.operations import Operation
from tests.reference.operations.linear_in_each import arrays, assert_mistakes_show, check, like

I = np.array
RNG = np.random.default_rng(0)


def _case(row: Operation, *inputs: Any) -> Any:
    """Shapes stand for random arrays."""
    return pytest.param(row, inputs, id=f"{row.name}-{dict(row.parameters)}-{[np.shape(i) for i in inputs]}")


CASES = [
    _case(ops.embedding(), I([[0, 2], [2, 2]]), (4, 3)),
    _case(ops.embedding(), I(1), (2, 1)),
    _case(ops.embedding(padding_idx=1), I([0, 2, 0]), (4, 3)),
    _case(ops.embedding(padding_idx=-1), I([[0, 2, 0]], np.uint8), (4, 3)),
    _case(ops.index_select(0), (3, 2), I([2, 0, 2, 2])),
    _case(ops.index_select(-1), (3, 2), I([1])),
    _case(ops.index_select(1), (3, 2), I(1)),
    _case(ops.gather(0), (3, 2), I([[2, 2], [0, 2], [2, 2], [1, 0]])),
    _case(ops.gather(1), (3, 2), I([[1, 1, 1], [0, 1, 0]])),
    _case(ops.gather(-1), (2, 3, 4), I([[[3, 3]]])),
    _case(ops.gather(0), (3,), I([0, 0])),
    _case(ops.take_along_dim(1), (3, 4), I([[-1, 3, 0]])),
    _case(ops.take_along_dim(0), (3, 1), I([[1, 1], [0, -3]])),
    _case(ops.take_along_dim(), (3, 4), I([[-1, 11], [0, 0]])),
    _case(ops.scatter_add(0), (3, 2), I([[2, 2], [2, 2]]), (2, 2)),
    _case(ops.scatter_add(1), (3, 2), I([[1, 1, 1]]), (2, 4)),
    _case(ops.scatter_add(-1), (2, 3, 2), I([[[0, 0]], [[1, 0]]]), (2, 1, 2)),
    _case(ops.index_add(0), (3, 2), I([2, 0, 2]), (3, 2)),
    _case(ops.index_add(-1, alpha=-0.5), (3, 2), I([1, 1]), (3, 2)),
    _case(ops.index_add(0), (3, 2), I(1), (1, 2)),
    _case(ops.index_put(), (3, 2), (2,), I([2, 0])),
    _case(ops.index_put(), (3, 2), (2, 2), I([2, -3])),
    _case(ops.index_put(), (3, 2), (), I([2, 0]), I([1, 1])),
    _case(ops.index_put(accumulate=True), (3, 2), (3, 1), I([2, 2, 0])),
    _case(ops.index_put(accumulate=True), (3, 2), (2, 2), I([[2], [2]]), I([0, 0])),
]


def _filled(row: Operation, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(arrays(RNG, x)[0] if isinstance(x, tuple) else x for x in inputs)


@pytest.mark.parametrize(("row", "inputs"), CASES)
def test_taking_and_putting_are_right_in_every_arithmetic(row: Operation, inputs: tuple[Any, ...]) -> None:
    check(row, _filled(row, inputs), np.random.default_rng(1))


@pytest.mark.parametrize(
    ("row", "inputs"),
    [
        (ops.embedding(), (I([2, 2]), (4, 3))),
        (ops.embedding(padding_idx=1), (I([2, 2, 1]), (4, 3))),
        (ops.index_select(0), ((3, 2), I([0, 0]))),
        (ops.gather(1), ((3, 2), I([[1, 1]]))),
        (ops.take_along_dim(1), ((3, 2), I([[1, -1]]))),
        (ops.scatter_add(0), ((3, 2), I([[2], [2]]), (2, 1))),
        (ops.index_add(0, alpha=3.0), ((3, 2), I([0, 0]), (2, 2))),
        (ops.index_put(), ((3, 2), (), I([0, 1]))),
    ],
    ids=lambda v: v.name if isinstance(v, Operation) else None,
)
def test_every_mistake_changes_the_gradient(row: Operation, inputs: tuple[Any, ...]) -> None:
    assert row.mistakes
    assert_mistakes_show(row, _filled(row, inputs), np.random.default_rng(2))


def test_repeated_rows_of_an_embedding_are_added_up() -> None:
    index, weight, d = I([[1, 1], [0, 1]]), np.zeros((3, 1)), I([[[1.0], [2.0]], [[4.0], [8.0]]])
    _, d_weight = ops.embedding().pullback((index, weight), weight[index], d)
    np.testing.assert_array_equal(d_weight, [[4.0], [11.0], [0.0]])


@pytest.mark.parametrize("padding_idx", [1, -2])
def test_the_padding_row_has_no_gradient_even_of_nan(padding_idx: int) -> None:
    index, weight = I([1, 0, 1, 2]), np.arange(6.0).reshape(3, 2)
    row = ops.embedding(padding_idx)
    y = row.value(index, weight)
    np.testing.assert_array_equal(y, weight[index])
    d = np.ones((4, 2))
    d[0] = np.nan
    np.testing.assert_array_equal(row.pullback((index, weight), y, d)[1], [[1, 1], [0, 0], [1, 1]])
    pushed = row.pushforward((index, weight), y, (None, np.ones((3, 2))))
    np.testing.assert_array_equal(pushed, [[0, 0], [1, 1], [0, 0], [1, 1]])


def test_only_padding_rows() -> None:
    row, weight = ops.embedding(0), np.ones((2, 2))
    y = row.value(I([0, 0]), weight)
    np.testing.assert_array_equal(row.pullback((I([0, 0]), weight), y, like(RNG, y))[1], np.zeros((2, 2)))


W = np.ones((3, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.embedding().value(I([[0, 3]]), W), r"input\[0, 1\]: expected an index from 0 to 2, got 3"),
        (lambda: ops.embedding().value(I([-1]), W), r"embedding: input\[0\]: expected an index from 0 to 2, got -1"),
        (lambda: ops.embedding().value(I([0]), W[0]), r"embedding: weight: expected shape \(V, D\)"),
        (lambda: ops.embedding(3).value(I([0]), W), "embedding: padding_idx: expected a row of weight"),
        (lambda: ops.index_select(0).value(W, I([-1])), "index_select: index"),
        (lambda: ops.index_select(0).value(W, I([[1]])), "index_select: index: expected one dimension at most"),
        (lambda: ops.index_select(2).value(W, I([1])), "index_select: dim: expected an axis of 2, got 2"),
        (lambda: ops.gather(0).value(W, I([[3]])), r"gather: index\[0, 0\]"),
        (lambda: ops.gather(0).value(W, I([[-1]])), r"gather: index\[0, 0\]"),
        (lambda: ops.gather(0).value(W, I([[0, 0, 0]])), "gather: index: expected lengths no larger than"),
        (lambda: ops.gather(0).value(W, I([0])), "gather: index"),
        (lambda: ops.take_along_dim(0).value(W, I([[-4]])), "take_along_dim: indices.*expected an index from -3 to 2"),
        (lambda: ops.take_along_dim(0).value(W, I([[0, 0, 0]])), "take_along_dim: indices"),
        (lambda: ops.take_along_dim(0).value(W, I([0])), "take_along_dim: indices: expected 2 dimensions"),
        (lambda: ops.scatter_add(0).value(W, I([[0]]), np.ones((1,))), "scatter_add: src"),
        (lambda: ops.scatter_add(0).value(W, I([[0], [5]]), W), "scatter_add: index"),
        (lambda: ops.scatter_add(0).value(W, I([[0]] * 4), W), r"scatter_add: src: expected lengths of index \(4, 1\)"),
        (lambda: ops.index_add(0).value(W, I([0]), W), r"index_add: source: expected shape \(1, 2\)"),
        (lambda: ops.index_put().value(W, W, I([0, 0])), "index_put: values"),
        (lambda: ops.index_put().value(W, W[0], I([0, 0])), "index_put: indices: expected no place twice"),
        (lambda: ops.index_put().value(W, W[0], I([0, -3])), "index_put: indices: expected no place twice"),
        (lambda: ops.index_put().value(W, W[0], I([3])), r"indices\[0\]\[0\]: expected an index from -3 to 2"),
        (lambda: ops.index_put().value(W, W[0], I([0]), I([0]), I([0])), "index_put: indices: expected 2 arrays"),
    ],
)  # fmt: skip
def test_indices_and_shapes_that_do_not_fit_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_an_index_that_is_no_whole_number_is_refused() -> None:
    with pytest.raises(TypeError, match="embedding: input: expected whole numbers, got float64"):
        ops.embedding().value(I([0.0]), W)
    with pytest.raises(TypeError, match="gather: index: expected whole numbers, got bool"):
        ops.gather(0).value(W, I([[True]]))
