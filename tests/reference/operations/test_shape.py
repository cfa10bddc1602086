"""Operations that move, copy, join and part numbers: reshapes, orders of axes, parts, padding."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from reference import operations as ops
from reference.operations import Operation
from tests.reference.operations.linear_in_each import arrays, assert_mistakes_show, check, parts

Shape = tuple[int, ...]

X = np.arange(24.0).reshape(2, 3, 4)

ONE: tuple[tuple[Operation, Any], ...] = (
    (ops.reshape((4, 6)), X.reshape(4, 6)),
    (ops.reshape((-1, 8)), X.reshape(3, 8)),
    (ops.reshape((24,)), X.ravel()),
    (ops.flatten(), X.ravel()),
    (ops.flatten(1), X.reshape(2, 12)),
    (ops.flatten(-3, -2), X.reshape(6, 4)),
    (ops.unflatten(1, (3, 1)), X.reshape(2, 3, 1, 4)),
    (ops.unflatten(-1, (2, -1)), X.reshape(2, 3, 2, 2)),
    (ops.transpose(0, 1), np.swapaxes(X, 0, 1)),
    (ops.transpose(-1, -2), np.swapaxes(X, -1, -2)),
    (ops.transpose(1, 1), X),
    (ops.permute((2, 0, 1)), X.transpose(2, 0, 1)),
    (ops.permute((0, -1, 1)), X.transpose(0, 2, 1)),
    (ops.movedim(0, -1), np.moveaxis(X, 0, -1)),
    (ops.movedim((0, 1), (2, 0)), np.moveaxis(X, (0, 1), (2, 0))),
    (ops.squeeze(), X),
    (ops.squeeze(1), X),
    (ops.unsqueeze(0), X[None]),
    (ops.unsqueeze(-1), X[..., None]),
    (ops.unsqueeze(2), X[:, :, None]),
    (ops.clone(), X),
    (ops.contiguous(), X),
    (ops.slice(), X),
    (ops.slice(1, 1), X[:, 1:]),
    (ops.slice(-1, -3, None, 2), X[..., -3::2]),
    (ops.slice(0, 0, 2**62), X),
    (ops.narrow(1, 1, 2), X[:, 1:]),
    (ops.narrow(-1, -2, 1), X[..., 2:3]),
    (ops.select(0, 1), X[1]),
    (ops.select(-1, -2), X[..., 2]),
    (ops.flip(0), X[::-1]),
    (ops.flip((0, -1)), X[::-1, :, ::-1]),
    (ops.flip(()), X),
    (ops.roll(5), np.roll(X, 5)),
    (ops.roll(1, 2), np.roll(X, 1, 2)),
    (ops.roll((1, -2), (1, -1)), np.roll(X, (1, -2), (1, -1))),
    (ops.tril(), np.tril(X)),
    (ops.tril(diagonal=1), np.tril(X, 1)),
    (ops.triu(), np.triu(X)),
    (ops.triu(diagonal=-1), np.triu(X, -1)),
    (ops.expand((2, -1, 4)), X),
    (ops.expand((5, 2, 3, -1)), np.broadcast_to(X, (5, 2, 3, 4))),
    (ops.repeat((1, 2, 1)), np.tile(X, (1, 2, 1))),
    (ops.repeat((2, 3, 1, 2)), np.tile(X, (2, 3, 1, 2))),
    (ops.repeat_interleave(3), np.repeat(X, 3)),
    (ops.repeat_interleave(2, dim=1), np.repeat(X, 2, axis=1)),
    (ops.repeat_interleave(2, dim=-1), np.repeat(X, 2, axis=-1)),
    (ops.pad((1, 2)), np.pad(X, ((0, 0), (0, 0), (1, 2)))),
    (ops.pad((1, 0, 0, 2), value=7.0), np.pad(X, ((0, 0), (0, 2), (1, 0)), constant_values=7.0)),
    (ops.pad((-1, 2, 1, -1)), np.pad(X[:, :-1, 1:], ((0, 0), (1, 0), (0, 2)))),
    (ops.pad((2, 3), mode="reflect"), np.pad(X, ((0, 0), (0, 0), (2, 3)), mode="reflect")),
    (ops.pad((2, 1, 1, 2), mode="replicate"), np.pad(X, ((0, 0), (1, 2), (2, 1)), mode="edge")),
    (ops.pad((4, 1), mode="circular"), np.pad(X, ((0, 0), (0, 0), (4, 1)), mode="wrap")),
    (ops.split(2, dim=1), (X[:, :2], X[:, 2:])),
    (ops.split((1, 3), dim=-1), (X[..., :1], X[..., 1:])),
    (ops.split(5), (X,)),
    (ops.chunk(2, dim=2), (X[..., :2], X[..., 2:])),
    (ops.chunk(2, dim=1), (X[:, :2], X[:, 2:])),
    (ops.chunk(7), (X[:1], X[1:])),
    (ops.unbind(), (X[0], X[1])),
    (ops.unbind(-2), (X[:, 0], X[:, 1], X[:, 2])),
)  # fmt: skip


def _name(case: tuple[Operation, Any]) -> str:
    row, _ = case
    return f"{row.name}-{','.join(f'{k}={v}' for k, v in row.parameters.items())}"


@pytest.mark.parametrize("case", ONE, ids=_name)
def test_an_operation_moves_numbers_as_numpy_does_and_back_in_every_arithmetic(case: tuple[Operation, Any]) -> None:
    row, expected = case
    for got, want in zip(parts(row.value(X)), parts(expected), strict=True):
        np.testing.assert_array_equal(got, want)
    rng = np.random.default_rng(0)
    check(row, arrays(rng, X.shape), rng)


@pytest.mark.parametrize("case", [c for c in ONE if c[0].mistakes], ids=_name)
def test_every_mistake_of_a_row_shows_at_its_probes(case: tuple[Operation, Any]) -> None:
    row, _ = case
    rng = np.random.default_rng(1)
    shown = set()
    for inputs in row.probes:
        for name in row.mistakes:
            try:
                assert_mistakes_show(_with_one_mistake(row, name), inputs, rng)
            except AssertionError:
                continue
            shown.add(name)
    assert shown == set(row.mistakes)


def _with_one_mistake(row: Operation, name: str) -> Operation:
    found = object.__new__(Operation)
    for field in row.__dataclass_fields__:
        object.__setattr__(found, field, getattr(row, field))
    object.__setattr__(found, "mistakes", {name: row.mistakes[name]})
    return found


def test_the_issue_s_mistakes_are_stated() -> None:
    assert "transposed_layout" in ops.transpose(0, 1).mistakes
    assert "transposed_layout" in ops.permute((1, 0)).mistakes
    assert "parts_exchanged" in ops.cat().mistakes
    assert {"gradient_of_one_copy_only", "mean_for_sum"} <= ops.expand((3, 2)).mistakes.keys()
    assert "wrong_direction" in ops.roll(1, 0).mistakes
    assert "flip_forgotten" in ops.flip(0).mistakes
    assert "repeated_places_overwritten" in ops.gather(1).mistakes
    assert "repeated_places_overwritten" in ops.scatter_add(1).mistakes
    assert "repeated_rows_overwritten" in ops.embedding().mistakes
    assert "padding_row_not_zero" in ops.embedding(0).mistakes


@pytest.mark.parametrize(
    ("row", "shape", "expected"),
    [
        (ops.squeeze(), (1, 2, 1), (2,)),
        (ops.squeeze(0), (1, 2, 1), (2, 1)),
        (ops.squeeze((0, 1)), (1, 2, 1), (2, 1)),
        (ops.squeeze(-1), (1, 2, 1), (1, 2)),
        (ops.squeeze(), (1, 1), ()),
        (ops.flatten(), (), (1,)),
        (ops.flatten(0, 0), (2, 3), (2, 3)),
        (ops.reshape(()), (1, 1), ()),
        (ops.unsqueeze(0), (), (1,)),
        (ops.expand((3,)), (), (3,)),
        (ops.expand((3, 2)), (1, 1), (3, 2)),
        (ops.expand((3, -1, 2)), (4, 1), (3, 4, 2)),
        (ops.repeat((2,)), (), (2,)),
        (ops.repeat((2, 1)), (3,), (2, 3)),
        (ops.pad((1, 1), mode="reflect"), (2,), (4,)),
        (ops.unbind(), (1, 1), (1,)),
    ],
)
def test_small_shapes(row: Operation, shape: Shape, expected: Shape) -> None:
    rng = np.random.default_rng(2)
    x = arrays(rng, shape)
    assert np.shape(parts(row.value(*x))[0]) == expected
    check(row, x, rng)


JOINED: tuple[tuple[Operation, tuple[Shape, ...], Shape], ...] = (
    (ops.cat(), ((2, 3), (1, 3), (4, 3)), (7, 3)),
    (ops.cat(-1), ((2, 3), (2, 1)), (2, 4)),
    (ops.cat(1), ((2, 3, 2), (2, 3, 2), (2, 1, 2)), (2, 7, 2)),
    (ops.cat(), ((2,),), (2,)),
    (ops.stack(), ((2, 3), (2, 3), (2, 3)), (3, 2, 3)),
    (ops.stack(-1), ((2, 3), (2, 3)), (2, 3, 2)),
    (ops.stack(1), ((2, 3),), (2, 1, 3)),
    (ops.stack(), ((), ()), (2,)),
)


@pytest.mark.parametrize(("row", "shapes", "expected"), JOINED)
def test_arrays_are_joined_and_their_gradients_parted(
    row: Operation, shapes: tuple[Shape, ...], expected: Shape
) -> None:
    rng = np.random.default_rng(3)
    x = arrays(rng, *shapes)
    y = row.value(*x)
    assert y.shape == expected
    axis = row.parameters["dim"]
    np.testing.assert_array_equal(y, (np.concatenate if row.name == "cat" else np.stack)(x, axis=axis))
    check(row, x, rng)
    if len(set(shapes)) < len(shapes):
        assert_mistakes_show(row, x, rng)


def test_what_stays_as_it_is_changes_nothing_although_it_is_infinite() -> None:
    x = np.array([np.inf, 1.0])
    row = ops.cat()
    pushed = row.pushforward((x, x), row.value(x, x), (None, np.ones(2)))
    np.testing.assert_array_equal(pushed, [0.0, 0.0, 1.0, 1.0])


def test_what_is_cut_away_is_exactly_0_although_it_is_infinite() -> None:
    x = np.full((2, 2), np.inf)
    np.testing.assert_array_equal(ops.tril().value(x), [[np.inf, 0.0], [np.inf, np.inf]])
    np.testing.assert_array_equal(ops.triu().pullback((x,), x, x)[0], [[np.inf, np.inf], [0.0, np.inf]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.reshape((5, 5)).value(X), r"reshape: input: expected as many elements as shape \(5, 5\) takes"),
        (lambda: ops.reshape((-1, 5)).value(X), "reshape: input"),
        (lambda: ops.reshape((-1, -1)), "reshape: shape: expected lengths, and −1 at most once"),
        (lambda: ops.flatten(2, 1).value(X), "flatten: end_dim"),
        (lambda: ops.flatten(3).value(X), "flatten: start_dim: expected an axis of 3, got 3"),
        (lambda: ops.unflatten(1, (2, 2)).value(X), "unflatten: input"),
        (lambda: ops.transpose(0, 3).value(X), "transpose: dim1: expected an axis of 3, got 3"),
        (lambda: ops.permute((0, 0)), "permute: dims: expected no axis twice"),
        (lambda: ops.permute((0, 1)).value(X), "permute: input: expected an array of 2 dimensions"),
        (lambda: ops.movedim((0, 1), 1), "movedim: destination"),
        (lambda: ops.squeeze((0, 0)).value(X), "squeeze: dim: expected no axis twice"),
        (lambda: ops.unsqueeze(5).value(X), "unsqueeze: dim: expected an axis of 4, got 5"),
        (lambda: ops.expand((2, 5, 4)).value(X), r"expand: input: expected lengths of 1, or those of size \(2, 5, 4\)"),
        (lambda: ops.expand((-1, 2, 3, 4)).value(X), "expand: size: expected no −1"),
        (lambda: ops.expand((3, 4)).value(X), "expand: input: expected 2 dimensions at most"),
        (lambda: ops.expand((0, 4)), "expand: size"),
        (lambda: ops.repeat((2,)).value(X), "repeat: input: expected 1 dimensions at most"),
        (lambda: ops.repeat((0, 1)), "repeat: repeats"),
        (lambda: ops.repeat_interleave(0), "repeat_interleave: repeats"),
        (lambda: ops.slice(0, 2, 1).value(X), "slice: input: expected an element along axis 0 from 2 to 1"),
        (lambda: ops.slice(0, step=-1), "slice: step: expected 1 at least, got -1"),
        (lambda: ops.narrow(0, 1, 2).value(X), "narrow: input: expected 2 elements from 1 on along axis 0"),
        (lambda: ops.select(1, 3).value(X), "select: index: expected a place of 3 along axis 1, got 3"),
        (lambda: ops.flip((0, -3)).value(X), "flip: dims: expected no axis twice"),
        (lambda: ops.roll((1, 2), 0), "roll: shifts: expected one for each of dims"),
        (lambda: ops.tril().value(X[0, 0]), "tril: input: expected an array of 2 dimensions at least"),
        (lambda: ops.cat(0).value(X, X[:, :1]), r"cat: tensors\[1\]: expected \(2, 3, 4\) but along axis 0"),
        (lambda: ops.cat(3).value(X), "cat: dim: expected an axis of 3, got 3"),
        (lambda: ops.stack(0).value(X, X[:1]), r"stack: tensors\[1\]: expected shape \(2, 3, 4\)"),
        (lambda: ops.split((1, 1), dim=1).value(X), "split: input: expected length 2 along axis 1, got 3"),
        (lambda: ops.split(0), "split: split_size_or_sections"),
        (lambda: ops.chunk(0), "chunk: chunks: expected 1 at least"),
        (lambda: ops.pad((1,)), "pad: pad: expected two numbers for each axis"),
        (lambda: ops.pad((1, 1), mode="mirror"), "pad: mode: expected constant, reflect, replicate, circular"),
        (lambda: ops.pad((-1, 1), mode="reflect"), "pad: pad: expected no negative number with mode 'reflect'"),
        (lambda: ops.pad((4, 0), mode="reflect").value(X), "pad: pad: expected 3 at most around length 4"),
        (lambda: ops.pad((5, 0), mode="circular").value(X), "pad: pad: expected 4 at most around length 4"),
        (lambda: ops.pad((1, 1) * 4).value(X), "pad: input: expected 4 dimensions at least"),
        (lambda: ops.pad((-2, -2)).value(X), "pad: input: expected numbers left along every axis"),
    ],
)  # fmt: skip
def test_shapes_and_parameters_that_do_not_fit_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_a_parameter_that_is_no_whole_number_is_refused() -> None:
    with pytest.raises(TypeError, match=r"reshape: shape: expected a whole number, got 2\.0"):
        ops.reshape((2.0, 3))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="flip: dims: expected a whole number, got True"):
        ops.flip(True)


@pytest.mark.parametrize("case", [c for c in ONE if c[0].parameters], ids=_name)
def test_a_row_is_known_by_its_call(case: tuple[Operation, Any]) -> None:
    row, _ = case
    again = pickle.loads(pickle.dumps(row))
    assert again == row
    assert again.parameters == row.parameters
