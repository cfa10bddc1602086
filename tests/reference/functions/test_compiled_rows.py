"""Compiled formulas of rows give what NumPy gives, to the last bit where both add up in the same order."""

import numpy as np
import pytest

import reference as ref
from benchmarks.exactness.independent_formulas import ULPS
from reference.functions import softmax
from reference.functions.compiled import compiled
from reference.functions.compiled_rows import loop_of_rows, source_of
from reference.functions.elementwise import BLOCK, rowwise
from reference.operations import standardized
from reference.operations.table import OPERATIONS
from tests.helpers.exponentials import SAME_EXPONENTIAL

MAKERS = {"centred": (standardized.root_of(1e-5), True), "uncentred": (None, False)}
ENDS = np.float32([0, -0.0, 1, np.inf, -np.inf, np.nan, 3e38, -3e38, 1e-45, -90, 90, 17])
TYPES = [np.float32, np.float64]


def _rows(rng, count, length, dtype):
    """Ordinary rows, one of equal numbers, and one with two largest."""
    z = (rng.normal(size=(count, length)) * 3).astype(dtype)
    z[-1] = 2
    z[0, :: max(length - 1, 1)] = 9
    return z


def _functions(rng, z):
    """Every formula of rows, as a function of nothing."""
    other = rng.normal(size=z.shape).astype(z.dtype)
    take = rng.random(z.shape) < 0.7
    take[0] = False
    top, weights = softmax.masked_softmax(z, None)
    found = {
        "masked softmax": lambda: softmax.masked_softmax(z, take),
        "softmax": lambda: softmax.masked_softmax(z, None),
        "softmax's product": lambda: softmax.softmax_product(top.astype(z.dtype), weights, other),
        "softmax's parts": lambda: softmax._softmax_parts(z),
        "cross-entropy of probabilities": lambda: softmax.softmax_cross_entropy(z, other, None),
        "cross-entropy of classes": lambda: softmax.softmax_cross_entropy(z, other, top),
    }
    for name, given in MAKERS.items():
        parts = standardized._parts(*given)(z)
        found[f"{name} rows"] = lambda given=given: standardized._parts(*given)(z)
        found[f"product of {name} rows"] = lambda given=given, parts=parts: standardized._product(given[1])(
            other, *parts
        )
    return found


def _both(function):
    """What NumPy gives, and what the loop gives."""
    with np.errstate(all="ignore"):
        expected = function()
        with compiled():
            found = function()
    return [y if isinstance(y, tuple) else (y,) for y in (expected, found)]


def _negative(y):
    """Where the sign is that of a negative number or of −0; NaN has none."""
    return np.zeros(y.shape, bool) if y.dtype == bool else np.signbit(y) & ~np.isnan(y)


def _assert_same(function, name=""):
    """To the last bit, but where NumPy's exponential is another."""
    for expected, found in zip(*_both(function), strict=True):
        if SAME_EXPONENTIAL or expected.dtype != np.float64:
            np.testing.assert_array_equal(found, expected, strict=True, err_msg=name)
            np.testing.assert_array_equal(_negative(found), _negative(expected), err_msg=name)
        else:
            scale = np.abs(expected).max(axis=-1, keepdims=True, initial=0)
            off = np.abs(found - expected) / np.spacing(scale)  # NaN where both are infinite or none
            assert not np.any(off > ULPS), name
            np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected), err_msg=name)


SHAPES = [(3, 1), (4, 2), (32, 10), (5, 7), (2, 8), (9, 9), (400, 128), (1, 100), (7, 300), (3, 2049)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", TYPES)  # and no further: a worker compiles all formulas for each
def test_a_loop_over_rows_gives_what_numpy_gives(dtype):
    """Of all shapes; of infinities, and of numbers that are none."""
    rng = np.random.default_rng(6)
    finite = ENDS[~np.isnan(ENDS)][np.arange(len(ENDS)) % (len(ENDS) - 1)]
    ends = np.stack([rng.permutation(row) for _ in range(20) for row in (ENDS, finite)]).astype(dtype)
    ends[3], ends[4], ends[5] = np.inf, -np.inf, np.nan
    for z in (*(_rows(rng, *shape, dtype) for shape in SHAPES), ends):
        for name, function in _functions(rng, z).items():
            _assert_same(function, f"{name} of {z.shape}")


def test_arrays_of_other_axes_orders_and_types_give_what_they_give_without_it():
    rng = np.random.default_rng(7)
    z = rng.normal(size=(3, 4, 6)).astype(np.float32)
    take = np.tri(4, 6, dtype=bool)
    given = [
        (z, np.broadcast_to(take, z.shape)), (z[:, ::2], None), (z.transpose(1, 0, 2), None),
        (np.asfortranarray(z), None), (z, take),
        (z[0], np.broadcast_to(take, z.shape)), (z[0, 0], None), (z[:0], None), (z.astype(">f4"), None),
        (z.astype(np.float64), None), (z.astype(np.float16), None),
    ]  # fmt: skip
    for arrays in given:
        _assert_same(lambda arrays=arrays: softmax.masked_softmax(*arrays))


def _longer(z):
    s = z.sum(axis=-1, keepdims=True)
    s += z
    return s


ODD = {
    "another axis": lambda z: z - z.sum(axis=0),
    "all axes": lambda z: z / z.sum(),
    "an axis lost": lambda z: z.sum(axis=-1),
    "the number of rows": lambda z: z * z.shape[0],
    "the shape": lambda z: np.zeros(z.shape, z.dtype) + z,
    "a sum of truth values": lambda z: z * (z > 0).sum(axis=-1, keepdims=True),
    "a truth value of a row": lambda z: z.sum(axis=-1, keepdims=True) > 0,
    "truth values": lambda z: (z > 0, z),
    "neighbours": lambda z: z[..., ::-1] + z,
    "a logarithm of elements": lambda z: np.log1p(z * z),
    "a logarithm of a sum": lambda z: z - np.log1p((z * z).sum(axis=-1, keepdims=True)),
    "a sum of a sum": lambda z: z * z.sum(axis=-1, keepdims=True).sum(axis=-1, keepdims=True),
    "a length": lambda z: z / z.shape[-1],
    "a sum of lengths": lambda z: z + z.sum(axis=-1, keepdims=True).shape[-1],
    "an array": lambda z: z * np.arange(6.0),
    "a sum and what it was made of": lambda z: (z.sum(axis=-1, keepdims=True), z),
    "the mask of a mean": lambda z: np.where(z > z.sum(axis=-1, keepdims=True) / z.shape[-1], z, 0.0),
    "no number": lambda z: 1.0,
    "nothing": lambda z: (),
    "one of several": lambda z: (z * 2,),
    "a sum of zeros and ones": lambda z: (np.zeros_like(z) + 1).sum(axis=-1, keepdims=True),
    "zeros and a sum": lambda z: np.zeros_like(z) + z.sum(axis=-1, keepdims=True),
    "zeros": lambda z: (z, np.zeros_like(z)),
    "the length of zeros": lambda z: z * np.zeros_like(z).shape[-1],
    "a length alone": lambda z: (z, z.shape[-1]),
    "a sum that becomes longer": _longer,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_formulas_give_what_they_give_without_it(name):
    z = np.random.default_rng(8).normal(size=(5, 6)).astype(np.float32)
    function = rowwise(ODD[name])
    expected = _result(function, z)
    with compiled():
        found = _result(function, z)
    assert type(found) is type(expected)
    for ours, right in zip(*(y if isinstance(y, tuple) else (y,) for y in (found, expected)), strict=True):
        np.testing.assert_array_equal(ours, right, strict=True)


def _result(function, z):
    """What it gives, or the text of its error."""
    try:
        return function(z)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("dtype", TYPES)
def test_what_is_broadcast_or_ordered_otherwise_is_computed_by_numpy(dtype):
    """Its sums run in another order, or its results have other shapes."""
    rng = np.random.default_rng(10)
    z, large = rng.normal(size=(4, 5, 6)).astype(dtype), np.asfortranarray(rng.normal(size=(300, 200)).astype(dtype))
    take = np.array(True)
    formulas = {
        "a sum": lambda z, q: (q.sum(axis=-1, keepdims=True), z * q), "twice": lambda z, q: (z * 2, z * q),
    }  # fmt: skip
    for formula in formulas.values():
        for q in (z[0, 0], z[:, :1], np.stack([z] * 3), np.array(2, dtype)):
            if q.ndim or formula is formulas["twice"]:
                _assert_same(lambda formula=formula, q=q: rowwise(formula)(z, q))
    for array in (z, large):
        _assert_same(lambda array=array: softmax.masked_softmax(array, take))
    for array in (large, large.T, np.asfortranarray(z), np.asfortranarray(large[:6, :21])):
        _assert_same(lambda array=array: softmax.masked_softmax(array, None))
        _assert_same(lambda array=array: standardized._parts(*MAKERS["centred"])(array))


def test_a_formula_of_whole_numbers_gives_fractions_of_many_rows_too():
    y, t = np.arange(40_000).reshape(400, 100) % 7, np.arange(400) % 100
    loss = ref.losses.cross_entropy()
    np.testing.assert_array_equal(loss.value(y, t), loss.value(y.astype(float), t))
    np.testing.assert_array_equal(loss.gradient(y, t), loss.gradient(y.astype(float), t))
    np.testing.assert_array_equal(loss.gradient(y.astype(">f8"), t), loss.gradient(y.astype(float), t), strict=True)


def test_which_formulas_are_compiled():
    z = np.ones((5, 6), np.float32)
    with compiled():
        found = {name: loop_of_rows(formula, (z,)) is not None for name, formula in ODD.items()}
    assert {name for name, is_compiled in found.items() if is_compiled} == {
        "truth values", "a logarithm of a sum", "a sum of a sum", "a length", "a sum of lengths",
        "a sum and what it was made of", "the mask of a mean", "a sum of zeros and ones", "zeros and a sum", "zeros",
        "the length of zeros",
    }  # fmt: skip
    assert loop_of_rows(ODD["a length"], (z,)) is None


def test_a_stage_computes_what_it_needs_and_keeps_what_a_later_one_needs():
    source, kinds, buffers = source_of(softmax.masked_softmax.__wrapped__, ["elements", "masks"])
    assert kinds == ("masks", "elements")
    assert source.count("for here") == 4
    assert source.count("exp(") == 1
    assert buffers == len(set(source.split(":")[0].split(", ")[4:]))


@pytest.mark.parametrize("name", ["layer_norm", "scaled_dot_product_attention", "rms_norm", "softmax"])
def test_operations_use_loops_and_their_gradients_are_those_without(name):
    rng = np.random.default_rng(9)
    operation = ref.operations.rms_norm(eps=1e-6) if name == "rms_norm" else OPERATIONS[name]
    inputs = tuple(
        rng.normal(size=(2, BLOCK // 64, 96)).astype(np.float32) for _ in range(3 if "attention" in name else 1)
    )

    def gradients():
        y, pull = operation.linearized(inputs)
        return (y, *(g for g in pull(np.cos(y)) if g is not None))

    _assert_same(gradients, name)
