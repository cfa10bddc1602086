"""Compiled loops give what NumPy gives of the same lines, to the last bit but rarely."""

import subprocess
import sys

import numpy as np
import pytest

import reference as ref
from reference.arithmetic.symbol import FUNCTIONS
from reference.functions import gates, logistic, mish, powers
from reference.functions.compiled import compiled, lines_of
from reference.functions.elementwise import elementwise, together
from reference.functions.written import noted

pytest.importorskip("numba")

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
    np.testing.assert_array_max_ulp(by_loop, by_numpy, maxulp=1 if dtype == np.float32 else 4)
    if dtype == np.float32:
        assert np.mean((by_loop != by_numpy) & ~np.isnan(by_numpy)) < 1e-4


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
    assert called <= {*FUNCTIONS, "abs"}


def test_value_and_slope_share_their_parts_in_one_loop():
    z = ORDINARY.astype(np.float32).reshape(4, -1)
    with compiled():
        y, slope = together(gates.gelu_tanh, gates.gelu_tanh_derivative, z)
    np.testing.assert_array_max_ulp(y, gates.gelu_tanh(z), maxulp=1)
    np.testing.assert_array_max_ulp(slope, gates.gelu_tanh_derivative(z), maxulp=1)
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
    import contextvars

    return contextvars.Context().run(function, z)


def test_gradients_are_those_without_it_and_the_switch_is_turned_back():
    mlp = ref.initialize([5, 7, 3], activations=["gelu", "identity"], seed=0, dtype=np.float32)
    x = np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32)
    problem = ref.Problem(mlp, x, np.array([0, 1, 2, 0]), "cross_entropy")
    with ref.compiled():
        found = ref.gradients(problem)
    with pytest.raises(TypeError), ref.compiled():
        ref.initialize([])
    sigma = ref.rounding_scale(problem)
    for place, leaf in ref.gradients(problem).leaves().items():
        assert np.all(np.abs(found[place] - leaf) <= 4 * sigma[place])
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


def test_without_numba_it_says_what_is_missing():
    program = "import sys; sys.modules['numba'] = None\nimport reference as ref\nwith ref.compiled(): pass"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith("Numba is not installed; pip install 'gradient-oracle[compiled]'")
