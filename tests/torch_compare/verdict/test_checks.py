"""Verdicts: what agrees, what does not, and how it is said."""

from dataclasses import replace

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from reference.rounding.distance import FACTOR, in_scales
from reference.rounding.scale import FORMATS
from torch_compare.diagnosis.diagnosis import Diagnosis
from torch_compare.mistakes import planted
from torch_compare.mistakes import rules as passes
from torch_compare.sources.plant import plant
from torch_compare.verdict import conventions as explanations
from torch_compare.verdict.checks import expected_leaves


def tanh_problem(dtype=np.float64, seed=0):
    """8-16-16-4 with a batch of 8: BASELINES' network."""
    rng = np.random.default_rng(seed)
    mlp = ref.initialize([8, 16, 16, 4], ["tanh", "tanh", "identity"], seed=seed, dtype=dtype)
    return ref.Problem(mlp, rng.normal(size=(8, 8)).astype(dtype), rng.normal(size=(8, 4)).astype(dtype), "mse")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_reference_and_torch_agree(dtype):
    problem = tanh_problem(dtype)
    for source in ("reference", "torch"):
        verdict = tc.check(problem, tc.SOURCES[source](problem))
        assert verdict.status == "agrees", str(verdict)
        assert verdict.dtype == np.dtype(dtype).name


@pytest.mark.parametrize("mistake", planted.PLANTED, ids=lambda m: m.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_each_planted_mistake_is_caught(mistake, seed):
    assert not plant(mistake, seed).agrees


def test_the_faulty_pass_without_a_fault_is_right():
    problem = planted.planted_problem("tanh", "half_squared_error")
    tc.assert_gradients(problem, passes.backward_with(passes.RIGHT, problem))


def test_one_part_in_a_trillion_is_caught_where_gradcheck_lets_one_in_ten_thousand_pass():
    """1e-12 relative in the derivative of one layer of a float64 tanh network (BASELINES.md)."""
    import torch

    problem = tanh_problem()

    class Tanh(torch.autograd.Function):
        error = 0.0

        @staticmethod
        def forward(ctx, z):
            y = torch.tanh(z)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, d_y):
            (y,) = ctx.saved_tensors
            return d_y * (1 - y * y) * (1 + Tanh.error)

    def loss(x, *parameters):
        h = x
        for index in range(3):
            z = torch.nn.functional.linear(h, parameters[2 * index], parameters[2 * index + 1])
            h = Tanh.apply(z) if index == 1 else torch.tanh(z) if index == 0 else z
        return torch.nn.functional.mse_loss(h, torch.tensor(problem.target))

    arrays = [problem.x, *(a for layer in problem.mlp.layers for a in (layer.weight, layer.bias))]
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]

    def gradients(error):
        Tanh.error = error
        found = [g.numpy() for g in torch.autograd.grad(loss(*tensors), tensors)]
        return [(found[1 + 2 * i], found[2 + 2 * i]) for i in range(3)]

    assert tc.check(problem, gradients(0.0)).status == "agrees"
    assert tc.check(problem, gradients(1e-12)).status == "wrong"
    Tanh.error = 1e-4
    assert torch.autograd.gradcheck(loss, tensors), "gradcheck's defaults let 1e-4 pass"


def test_a_verdict_names_the_worst_place_and_a_line_that_computes_it():
    problem = tanh_problem()
    given = ref.gradients(problem)
    wrong = given.layers[1].weight.copy()
    wrong[3, 5] *= 1 + 1e-9
    verdict = tc.check(problem, {"layers[1].weight": wrong})
    assert (verdict.status, verdict.worst.leaf, verdict.worst.index) == ("wrong", "layers[1].weight", (3, 5))
    assert verdict.worst.scales > FACTOR
    assert verdict.worst.ulps == pytest.approx(1e-9 / 2.0**-52, rel=1)
    assert eval(verdict.reproduce, {"ref": ref, "problem": problem}) == verdict.worst.expected
    with pytest.raises(AssertionError, match=r"wrong .*\n.*layers\[1\]\.weight\[3, 5\]"):
        tc.assert_gradients(problem, {"layers[1].weight": wrong})


def test_saturated_torch_agrees_on_the_textbook_scale_and_the_verdict_says_so():
    mlp = ref.MLP(
        (ref.Layer(np.array([[1.0], [0.3]]), None, "tanh"), ref.Layer(np.array([[0.7, 0.2]]), None, "identity"))
    )
    problem = ref.Problem(mlp, np.array([[19.0], [0.4]]), np.array([[0.3], [0.1]]), "mse")
    verdict = tc.check(problem, tc.SOURCES["torch"](problem))
    assert (verdict.status, verdict.scale) == ("agrees", "textbook")
    assert "digits" in verdict.diagnosis
    assert "layers[0].weight" in verdict.diagnosis or "input" in verdict.diagnosis


@pytest.mark.parametrize("lower", [np.float32, np.float16])
def test_lower_precision_is_imprecise_and_named(lower):
    problem = tanh_problem()
    low = problem.map(lambda a: a.astype(lower)).replace(target=problem.target.astype(lower))
    rounded = low.map(lambda a: a.astype(float)).replace(target=low.target.astype(float))
    given = ref.gradients(low).map(lambda leaf: np.asarray(leaf, dtype=float))
    verdict = tc.check(rounded, given)
    assert verdict.status == "imprecise"
    assert np.dtype(lower).name in verdict.diagnosis or "tf32" in verdict.diagnosis


def test_lower_precision_agrees_when_it_is_asked_for():
    problem = tanh_problem(np.float32)
    half = problem.map(lambda a: a.astype(np.float16)).replace(target=problem.target.astype(np.float16))
    double = half.map(lambda a: a.astype(float)).replace(target=half.target.astype(float))
    assert tc.check(double, ref.gradients(half)).status == "agrees"
    assert tc.check(double, ref.gradients(half), dtype="float32").status != "agrees"


@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_another_slope_at_an_exact_kink_is_another_convention(slope):
    mlp = ref.MLP((ref.Layer(np.array([[1.0, 2.0]]), None, "relu"), ref.Layer(np.array([[3.0]]), None, "identity")))
    problem = ref.Problem(mlp, np.array([[2.0, -1.0], [0.25, 0.5]]), np.array([[1.0], [2.0]]), "mse")
    trace = ref.forward(mlp, problem.x)
    assert trace.preactivations[0][0, 0] == 0
    d_y = ref.loss_gradient(problem, trace.output)
    d_z = d_y @ mlp.layers[1].weight * np.array([[slope], [1.0]])
    given = {"layers[0].weight": d_z.T @ problem.x, "input": d_z @ mlp.layers[0].weight}
    verdict = tc.check(problem, given)
    assert verdict.status == "another convention", str(verdict)
    assert "relu" in verdict.diagnosis
    assert tc.check(problem, {k: -v for k, v in given.items()}).status == "wrong"


def test_a_loss_at_its_kink_is_another_convention():
    mlp = ref.MLP((ref.Layer(np.array([[1.0]]), None, "identity"),))
    problem = ref.Problem(mlp, np.array([[2.0], [5.0]]), np.array([[2.0], [1.0]]), "l1")
    given = {"input": np.array([[0.5], [0.5]])}
    assert tc.check(problem, given).status == "another convention"


def test_nan_and_infinity_are_wrong_where_the_truth_is_finite():
    problem = tanh_problem()
    for bad in (np.nan, np.inf):
        leaf = ref.gradients(problem).layers[0].bias.copy()
        leaf[2] = bad
        verdict = tc.check(problem, {"layers[0].bias": leaf})
        assert (verdict.status, verdict.worst.index) == ("wrong", (2,))


def test_leaves_that_are_none_are_not_judged():
    problem = tanh_problem()
    g = ref.gradients(problem)
    broken = ref.Gradients((ref.LayerGradients(None, g.layers[0].bias), *g.layers[1:]), None)
    assert tc.check(problem, broken).agrees
    assert tc.check(problem, [(layer.weight, layer.bias) for layer in g.layers]).agrees


def test_zero_scale_demands_equality():
    fmt = FORMATS["float64"]
    assert in_scales(1.0, 1.0, 0.0, fmt) == 0
    assert in_scales(np.nextafter(1.0, 2), 1.0, 0.0, fmt) == np.inf
    assert in_scales(np.inf, 1e308, 1e307, fmt) == 0
    assert np.isnan(in_scales(1.0, 2.0, np.nan, fmt))


def test_bad_input_is_named():
    problem = tanh_problem()
    g = ref.gradients(problem)
    with pytest.raises(ValueError, match=r"layers\[0\].weight: expected shape \(16, 8\), got \(8, 16\)"):
        tc.check(problem, {"layers[0].weight": g.layers[0].weight.T})
    with pytest.raises(ValueError, match=r"layers\[7\].weight: the problem has no such gradient"):
        tc.check(problem, {"layers[7].weight": g.layers[0].weight})
    with pytest.raises(ValueError, match="nothing was given"):
        tc.check(problem, {})
    with pytest.raises(TypeError, match=r"layers\[0\].bias: expected floating numbers, got int64"):
        tc.check(problem, {"layers[0].bias": np.zeros(16, int)})
    with pytest.raises(TypeError, match="say with dtype="):
        tc.check(problem, {"layers[0].bias": g.layers[0].bias.astype(np.float32), "input": g.input})
    with pytest.raises(TypeError, match="expected a Gradients"):
        tc.check(problem, 3.0)
    with pytest.raises(TypeError, match=r"layers\[0\]: expected a \(weight, bias\) pair"):
        tc.check(problem, [g.layers[0].weight])
    x = problem.x.copy()
    x[2, 3] = np.nan
    with pytest.raises(ValueError, match=r"x\[2, 3\]: expected a finite number, got nan"):
        tc.check(problem.replace(x=x), g)


def test_modules_of_a_user():
    import torch
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = torch.tensor(digits.data[:64] / 16, dtype=torch.float32)
    t = torch.tensor(digits.target[:64])
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.GELU(), torch.nn.Linear(32, 10))
    verdict = tc.check_module(module, x, t, torch.nn.CrossEntropyLoss())
    assert verdict.status == "agrees", str(verdict)
    with pytest.raises(TypeError, match="BatchNorm1d"):
        tc.check_module(
            torch.nn.Sequential(torch.nn.Linear(64, 10), torch.nn.BatchNorm1d(10)), x, t, torch.nn.CrossEntropyLoss()
        )


def test_the_expected_gradients_of_a_float32_problem_are_float64():
    assert all(leaf.dtype == np.float64 for leaf in expected_leaves(tanh_problem(np.float32)).values())


def test_the_text_of_a_verdict_has_every_part_on_a_line_of_its_own():
    problem = tanh_problem()
    scaled = ref.gradients(problem).map(lambda leaf: 2.0 * leaf)
    verdict = tc.check(problem, scaled)
    lines = [line.strip() for line in str(verdict).splitlines()]
    assert lines[0] == "wrong (float64, textbook scale)"
    assert [line.partition(" ")[0] for line in lines[1:]] == ["worst", "diagnosis:", "digits", "expected"]
    assert "oracle × 2" in lines[2]
    assert lines[-2].startswith("digits that agree: 0.0, in ")
    other = replace(verdict, diagnosis=Diagnosis("text", runner_up="accumulated over two calls"))
    assert "\n  or else: accumulated over two calls\n" in str(other)
    assert "\n  that is: every element is within rounding" in str(tc.check(problem, ref.gradients(problem)))


def test_every_leaf_has_its_own_worst_element_and_digits():
    problem = tanh_problem()
    given = ref.gradients(problem).leaves()
    spoilt = given["layers[1].weight"].copy()
    spoilt[3, 5] *= 1 + 1e-6
    verdict = tc.check(problem, given | {"layers[1].weight": spoilt}, diagnose=False)
    assert verdict.places.keys() == verdict.digits.keys() == given.keys()
    assert verdict.places["layers[1].weight"] == verdict.worst
    assert verdict.digits["layers[1].weight"] == pytest.approx(6, abs=0.01)
    assert all(p.scales <= FACTOR for leaf, p in verdict.places.items() if leaf != "layers[1].weight")


def test_certified_gradients_that_are_at_hand_are_not_computed_again(monkeypatch):
    problem = tanh_problem()
    found = ref.certified_gradients(problem)
    monkeypatch.setattr(ref, "certified_gradients", None)
    given = ref.gradients(problem)
    verdict = tc.check(problem, given, certified=found)
    assert verdict.agrees
    worst = verdict.worst
    assert eval(f"found.{worst.leaf}.nearest", {"found": found})[worst.index] == worst.expected
    assert verdict.reproduce.startswith("ref.certified_gradients(problem).")
    wrong = given.map(lambda leaf: leaf * (1 + 1e-10))
    assert tc.check(problem, wrong, certified=found, diagnose=False).status == "wrong"
    tc.assert_gradients(problem, given, certified=found, diagnose=False)
    other = ref.Problem(ref.initialize([8, 4], ["tanh"], seed=0), problem.x, problem.target, "mse")
    with pytest.raises(ValueError, match=r"certified: expected a gradient of layers\[0\].weight of shape \(4, 8\)"):
        tc.check(other, {"input": given.input}, certified=found)


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


# ── kinks, each with a slope of its own ──────────────────────────────────────────────────────────────


def kinked(first, second, sides):
    """Two layers with a unit exactly on a kink of each, and the gradients with these slopes there."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape) for shape in ((3, 2), (4, 3), (2, 4))]
    rows = [ref.ACTIVATIONS[first], ref.ACTIVATIONS[second], ref.ACTIVATIONS["identity"]]
    layers = []
    for weight, row in zip(weights, rows, strict=True):
        bias = 0.1 * rng.normal(size=len(weight))
        if row.kinks:
            weight[0], bias[0] = 0.0, row.kinks[-1].at
        layers.append(ref.Layer(weight, bias, row))
    problem = ref.Problem(ref.MLP(tuple(layers)), rng.normal(size=(5, 2)), rng.normal(size=(5, 2)), "mse")

    def slope(problem, trace, l, d_h):
        row, z = problem.mlp.layers[l].activation, trace.preactivations[l]
        if not row.kinks:
            return d_h
        kink = row.kinks[-1]
        taken = {"left": kink.left, "right": kink.right, "mean": (kink.left + kink.right) / 2, "neither": 7.5}
        return d_h * np.where(z == kink.at, taken[sides[l]], row.derivative(z))

    return problem, passes.backward_with(replace(passes.RIGHT, slope=slope), problem)


@pytest.mark.parametrize("sides", [("mean", "mean"), ("mean", "left"), ("right", "mean"), ("left", "right")])
def test_each_kink_may_have_a_convention_of_its_own(sides):
    """Only those kinks are named whose slope is not the oracle's: from above for relu6 at 6, below for leaky_relu."""
    verdict = tc.check(*kinked("relu6", "leaky_relu", sides))
    assert verdict.status == "another convention", str(verdict)
    assert ("relu6 at 6" in verdict.diagnosis) == (sides[0] != "right")
    assert ("leaky_relu at 0" in verdict.diagnosis) == (sides[1] != "left")


@pytest.mark.parametrize("sides", [("neither", "left"), ("mean", "neither")])
def test_a_slope_that_no_side_has_is_wrong(sides):
    assert tc.check(*kinked("relu6", "leaky_relu", sides)).status == "wrong"


@pytest.mark.parametrize(("p", "share"), [(1, 0.5), (1, 1.0)])
def test_a_margin_that_is_met_exactly_may_count_in_half_or_whole(p, share):
    """Raising every output by as much leaves the margin where it is: one has to rise, the other to fall."""
    mlp = ref.MLP((ref.Layer(np.eye(3), np.zeros(3), "identity"),))
    problem = ref.Problem(mlp, np.array([[2.0, 1.0, 1.0]]), np.array([0]), ref.losses.multi_margin(p), "sum")
    d_y = np.array([[-2.0, 1.0, 1.0]]) * share / 3
    given = {"input": d_y, "layers[0].bias": d_y[0], "layers[0].weight": d_y.T @ problem.x}
    assert np.all(ref.gradients(problem).input == 0)
    verdict = tc.check(problem, given)
    assert verdict.status == "another convention", str(verdict)
    assert tc.check(problem, {"input": np.array([[-2.0, 1.5, 0.5]]) / 3}).status == "wrong"


def test_many_kinks_are_each_given_their_side():
    """More of them than could be tried in every combination: one after the other, from the output down."""
    names = ["relu6", "hardtanh", "hardsigmoid", "leaky_relu", "relu"]
    rng = np.random.default_rng(0)
    layers = []
    for name in (*names, "identity"):
        row = ref.ACTIVATIONS[name]
        weight, bias = rng.normal(size=(6, 6)) / 2, rng.normal(size=6) / 2
        for unit, kink in enumerate(row.kinks):
            weight[unit], bias[unit] = 0.0, kink.at
        layers.append(ref.Layer(weight, bias, row))
    problem = ref.Problem(ref.MLP(tuple(layers)), rng.normal(size=(8, 6)), rng.normal(size=(8, 6)), "mse")
    halves = {"relu6": 0.5, "hardtanh": 1.0, "hardsigmoid": 1 / 12, "relu": 1.0}

    def slope(problem, trace, l, d_h):
        row, z = problem.mlp.layers[l].activation, trace.preactivations[l]
        at_kink = np.isin(z, [kink.at for kink in row.kinks]) & (row.name in halves)
        return d_h * np.where(at_kink, halves.get(row.name, 0.0), row.derivative(z))

    found = passes.backward_with(replace(passes.RIGHT, slope=slope), problem)
    verdict = tc.check(problem, found)
    assert verdict.status == "another convention", str(verdict)
    assert "the mean of both slopes (hardsigmoid at -3, hardsigmoid at 3, relu6 at 0, relu6 at 6)" in verdict.diagnosis
    assert tc.check(problem, found.map(lambda leaf: leaf * 1.0001)).status == "wrong"


# ── underflow ────────────────────────────────────────────────────────────────────────────────────────


def tiny_problem(size):
    """float32, its first layer's gradients about as small as `size`."""
    problem = tanh_problem(np.float32)
    first = problem.mlp.layers[1]
    scaled = ref.Layer(first.weight * np.float32(size), first.bias, first.activation)
    return problem.replace(mlp=ref.MLP((problem.mlp.layers[0], scaled, problem.mlp.layers[2])))


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


def test_a_small_mistake_is_not_taken_for_a_low_precision():
    """gelu's tanh formula is off by as much as tf32 is, but it explains the numbers to the last bit of a float32."""
    rng = np.random.default_rng(0)
    x, target = (rng.normal(size=(8, width)).astype(np.float32) for width in (8, 4))
    right, theirs = (
        ref.Problem(
            ref.initialize([8, 16, 16, 4], [name, name, "identity"], seed=0, dtype=np.float32), x, target, "mse"
        )
        for name in ("gelu", "gelu_tanh")
    )
    assert tc.check(right, ref.gradients(theirs), diagnose=False).status == "imprecise"
    verdict = tc.check(right, ref.gradients(theirs))
    assert (verdict.status, verdict.diagnosis.names) == ("wrong", ("tanh formula for GELU",)), str(verdict)


def test_label_smoothing_may_overflow_before_its_share_of_the_classes_is_taken():
    """Σ_c −log p_c over 100 classes is 99,000, and the loss (ε/K of it, and a little) 199."""
    layers = (ref.Layer(np.zeros((100, 1)), np.r_[1000.0, np.zeros(99)], "identity"),)
    loss = ref.losses.cross_entropy(label_smoothing=0.2)
    problem = ref.Problem(ref.MLP(layers), np.array([[1.0]]), np.array([0]), loss)
    given = {"loss": np.array(np.inf, dtype=np.float16)}
    assert tc.check(problem, given).status == "unresolved"
    plain = problem.replace(loss=ref.losses.cross_entropy())
    assert tc.check(plain, given).status == "wrong"


def test_a_convention_is_found_beside_an_overflow_and_beside_large_numbers():
    """leaky_relu's slope from above at 0, as JAX takes it, next to gradients that are 10^30 times larger."""
    weight = np.array([[1.0], [0.0]])
    layers = (ref.Layer(weight, None, "leaky_relu"),)
    target = np.array([[-1e30, 1.0]])
    problem = ref.Problem(ref.MLP(layers), np.array([[1.0]]), target, "half_squared_error", "sum")
    right = ref.gradients(problem).layers[0].weight
    given = {"layers[0].weight": right * np.array([[1.0], [100.0]])}
    assert tc.check(problem, given).status == "another convention"
    in_half = problem.replace(target=np.array([[-300.0, 1.0]]), x=np.array([[100.0]]))
    right = ref.gradients(in_half).layers[0].weight
    given = {"layers[0].weight": right * np.array([[1.0], [100.0]]), "loss": np.array(np.inf)}
    assert tc.check(in_half, given, "float16").status == "another convention"


def test_a_deep_network_with_many_kinks_and_a_convention_at_one_costs_few_passes(monkeypatch):
    """Sides that no gradient tells apart are not tried in every combination: 8 kinks would have 3⁸ of them."""
    names = ["relu6", "hardtanh", "hardsigmoid", "relu", "leaky_relu", "identity"]
    layers = []
    for name in names:
        row = ref.ACTIVATIONS[name]
        weight, bias = np.zeros((3, 3)), np.array([k.at for k in (*row.kinks, *row.kinks, *row.kinks)] or [0.0] * 3)[:3]
        layers.append(ref.Layer(weight, bias.astype(float), row))
    problem = ref.Problem(ref.MLP(tuple(layers)), np.ones((2, 3)), np.ones((2, 3)), "mse")
    calls = []
    plain = explanations.rounding_scale
    monkeypatch.setattr(explanations, "rounding_scale", lambda *a, **k: calls.append(1) or plain(*a, **k))
    given = ref.gradients(problem).leaves()
    assert tc.check(problem, given | {"layers[0].bias": np.ones(3)}).status == "wrong"
    assert len(calls) <= 100


def test_a_convention_is_found_in_numbers_that_underflow():
    """relu's slope from above at 0 leaves the smallest float32 where the oracle has 0; leaky_relu's and elu's sides
    change nothing that float32 shows."""
    names = ("relu", "elu", "leaky_relu", "identity")
    scales = (1.0, 1.0, 1.0, 1e-20)
    layers = [ref.Layer(np.array([[w]]), None, name) for name, w in zip(names, scales, strict=True)]
    target = np.full((4, 1), -1e-24)
    problem = ref.Problem(ref.MLP(tuple(layers)), np.zeros((4, 1)), target, "half_squared_error", "sum")
    given = ref.gradients(problem).leaves() | {"input": np.array([[1.4012984643e-45], [0.0], [0.0], [0.0]])}
    verdict = tc.check(problem, given, "float32")
    assert verdict.status == "another convention"
    assert "relu at 0" in verdict.diagnosis
    assert tc.check(problem, given | {"input": np.full((4, 1), 1e-40)}, "float32").status == "wrong"


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
