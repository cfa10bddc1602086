"""What is no false alarm, and what is one: the excuses cover their own case and nothing else."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.detection import false_alarms
from benchmarks.detection.survey import judged_case
from benchmarks.implementations.correct_gradients import by_autograd, by_jax, by_torch, representable
from benchmarks.implementations.jax_deviations import COMPILED_MAXIMUM, GELU_TANH_OVERFLOW
from benchmarks.wrong_gradients.problems import network
from tests.benchmarks.implementations.helpers import with_row


def tally_of(problem, leaves, implementation="torch", name="float64"):
    tally = false_alarms.ImplementationTally()
    false_alarms.judged(tally, problem, leaves, implementation, name, "a test")
    return {outcome: count for outcome, count in tally.outcomes.items() if count}


def test_a_published_deviation_is_counted_apart_and_hides_nothing_else():
    problem = with_row("hardsigmoid")
    leaves = by_torch(problem, "float64")
    assert tally_of(problem, leaves) == {"deviation": 1}
    wrong = leaves | {"input": leaves["input"] * (1 + 1e-9)}
    assert tally_of(problem, wrong) == {"false alarm": 1}
    assert tally_of(problem, leaves, "JAX") == {"false alarm": 1}


@pytest.mark.parametrize("case", [2135, 2142])
def test_a_deviation_explains_what_rounding_buries_in_its_own_formula_too(case):
    """Behind a softmax that saturates torch's bce divides by 1e−12: rounding is all that is left, and it is torch's."""
    _, found = judged_case(78023711, case)
    assert found.verdict.status == "unresolved"
    assert (found.outcome, found.deviation) == ("deviation", "bce_epsilon")


def test_what_underflows_before_it_is_multiplied_by_z_is_no_mistake():
    """JAX's softsign at z = ±90 in float16: z·d/(1 + |z|)² of 3,820 equal examples, whose quotient is below η."""
    case, found = judged_case(78023711, 20900)
    assert (case.implementation.name, case.dtype) == ("JAX", "float16")
    assert found.outcome == "textbook"
    network = ref.as_network(case.problem.mlp)  # was unresolved: its noise had less of the customary formula's terms
    problem = case.problem.replace(network=network, x={network.inputs[0]: case.problem.x})
    leaves = case.implementation.gradients(case.problem, case.dtype)
    assert tc.check(problem, leaves, case.dtype).agrees


def test_numbers_that_a_machine_flushes_are_lost_together():
    """JAX's bce behind a softmax in float32: log 4e−43 = −98 of 300 examples, which XLA's CPU takes for log 0."""
    case, found = judged_case(161803398, 250)
    assert (case.implementation.name, case.dtype) == ("JAX", "float32")
    assert found.outcome in ("agrees", "textbook", "buried")
    problem = case.problem
    right = ref.gradients(problem).leaves()
    assert tc.check(problem, right, case.dtype).agrees
    assert not tc.check(problem, {k: -v for k, v in right.items() if k != "loss"}, case.dtype, diagnose=False).agrees


def test_a_convention_that_statistics_alone_tell_is_found():
    """JAX's slope of l1 from above at 813 targets that are met: 23.6 σ off by the largest element, 19.8 by r.m.s."""
    _, found = judged_case(78023711, 65600)
    assert found.outcome == "another convention"


def test_jaxs_own_row_excuses_the_nan_that_it_lists_and_nothing_else():
    number = np.float32
    row = ref.MLP((ref.Layer(np.ones((1, 1), number), None, "gelu_tanh"),))
    for z, outcome in ((1.1e19, "deviation"), (1.0e19, "false alarm")):
        problem = ref.Problem(row, np.array([[z]], number), np.ones((1, 1), number), "inner_product")
        missing = {k: np.full(np.shape(v), np.nan, number) for k, v in ref.gradients(problem).leaves().items()}
        found = false_alarms.judgement(problem, missing, "JAX", "float32")
        assert (found.outcome, found.deviation) == (outcome, GELU_TANH_OVERFLOW.name if outcome == "deviation" else "")
        assert false_alarms.judgement(problem, missing, "reference", "float32").outcome == "false alarm"


def test_jaxs_compiler_loses_a_maximum_and_nothing_else_is_excused():
    """JAX gives 0 for most gradients of a hinge, and the right ones of the same lines without compilation."""
    rng = np.random.default_rng(0)
    row = ref.MLP((ref.Layer(np.array([[0.5, -1.5], [1.0, 0.75]]), None, "identity"),))
    x, target = rng.standard_normal((4096, 2)), rng.integers(0, 2, 4096)
    losses = ("multi_margin", "cross_entropy")
    hinge, smooth = (representable(ref.Problem(row, x, target, loss), "bfloat16") for loss in losses)
    given = by_jax(hinge, "bfloat16")(hinge)
    slow = by_jax(hinge, "bfloat16", jit=False)(hinge)
    assert np.count_nonzero(given["input"]) < 0.5 * np.count_nonzero(slow["input"])
    found = false_alarms.judgement(hinge, given, "JAX", "bfloat16")
    assert (found.outcome, found.deviation) == ("deviation", COMPILED_MAXIMUM.name)
    assert tally_of(hinge, slow, "JAX", "bfloat16") == {"agrees": 1}
    assert tally_of(hinge, given, "NumPy", "bfloat16") == {"false alarm": 1}
    zeros = {place: np.zeros_like(leaf) for place, leaf in by_jax(smooth, "bfloat16")(smooth).items()}
    assert tally_of(smooth, zeros, "JAX", "bfloat16") == {"false alarm": 1}


def test_overflow_excuses_in_narrow_formats_only():
    problem = network(0, widths=(2, 2))
    huge = problem.map(lambda values: values * 2.0**9)
    missing = {k: np.full(np.shape(v), np.nan) for k, v in ref.gradients(huge).leaves().items()}
    assert tally_of(huge, missing, "JAX", "float16") == {"unresolved": 1}
    assert tally_of(huge, missing, "JAX", "float64") == {"false alarm": 1}


def test_what_rounding_buries_is_counted_apart_in_every_format():
    """(y − t)·x where y rounds to t: float32 gives 0, and the true gradient is less than it can tell from 0."""
    number = np.float32
    layer = ref.Layer(np.ones((1, 1), number), np.array([0.75], number), "identity")
    x = np.array([[1e-8]], number)
    problem = ref.Problem(ref.MLP((layer,)), x, np.array([[0.75]], number), "mse")
    leaves = {place: leaf for place, leaf in by_torch(problem, "float32").items() if place != "loss"}
    assert not any(np.any(np.asarray(leaf)) for leaf in leaves.values())
    assert tally_of(problem, leaves, name="float32") == {"buried": 1}
    assert tally_of(problem, leaves | {"input": np.ones((1, 1), number)}, name="float32") == {"false alarm": 1}


def test_another_convention_excuses_those_alone_who_have_one():
    layers = (ref.Layer(np.zeros((1, 2)), np.zeros(1), "relu"), ref.Layer(np.array([[3.0]]), None, "identity"))
    problem = ref.Problem(ref.MLP(layers), np.array([[2.0, 1.0]]), np.array([[1.0]]), "mse")
    leaves = by_autograd(problem, "float64")
    assert tally_of(problem, leaves, "autograd") == {"another convention": 1}
    assert tally_of(problem, leaves, "torch") == {"false alarm": 1}


def test_sums_in_the_format_itself_are_counted_apart_of_those_alone_who_add_up_so():
    """One row after the other in float16: what comes after 32 and before −32, 2⁻⁸ each, is lost."""
    number = np.float16
    layer = ref.Layer(np.ones((2, 2), number), np.zeros(2, number), "identity")
    target = np.full((129, 2), 2.0**-8, number)
    target[64], target[-1] = 32.0, -32.0
    problem = ref.Problem(ref.MLP((layer,)), np.ones((129, 2), number), target, "inner_product", "sum")
    leaves = dict(ref.gradients(problem, to_input=False).leaves())
    assert leaves["layers[0].bias"][0] == 64 * 2.0**-8, "NumPy adds up in float16"
    assert tally_of(problem, leaves, "reference", "float16") == {"coarse sums": 1}
    assert tally_of(problem, leaves, "torch", "float16") == {"false alarm": 1}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_slope_as_1_less_a_reciprocal_errs_alike_for_thousands_of_nearly_equal_numbers(seed):
    """autograd's slope of z − tanh z is 1 − 1/cosh² z, whose values float32 tells apart as it does numbers at 1."""
    rng, number = np.random.default_rng(seed), np.float32
    weights = (1e-9 * rng.standard_normal((3, 3)), rng.standard_normal((1, 3)))
    layers = (
        ref.Layer(weights[0].astype(number), rng.uniform(-0.3, 0.3, 3).astype(number), "tanhshrink"),
        ref.Layer(weights[1].astype(number), None, "identity"),
    )
    x, target = rng.standard_normal((3000, 3)).astype(number), rng.standard_normal((3000, 1)).astype(number)
    problem = representable(ref.Problem(ref.MLP(layers), x, target, "mse"), "float32")
    found = false_alarms.judgement(problem, by_autograd(problem, "float32"), "customary formulas", "float32")
    assert found.outcome in ("agrees", "textbook")
