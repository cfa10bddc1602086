"""Problems that leave the range of a format, at either end, or its resolution."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from reference.arithmetic.formats import FORMATS
from tests.torch_compare.verdict.helpers import tanh_problem
from torch_compare.torch_side.deviations import deviations
from torch_compare.verdict.overflow import beyond_rounding, in_range, underflows


@pytest.mark.parametrize(("dtype", "certified"), [("float64", True), ("bfloat16", False)])
def test_bce_that_rounding_leaves_nothing_of_is_unresolved(dtype, certified):
    """Where y rounds to 1, torch divides by its ε, and every number may come of it."""
    weight = np.array([[0.125], [60.0 if dtype == "float64" else 15.5]])
    layer = ref.Layer(weight, None, "softmax")
    problem = ref.Problem(ref.MLP((layer,)), np.array([[1.0]]), np.array([[0.25, 0.5]]), "bce")
    given = {"layers[0].weight": np.array([[-1e5], [0.0]])}
    verdict = tc.check(problem, given, dtype, certified=certified)
    assert (verdict.status, verdict.agrees) == ("unresolved", False)
    assert "bce_with_logits" in verdict.diagnosis


def saturated(z=40.0, t=0.0, dtype=np.float64):
    layer = ref.Layer(np.ones((1, 1), dtype), None, "sigmoid")
    return ref.Problem(ref.MLP((layer,)), np.array([[z]], dtype), np.array([[t]], dtype), "bce")


@pytest.mark.parametrize("certified", [False, True])
@pytest.mark.parametrize(
    ("given", "status"),
    [(1.0, "agrees"), (0.0, "unresolved"), (0.77, "unresolved"), (np.nan, "unresolved"), (1000.0, "wrong")],
)
def test_bce_behind_a_saturated_sigmoid(given, status, certified):
    """FluxML/Flux.jl#914: the exact derivative is 1 − 4e-18; a y rounded to 1 makes 0, NaN, or a part of it."""
    verdict = tc.check(saturated(), {"input": np.array([[given]])}, certified=certified, diagnose=False)
    assert verdict.status == status, str(verdict)


def test_torchs_own_formula_is_judged_by_its_own_noise():
    """`verify` holds torch against it where torch deviates: y(1 − y) under 1e-12."""
    rng = np.random.default_rng(3)
    layers = (
        ref.Layer(rng.normal(size=(5, 3)), None, "square"),
        ref.Layer(9 * rng.normal(size=(6, 5)), None, "sigmoid"),
    )
    problem = ref.Problem(ref.MLP(layers), rng.normal(size=(8, 3)), rng.uniform(size=(8, 6)), "bce")
    (row,) = deviations(problem)
    verdict = tc.check(row.as_torch(problem), tc.SOURCES["torch"](problem), "float64")
    assert verdict.agrees, str(verdict)
    assert not tc.check(problem, tc.SOURCES["torch"](problem), "float64", diagnose=False).agrees


@pytest.mark.parametrize("step", [2.75, pytest.param(0.4375, marks=pytest.mark.explore)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_who_computes_with_the_rounded_probability_is_not_accused(dtype, step):
    """In torch's order or with σ(z)σ(−z), at every z, never wrong; a flipped sign is, where 1 − y has a digit left."""
    u = np.finfo(dtype).eps / 2
    for z in np.arange(1.0, 60.0, step):
        for t in (0.0, 0.25, 1.0):
            number, target = dtype(z), dtype(t)
            y = 1 / (1 + np.exp(-number))
            e = np.exp(-number)
            with np.errstate(all="ignore"):
                d_y = (1 - target) / (1 - y) - target / y
                made = [d_y * (y * (1 - y)), d_y * (e / (1 + e) ** 2)]
                loss = -(target * np.log(y) + (1 - target) * np.maximum(np.log(1 - y), -100))
            problem = saturated(z, t)
            for given in [{"input": np.array([[d]])} for d in made] + [{"loss": np.array(loss)}]:
                verdict = tc.check(problem, given, np.dtype(dtype).name, diagnose=False)
                assert verdict.status in ("agrees", "unresolved"), f"z = {z}, t = {t}: {verdict}"
            if np.exp(-z) > 64 * u and t == 0:
                flipped = tc.check(problem, {"input": -np.array([[made[0]]])}, np.dtype(dtype).name, diagnose=False)
                assert flipped.status in ("wrong", "imprecise")


def tiny_problem(size):
    """float32, its first layer's gradients about as small as `size`."""
    problem = tanh_problem(np.float32)
    first = problem.mlp.layers[1]
    scaled = ref.Layer(first.weight * np.float32(size), first.bias, first.activation)
    return problem.replace(network=ref.MLP((problem.mlp.layers[0], scaled, problem.mlp.layers[2])))


def test_subnormal_numbers_may_be_flushed_to_zero():
    problem = tiny_problem(1e-38)
    found = ref.gradients(problem).leaves()
    smallest = np.finfo(np.float32).smallest_normal
    flushed = {k: np.where(np.abs(v) < smallest, np.float32(0), v) for k, v in found.items()}
    assert any(np.any(flushed[k] != found[k]) for k in found)
    assert tc.check(problem, found).dtype == "float32"
    verdict = tc.check(problem, flushed)
    assert verdict.agrees, str(verdict)
    assert verdict.dtype == "float32, subnormal numbers flushed to 0"


def test_numbers_that_are_not_subnormal_may_not_be_flushed():
    problem = tiny_problem(1e-33)
    found = ref.gradients(problem).leaves()
    flushed = {k: np.where(np.abs(v) < 1e-32, np.float32(0), v) for k, v in found.items()}
    assert tc.check(problem, flushed).status == "wrong"


def test_a_gradient_that_overflows_on_the_way_is_unresolved():
    """1/(y(1 − y)) of a float16 sigmoid's bce, which the sigmoid's derivative would bring back into range."""
    layers = (ref.Layer(np.array([[1.0]]), np.array([-12.0]), "sigmoid"),)
    problem = ref.Problem(ref.MLP(layers), np.array([[0.5]]), np.array([[1.0]]), "bce")
    given = {"input": np.array([[np.nan]], dtype=np.float16)}
    assert tc.check(problem, given).status == "unresolved"
    assert tc.check(problem, given, "float32").status == "wrong"


def test_label_smoothing_may_overflow_before_its_share_of_the_classes_is_taken():
    """Σ_c −log p_c over 100 classes is 99,000, and the loss (ε/K of it, and a little) 199."""
    layers = (ref.Layer(np.zeros((100, 1)), np.r_[1000.0, np.zeros(99)], "identity"),)
    loss = ref.losses.cross_entropy(label_smoothing=0.2)
    problem = ref.Problem(ref.MLP(layers), np.array([[1.0]]), np.array([0]), loss)
    given = {"loss": np.array(np.inf, dtype=np.float16)}
    assert tc.check(problem, given).status == "unresolved"
    plain = problem.replace(loss=ref.losses.cross_entropy())
    assert tc.check(plain, given).status == "wrong"


def test_a_mistake_is_named_beside_a_loss_that_overflows():
    """‖t − y‖² = 69,300 of the first example is no number of float16; the gradients are."""
    layers = (ref.Layer(np.eye(3), None, "identity"),)
    x = np.array([[180.0, -120.0, 150.0], [90.0, 132.0, -18.0]])
    problem = ref.Problem(ref.MLP(layers), x, np.zeros((2, 3)), "half_squared_error", "sum")
    right = ref.gradients(problem)
    given = {"layers[0].weight": -right.layers[0].weight, "input": -right.input, "loss": np.array(np.inf)}
    assert tc.check(problem, given, "float16").diagnosis.names == ("sign",)
    assert tc.check(problem, given, "float32").diagnosis.names == ("not finite",)


def test_a_sum_that_overflows_before_it_is_halved_is_unresolved():
    """½‖t − y‖² = 45,000 is a number of float16, ‖t − y‖² is none."""
    layers = (ref.Layer(np.array([[1.0]]), None, "identity"),)
    problem = ref.Problem(ref.MLP(layers), np.array([[300.0]]), np.array([[0.0]]), "half_squared_error")
    given = {"loss": np.array(np.inf, dtype=np.float16)}
    assert tc.check(problem, given).status == "unresolved"
    assert tc.check(problem.replace(x=np.array([[30.0]])), given).status == "wrong"


# ── where the range ends ─────────────────────────────────────────────────────────────────────────────


def one_weight(w):
    return ref.MLP((ref.Layer(np.array([[w]]), None, "identity"),))


def one_number(x):
    """A problem in whose passes no number but x and 1 occurs."""
    return ref.Problem(one_weight(1.0), np.array([[x]]), np.array([[0.0]]), "l1", "sum")


@pytest.mark.parametrize("name", ["float16", "float32", "bfloat16", "float64"])
def test_a_number_within_rounding_of_the_largest_may_overflow(name):
    """32 u below the largest number a sum that rounds may exceed it; further below it may not."""
    fmt = FORMATS[name]
    bound = fmt.largest * (1 - 32 * fmt.unit_roundoff)
    given = {"input": np.array([[np.inf]]), "loss": np.array(1.0)}
    for x in (np.nextafter(bound, np.inf), fmt.largest * (1 - 16 * fmt.unit_roundoff), -fmt.largest):
        assert in_range(one_number(x), given, fmt).keys() == {"loss"}
    for x in (bound, -bound, bound / 2):
        assert in_range(one_number(x), given, fmt).keys() == given.keys()
    negative = one_number(-fmt.largest).replace(network=one_weight(0.0), target=np.array([[-1.0]]))
    assert in_range(negative, given, fmt).keys() == {"loss"}, "no number but x is large, and it is negative"
    finite = {"input": np.array([[1.0]])}
    assert in_range(one_number(fmt.largest), finite, fmt).keys() == finite.keys()


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float64"])
def test_numbers_near_the_smallest_may_be_flushed(name):
    """Within 2^(2·bits + 8) of it, which rounding scales of their products may reach; an exact 0 is no such number."""
    fmt = FORMATS[name]
    bound = fmt.smallest * 2.0 ** (2 * fmt.bits + 8)
    for x in (np.nextafter(bound, 0), -np.nextafter(bound, 0), fmt.smallest):
        assert underflows(one_number(x), fmt)
    for x in (bound, -bound, 1.0, 0.0):
        assert not underflows(one_number(x), fmt)
    assert not underflows(one_number(1e-7), FORMATS["float16"])


@pytest.mark.parametrize("name", ["float16", "float32", "bfloat16", "float64"])
def test_bce_within_four_roundings_of_1_is_beyond_rounding(name):
    fmt = FORMATS[name]
    bound = 1 - 4 * fmt.unit_roundoff
    for y, beyond in ((bound, True), (1.0, True), (np.nextafter(bound, 0), False), (0.5, False), (0.0, False)):
        problem = one_number(y).replace(loss=ref.LOSSES["bce"])
        assert beyond_rounding(problem, fmt) == beyond
        assert not beyond_rounding(problem.replace(loss=ref.LOSSES["mse"]), fmt)


@pytest.mark.parametrize(
    ("z", "t", "given", "status"),
    [
        (-12.125, 1.0, -1.0, "agrees"),  # −t(1 − y), as torch
        (-12.125, 1.0, 0.0, "unresolved"),  # 1/(1 + e^−z) is 0 in float16, and so is the derivative where log y is −100
        (-12.125, 0.0, 0.5, "wrong"),  # log y has no part in it
        (-12.125, 1.0, -300.0, "wrong"),
        (-5.0, 1.0, 0.0, "wrong"),  # no format loses that y
    ],
)
def test_bce_behind_a_sigmoid_that_is_lost_at_0(z, t, given, status):
    """In float16 e^−z overflows from z = −11.1 on: JAX's sigmoid is 0 there, where the right one is 5.4e-6."""
    verdict = tc.check(saturated(z, t), {"input": np.array([[given]])}, "float16", diagnose=False)
    assert verdict.status == status, str(verdict)


def test_a_loss_whose_probability_is_lost_at_0_is_not_wrong():
    """It is 100, for log y is limited so, in place of 12.1; in float32, which holds y, it is wrong."""
    problem = saturated(-12.125, 1.0)
    given = {"loss": np.array(100.0), "input": np.array([[0.0]])}
    assert tc.check(problem, given, "float16", diagnose=False).status == "unresolved"
    assert tc.check(problem, given, "float32", diagnose=False).status == "wrong"
