"""Compiled loops give what NumPy gives of the same lines, to the last bit but rarely."""

import contextvars
import functools
import math
import os
import subprocess
import sys

import numpy as np
import pytest

import reference as ref
from benchmarks.exactness.independent_formulas import ULPS
from reference.arithmetic.symbol import FUNCTIONS
from reference.functions import compiled as room
from reference.functions import gates, logistic, mish, powers
from reference.functions.basics import one, zero
from reference.functions.compiled import compiled, lines_of
from reference.functions.elementwise import elementwise, together
from reference.functions.written import noted
from tests.helpers.exponentials import SAME_EXPONENTIAL

WRITTEN = {
    name: function
    for room in (gates, logistic, mish, powers)
    for name, function in vars(room).items()
    if noted(function) is not None
    and name not in ("softplus", "sigmoid_second", "tanh_second")  # they call log1p and tanh
}
ENDS = (
    0.0,
    np.inf,
    np.nan,
    1e-45,
    1e-40,
    1.2e-38,
    1e-20,
    87.3,
    88.7,
    103.97,
    104.1,
    709.0,
    745.2,
    1024.0,
    1025.0,
    1e38,
)
ORDINARY = np.random.default_rng(0).standard_normal(20_000)
NUMBERS = np.concatenate([np.array([*ENDS, *(-x for x in ENDS)]), *(ORDINARY * s for s in (1e-3, 1, 10, 200))])
TYPES = [np.float32, np.float64]


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ["gelu", "gelu_tanh_derivative", "sigmoid", "mish_second"])
def test_a_compiled_loop_gives_what_numpy_gives(name, dtype):
    """To the last bit where its exponential is NumPy's, which is another one on processors with AVX-512."""
    function, numbers = WRITTEN[name], NUMBERS.astype(dtype)
    by_numpy = function(numbers)
    with compiled():
        by_loop = function(numbers)
    assert by_loop.dtype == dtype
    if dtype == np.float32 or SAME_EXPONENTIAL:
        np.testing.assert_array_equal(by_loop, by_numpy)
    np.testing.assert_array_max_ulp(by_loop, by_numpy, maxulp=ULPS)


@pytest.mark.explore
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", WRITTEN)
def test_every_compiled_loop_gives_what_numpy_gives(name, dtype):
    test_a_compiled_loop_gives_what_numpy_gives(name, dtype)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("name", WRITTEN)
def test_every_formula_can_be_written_down(name, wide):
    shared, formula, _ = noted(WRITTEN[name])
    lines, (result,) = lines_of(shared, (formula,), wide)
    assert lines[-1].startswith(f"{result} = ")
    called = {
        word.split("(")[0].split()[-1] for line in lines for word in line.split("=", 1)[1].split(",") if "(" in word
    }
    assert called <= {*FUNCTIONS.values(), "abs"}


def test_value_and_slope_share_their_parts_in_one_loop():
    z = ORDINARY.astype(np.float32).reshape(4, -1)
    with compiled():
        y, slope = together(gates.gelu_tanh, gates.gelu_tanh_derivative, z)
    assert np.array_equal(y, gates.gelu_tanh(z))
    assert np.array_equal(slope, gates.gelu_tanh_derivative(z))
    lines, _ = lines_of(*noted(gates.gelu_tanh)[:1], (noted(gates.gelu_tanh)[1], noted(gates.gelu_tanh_derivative)[1]))
    assert sum("exp(" in line for line in lines) == 1


def test_other_types_and_functions_and_arrays_without_numbers_are_as_they_were():
    z = np.linspace(-3, 3, 7)
    with compiled():
        for dtype in (np.float16, np.complex128):
            assert np.array_equal(gates.silu(z.astype(dtype)), _outside(gates.silu, z.astype(dtype)))
        assert np.array_equal(logistic.tanh_second(z), _outside(logistic.tanh_second, z))
        assert gates.silu(np.zeros((0, 3), np.float32)).shape == (0, 3)
        assert gates.silu(np.ones((2, 3), np.float32).T).shape == (3, 2)
        assert gates.silu(np.float32(1)) == np.float32(0.7310586)


def _outside(function, z):
    return contextvars.Context().run(function, z)


def test_gradients_are_those_without_it_and_the_switch_is_turned_back():
    mlp = ref.initialize([5, 7, 3], activations=["gelu", "identity"], seed=0, dtype=np.float32)
    x = np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32)
    problem = ref.Problem(mlp, x, np.array([0, 1, 2, 0]), "cross_entropy")
    with ref.compiled():
        found = ref.gradients(problem)
    with pytest.raises(TypeError), ref.compiled():
        ref.initialize([])
    for place, leaf in ref.gradients(problem).leaves().items():
        assert np.array_equal(found[place], leaf)
    calls = []

    @elementwise()
    def watched(z):
        calls.append(type(z).__name__)
        return z + 1

    watched(x)
    with ref.compiled():
        watched(x)
        watched(x)
    watched(x)
    assert calls == ["Wide", "Symbol", "Wide"]  # compiled once, and no longer


def _aliased(z):
    y = z * 2
    other = y
    other += 1
    return y * other


def _filled(z):
    y = np.empty_like(z)
    np.exp(-z, out=y)
    y[y > 1] = 1
    return y


def _mask_in_place(z):
    mask = z > 0
    mask += z > -1
    return mask * z


ODD = {
    "0 of its shape": lambda z: zero(z) + 2,
    "1 of its shape": lambda z: one(z) * 2,
    "0 divided": lambda z: 0 / (z * -0.0),
    "infinity": lambda z: np.minimum(z, math.inf),
    "no number": lambda z: np.where(z > 0, z, math.nan),
    "itself": lambda z: z,
    "a number": lambda z: 1.0,
    "a truth value": lambda z: z > 0,
    "truth values added": lambda z: ((z > 0) + (z > -1)) * z,
    "exp of a truth value": lambda z: np.exp(z > 0) * z,
    "one less a truth value": lambda z: 1 - (z > 0),
    "truth values combined": lambda z: np.where((z > 0) & ~(z > 1) | (z < -1), z, 0),
    "a truth value changed": _mask_in_place,
    "a choice between integers": lambda z: -np.where(z > 0, 0, 1),
    "a choice between narrow numbers": lambda z: np.where(z > 0, *np.float32([0.1, 0.2])) * np.float32(3.3) * z,
    "a complex number": lambda z: (z * np.complex128(1 + 2j)).imag,
    "a longer number": lambda z: z * np.longdouble("0.1"),
    "a larger integer": lambda z: z * 10**300,
    "an array": lambda z: z * np.array([1.0, 2.0, 3.0, 4.0]),
    "its type": lambda z: z * np.finfo(z.dtype).eps,
    "its neighbours": lambda z: z - z.sum(),
    "converted": lambda z: np.asarray(z).astype(np.float64) * 2,
    "stacked": lambda z: np.stack([z, z])[0] + np.array([z, z]).sum(axis=0),
    "branches": lambda z: z if np.any(z > 0) else -z,
    "changed under another name": _aliased,
    "into an array of its own": _filled,
    "clipped": lambda z: np.clip(z, -1, 1),
    "another formula": lambda z: np.tanh(z) * logistic.sigmoid(z),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ODD)
def test_odd_formulas_give_what_they_give_without_it(name, dtype):
    """In type, order, sign of zero and value: compiled where a program can say the same, by NumPy where not."""
    z = np.array([[0.0, -0.0, 1.0, -1.0], [np.inf, -np.inf, np.nan, 2.5], [1e-40, -3.0, 0.5, -1e-3]], dtype)
    _same(elementwise()(ODD[name]), z)


@pytest.mark.parametrize("dtype", TYPES)
def test_odd_arrays_give_what_they_give_without_it(dtype):
    z = np.random.default_rng(0).standard_normal((6, 8)).astype(dtype)
    unaligned = np.ndarray((6, 4), dtype, buffer=bytearray(z.tobytes()), offset=1)
    large = np.asfortranarray(np.random.default_rng(1).standard_normal((300, 200)).astype(dtype))
    orders = z.T, z[::2, ::3], z[::-1], z.reshape(2, 3, 8).transpose(1, 0, 2), np.broadcast_to(z[0], (5, 8)), large
    others = z.astype(z.dtype.newbyteorder()), np.ma.masked_less(z, 0), np.array(0.7, dtype), dtype(0.7), unaligned
    for array in (*orders, *others):
        _same(gates.silu, array)
    z.flags.writeable = False
    _same(gates.silu, z)


def _same(function, z):
    expected = _outside(function, z)
    with compiled():
        found = function(z)
    assert (type(found), np.asarray(found).dtype) == (type(expected), np.asarray(expected).dtype)
    np.testing.assert_array_equal(found, expected, strict=True)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
    assert getattr(found, "strides", None) == getattr(expected, "strides", None)


def test_a_function_that_is_called_like_one_of_numpys_is_another():
    import numba

    @numba.vectorize(["float64(float64, float64)"])
    def maximum(x, y):
        return x + y

    _same(elementwise()(lambda z: maximum(z, 1.0)), ORDINARY)


def test_what_may_change_between_two_calls_is_not_compiled():
    class Times:
        factor = 2.0
        __hash__ = None

        def __call__(self, z):
            return self.factor * z

    times = Times()
    functions = elementwise()(times.__call__), elementwise()(functools.partial(times))
    for times.factor in (2.0, 3.0):
        for function in functions:
            _same(function, ORDINARY)


def test_formulas_of_the_same_lines_share_a_loop_and_no_more_are_compiled_than_a_process_may_hold(monkeypatch):
    def row(factor):
        return elementwise()(lambda z: factor * z - 0.123)

    before = len(room._LOOPS)
    monkeypatch.setattr(room, "MOST", before + 2)
    for factor, loops in ((0.5, 1), (0.5, 1), (0.25, 2), (0.75, 2), (0.25, 2)):
        _same(row(factor), ORDINARY)
        assert len(room._LOOPS) == before + loops


def test_it_is_turned_off_in_whatever_order_generators_end():
    def suspended():
        with compiled():
            yield

    first, second, elsewhere = suspended(), suspended(), suspended()
    next(first)
    next(second)
    contextvars.copy_context().run(next, elsewhere)
    for generator in (elsewhere, first, second):
        generator.close()
    assert not room._DEPTH.get()


def test_with_numba_turned_off_numpy_computes():
    imports = "import numpy as np, reference as ref\nfrom reference.functions.gates import silu\n"
    program = f"{imports}with ref.compiled(): print(silu(np.ones(1, np.float32)))"
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, capture_output=True, text=True, check=True, env={**os.environ, "NUMBA_DISABLE_JIT": "1"})
    assert done.stdout == "[0.7310586]\n"


def test_without_numba_it_says_what_is_missing():
    program = "import sys; sys.modules['numba'] = None\nimport reference as ref\nwith ref.compiled(): pass"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith("Numba is not installed; pip install 'gradient-oracle[compiled]'")
