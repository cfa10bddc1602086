"""The last activation and the loss as one: the digits that a saturated probability loses between them."""

import numpy as np
import pytest
from flint import arb, ctx

import reference as ref
from reference.network.composed import composed
from reference.network.unchecked import changed, unchecked
from tests.helpers import DTYPES
from tests.helpers.comparing import assert_within_rounding

ROWS = ("sigmoid", "softmax", "softmin")
BITS = 400
LIMIT = -100


def one_layer(z, t, row="sigmoid", dtype=np.float64, loss="bce"):
    """The problem whose last pre-activations are z (N, K) exactly."""
    z = np.asarray(z, dtype)
    layer = ref.Layer(np.eye(z.shape[1], dtype=dtype), None, row)
    return ref.Problem(ref.MLP((layer,)), z, np.asarray(t, dtype), loss, "sum")


def exact(z, t, row):
    """Loss and gradient from the definition, term by term, in balls: no composition, no logarithm kept."""
    with ctx.workprec(BITS):
        n, k = z.shape
        loss, d_z = arb(0), np.empty((n, k), dtype=object)
        for i in range(n):
            zs, ts = [arb(float(v)) for v in z[i]], [arb(float(v)) for v in t[i]]
            zs = [-v for v in zs] if row == "softmin" else zs
            es = [v.exp() for v in zs]
            total = sum(es, arb(0))
            ys = [e / (1 + e) for e in es] if row == "sigmoid" else [e / total for e in es]
            rests = [1 / (1 + e) for e in es] if row == "sigmoid" else [
                sum((e for c, e in enumerate(es) if c != j), arb(0)) / total for j in range(k)
            ]  # fmt: skip
            d_y = []
            for y, rest, target in zip(ys, rests, ts, strict=True):
                slope = arb(0)
                for share, g, sign in ((target, y, 1), (1 - target, rest, -1)):
                    kept = g != 0 and g.log() > LIMIT
                    loss -= share * (g.log() if kept else LIMIT)
                    slope -= sign * share / g if kept else 0
                d_y.append(slope)
            for j in range(k):
                if row == "sigmoid":
                    d_z[i, j] = d_y[j] * ys[j] * rests[j]
                else:
                    mean = sum((y * d for y, d in zip(ys, d_y, strict=True)), arb(0))
                    d_z[i, j] = ys[j] * (d_y[j] - mean) * (-1 if row == "softmin" else 1)
        return float(loss), np.array([[float(v) for v in row] for row in d_z])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("scale", [1.0, 12.0, 36.0, 95.0, 300.0])
def test_the_digits_hold_wherever_the_probability_rounds(row, scale, dtype):
    rng = np.random.default_rng(int(scale))
    info = np.finfo(dtype)
    for k in (1, 2, 3, 6):
        z = (scale * rng.uniform(-1, 1, (4, k))).astype(dtype)
        t = np.array([rng.permutation(np.r_[1.0, np.zeros(k - 1)]) for _ in range(4)])
        t[0] = rng.choice([0.0, 0.25, 1.0], k)
        g = ref.gradients(one_layer(z, t, row, dtype))
        loss, d_z = exact(z, t, row)
        # terms that cancel in a row are at most 1 each, and a logarithm carries the spread of its row
        size = np.maximum(np.abs(d_z), np.where(t == t.astype(int), 0, 1) if row == "sigmoid" else _terms(z, t, row))
        assert np.all(np.abs(g.input - d_z) <= 12 * info.eps * size + 8 * float(info.smallest_subnormal))
        assert abs(float(g.loss) - loss) <= 12 * info.eps * abs(loss) + 8 * float(info.smallest_subnormal)


def _terms(z, t, row):
    """What the terms of a row's gradient add up to: of one sign where one class is the target and all else is right."""
    z = (-1 if row == "softmin" else 1) * np.asarray(z, float)
    y = np.exp(z - z.max(axis=1, keepdims=True))
    y = y / y.sum(axis=1, keepdims=True)
    return y * z.shape[1] + t * (1 - y)


@pytest.mark.parametrize("z", [20.0, 35.5, 36.5, 37.0, 40.0, 99.0])
def test_behind_a_saturated_sigmoid_the_derivative_is_that_of_the_exact_formula(z):
    """FluxML/Flux.jl#914: at z = 40, target 0 the derivative is 1 − 4e-18 and the loss 40; y rounds to 1."""
    g = ref.gradients(one_layer([[z]], [[0.0]]))
    assert abs(float(g.input[0, 0]) - 1) <= 3e-9
    assert abs(float(g.loss) - z) <= 3e-9
    assert ref.loss_value(one_layer([[z]], [[0.0]])) == g.loss


def test_the_limit_of_the_logarithm_is_part_of_the_function():
    for row, z, t in (("sigmoid", [[101.0]], [[0.0]]), ("softmax", [[0.0, -101.0]], [[0.0, 0.0]])):
        g = ref.gradients(one_layer(z, t, row))
        assert np.all(np.abs(g.input) < 1e-40)
        assert g.loss == 100


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("dtype", [np.float16, np.longdouble])
def test_every_type_of_numpy_runs_through_it(row, dtype):
    z, t = np.array([[12.0, -3.0, 0.5], [-20.0, 30.0, 1.0]]), np.array([[0.0, 1.0, 0.25], [1.0, 0.0, 0.0]])
    g, expected = ref.gradients(one_layer(z, t, row, dtype)), ref.gradients(one_layer(z, t, row))
    assert g.input.dtype == dtype
    found = {"input": g.input.astype(float), "loss": np.asarray(g.loss, float)}
    right = {"input": expected.input, "loss": np.asarray(expected.loss)}
    assert_within_rounding(one_layer(z, t, row), found, right, "float16" if dtype is np.float16 else "float64")


@pytest.mark.parametrize("row", ROWS)
def test_certified_gradients_are_of_the_same_function(row):
    problem = one_layer([[40.0, -1.0, 3.0]], [[0.0, 0.0, 1.0]], row)
    found = ref.certified_gradients(problem)
    assert found.status == "certified"
    loss, d_z = exact(problem.x, problem.target, row)
    assert found.loss.nearest == loss
    np.testing.assert_array_equal(found.input.nearest, d_z)


def test_class_weights_come_through():
    weight = np.array([2.0, 0.0, -0.5])
    problem = one_layer([[40.0, 40.0, 40.0]], [[0.0, 0.0, 0.0]])
    weighted = problem.replace(loss=ref.losses.bce(weight=weight))
    np.testing.assert_array_max_ulp(ref.gradients(weighted).input, weight[None], maxulp=4)  # as of every derivative


def test_a_row_that_computes_something_else_is_left_apart():
    """A wrong derivative, or loss, must not be lost because the composition has a right one."""
    sigmoid, bce = ref.ACTIVATIONS["sigmoid"], ref.LOSSES["bce"]
    wrong = changed(sigmoid, derivative=lambda z: 2 * sigmoid.derivative(z))
    assert composed(sigmoid, bce) is not None
    assert composed(wrong, bce) is None
    assert composed(sigmoid, changed(bce, gradient=lambda y, t: -bce.gradient(y, t))) is None
    fields = {name: getattr(bce, name) for name in bce.__dataclass_fields__}
    assert composed(sigmoid, unchecked(ref.Loss, **fields | {"gradient": lambda y, t: y})) is None
    assert composed(sigmoid, ref.LOSSES["mse"]) is None
    assert composed(ref.ACTIVATIONS["tanh"], bce) is None
    problem = one_layer([[1.0]], [[0.0]])
    layer = unchecked(ref.Layer, weight=problem.mlp.layers[0].weight, bias=None, activation=wrong)
    planted = problem.replace(network=unchecked(ref.MLP, layers=(layer,)))
    twice = {"input": 2 * ref.gradients(problem).input}
    assert_within_rounding(problem, {"input": ref.gradients(planted).input}, twice)


def test_a_row_whose_logarithms_contradict_its_value_cannot_be_made():
    softmax = ref.ACTIVATIONS["softmax"]
    for part in ("values", "vjp"):
        right = getattr(softmax.logarithms, part)
        wrong = (
            (lambda *a, f=right: tuple(2 * v for v in f(*a))) if part == "values" else (lambda *a, f=right: 2 * f(*a))
        )
        with pytest.raises(ValueError, match=r"softmax.*logarithm"):
            ref.activations.Activation(
                "softmax", "", "", softmax.value, vjp=softmax.vjp, jvp=softmax.jvp,
                logarithms=changed(softmax.logarithms, **{part: wrong}),
            )  # fmt: skip
