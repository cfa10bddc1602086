"""Differences of the loss alone against the hand-written gradients, judged by the differences' own error bars."""

from __future__ import annotations

import numpy as np
import pytest

import reference as ref
from reference.differences import (
    Difference,
    central_difference,
    complex_step,
    directional_difference,
    extrapolation,
    random_direction,
)
from reference.differences import one_parameter as variants
from reference.rounding.distance import FACTOR
from tests.helpers import derivatives

ULP = 2.0**-52
ACTIVATIONS = list(ref.ACTIVATIONS)
LOSSES = list(ref.LOSSES)
OUTPUT_IN_DOMAIN = {"bce": "sigmoid"}


def targets(rng, kind, n, k):
    match kind:
        case "real":
            return rng.normal(size=(n, k))
        case "probabilities":
            return rng.random((n, k))
        case "nonnegative":
            return rng.integers(0, 4, (n, k)).astype(float)
        case "classes" | "indices":
            return rng.integers(0, k, n)
        case "signs":
            return rng.choice([-1.0, 1.0], (n, k))
        case "labels":
            return np.where(
                np.arange(k) < rng.integers(0, k + 1, (n, 1)), rng.permuted(np.tile(np.arange(k), (n, 1)), axis=1), -1
            )
    raise ValueError(kind)


def network_problem(seed, activations, loss, widths, n=3, scale=1.0, zeros=0.0):
    rng = np.random.default_rng(seed)
    layers = []
    for fan_in, width, name in zip(widths, widths[1:], activations, strict=False):
        row = ref.ACTIVATIONS[name]
        weight = rng.normal(0, scale / np.sqrt(fan_in), (width * row.shrink, fan_in))
        weight[rng.random(weight.shape) < zeros] = 0
        layers.append(ref.Layer(weight, rng.normal(0, scale / 2, width * row.shrink), row))
    x = rng.normal(size=(n, widths[0]))
    reduction = ["mean", "sum"][int(rng.integers(2))]
    return ref.Problem(ref.MLP(tuple(layers)), x, targets(rng, ref.LOSSES[loss].target, n, widths[-1]), loss, reduction)


def stiff_problem(seed):
    """A problem of any activation and loss: weights of 1e-3 to 100, exact zeros, targets met, one to six layers."""
    rng = np.random.default_rng(seed)
    loss = LOSSES[seed % len(LOSSES)]
    depth = int(rng.integers(1, 7))
    names = [ACTIVATIONS[i] for i in rng.integers(0, len(ACTIVATIONS), depth)]
    names[-1] = OUTPUT_IN_DOMAIN.get(loss, names[-1] if rng.random() < 0.5 else "identity")
    widths = [int(w) for w in rng.integers(1, 9, depth + 1)]
    scale = 10 ** rng.uniform(-3, 2) if rng.random() < 0.5 else 1.0
    with np.errstate(all="ignore"):
        problem = network_problem(
            seed, names, loss, widths, int(rng.integers(1, 7)), scale, rng.choice([0.0, 0.0, 0.5, 1.0])
        )
        if problem.loss.target == "real" and rng.random() < 0.3:
            y = ref.forward(problem.mlp, problem.x).output
            met = y * (1 + 10 ** rng.uniform(-16, -2) * rng.normal(size=y.shape))
            problem = problem.replace(target=np.where(np.isfinite(met), met, 0.0))
    return problem


def finite_gradients(problem):
    with np.errstate(all="ignore"):
        g = ref.gradients(problem)
    return g if all(np.all(np.isfinite(leaf)) for leaf in g.leaves().values()) else None


def outside(difference, gradients):
    """The places and elements where a gradient lies outside the bar."""
    found = []
    for place, leaf in derivatives(gradients).items():
        value, error = difference.value.leaves()[place], difference.error.leaves()[place]
        judged = np.isfinite(value)
        assert np.array_equal(judged, np.isfinite(error))
        assert value.dtype == error.dtype == np.float64
        assert value.shape == error.shape == leaf.shape
        found += [(place, tuple(i)) for i in np.argwhere(judged & ~(np.abs(value - leaf) <= error))]
    return found


def judged(difference):
    values = difference.value if isinstance(difference, Difference) else difference
    return sum(int(np.isfinite(leaf).sum()) for leaf in derivatives(values).values())


def largest(gradients):
    return max(float(np.abs(leaf).max()) for leaf in derivatives(gradients).values())


def with_fault(gradients, layer, factor):
    """The gradients with one layer's weights and bias scaled."""
    faulty = [
        ref.LayerGradients(g.weight * factor, None if g.bias is None else g.bias * factor) if i == layer else g
        for i, g in enumerate(gradients.layers)
    ]
    return ref.Gradients(tuple(faulty), gradients.input, gradients.loss)


# ── central differences: right, honest, and able to fail ─────────────────────────────────────────────


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_within_the_bar(name):
    problem = network_problem(11, [name, name, "identity"], "half_squared_error", [3, 4, 4, 2])
    g, found = ref.gradients(problem), central_difference(problem)
    assert outside(found, g) == []
    assert judged(found) == problem.mlp.parameters + problem.x.size
    assert np.median(np.concatenate([e.ravel() for e in derivatives(found.error).values()])) < 1e-10 * largest(g)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_within_the_bar(loss):
    problem = network_problem(5, ["tanh", OUTPUT_IN_DOMAIN.get(loss, "identity")], loss, [3, 5, 4], n=4)
    g, found = ref.gradients(problem), central_difference(problem)
    assert outside(found, g) == []
    assert judged(found) == problem.mlp.parameters + problem.x.size
    assert found.value.loss == g.loss
    assert 0 < found.error.loss < 1e-12 * max(1, abs(g.loss))
    assert outside(found, with_fault(g, 0, 1 + 1e-6))


def test_bars_are_honest_and_informative_on_stiff_problems():
    """In 16,000 (735,000 elements) no bar was too small; their median was 4e-13 of the largest element."""
    relative, elements = [], 0
    for seed in (*range(400), 4022):  # 4022: entries of the tableau agree by accident
        problem = stiff_problem(seed)
        g = finite_gradients(problem)
        if g is None:
            continue
        found = central_difference(problem, entries=48, seed=seed)
        assert outside(found, g) == [], f"stiff_problem({seed})"
        bars = np.concatenate([e[np.isfinite(e)] for e in derivatives(found.error).values()])
        elements += bars.size
        if largest(g) > 0:
            relative.append(bars / largest(g))
    assert elements > 12000
    assert np.median(np.concatenate(relative)) < 4e-12


def test_a_fault_of_1e6th_is_outside_the_bar_in_every_layer():
    for seed, name in enumerate(["tanh", "gelu", "softplus", "silu", "relu", "softmax"]):
        problem = network_problem(seed, [name, name, "identity"], "mse", [3, 6, 5, 2], n=4)
        g, found = ref.gradients(problem), central_difference(problem)
        for layer in range(3):
            places = {place for place, _ in outside(found, with_fault(g, layer, 1 + 1e-6))}
            assert places == {f"layers[{layer}].weight", f"layers[{layer}].bias"}, (name, layer)


def test_piecewise_linear_networks_get_bars_of_a_few_roundings():
    problem = network_problem(3, ["relu", "leaky_relu", "identity"], "half_squared_error", [4, 8, 8, 2], n=4)
    found = central_difference(problem)
    bars = np.concatenate([e.ravel() for e in derivatives(found.error).values()])
    # a rounding error of the loss, divided by steps of about 0.1 that stay between the kinks
    assert np.median(bars) < 1e4 * ULP * largest(ref.gradients(problem))


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e8, 1e30])
def test_scales_of_the_weights_do_not_spoil_the_bars(scale):
    problem = network_problem(9, ["identity", "identity"], "mse", [3, 4, 2], scale=scale)
    g, found = ref.gradients(problem), central_difference(problem)
    assert outside(found, g) == []
    assert outside(found, with_fault(g, 1, 1 + 1e-6))


def test_a_met_target_and_constant_units_do_not_pass_for_exact():
    """Where the base point happens to be free of rounding errors, the points beside it are not."""
    rng = np.random.default_rng(2)
    bias = rng.normal(size=5)
    for name in ("identity", "sigmoid", "softshrink"):
        layers = (
            ref.Layer(np.zeros((4, 3)), np.zeros(4), name),
            ref.Layer(rng.normal(size=(5, 4)) * 1e-9, bias, "identity"),
        )
        x = rng.normal(size=(6, 3))
        for gap in (0.0, 1e-12, 1e-3):
            y = ref.forward(ref.MLP(layers), x).output
            for loss in ("mse", "l1"):
                problem = ref.Problem(ref.MLP(layers), x, y * (1 + gap * rng.normal(size=y.shape)), loss)
                assert outside(central_difference(problem), ref.gradients(problem)) == [], (name, gap, loss)


def test_exact_sums_of_large_numbers_do_not_pass_for_exact_beside_the_base_point():
    """2³⁰ + ½ − 2³⁰ is exact; with a step added to the first, it is off by 2⁻²³."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        layers = (
            ref.Layer(np.zeros((2, 3)), np.array([2.0**30 + 0.5, 2.0**30]), "identity"),
            ref.Layer(np.array([[1.0, -1.0]]), None, "identity"),
        )
        problem = ref.Problem(ref.MLP(layers), rng.normal(size=(3, 3)), rng.normal(size=(3, 1)), "mse")
        assert outside(central_difference(problem), ref.gradients(problem)) == [], seed


def test_a_bend_far_narrower_than_the_first_steps_is_found():
    """From afar softplus(βz)/β looks like relu, whose central difference at 0 is ½ for every step."""
    for beta in (1e2, 1e4, 1e6):
        row = ref.activations.softplus(beta=beta, threshold=np.inf)
        layer = ref.Layer(np.array([[1.0]]), np.array([0.1 / beta]), row)
        problem = ref.Problem(ref.MLP((layer,)), np.zeros((1, 1)), np.array([[1.0]]), "l1")
        found, g = central_difference(problem), ref.gradients(problem)
        assert outside(found, g) == []
        assert outside(found, with_fault(g, 0, 0.5 / 0.525)), "a half is not the slope at 0.1"


# ── what is not judged ───────────────────────────────────────────────────────────────────────────────


def kinked(at):
    """One example; unit 0 of layer 0 sits `at` from relu's kink and is moved by x[0], not by x[1] = 0."""
    layers = (
        ref.Layer(np.array([[1.0, 2.0], [0.5, -0.25]]), np.array([at - 1.0, 0.25]), "relu"),
        ref.Layer(np.array([[0.75, -1.5]]), None, "identity"),
    )
    return ref.Problem(ref.MLP(layers), np.array([[1.0, 0.0]]), np.array([[2.0]]), "mse")


def test_a_unit_exactly_on_a_kink_is_not_judged_where_it_moves():
    for found in (central_difference(kinked(0.0)).value, complex_step(kinked(0.0))):
        first = found.layers[0]
        assert np.array_equal(np.isnan(first.weight), [[True, False], [False, False]])
        assert np.array_equal(np.isnan(first.bias), [True, False])
        assert np.isnan(found.input).all()
        assert np.isfinite(found.layers[1].weight).all()
    assert np.isinf(central_difference(kinked(0.0)).error.layers[0].weight[0, 0])


def test_beside_a_kink_steps_stay_on_its_side():
    for at in (-1e-3, 1e-3, -1e-9, 1e-9):
        problem = kinked(at)
        found = central_difference(problem)
        assert outside(found, ref.gradients(problem)) == []
        assert np.isfinite(found.value.layers[0].weight).all()
        other = ref.gradients(kinked(-at))
        assert outside(found, other), "the other side's gradient must not fit"


def test_a_step_that_reaches_a_kink_along_a_curve_is_not_used():
    """The slope at z = 0.1 does not tell that (z + h)² passes relu's kink within the first step."""
    layers = (ref.Layer(np.array([[0.1]]), None, "square"), ref.Layer(np.array([[1.0]]), np.array([-0.05]), "relu"))
    problem = ref.Problem(ref.MLP(layers), np.array([[1.0]]), np.array([[1.0]]), "mse")
    trace = ref.forward(problem.mlp, problem.x)
    evaluate = variants.along_elements(problem, trace, np.array([0]), [np.ones((1, 1))])
    run = evaluate(np.array([0]), np.array([[0.0, 0.12, 0.125, -0.125, -0.35]]))
    with np.errstate(all="ignore"):
        same = extrapolation.Base.of(problem).same_region(run)
    assert np.array_equal(same, [[True, True, False, True, False]])


def test_a_loss_exactly_on_its_switch_is_not_judged():
    mlp = ref.MLP((ref.Layer(np.array([[2.0], [3.0]]), None, "identity"),))
    problem = ref.Problem(mlp, np.array([[0.5]]), np.array([[1.0, 1.0]]), "l1")
    for found in (central_difference(problem).value, complex_step(problem)):
        assert np.array_equal(np.isnan(found.layers[0].weight), [[True], [False]])


def test_what_moves_nothing_has_the_derivative_0_and_no_error():
    problem = kinked(1.0)
    found = central_difference(problem)
    assert np.array_equal(found.value.layers[0].weight[:, 1], [0, 0])
    assert np.array_equal(found.error.layers[0].weight[:, 1], [0, 0])


def test_an_infinite_loss_is_not_judged():
    mlp = ref.MLP((ref.Layer(np.array([[1e200]]), None, "square"),))
    with np.errstate(over="ignore"):
        problem = ref.Problem(mlp, np.array([[1.0]]), np.array([[0.0]]), "mse")
    found = central_difference(problem)
    assert judged(found) == 0
    assert np.isinf(found.error.input).all()
    assert directional_difference(problem, random_direction(problem, seed=0))[1] == np.inf


# ── which elements, in which type ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", [central_difference, complex_step])
def test_a_subset_is_seeded_and_spread_over_the_leaves(method):
    problem = network_problem(1, ["tanh", "gelu", "identity"], "mse", [6, 8, 7, 3], n=5)
    tree = {seed: method(problem, entries=14, seed=seed) for seed in (0, 1)}
    values = {seed: t.value if isinstance(t, Difference) else t for seed, t in tree.items()}
    again = method(problem, entries=14, seed=0)
    again = again.value if isinstance(again, Difference) else again
    everything = method(problem)
    scale = ref.rounding_scale(problem).map(lambda sigma: FACTOR * sigma).leaves()
    both = {place: 2 * bar for place, bar in tree[0].error.leaves().items()} if method is central_difference else {}
    allowed = both or scale
    everything = everything.value if isinstance(everything, Difference) else everything
    for place, leaf in derivatives(values[0]).items():
        assert np.isfinite(leaf).sum() == 2
        assert np.array_equal(leaf, again.leaves()[place], equal_nan=True)
        chosen = np.isfinite(leaf)
        apart = np.abs(leaf[chosen] - everything.leaves()[place][chosen])
        assert np.all(apart <= allowed[place][chosen])
    assert any(
        not np.array_equal(np.isfinite(leaf), np.isfinite(values[1].leaves()[place]))
        for place, leaf in derivatives(values[0]).items()
    )
    assert judged(method(problem, entries=3, seed=0)) == 3
    assert judged(method(problem, entries=10**6)) == problem.mlp.parameters + problem.x.size


def test_a_large_problem_is_cut_into_batches():
    problem = network_problem(4, ["tanh", "identity"], "mse", [20, 30, 10], n=16)
    assert outside(central_difference(problem), ref.gradients(problem)) == []


def test_float32_is_computed_in_float64():
    wide = network_problem(6, ["tanh", "leaky_relu"], "cross_entropy", [3, 4, 3])

    def narrow(values):
        return values.astype(np.float32)

    for target in (wide.target, np.array([[0.2, 0.3, 0.5]] * 3, dtype=np.float32)):
        single = wide.map(narrow).replace(target=target)
        double = single.map(lambda values: values.astype(np.float64)).replace(
            target=target.astype(np.float64) if target.dtype.kind == "f" else target
        )
        found, expected = central_difference(single), central_difference(double)
        for place, leaf in derivatives(found.value).items():
            assert leaf.dtype == np.float64
            assert np.array_equal(leaf, expected.value.leaves()[place])
            assert np.array_equal(complex_step(single).leaves()[place], complex_step(double).leaves()[place])
        assert outside(found, ref.gradients(double)) == []
        assert outside(found, ref.gradients(single)), "float32 gradients are off by more than the bars"


def test_nothing_is_modified():
    problem = network_problem(8, ["relu", "identity"], "mse", [3, 4, 2])
    before = [leaf.copy() for layer in problem.mlp.layers for leaf in (layer.weight, layer.bias)] + [problem.x.copy()]
    central_difference(problem)
    complex_step(problem)
    directional_difference(problem, random_direction(problem, seed=0))
    after = [leaf for layer in problem.mlp.layers for leaf in (layer.weight, layer.bias)] + [problem.x]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_bad_arguments_are_named():
    problem = network_problem(0, ["tanh"], "mse", [2, 2])
    unreduced = problem.replace(reduction="none")
    for method in (central_difference, complex_step):
        with pytest.raises(ValueError, match='reduction "none"'):
            method(unreduced)
        with pytest.raises(ValueError, match="entries: expected at least 1, got 0"):
            method(problem, entries=0)
    with pytest.raises(ValueError, match='reduction "none"'):
        directional_difference(unreduced, random_direction(unreduced, seed=0))


# ── along a direction ────────────────────────────────────────────────────────────────────────────────


def along(gradients, direction):
    return sum(float(np.sum(d * gradients[place])) for place, d in direction.leaves().items())


def test_directions_within_the_bar_and_a_fault_outside():
    caught = total = 0
    for seed in range(100):
        problem = stiff_problem(seed)
        g = finite_gradients(problem)
        if g is None:
            continue
        direction = random_direction(problem, seed)
        value, error = directional_difference(problem, direction)
        if np.isfinite(value):
            assert abs(value - along(g, direction)) <= error, f"stiff_problem({seed})"
            total += 1
            caught += abs(value - along(with_fault(g, 0, 1 + 1e-4), direction)) > error
    assert total > 70
    assert caught > total / 2


def test_a_wide_network_at_once():
    problem = network_problem(7, ["gelu", "tanh", "identity"], "cross_entropy", [64, 256, 128, 10], n=16)
    direction = random_direction(problem, seed=3)
    value, error = directional_difference(problem, direction)
    g = ref.gradients(problem)
    assert abs(value - along(g, direction)) <= error < 1e-9 * abs(value)
    assert abs(value - along(with_fault(g, 1, 1 + 1e-6), direction)) > error


def test_no_direction_has_the_derivative_0():
    problem = network_problem(7, ["gelu"], "mse", [2, 2])
    still = random_direction(problem, seed=3).map(np.zeros_like)
    assert directional_difference(problem, still) == (0.0, 0.0)


# ── complex step ─────────────────────────────────────────────────────────────────────────────────────


def misfit(found, gradients):
    """The largest deviation in a leaf, in units of an ulp of the largest element of all."""
    return max(
        float(np.max(np.abs(leaf - gradients.leaves()[place]))) / (ULP * largest(gradients))
        for place, leaf in derivatives(found).items()
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_complex_step_on_every_activation(name):
    """Measured: 6 ulps at the most."""
    problem = network_problem(11, [name, name, "identity"], "half_squared_error", [3, 4, 4, 2])
    g, found = ref.gradients(problem), complex_step(problem)
    assert misfit(found, g) < 100
    assert misfit(found, with_fault(g, 2, 1 + 1e-12)) > 100


@pytest.mark.parametrize("loss", LOSSES)
def test_complex_step_on_every_loss(loss):
    """Measured: 6 ulps at the most."""
    problem = network_problem(5, ["tanh", OUTPUT_IN_DOMAIN.get(loss, "identity")], loss, [3, 5, 4], n=4)
    g, found = ref.gradients(problem), complex_step(problem)
    assert misfit(found, g) < 100
    assert misfit(found, with_fault(g, 1, 1 + 1e-12)) > 100
    assert found.loss == g.loss


def test_complex_step_where_gradients_are_tiny():
    """Times 1e-100 they are subnormal: a larger step gives them all their digits, or they are not judged."""
    for depth, least in ((25, 1e-190), (31, 1e-225), (42, 1e-300)):
        problem = network_problem(2, ["tanh"] * depth, "mse", [3] * (depth + 1), scale=1e-7)
        expected, found = ref.gradients(problem).layers[0].weight, complex_step(problem).layers[0].weight
        assert least < np.abs(expected).max() < 1e-150
        error = np.abs(found - expected)
        assert np.all(np.isnan(error) | (error < 1000 * ULP * np.abs(expected).max()))
        assert np.isfinite(found).all() == (depth < 42)


def test_complex_step_at_a_stationary_point_is_not_a_truncation_error():
    """The loss is h² there: with no other step than a large one, its derivative would come out as h."""
    layers = (ref.Layer(np.array([[1.0, 2.0]]), None, "gelu"), ref.Layer(np.array([[3.0]]), None, "identity"))
    problem = ref.Problem(ref.MLP(layers), np.zeros((2, 2)), np.zeros((2, 1)), "mse")
    for leaf in derivatives(complex_step(problem)).values():
        assert np.all(np.isnan(leaf) | (leaf == 0))
