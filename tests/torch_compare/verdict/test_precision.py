"""Verdicts by precision: what a format computes and accumulates in, what leaves are stored in, and the quick screen."""

import numpy as np
import pytest
import torch

import reference as ref
import torch_compare as tc
from reference.arithmetic.formats import FORMATS
from reference.rounding.distance import FACTOR, worst_place
from reference.rounding.scale import rounding_errors, rounding_scale
from tests.torch_compare.verdict.helpers import tanh_problem, with_rounded_products
from torch_compare.diagnosis.small_mistake import small_mistake
from torch_compare.verdict import arithmetics as module
from torch_compare.verdict.verdict import expected_leaves

TORCH = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def problem_in(name, seed=0, widths=(24, 32, 32, 5), batch=48):
    """A float64 problem whose numbers a format holds."""
    rng = np.random.default_rng(seed)
    hold = lambda a: torch.tensor(a).to(TORCH[name]).double().numpy()  # noqa: E731
    mlp = ref.initialize(widths, ["tanh", "gelu", "identity"], seed=seed)
    x, t = rng.normal(size=(batch, widths[0])), rng.normal(size=(batch, widths[-1]))
    return ref.Problem(mlp, x, t, "mse").map(hold).replace(target=hold(t))


def by_torch(problem, name, slope=1.0):
    """The gradients by torch.autograd in a format; the second layer's derivative times `slope`."""
    leaf = lambda a: torch.tensor(a).to(TORCH[name]).requires_grad_()  # noqa: E731
    pairs = [(leaf(layer.weight), leaf(layer.bias)) for layer in problem.mlp.layers]
    h = leaf(problem.x)
    for (weight, bias), activation in zip(pairs, (torch.tanh, torch.nn.functional.gelu, None), strict=True):
        h = torch.nn.functional.linear(h, weight, bias)
        if activation is torch.nn.functional.gelu:
            h = activation(h)
            h.register_hook(lambda d: d * slope)
        elif activation is not None:
            h = activation(h)
    torch.nn.functional.mse_loss(h, torch.tensor(problem.target).to(TORCH[name])).backward()
    return [(weight.grad, bias.grad) for weight, bias in pairs]


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize("seed", range(4))
def test_torch_agrees_in_every_precision(name, seed):
    problem = problem_in(name, seed)
    verdict = tc.check(problem, by_torch(problem, name))
    assert verdict.agrees, str(verdict)
    assert verdict.dtype.startswith(name)


def torch_in_a_tail():
    """gelu_tanh's gradients far left in bfloat16, where torch's float32 loses digits in 1 − T² before it rounds."""
    z = np.array([[-12.0], [-5.0], [-4.0], [3.0]])
    layers = (ref.Layer(np.ones((1, 1)), None, "gelu_tanh"),)
    x = torch.tensor(z, dtype=torch.bfloat16, requires_grad=True)
    torch.nn.functional.gelu(x, approximate="tanh").backward(torch.ones_like(x))
    return ref.Problem(ref.MLP(layers), z, np.ones(z.shape), "inner_product", "sum"), x.grad.double().numpy()


def test_what_float32_loses_before_one_rounding_is_not_taken_for_steps_in_the_coarse_format():
    problem, d_x = torch_in_a_tail()
    verdict = tc.check(problem, {"input": d_x}, "bfloat16")
    assert (verdict.status, verdict.scale) == ("agrees", "textbook")
    assert "step by step" not in str(verdict)


@pytest.mark.parametrize(
    ("name", "slope"), [("float32", 1 + 1e-5), ("float32", 1 + 1e-6), ("float16", 1 + 3e-3), ("bfloat16", 1 + 2e-2)]
)
def test_an_error_in_one_derivative_is_caught_in_every_precision(name, slope):
    problem = problem_in(name)
    given = by_torch(problem, name, slope)
    assert tc.check(problem, given, diagnose=False).status == "wrong"


def test_accumulating_in_the_format_itself_is_told_from_accumulating_in_float32():
    """float16 sums of 4,096 equal terms, added one by one: far outside what float32 accumulation makes."""
    layer = ref.Layer(np.array([[0.75]]), np.array([0.0]), "identity")
    problem = ref.Problem(ref.MLP((layer,)), np.full((4096, 1), 0.375), np.zeros((4096, 1)), "half_squared_error")
    exact = ref.gradients(problem).layers[0].bias
    total = np.float16(0)
    for _ in range(4096):
        total = np.float16(total + np.float16(0.375 * 0.75 / 4096))
    given = {"layers[0].bias": np.array([total])}
    assert abs(float(total) / exact[0] - 1) > 1e-3
    assert not tc.check(problem, given, accumulate="float32").agrees
    same = tc.check(problem, given, accumulate="same")
    assert same.status == "unresolved", "4,096 equal terms lose all of a float16 sum: nothing can be said"
    found = tc.check(problem, given)
    assert (found.status, found.dtype) == ("imprecise", "float16")
    assert found.diagnosis == "sums accumulated in float16, not in float32"
    once = {"layers[0].bias": exact.astype(np.float16)}
    assert tc.check(problem, once).agrees
    assert tc.check(problem, once).dtype == "float16 accumulated in float32"


def test_tensor_float_32_rounds_the_operands_of_products():
    def rounded(a):
        bits = np.asarray(a, np.float32).view(np.uint32)
        return ((bits + 0xFFF + ((bits >> 13) & 1)) & np.uint32(0xFFFFE000)).view(np.float32)

    problem = problem_in("float32", widths=(24, 32, 32, 5))
    single = problem.map(lambda a: a.astype(np.float32))
    found = with_rounded_products(single.replace(target=single.target.astype(np.float32)), rounded)
    given = {place: leaf for place, leaf in found.items() if place.endswith("weight")}
    assert tc.check(problem, given, dtype="tf32").agrees
    assert tc.check(problem, given, dtype="float32").status == "imprecise"
    given["layers[0].weight"] = given["layers[0].weight"] * np.float32(1.1)
    assert tc.check(problem, given, dtype="tf32").status == "wrong"


def test_leaves_stored_in_a_coarser_format_than_computed_in_agree():
    problem = problem_in("float32")
    found = ref.gradients(problem)
    stored = {place: torch.tensor(leaf).to(torch.bfloat16) for place, leaf in found.leaves().items()}
    assert tc.check(problem, stored, dtype="float64").agrees
    stored["layers[0].weight"] = stored["layers[0].weight"] * 1.25
    assert tc.check(problem, stored, dtype="float64").status == "wrong"


def test_the_certificate_may_stand_in_place_of_the_reference():
    problem = problem_in("float32", widths=(4, 5, 5, 2), batch=3)
    found = ref.certified_gradients(problem)
    nearest = found.map(lambda leaf: leaf.nearest)
    verdict = tc.check(problem, nearest, certified=True)
    assert verdict.agrees
    assert verdict.worst.scales == 0
    assert tc.check(problem, nearest.map(lambda leaf: leaf * (1 + 1e-12)), certified=True).status == "wrong"


def test_where_no_precision_decides_a_kink_what_the_certificate_holds_is_unresolved():
    """σ(1) + σ(−1) − 1 is 0, which no finite precision proves: the interval holds both slopes of the relu behind it."""
    layers = (
        ref.Layer(np.array([[1.0], [-1.0]]), None, "sigmoid"),
        ref.Layer(np.array([[1.0, 1.0]]), np.array([-1.0]), "relu"),
    )
    problem = ref.Problem(ref.MLP(layers), np.array([[1.0]]), np.array([[1.0]]), "mse")
    found = ref.certified_gradients(problem)
    assert found.status == "unresolved"
    leaf = found.layers[1].bias
    assert leaf.lower[0] < leaf.upper[0]
    for inside in (leaf.lower, leaf.upper):
        for certificate in (True, found):
            verdict = tc.check(problem, {"layers[1].bias": inside}, certified=certificate)
            assert verdict.status == "unresolved"
            assert "no precision says where" in verdict.diagnosis
    assert tc.check(problem, {"layers[1].bias": leaf.lower - 1000}, certified=True).status == "wrong"
    assert tc.check(problem, {"loss": np.array(1.0)}, certified=found).agrees, "nothing is open in the loss"


def test_the_screen_never_lets_pass_what_the_full_scale_would_not(monkeypatch):
    """Errors grown until the full scale refuses them: the quick one must have refused them too."""
    problem = problem_in("float32", widths=(8, 12, 12, 3), batch=6)
    exact = expected_leaves(problem)
    full = [rounding_scale(problem, seed=s, runs=256).leaves() for s in (0, 1)]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        place = str(rng.choice(list(full[0])))
        at = tuple(int(rng.integers(n)) for n in full[0][place].shape)
        error = np.zeros_like(exact[place])
        error[at] = FACTOR * max(float(scale[place][at]) for scale in full)
        given = {place: exact[place] + error}
        quick = rounding_scale(problem, seed=seed, runs=module.SCREEN_RUNS).leaves()
        assert worst_place(given, exact, quick, FORMATS["float64"]).scales > module.SCREEN * FACTOR


def test_a_correct_gradient_needs_few_runs_and_a_wrong_one_gets_all(monkeypatch):
    runs = []
    measure = module.measured_errors
    monkeypatch.setattr(module, "measured_errors", lambda *a, **k: (runs.append(k["runs"]), measure(*a, **k))[1])
    problem = problem_in("float32")
    given = ref.gradients(problem)
    assert tc.check(problem, given).agrees
    assert runs == [module.SCREEN_RUNS]
    assert not tc.check(problem, given.map(lambda leaf: 2 * leaf)).agrees
    assert runs[1:] == [module.SCREEN_RUNS, 32, 32]


def test_what_overflows_in_the_stated_precision_is_unresolved_not_wrong():
    mlp = ref.MLP((ref.Layer(np.array([[300.0]]), None, "square"), ref.Layer(np.array([[1.0]]), None, "identity")))
    problem = ref.Problem(mlp, np.array([[1.0]]), np.array([[0.0]]), "mse")
    nan = {"layers[0].weight": np.array([[np.nan]], np.float16)}
    assert tc.check(problem, nan).status == "unresolved"
    assert tc.check(problem, {"layers[0].weight": np.array([[np.nan]])}).status == "wrong"


def test_the_accumulation_is_named_where_it_is_none():
    with pytest.raises(ValueError, match='accumulate: expected "float32" or "same", got \'double\''):
        tc.check(problem_in("float32"), by_torch(problem_in("float32"), "float32"), accumulate="double")


def test_a_verdict_says_the_digits_of_the_worst_element():
    problem = problem_in("float32")
    given = ref.gradients(problem).layers[0].weight * (1 + 1e-6)
    assert tc.check(problem, {"layers[0].weight": given}).digits["layers[0].weight"] == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize(("activation", "loss"), [
    ("logsigmoid", "inner_product"), ("softplus", "inner_product"), ("identity", "soft_margin"),
    ("identity", "bce_with_logits"), ("identity", "multilabel_soft_margin"),
])  # fmt: skip
def test_a_sigmoid_through_a_logarithm_that_is_differentiated_is_no_mistake(activation, loss):
    """σ(x) = exp(x − log(e⁰ + eˣ)) is 1 from x = 33.3 on; 1 − σ(x) is 15 roundings, and the same for all examples."""
    x, row = np.random.default_rng(3).normal(size=(6, 3)), activation
    if activation == "softplus":
        row = ref.activations.softplus(threshold=np.inf)
    sign = -1 if activation == "logsigmoid" else 1
    layer = ref.Layer(np.full((4, 3), 1e-3), np.full(4, sign * 33.4), row)
    target = {"soft_margin": -np.ones((6, 4)), "inner_product": np.ones((6, 4))}.get(loss, np.zeros((6, 4)))
    problem = ref.Problem(ref.MLP((layer,)), x, target, loss, "sum")
    z = sign * (x @ layer.weight.T + layer.bias)
    sigmoid = np.exp(z - np.logaddexp(0, z))
    assert not np.any(1 - sigmoid)
    d_z = sigmoid / (4 if loss == "multilabel_soft_margin" else 1)
    verdict = tc.check(problem, {"layers[0].bias": d_z.sum(axis=0), "layers[0].weight": d_z.T @ x})
    assert verdict.status == "agrees"
    assert verdict.scale == "textbook"


def test_a_mistake_that_leaves_half_of_the_errors_does_not_account_for_them():
    """A factor's errors, 2 σ by root mean square, and 1 σ of either sign beside them: it leaves 0.45 of all."""
    problem = tanh_problem()
    expected, rounding = expected_leaves(problem), rounding_errors(problem, "bfloat16")
    size = np.sqrt(np.mean(np.concatenate([np.ravel((v / rounding.sigma[k]) ** 2) for k, v in expected.items()])))
    rng = np.random.default_rng(5)
    errors = {k: rounding.sigma[k] * rng.choice([-1, 1], np.shape(v)) for k, v in expected.items()}
    given = {k: v * (1 + 2 / size) + errors[k] for k, v in expected.items()}
    assert small_mistake(problem, given, expected, rounding, FORMATS["bfloat16"]) is not None
    assert small_mistake(problem, given, expected, rounding, FORMATS["bfloat16"], share=module.LEFT) is None
