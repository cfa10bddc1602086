"""Public reports of gradients that were called right or wrong: what the verdict says of each."""

import ml_dtypes
import numpy as np
import pytest
from scipy.special import erf

import reference as ref
import torch_compare as tc
from benchmarks.implementations.correct_gradients import by_jax, by_torch
from reference import activations as act
from reference.arithmetic.formats import FORMATS

BFLOAT16 = ml_dtypes.bfloat16


def operation(x, row, dtype=np.float64):
    """A bare operation as a problem: its upstream gradient is 1."""
    x = np.array(x, dtype)[:, None]
    mlp = ref.MLP((ref.Layer(np.ones((1, 1), dtype), None, row),))
    return ref.Problem(mlp, x, np.full(x.shape, -1024.0, dtype), loss="l1", reduction="sum")


def held(values, name):
    """The numbers rounded to a format."""
    number = {"bfloat16": BFLOAT16, "float16": np.float16}[name]
    return np.asarray(values).astype(np.float32).astype(number)


def wide():
    """256-256-8 with tanh, mean squared error, batch 64."""
    rng = np.random.default_rng(0)
    mlp = ref.initialize([256, 256, 8], ["tanh", "identity"], seed=0)
    return ref.Problem(mlp, rng.normal(size=(64, 256)), rng.normal(size=(64, 8)), "mse")


@pytest.mark.parametrize(
    ("factor", "name"), [(1.3, "bfloat16"), (1.05, "float16"), (1.05, "bfloat16"), (1.01, "float16")]
)
def test_a_common_factor_shows_in_half_precision(factor, name):
    problem = wide()
    given = {place: held(factor * leaf, name) for place, leaf in ref.gradients(problem).leaves().items()}
    verdict = tc.check(problem, given, name, diagnose=False)
    assert verdict.status == "wrong"
    assert verdict.statistics["whole"] > 1
    if verdict.worst.scales <= 32:
        said = float(verdict.decided.split(" is ")[1].split(" × the oracle's")[0])
        assert said == pytest.approx(factor, rel=0.02)
    right = {place: held(leaf, name) for place, leaf in ref.gradients(problem).leaves().items()}
    assert tc.check(problem, right, name).agrees


def test_sums_accumulated_in_bfloat16_are_imprecise():
    """997 ones, added up in bfloat16, stop at 256 (tt-metal#53386)."""
    problem = ref.Problem(
        ref.MLP((ref.Layer(np.zeros((1, 1)), np.zeros(1), "identity"),)),
        np.zeros((997, 1)),
        np.full((997, 1), -1.0),
        "l1",
        "sum",
    )
    assert ref.gradients(problem).layers[0].bias == 997
    verdict = tc.check(problem, {"layers[0].bias": np.array([256.0], BFLOAT16)}, "bfloat16")
    assert (verdict.status, verdict.diagnosis) == ("imprecise", "sums accumulated in bfloat16, not in float32")
    assert tc.check(problem, {"layers[0].bias": np.array([996.0], BFLOAT16)}, "bfloat16").agrees


def test_zeros_for_ones_are_wrong_in_bfloat16():
    """Identity weight 512, tanh at 0, upstream gradient 1 (KernelBench#165)."""
    mlp = ref.MLP((ref.Layer(np.eye(512), None, "tanh"),))
    problem = ref.Problem(mlp, np.zeros((4, 512)), np.full((4, 512), -1024.0), "l1", "sum")
    assert np.all(ref.gradients(problem).input == 1)
    assert tc.check(problem, {"input": np.zeros((4, 512), BFLOAT16)}, "bfloat16").status == "wrong"
    assert tc.check(problem, {"input": np.ones((4, 512), BFLOAT16)}, "bfloat16").agrees


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_customary_formula_that_loses_its_digits_agrees_unless_it_is_strict(dtype):
    """y(1 − y) is 0 where the derivative is 4.2e-18 (tt-metal#35885, #55724; pytorch#195681)."""
    problem = operation([40, 1], "sigmoid", dtype)
    y = 1 / (1 + np.exp(-problem.x))
    given = {"input": (y * (1 - y)).astype(dtype)}
    assert tc.check(problem, given).agrees
    strict = tc.check(problem, given, strict=True)
    assert strict.status == "imprecise"
    assert "digits in input[0, 0]" in strict.diagnosis
    assert tc.check(problem, ref.gradients(problem), strict=True).agrees


def composed_gelu(z, name):
    """Φ(z) + zφ(z), every step rounded to the format."""

    def r(values):
        return held(values, name).astype(np.float64)

    phi = r(r(np.exp(r(-r(z * z) / 2))) * r(1 / np.sqrt(2 * np.pi)))
    return r(r(r(1 + r(erf(r(z * r(np.sqrt(0.5)))))) / 2) + r(z * phi))


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_a_gelu_composed_of_rounded_steps_is_told_from_one_rounding(name):
    """tt-metal#38643. JAX composes it too: it agrees, and says so; with strict=True it is imprecise."""
    z = held(np.random.default_rng(0).uniform(-4, 4, 64), name).astype(np.float64)
    problem = operation(z, "gelu")
    given = {"input": held(composed_gelu(problem.x, name), name)}
    said = f"gelu computed step by step in {name}, not in float32 with one rounding"
    verdict = tc.check(problem, given, name)
    assert (verdict.status, verdict.scale) == ("agrees", "textbook")
    assert verdict.diagnosis.startswith(said)
    strict = tc.check(problem, given, name, strict=True)
    assert strict.status == "imprecise"
    assert strict.diagnosis.startswith(said)
    once = {"input": held(ref.gradients(problem).input, name)}
    assert tc.check(problem, once, name, strict=True).agrees
    assert "step by step" not in tc.check(problem, given, name, accumulate="same").diagnosis  # then all is in it
    wrong = {"input": held(0.5 * ref.gradients(problem).input, name)}
    assert tc.check(problem, wrong, name, diagnose=False).status == "wrong"


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
@pytest.mark.parametrize("row", [row.name for row in ref.ACTIVATIONS.values() if row.one_rounding])
def test_torch_rounds_once_where_the_row_says_so_and_jax_is_not_accused(row, name):
    z = held(np.random.default_rng(0).uniform(-4, 4, 64), name).astype(np.float64)
    problem = operation(z, row)
    verdict = tc.check(problem, {"input": by_torch(problem, name)["input"]}, name, strict=True)
    assert verdict.agrees, str(verdict)
    assert verdict.accurate < 3
    assert tc.check(problem, {"input": by_jax(problem, name)(problem)["input"]}, name).agrees


@pytest.mark.parametrize("row", ["sigmoid", "tanh", "tanhshrink", "softsign"])
def test_torch_rounds_in_between_where_the_row_does_not_say_so(row):
    """The derivative comes of the stored output, or of several operations: more than one rounding off, and no fault."""
    z = held(np.random.default_rng(0).uniform(-4, 4, 64), "bfloat16").astype(np.float64)
    problem = operation(z, row)
    given, right = by_torch(problem, "bfloat16")["input"], ref.gradients(problem).input
    ulps = np.abs(given.double().numpy() - right) / FORMATS["bfloat16"].ulp(right)
    assert ulps.max() > 4
    assert tc.check(problem, {"input": given}, "bfloat16").agrees
    assert not ref.ACTIVATIONS[row].one_rounding


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_a_kink_that_the_format_rounds_is_named_with_both_slopes(slope):
    """hardtanh's 0.7 is 0.69921875 in bfloat16, where z lies exactly (pytorch#185472)."""
    problem = operation([0.69921875], act.hardtanh(min_val=-0.7, max_val=0.7))
    verdict = tc.check(problem, {"input": np.array([[slope]], BFLOAT16)}, "bfloat16")
    assert verdict.agrees
    for said in ("hardtanh has a kink at 0.7", "0.69921875 in bfloat16", "slope 1 below, 0 above", "z[0, 0]"):
        assert said in verdict.diagnosis
    assert "kink" not in tc.check(problem, {"input": np.array([[1.0]])}).diagnosis


@pytest.mark.parametrize(("given", "statuses"), [(1.0, ("agrees", "unresolved")), (0.0, ("wrong", "unresolved"))])
def test_bce_behind_a_saturated_sigmoid_is_no_false_accusation(given, statuses):
    """z = 40, target 0: the exact gradient is 1 − 4e-18 (Flux.jl#914)."""
    mlp = ref.MLP((ref.Layer(np.ones((1, 1)), None, "sigmoid"),))
    problem = ref.Problem(mlp, np.array([[40.0]]), np.array([[0.0]]), "bce")
    assert tc.check(problem, {"input": np.array([[given]])}).status in statuses


@pytest.mark.parametrize(("size", "wrong"), [(1024, "zeros"), (4096, "sign")])
def test_cross_entropy_has_power_in_bfloat16_at_ordinary_batches(size, wrong):
    """4-8-3: all zeros agreed at 1,024 examples, a flipped sign at 4,096."""
    rng = np.random.default_rng(0)
    mlp = ref.initialize([4, 8, 3], ["tanh", "identity"], seed=0)
    problem = ref.Problem(mlp, rng.normal(size=(size, 4)), rng.integers(0, 3, size), "cross_entropy")
    right = ref.gradients(problem).leaves()
    changed = {place: held(leaf * (0 if wrong == "zeros" else -1), "bfloat16") for place, leaf in right.items()}
    assert tc.check(problem, changed, "bfloat16", diagnose=False).status == "wrong"
    assert tc.check(problem, {place: held(leaf, "bfloat16") for place, leaf in right.items()}, "bfloat16").agrees


def test_what_rounding_buries_is_unresolved():
    """y is 1e-4 above the target 1, which bfloat16 cannot tell: any small gradient would pass, the right one does."""
    mlp = ref.MLP((ref.Layer(np.array([[1.0001]]), None, "identity"),))
    problem = ref.Problem(mlp, np.array([[1.0]]), np.array([[1.0]]), "half_squared_error")
    assert tc.check(problem, {"input": np.array([[1e-4]], BFLOAT16)}, "bfloat16").agrees
    for given in (0.0, -1e-4):
        verdict = tc.check(problem, {"input": np.array([[given]], BFLOAT16)}, "bfloat16")
        assert verdict.status == "unresolved"
        assert "zeros would agree" in verdict.diagnosis


@pytest.mark.parametrize("count", [256, 7000, 8192])
def test_equal_terms_may_be_added_up_one_after_the_other(count):
    """Errors of equal terms add up: 68 σ at 8,192 rows, were they independent."""
    mlp = ref.MLP((ref.Layer(np.zeros((3, 4), np.float32), np.zeros(3, np.float32), "identity"),))
    rng = np.random.default_rng(1)
    x = np.tile(rng.normal(size=(1, 4)).astype(np.float32), (count, 1))
    problem = ref.Problem(mlp, x, np.eye(3)[np.arange(count) % 3].astype(np.float32) * 0.7 + 0.1, "mse")
    d_z = ref.loss_gradient(problem, np.zeros((count, 3), np.float32))
    bias, weight = np.zeros(3, np.float32), np.zeros((3, 4), np.float32)
    for row, dz in zip(x, d_z, strict=True):
        bias += dz
        weight += np.outer(dz, row)
    verdict = tc.check(problem, {"layers[0].weight": weight, "layers[0].bias": bias})
    assert verdict.agrees, str(verdict)
    assert verdict.worst.scales < 8
    spoilt = {"layers[0].weight": weight, "layers[0].bias": bias * np.float32(1 + 1e-2)}
    assert tc.check(problem, spoilt, diagnose=False).status == "wrong"


def test_the_power_stays_where_terms_differ():
    """8,192 different examples: σ is that of a random walk still, and 1e-5 in a bias shows."""
    rng = np.random.default_rng(2)
    mlp = ref.initialize([4, 3], ["identity"], seed=0, dtype=np.float32)
    problem = ref.Problem(
        mlp, rng.normal(size=(8192, 4)).astype(np.float32), rng.normal(size=(8192, 3)).astype(np.float32), "mse"
    )
    sigma = ref.rounding_scale(problem).layers[0].bias
    bias = ref.gradients(problem.in_float64()).layers[0].bias
    assert np.all(sigma < 3e-6 * np.max(np.abs(bias)))
