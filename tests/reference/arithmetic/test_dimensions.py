"""In any number of dimensions every arithmetic answers as NumPy does, exactly where nothing is rounded."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.arithmetic import dispatch as ar
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import Decisions, Mask, precision
from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy


@pytest.fixture(autouse=True, scope="module")
def _bits():
    with precision(128):
        yield


def source(name="float64", runs=3, seed=0):
    return NoiseSource(get_format(name), runs, np.random.default_rng(seed))


KINDS = {
    "noisy": lambda a: Noisy.exact(a, source()),
    "ball": Ball.exact,
    "ball with rational numbers": lambda a: Ball.exact(a, Decisions(hull=True, rational=True)),
    "all runs": lambda a: Noisy(np.stack([np.asarray(a, dtype=float)] * 4), source()),
}


def number(z):
    """The one value of every element, which no rounding touched."""
    if isinstance(z, Noisy):
        assert np.array_equal(z.data, np.broadcast_to(z.data[:1], z.data.shape), equal_nan=True)
        return z.data[0]
    if isinstance(z, Ball):
        low, high = z.bounds()
        assert np.array_equal(low, high)
        return low
    return np.asarray(z)


def assert_numpy_s(z, expected):
    found = number(z)
    assert np.shape(z) == found.shape == np.shape(expected)
    assert (z.ndim, z.size) == (np.ndim(z), np.size(z)) == (np.ndim(expected), np.size(expected))
    assert np.array_equal(found, expected)


def small(rng, shape):
    """Multiples of ¼ from −2 to 2: sums and products of a few are exact in every format."""
    return rng.integers(-8, 9, shape) / 4


def shapes(least=0, most=6):
    return st.lists(st.integers(1, 3), min_size=least, max_size=most).map(tuple)


def axis_of(rng, ndim):
    return int(rng.integers(-ndim, ndim))


def some_axes(rng, ndim):
    """None, one axis, or some, in any order and counted from either end."""
    kind = rng.integers(3)
    if kind == 0 or ndim == 0:
        return None
    if kind == 1:
        return axis_of(rng, ndim)
    chosen = rng.permutation(ndim)[: rng.integers(1, ndim + 1)]
    return tuple(int(a) - (ndim if rng.integers(2) else 0) for a in chosen)


def any_shape(rng, x):
    """Another shape of as many elements, one axis perhaps −1."""
    parts = [x.size] if rng.integers(2) else [1, x.size, 1]
    if rng.integers(2):
        parts[int(rng.integers(len(parts)))] = -1
    return tuple(parts)


# A function of an array of at least one axis; every draw is made before the arithmetics see it.
FUNCTIONS = {
    "T": lambda rng, a: lambda x: x.T,
    "transpose": lambda rng, a: partial(lambda p, x: x.transpose(*p), rng.permutation(a.ndim).tolist()),
    "transpose(tuple)": lambda rng, a: partial(lambda p, x: x.transpose(p), tuple(rng.permutation(a.ndim).tolist())),
    "np.transpose": lambda rng, a: partial(lambda p, x: np.transpose(x, p), rng.permutation(a.ndim).tolist()),
    "swapaxes": lambda rng, a: partial(lambda i, j, x: x.swapaxes(i, j), axis_of(rng, a.ndim), axis_of(rng, a.ndim)),
    "np.swapaxes": lambda rng, a: partial(
        lambda i, j, x: np.swapaxes(x, i, j), axis_of(rng, a.ndim), axis_of(rng, a.ndim)
    ),
    "np.moveaxis": lambda rng, a: partial(
        lambda i, j, x: np.moveaxis(x, i, j), axis_of(rng, a.ndim), axis_of(rng, a.ndim)
    ),
    "np.expand_dims": lambda rng, a: partial(lambda i, x: np.expand_dims(x, i), axis_of(rng, a.ndim)),
    "np.squeeze": lambda rng, a: np.squeeze,
    "reshape": lambda rng, a: partial(lambda s, x: x.reshape(*s), any_shape(rng, a)),
    "reshape(tuple)": lambda rng, a: partial(lambda s, x: x.reshape(s), any_shape(rng, a)),
    "np.reshape": lambda rng, a: partial(lambda s, x: np.reshape(x, s), any_shape(rng, a)),
    "np.ravel": lambda rng, a: np.ravel,
    "np.broadcast_to": lambda rng, a: lambda x: np.broadcast_to(x, (2, *a.shape)),
    "np.concatenate": lambda rng, a: partial(
        lambda i, b, x: np.concatenate([x, b, x + 1], axis=i), axis_of(rng, a.ndim), small(rng, a.shape)
    ),
    "np.stack": lambda rng, a: partial(
        lambda i, b, x: np.stack((b, x), axis=i), int(rng.integers(-a.ndim - 1, a.ndim + 1)), small(rng, a.shape)
    ),
    "np.flip": lambda rng, a: partial(lambda i, x: np.flip(x, i), some_axes(rng, a.ndim)),
    "np.roll": lambda rng, a: partial(lambda i, x: np.roll(x, 2, axis=i), axis_of(rng, a.ndim)),
    "np.take": lambda rng, a: partial(lambda i, x: np.take(x, np.zeros((2, 2), int), axis=i), axis_of(rng, a.ndim)),
    "np.take_along_axis": lambda rng, a: partial(
        lambda i, x: np.take_along_axis(x, a.argsort(axis=i), axis=i), axis_of(rng, a.ndim)
    ),
    "np.repeat": lambda rng, a: partial(lambda i, x: np.repeat(x, 2, axis=i), axis_of(rng, a.ndim)),
    "np.tile": lambda rng, a: lambda x: np.tile(x, (2, 1)),
    "np.pad": lambda rng, a: partial(lambda w, x: np.pad(x, w), rng.integers(0, 3, (a.ndim, 2)).tolist()),
    "np.zeros_like": lambda rng, a: np.zeros_like,
    "np.ones_like": lambda rng, a: np.ones_like,
    "sum": lambda rng, a: partial(
        lambda i, k, x: x.sum(axis=i, keepdims=k), some_axes(rng, a.ndim), bool(rng.integers(2))
    ),
    "np.sum": lambda rng, a: partial(
        lambda i, k, x: np.sum(x, i, keepdims=k), some_axes(rng, a.ndim), bool(rng.integers(2))
    ),
    "max": lambda rng, a: partial(
        lambda i, k, x: x.max(axis=i, keepdims=k), some_axes(rng, a.ndim), bool(rng.integers(2))
    ),
    "min": lambda rng, a: partial(
        lambda i, k, x: x.min(axis=i, keepdims=k), some_axes(rng, a.ndim), bool(rng.integers(2))
    ),
    "np.max": lambda rng, a: partial(lambda i, x: np.max(x, axis=i), some_axes(rng, a.ndim)),
    "np.amin": lambda rng, a: partial(lambda i, x: np.amin(x, axis=i), some_axes(rng, a.ndim)),
    "np.amax": lambda rng, a: partial(lambda i, x: np.amax(x, axis=i), some_axes(rng, a.ndim)),
    "np.min": lambda rng, a: partial(lambda i, x: np.min(x, axis=i), some_axes(rng, a.ndim)),
    "np.cumsum": lambda rng, a: partial(
        lambda i, x: np.cumsum(x, axis=i), None if rng.integers(4) == 0 else axis_of(rng, a.ndim)
    ),
    "np.where": lambda rng, a: partial(
        lambda m, b, x: np.where(m, x, b), rng.integers(2, size=a.shape) > 0, small(rng, a.shape[1:])
    ),
    "np.where of a comparison": lambda rng, a: lambda x: np.where(x > 0.25, x, -1.0),
    "np.where of a comparison alone": lambda rng, a: lambda x: np.where(x > 0.25, 2.0, x[..., :1]),
    "largest": lambda rng, a: partial(lambda i, x: ar.largest(x, i)[1], axis_of(rng, a.ndim)),
    "largest's mask": lambda rng, a: partial(lambda i, x: ar.indicator(ar.largest(x, i)[0], x), axis_of(rng, a.ndim)),
    "zeros": lambda rng, a: lambda x: ar.zeros((2, 0, 3), x),
    "in_format": lambda rng, a: lambda x: ar.in_format(x, "bfloat16"),
    "power": lambda rng, a: partial(lambda n, x: x**n, int(rng.integers(4))),
    "powers": lambda rng, a: partial(lambda n, x: np.power(ar.in_format(x, None), n), rng.integers(0, 2, a.shape)),
    "square": lambda rng, a: lambda x: np.square(np.sign(x) * 2),
    "reciprocal": lambda rng, a: lambda x: np.reciprocal(np.where(x > 0, 4.0, x * 0 - 0.5)),
    "logical": lambda rng, a: lambda x: np.where(np.logical_and(x > 0, np.logical_not(x > 1)), x, 0.0),
}
ROUNDED = {"power", "sum", "np.sum", "np.cumsum"}
"""What noise counts as rounded although these numbers have room in the format; the run without noise is NumPy's."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=max(8, settings.default.max_examples // 6))  # 48 functions in 4 arithmetics
@given(shape=shapes(least=1), seed=st.integers(0, 2**32))
def test_a_function_of_an_array_is_numpy_s(name, kind, shape, seed):
    rng = np.random.default_rng(seed)
    a = small(rng, shape)
    f = FUNCTIONS[name](rng, a)
    z = f(KINDS[kind](a))
    if name in ROUNDED and isinstance(z, Noisy):
        z = Noisy(z.data[:1], z.source)
    assert_numpy_s(z, f(a))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("f", [np.tril, np.triu, np.diagonal])
@given(shape=shapes(least=2), k=st.integers(-2, 2), seed=st.integers(0, 2**32))
def test_parts_of_matrices_are_numpy_s(f, kind, shape, k, seed):
    a = small(np.random.default_rng(seed), shape)
    assert_numpy_s(f(KINDS[kind](a), k), f(a, k))


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_without_axes_is_an_array_too(kind):
    a = np.array(0.75)
    for f in (
        lambda x: x.T, lambda x: x.reshape(1, 1), lambda x: x[None, ...], lambda x: x.sum(), np.ravel, np.zeros_like,
        lambda x: np.broadcast_to(x, (2, 3)), lambda x: x.max(keepdims=True), lambda x: x[()], lambda x: x + np.ones(2),
        lambda x: np.expand_dims(x, 0), lambda x: np.stack([x, x]), np.squeeze, np.transpose, lambda x: x[..., None],
    ):  # fmt: skip
        assert_numpy_s(f(KINDS[kind](a)), f(a))


def index_of(rng, shape):
    """An index with whole numbers, slices, None, an ellipsis, arrays of whole numbers and of truth values."""
    parts, axis, ellipsis = [], 0, False
    while axis < len(shape):
        kind = rng.integers(8)
        n = shape[axis]
        if kind == 0:
            parts.append(int(rng.integers(-n, n)))
        elif kind in (1, 2):
            parts.append(slice(*sorted(rng.integers(0, n + 1, 2).tolist()), int(rng.integers(1, 3))))
        elif kind == 3:
            parts.append(None)
            continue
        elif kind == 4 and not ellipsis:
            parts.append(...)
            ellipsis = True
            axis += int(rng.integers(0, len(shape) - axis + 1))
            continue
        elif kind == 5:
            parts.append(rng.integers(-n, n, (2, 1) if rng.integers(2) else (2,)))
        elif kind == 6:
            mask = np.zeros(n, dtype=bool)
            mask[rng.permutation(n)[:2]] = True
            parts.append(mask if mask.sum() == 2 else slice(None))
        else:
            parts.append(slice(None, None, -1))
        axis += 1
        if not ellipsis and rng.integers(8) == 0:
            break
    return tuple(parts)


@pytest.mark.parametrize("kind", KINDS)
@given(shape=shapes(), seed=st.integers(0, 2**32))
def test_an_index_takes_what_numpy_s_takes(kind, shape, seed):
    rng = np.random.default_rng(seed)
    a, index = small(rng, shape), index_of(rng, shape)
    index = index[0] if len(index) == 1 and rng.integers(2) else index
    x = KINDS[kind](a)
    assert_numpy_s(x[index], a[index])
    mask = rng.integers(2, size=shape) > 0
    assert_numpy_s(x[mask], a[mask])


def test_arrays_apart_in_an_index_come_first():
    a = np.arange(60.0).reshape(3, 4, 5)
    index = (np.array([0, 2]), slice(1, 3), np.array([1, 4]))
    for make in KINDS.values():
        assert make(a)[index].shape == (2, 2)
        assert_numpy_s(make(a)[index], a[index])
        assert_numpy_s(make(a)[:, np.array([[0], [1]]), np.array([1, 4])], a[:, np.array([[0], [1]]), np.array([1, 4])])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("f", [np.add, np.subtract, np.multiply, np.maximum, np.minimum, np.greater, np.less_equal])
@settings(max_examples=max(8, settings.default.max_examples // 4))
@given(shape=shapes(), other=shapes(most=3), seed=st.integers(0, 2**32))
def test_operators_broadcast(f, kind, shape, other, seed):
    rng = np.random.default_rng(seed)
    other = tuple(n if rng.integers(2) else 1 for n in shape[len(shape) - len(other) :])
    scale = np.exp2(rng.integers(-2, 3, other))
    a, b = small(rng, shape), scale * rng.choice([-1, 1], other)
    make = KINDS[kind]
    for left, right in ((a, b), (b, a)):
        expected = f(left, right)
        for z in (f(make(left), make(right)), f(make(left), right), f(left, make(right))):
            assert_numpy_s(ar.indicator(z, make(a)) if expected.dtype == bool else z, expected)


@pytest.mark.parametrize("kind", KINDS)
@given(
    batch=shapes(most=3), one=st.integers(0, 3), ends=st.tuples(*[st.integers(1, 3)] * 3), seed=st.integers(0, 2**32)
)
def test_a_matrix_product_broadcasts_its_leading_axes(kind, batch, one, ends, seed):
    rng = np.random.default_rng(seed)
    n, k, m = ends
    left, right = (
        tuple(size if rng.integers(3) else 1 for size in batch)[rng.integers(len(batch) + 1) :] for _ in "ab"
    )
    a = small(rng, k if one & 1 else (*left, n, k))
    b = small(rng, k if one & 2 else (*right, k, m))
    make = KINDS[kind]
    for z in (make(a) @ make(b), make(a) @ b, a @ make(b)):
        found = Noisy(z.data[:1], z.source) if isinstance(z, Noisy) else z
        assert_numpy_s(found, a @ b)


@pytest.mark.parametrize("make", KINDS.values())
def test_products_that_do_not_fit_are_refused(make):
    for left, right in (((2, 3), (2, 3)), ((), (2,)), ((2, 2, 3), (3, 3, 2)), ((3,), (2,))):
        with pytest.raises(ValueError, match=r"matmul|broadcast"):
            _ = make(np.ones(left)) @ make(np.ones(right))


@pytest.mark.parametrize("kind", KINDS)
@given(shape=shapes(least=1, most=4), seed=st.integers(0, 2**32))
def test_values_added_at_an_index_are_numpy_s(kind, shape, seed):
    rng = np.random.default_rng(seed)
    index = index_of(rng, shape)
    values = small(rng, np.zeros(shape)[index].shape)
    expected = np.zeros(shape)
    np.add.at(expected, index, values)
    found = ar.added_at(shape, index, KINDS[kind](values))
    if isinstance(found, Noisy):
        found = Noisy(found.data[:1], found.source)
    assert_numpy_s(found, expected)
    assert_numpy_s(ar.added_at(shape, index, values), expected)


@given(shape=shapes(), seed=st.integers(0, 2**32))
def test_a_mask_is_moved_as_numpy_moves_truth_values(shape, seed):
    rng = np.random.default_rng(seed)
    certain = rng.integers(2, size=shape) > 0
    possible = certain | (rng.integers(2, size=shape) > 0)
    mask, index = Mask(certain, possible), index_of(rng, shape)
    for f in (
        lambda x: x.T, lambda x: x.reshape(-1), lambda x: x[index], lambda x: np.broadcast_to(x, (2, *shape)),
        lambda x: np.stack([x, x]), lambda x: np.expand_dims(x, 0), np.squeeze, lambda x: np.logical_or(x, False),
        lambda x: x.reshape(1, -1).swapaxes(0, 1), lambda x: np.pad(x.reshape(-1), 1),
    ):  # fmt: skip
        found = f(mask)
        assert found.shape == f(certain).shape
        assert found.certain.tolist() == f(certain).tolist()
        assert found.possible.tolist() == f(possible).tolist()
    other = mask ^ np.array(True)
    assert np.array_equal(other.certain, ~possible)
    assert np.array_equal(other.possible, ~certain)
    assert np.array_equal(np.logical_not(mask).undecided, mask.undecided)


@pytest.mark.parametrize("kind", KINDS)
def test_truth_values_are_counted(kind):
    values = np.array([[1.0, -1.0, 2.0], [3.0, -1.0, -2.0]])
    found = ar.number_holding(KINDS[kind](values) > 0, np.array([0, 1, 2]))
    expected = [[False, False], [False, True], [True, False]]
    np.testing.assert_array_equal(found.data[0] if isinstance(found, Noisy) else found, expected)


def test_an_undecided_truth_value_may_count():
    mask = Mask(np.array([[True, False, False]]), np.array([[True, True, False]]))
    found = ar.number_holding(mask, np.array([0, 1, 2, 3]))
    assert found.certain.ravel().tolist() == [False] * 4
    assert found.possible.ravel().tolist() == [False, True, True, False]
