"""Every row of the table of losses: examples by hand, digits, divisors, parameters, extremes, known bugs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from benchmarks.exactness import independent_formulas as truths
from benchmarks.exactness.independent_formulas import ULPS, error_in_ulps, exactly
from reference import losses
from reference.activations.row import AGREE
from tests.helpers import DTYPES, assert_same

WEIGHT = np.array([0.5, 2.0, 0.25, 1.25])
POSITIVE = np.array([3.0, 0.5, 1.0, 0.0])
EVERY: dict[str, Callable[[], ref.Loss]] = {name: lambda name=name: ref.LOSSES[name] for name in ref.LOSSES} | {
    "smooth_l1(0)": lambda: losses.smooth_l1(beta=0.0),
    "smooth_l1(0.25)": lambda: losses.smooth_l1(beta=0.25),
    "huber(2.5)": lambda: losses.huber(delta=2.5),
    "gaussian_nll(var)": lambda: losses.gaussian_nll(var=np.array([0.5, 2.0, 1e-9, 3.0]), full=True),
    "cross_entropy(weight, smoothing)": lambda: losses.cross_entropy(WEIGHT, ignore_index=2, label_smoothing=0.125),
    "cross_entropy(smoothing=1)": lambda: losses.cross_entropy(label_smoothing=1.0),
    "cross_entropy(negative)": lambda: losses.cross_entropy(-WEIGHT, label_smoothing=0.25),
    "bce(negative)": lambda: losses.bce(-WEIGHT),
    "bce_with_logits(negative)": lambda: losses.bce_with_logits(np.array(-0.75), pos_weight=-POSITIVE),
    "multi_margin(negative)": lambda: losses.multi_margin(weight=-WEIGHT),
    "nll(weight)": lambda: losses.nll(WEIGHT, ignore_index=1),
    "bce(weight)": lambda: losses.bce(WEIGHT),
    "bce_with_logits(weights)": lambda: losses.bce_with_logits(WEIGHT, pos_weight=POSITIVE),
    "kl_div(log_target)": lambda: losses.kl_div(log_target=True),
    "poisson_nll(log_input=False)": lambda: losses.poisson_nll(log_input=False),
    "poisson_nll(full)": lambda: losses.poisson_nll(full=True),
    "multilabel_soft_margin(weight)": lambda: losses.multilabel_soft_margin(WEIGHT),
    "multi_margin(2)": lambda: losses.multi_margin(p=2, margin=0.5, weight=WEIGHT),
    "hinge_embedding(0.75)": lambda: losses.hinge_embedding(margin=0.75),
}
"""Made inside the tests, so that one row that cannot be made fails its own tests only."""

each_loss = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
each_type = pytest.mark.parametrize("dtype", DTYPES)


def output_and_target(row: ref.Loss, rng: np.random.Generator, dtype: Any = np.float64, n: int = 3) -> tuple[Any, Any]:
    """A random output (n, 4) in the loss's domain and a legal target."""
    y = rng.normal(size=(n, 4)) * 2
    if row.domain_text != "any real number":
        y = rng.uniform(0.0625, 0.9375, (n, 4))
    shape = (n, 4)
    probabilities = rng.dirichlet(np.ones(4), n)
    targets = {
        "real": lambda: rng.normal(size=shape),
        "probabilities": lambda: probabilities,
        "nonnegative": lambda: rng.integers(0, 4, shape).astype(float),
        "classes": lambda: rng.integers(0, 4, n) if rng.random() < 0.5 else probabilities,
        "indices": lambda: rng.integers(0, 4, n),
        "signs": lambda: rng.choice([-1.0, 1.0], shape),
        "labels": lambda: np.where(
            np.arange(4) < rng.integers(0, 5, (n, 1)), rng.permuted(np.tile(np.arange(4), (n, 1)), axis=1), -1
        ),
    }
    t = targets[row.target]()
    return y.astype(dtype), t.astype(dtype) if t.dtype.kind == "f" else t


# ── the gradient is that of the value ────────────────────────────────────────────────────────────────


@each_loss
@given(seed=st.integers(0, 2**32 - 1))
def test_the_gradient_is_the_complex_step_of_the_value(make, seed):
    row = make()
    rng = np.random.default_rng(seed)
    y, t = output_and_target(row, rng)
    if any(np.any(np.abs(s) < 1e-6) for s in row.switches(y, t)):
        return  # next to a kink, where the derivative may jump
    got = row.gradient(y, t)
    assert got.shape == y.shape
    for place in np.ndindex(*y.shape):
        step = np.zeros(y.shape)
        step[place] = 1e-100
        expected = np.imag(row.value(y + 1j * step, t)).sum() * 1e100
        # Formulas are compared here, on the scale of the row's largest gradient (rows.AGREE); digits below.
        assert abs(got[place] - expected) <= AGREE * max(np.abs(got[place[0]]).max(), abs(expected))


def assert_digits(got: Any, terms: Any, dtype: Any, what: str) -> None:
    error = error_in_ulps(got, terms, dtype)
    assert error <= ULPS, f"{what} = {got!r} is {error:.3g} ulps off ({dtype.__name__})"


def logits(dtype: Any) -> Any:
    rng = np.random.default_rng(5)
    far = 1000 if dtype is np.float64 else 150
    tails = [-far, far, -37.43, 37.43, 745.0 * far / 1000, -745.0 * far / 1000, 0.0, -0.0, 1e-300, 1e-30]
    return np.concatenate([rng.uniform(-3, 3, 40), rng.uniform(-40, 40, 40), rng.uniform(-far, far, 30), tails]).astype(
        dtype
    )


@each_type
@pytest.mark.parametrize("name", ["mse", "bce_with_logits", "kl_div", "poisson_nll", "gaussian_nll", "soft_margin"])
def test_the_digits_of_elementwise_losses_hold(name, dtype):
    row, truth = ref.LOSSES[name], truths.PER_ELEMENT[name]
    y = logits(dtype)
    if name == "poisson_nll":
        y = y[np.abs(y) < 80]
    rng = np.random.default_rng(6)
    t = {
        "signs": rng.choice([-1.0, 1.0], y.size),
        "probabilities": rng.choice([0.0, 1.0, 0.25, 0.9], y.size),
        "nonnegative": rng.choice([0.0, 1.0, 0.25, 7.5], y.size),
        "real": rng.normal(size=y.size),
    }[row.target].astype(dtype)
    with np.errstate(under="ignore"):
        value, gradient = row.value(y[:, None], t[:, None])[:, 0], row.gradient(y[:, None], t[:, None])[:, 0]
    assert value.dtype == gradient.dtype == dtype
    for a, b, v, g in zip(y, t, value, gradient, strict=True):
        with ctx.workprec(truths.BITS):
            value_terms, gradient_terms = truth(exactly(a), exactly(b))
            assert_digits(v, value_terms, dtype, f"{name}({a!r}, {b!r})")
            assert_digits(g, gradient_terms, dtype, f"∂{name}({a!r}, {b!r})")


@each_type
def test_the_digits_of_bce_hold(dtype):
    rng = np.random.default_rng(7)
    smallest = 1e-40 if dtype is np.float64 else 1e-37
    y = np.concatenate(
        [rng.uniform(0, 1, 60), 10 ** rng.uniform(np.log10(smallest), 0, 40), [1e-9, 1 - 2.0**-20]]
    ).astype(dtype)
    y = y[y < 1]
    t = rng.choice([0.0, 1.0, 0.25], y.size).astype(dtype)
    value, gradient = (f(y[:, None], t[:, None])[:, 0] for f in (ref.LOSSES["bce"].value, ref.LOSSES["bce"].gradient))
    for a, b, v, g in zip(y, t, value, gradient, strict=True):
        with ctx.workprec(truths.BITS):
            value_terms, gradient_terms = truths.bce(exactly(a), exactly(b))
            assert_digits(v, value_terms, dtype, f"bce({a!r}, {b!r})")
            assert_digits(g, gradient_terms, dtype, f"∂bce({a!r}, {b!r})")


@each_type
def test_the_digits_of_kl_div_with_logarithms_hold(dtype):
    row = losses.kl_div(log_target=True)
    y, t = np.random.default_rng(8).uniform(-30, 0, (2, 50, 1)).astype(dtype)
    for a, b, v, g in zip(y, t, row.value(y, t), row.gradient(y, t), strict=True):
        with ctx.workprec(truths.BITS):
            value_terms, gradient_terms = truths.kl_div_log_target(exactly(a[0]), exactly(b[0]))
            assert_digits(v[0], value_terms, dtype, "kl_div")
            assert_digits(g[0], gradient_terms, dtype, "∂kl_div")


@each_type
@pytest.mark.parametrize("spread", [1.0, 10.0, 40.0, 80.0, 1000.0])
@pytest.mark.parametrize("kind", ["indices", "probabilities", "weighted", "smoothed"])
def test_the_digits_of_cross_entropy_hold(kind, spread, dtype):
    rng = np.random.default_rng(9)
    y = rng.uniform(-spread, spread, (12, 4)).astype(dtype)
    weight = np.array([0.5, 2.0, 0.25, 1.25]) if kind == "weighted" else np.ones(4)
    smoothing = 0.125 if kind == "smoothed" else 0.0
    t = rng.dirichlet(np.ones(4), 12).astype(dtype) if kind == "probabilities" else rng.integers(0, 4, 12)
    row = losses.cross_entropy(weight=weight if kind == "weighted" else None, label_smoothing=smoothing)
    with np.errstate(under="ignore"):
        value, gradient = row.value(y, t), row.gradient(y, t)
    assert value.dtype == gradient.dtype == dtype
    plain = t if kind == "probabilities" else np.eye(4)[t]
    for n in range(12):
        with ctx.workprec(truths.BITS):
            balls = [exactly(v) for v in y[n]]
            q = [
                exactly(w) * ((1 - exactly(smoothing)) * exactly(p) + exactly(smoothing) / 4)
                for w, p in zip(weight, plain[n], strict=True)
            ]
            assert_digits(value[n], truths.cross_entropy_value(q, balls), dtype, f"cross_entropy({y[n]}, {t[n]})")
            for c, terms in enumerate(truths.cross_entropy(q)(balls)):
                assert_digits(gradient[n, c], terms, dtype, f"∂cross_entropy({y[n]}, {t[n]})[{c}]")


@each_type
@pytest.mark.parametrize("spread", [1.0, 37.43, 1000.0])
def test_cross_entropy_gradients_of_hard_targets_sum_to_zero(spread, dtype):
    """Each entry is within `ULPS` of a row that sums to 0, so the sum is within 4·ULPS of the largest entry's."""
    rng = np.random.default_rng(10)
    y = (rng.choice([-1.0, 0.0, 1.0], (40, 4)) * spread + rng.normal(size=(40, 4)) * 0.25).astype(dtype)
    with np.errstate(under="ignore"):
        gradient = ref.LOSSES["cross_entropy"].gradient(y, rng.integers(0, 4, 40))
    for row in gradient:
        with ctx.workprec(truths.BITS):
            total = abs(sum((exactly(g) for g in row), arb(0)))
            assert total <= 4 * ULPS * truths.unit_in_last_place(exactly(np.abs(row).max()), dtype)


@each_type
def test_no_component_of_a_hard_target_is_flushed_to_zero(dtype):
    """Softmax is 0 only where e^(y − max) is below the subnormals."""
    far = -math.log(float(np.finfo(dtype).smallest_subnormal)) - 2
    for gap in np.linspace(0, far, 40):
        y = np.array([[0.0, -gap]], dtype)
        with np.errstate(under="ignore"):
            top, other = ref.LOSSES["cross_entropy"].gradient(y, np.array([0]))[0]
        assert other > 0
        assert top == -other


@each_type
@each_loss
def test_extreme_logits_give_no_nan(make, dtype):
    row = make()
    big = 1000.0 if dtype is np.float64 else 100.0
    y = np.array([[big, -big, 0.0, big], [-big, -big, -big, -big], [0.0, big, big, -big]], dtype)
    _, t = output_and_target(row, np.random.default_rng(11), dtype)
    if row.domain_text != "any real number":
        y = np.array([[0.0, 1.0, 0.5, 1.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.5]], dtype)
    with np.errstate(under="ignore", over="ignore"):
        value, gradient = row.value(y, t), row.gradient(y, t)
    assert value.dtype == gradient.dtype == dtype
    assert not np.isnan(value).any()
    assert not np.isnan(gradient).any()


@each_loss
def test_an_output_of_nan_gives_a_loss_and_a_gradient_of_nan(make):
    row = make()
    y, t = output_and_target(row, np.random.default_rng(12))
    t = np.array([3, 0, 3]) if row.target in ("classes", "indices") else t
    t = np.array([[3, -1, -1, -1]] * 3) if row.target == "labels" else t
    y[1, 0] = np.nan
    value, gradient = row.value(y, t), row.gradient(y, t)
    assert np.isnan(value[1]).any()
    # A gradient made of comparisons alone may not show the NaN (a comparison with it is false, as in torch).
    compared = (
        "nll",
        "kl_div",
        "bce",
        "multilabel_margin",
        "multi_margin",
        "hinge_embedding",
        "inner_product",
    )  # whose gradient does not look at the output
    assert np.isnan(gradient[1]).any() or row.name in compared, "a finite gradient hides the NaN"
    assert np.isfinite(gradient[[0, 2]]).all()


@each_type
@each_loss
def test_the_type_stays(make, dtype):
    row = make()
    y, t = output_and_target(row, np.random.default_rng(13), dtype)
    value, gradient = row.value(y, t), row.gradient(y, t)
    assert value.dtype == gradient.dtype == dtype
    mean = value.sum() / row.divisor(y, t)
    assert mean.dtype == dtype
    assert (gradient / row.divisor(y, t)).dtype == dtype


@each_loss
def test_nothing_is_modified_in_place(make):
    row = make()
    y, t = output_and_target(row, np.random.default_rng(14))
    y.flags.writeable = t.flags.writeable = False
    row.value(y, t)
    row.gradient(y, t)
    row.divisor(y, t)


# ── by hand ──────────────────────────────────────────────────────────────────────────────────────────

Y = np.array([[1.0, -2.0], [0.5, 4.0]])
T = np.array([[0.0, 1.0], [0.5, 1.0]])
BY_HAND = (
    # row, y, t, unreduced value, gradient of the sum, divisor of the mean
    (losses.half_squared_error, Y, T, [5.0, 4.5], [[1, -3], [0, 3]], 2),
    (losses.mse, Y, T, [[1, 9], [0, 9]], [[2, -6], [0, 6]], 4),
    (losses.l1, Y, T, [[1, 3], [0, 3]], [[1, -1], [0, 1]], 4),
    (lambda: losses.smooth_l1(beta=2.0), Y, T, [[0.25, 2], [0, 2]], [[0.5, -1], [0, 1]], 4),
    (lambda: losses.smooth_l1(beta=0.0), Y, T, [[1, 3], [0, 3]], [[1, -1], [0, 1]], 4),
    (lambda: losses.huber(delta=2.0), Y, T, [[0.5, 4], [0, 4]], [[1, -2], [0, 2]], 4),
    (losses.gaussian_nll, Y, T, [[0.5, 4.5], [0, 4.5]], [[1, -3], [0, 3]], 4),
    (losses.nll, Y, np.array([1, 0]), [2, -0.5], [[0, -1], [-1, 0]], 2),
    (lambda: losses.nll(ignore_index=0), Y, np.array([1, 0]), [2, 0], [[0, -1], [0, 0]], 1),
    (lambda: losses.nll(weight=np.array([4.0, 0.5])), Y, np.array([1, 0]), [1, -2], [[0, -0.5], [-4, 0]], 4.5),
    (losses.cross_entropy, np.zeros((1, 2)), np.array([1]), [math.log(2)], [[0.5, -0.5]], 1),
    (losses.cross_entropy, np.zeros((1, 2)), np.array([[0.75, 0.25]]), [math.log(2)], [[-0.25, 0.25]], 1),
    (
        lambda: losses.cross_entropy(ignore_index=1),
        np.zeros((2, 2)),
        np.array([1, 0]),
        [0, math.log(2)],
        [[0, 0], [-0.5, 0.5]],
        1,
    ),
    (
        lambda: losses.cross_entropy(weight=np.array([4.0, 0.5])),
        np.zeros((2, 2)),
        np.array([1, 0]),
        [math.log(2) / 2, 4 * math.log(2)],
        [[0.25, -0.25], [-2, 2]],
        4.5,
    ),
    (
        lambda: losses.cross_entropy(label_smoothing=0.5),
        np.zeros((1, 2)),
        np.array([1]),
        [math.log(2)],
        [[0.25, -0.25]],
        1,
    ),
    (
        lambda: losses.cross_entropy(weight=np.array([4.0, 0.5]), label_smoothing=0.5),
        np.zeros((1, 2)),
        np.array([1]),
        # q = ½·½·onehot(1) + ¼·(4, ½) = (1, ⅜)
        [1.375 * math.log(2)],
        [[-0.3125, 0.3125]],
        0.5,
    ),
    (losses.bce, np.array([[0.5, 0.25]]), np.array([[1.0, 0.0]]), [[math.log(2), math.log(4 / 3)]], [[-2, 4 / 3]], 2),
    (
        lambda: losses.bce(weight=np.array([2.0, 0.0])),
        np.array([[0.5, 0.25]]),
        np.array([[1.0, 0.0]]),
        [[2 * math.log(2), 0]],
        [[-4, 0]],
        2,
    ),
    (losses.bce_with_logits, np.zeros((1, 2)), np.array([[1.0, 0.0]]), [[math.log(2)] * 2], [[-0.5, 0.5]], 2),
    (
        lambda: losses.bce_with_logits(weight=np.array([2.0, 4.0]), pos_weight=np.array([8.0, 8.0])),
        np.zeros((1, 2)),
        np.array([[1.0, 0.0]]),
        [[16 * math.log(2), 4 * math.log(2)]],
        [[-8, 2]],
        2,
    ),
    (losses.kl_div, np.array([[-1.0, -2.0]]), np.array([[1.0, 0.0]]), [[1, 0]], [[-1, 0]], 2),
    (lambda: losses.kl_div(log_target=True), np.array([[-1.0, -2.0]]), np.array([[0.0, 0.0]]), [[1, 2]], [[-1, -1]], 2),
    (losses.poisson_nll, np.zeros((1, 2)), np.array([[3.0, 0.0]]), [[1, 1]], [[-2, 1]], 2),
    (
        lambda: losses.poisson_nll(log_input=False, eps=0.0),
        np.ones((1, 2)),
        np.array([[3.0, 0.0]]),
        [[1, 1]],
        [[-2, 1]],
        2,
    ),
    (losses.soft_margin, np.zeros((1, 2)), np.array([[1.0, -1.0]]), [[math.log(2)] * 2], [[-0.5, 0.5]], 2),
    (losses.multilabel_soft_margin, np.zeros((1, 2)), np.array([[1.0, 0.0]]), [math.log(2)], [[-0.25, 0.25]], 1),
    # label 1 against 0 and 2: max(0, 1 − 0 + 1) + max(0, 1 − 0 − 3); then every class a label; then none.
    (
        losses.multilabel_margin,
        np.array([[1.0, 0.0, -3.0, 0.0]] * 2),
        np.array([[1, -1, 2, 3], [-1, 0, 0, 0]]),
        [0.75, 0],
        [[0.25, -0.5, 0, 0.25], [0, 0, 0, 0]],
        2,
    ),
    (losses.multi_margin, np.array([[1.0, 0.5, -3.0, 0.0]]), np.array([1]), [0.5], [[0.25, -0.5, 0, 0.25]], 1),
    (
        lambda: losses.multi_margin(p=2),
        np.array([[1.0, 0.5, -3.0, 0.0]]),
        np.array([1]),
        [0.625],
        [[0.75, -1, 0, 0.25]],
        1,
    ),
    (
        lambda: losses.multi_margin(weight=np.array([0.0, 8.0, 0.0, 0.0])),
        np.array([[1.0, 0.5, -3.0, 0.0]]),
        np.array([1]),
        [4],
        [[2, -4, 0, 2]],
        1,
    ),
    (
        losses.hinge_embedding,
        np.array([[0.5, 0.5], [2.0, 1.0]]),
        np.array([[1.0, -1.0], [-1.0, -1.0]]),
        [[0.5, 0.5], [0, 0]],
        [[1, -1], [0, -1]],
        4,
    ),
)


@pytest.mark.parametrize(("make", "y", "t", "value", "gradient", "divisor"), BY_HAND)
def test_the_examples_by_hand(make, y, t, value, gradient, divisor):
    row = make()
    got = row.value(y, t)
    # The logarithms of the expected values are rounded themselves: two spacings, all else is exact.
    assert np.all(np.abs(got - np.array(value)) <= 2 * np.spacing(np.abs(np.array(value, float))))
    assert got.shape == np.array(value).shape
    assert np.all(np.abs(row.gradient(y, t) - np.array(gradient)) <= np.spacing(np.abs(np.array(gradient, float))))
    assert row.divisor(y, t) == divisor


@pytest.mark.parametrize(("make", "y", "t", "value", "gradient", "divisor"), BY_HAND)
def test_the_reductions_of_the_examples(make, y, t, value, gradient, divisor):
    row = make()
    mlp = ref.MLP((ref.Layer(np.eye(y.shape[1]), None, "identity"),))
    none, total, mean = (ref.Problem(mlp, y, t, row, reduction=r) for r in ("none", "sum", "mean"))
    assert_same(ref.loss_value(none), row.value(y, t))
    assert_same(ref.loss_value(total), row.value(y, t).sum())
    assert_same(ref.loss_value(mean), row.value(y, t).sum() / divisor)
    assert_same(ref.loss_gradient(total, y), row.gradient(y, t))
    assert_same(ref.loss_gradient(mean, y), row.gradient(y, t) / divisor)


def test_a_target_of_probabilities_is_averaged_over_the_batch_whatever_the_weights():
    row = losses.cross_entropy(weight=np.array([4.0, 0.5]))
    assert row.divisor(np.zeros((3, 2)), np.full((3, 2), 0.5)) == 3


def test_full_likelihoods_add_their_constants():
    y, t = np.array([[0.5, 2.0, -1.0]]), np.array([[3.0, 1.0, 0.0]])
    with ctx.workprec(200):
        half_log = (2 * arb.pi()).log() / 2
        gaussian = losses.gaussian_nll(full=True).value(y, t) - losses.gaussian_nll().value(y, t)
        poisson = losses.poisson_nll(full=True).value(y, t) - losses.poisson_nll().value(y, t)
        stirling = 3 * arb(3).log() - 3 + (2 * arb.pi() * 3).log() / 2
        # The constant went through a sum of at most 8, whose spacing is 2^-50.
        for got, expected in zip([*gaussian[0], *poisson[0]], [half_log] * 3 + [stirling, 0, 0], strict=True):
            assert abs(exactly(got) - expected) <= arb(2) ** -50
        assert_same(losses.poisson_nll(full=True).gradient(y, t), losses.poisson_nll().gradient(y, t))


def test_gaussian_variance_is_bounded_below_by_eps():
    y, t = np.array([[2.0]]), np.array([[0.0]])
    assert_same(losses.gaussian_nll(var=0.0, eps=0.25).gradient(y, t), np.array([[8.0]]))
    assert_same(losses.gaussian_nll(var=np.array([0.5])).gradient(y, t), np.array([[4.0]]))


def test_kinks_take_the_values_of_torch():
    zero = np.zeros((1, 1))
    assert_same(losses.l1().gradient(zero, zero), zero)
    assert_same(losses.huber().gradient(zero + 1, zero), zero + 1)
    assert_same(losses.smooth_l1().gradient(zero - 1, zero), zero - 1)
    assert_same(losses.hinge_embedding().gradient(zero + 1, zero - 1), zero - 1)
    assert_same(losses.multi_margin().gradient(np.array([[1.0, 0.0]]), np.array([0])), np.zeros((1, 2)))
    assert_same(losses.multilabel_margin().gradient(np.array([[1.0, 0.0]]), np.array([[0, -1]])), np.zeros((1, 2)))


def test_the_limited_logarithm_has_a_derivative_of_zero():
    tiny = np.array([[0.0, 1e-50, 1e-43]])
    assert_same(losses.bce().value(tiny, np.ones((1, 3)))[:, :2], np.array([[100.0, 100.0]]))
    gradient = losses.bce().gradient(tiny, np.ones((1, 3)))
    assert_same(gradient[:, :2], np.zeros((1, 2)))
    assert gradient[0, 2] < -1e42
    assert_same(losses.bce().gradient(np.ones((1, 1)), np.zeros((1, 1))), np.zeros((1, 1)))


Z = np.zeros((1, 2))
AT_KINKS = (
    # a row, an output on one of its kinks, the target, and the entry of the output to move
    (losses.l1, Z + 0.5, Z + 0.5, (0, 1)),
    (lambda: losses.smooth_l1(beta=0.0), Z + 0.5, Z + 0.5, (0, 1)),
    (lambda: losses.smooth_l1(beta=0.25), Z + 0.75, Z + 0.5, (0, 1)),
    (lambda: losses.smooth_l1(beta=0.25), Z + 0.25, Z + 0.5, (0, 1)),
    (lambda: losses.huber(delta=2.0), Z + 2.5, Z + 0.5, (0, 1)),
    (lambda: losses.huber(delta=2.0), Z - 1.5, Z + 0.5, (0, 1)),
    (lambda: losses.hinge_embedding(margin=0.75), Z + 0.75, Z - 1, (0, 1)),
    (losses.multi_margin, np.array([[1.5, 0.5]]), np.array([0]), (0, 1)),
    (losses.multi_margin, np.array([[1.5, 0.5]]), np.array([0]), (0, 0)),
    (losses.multilabel_margin, np.array([[1.5, 0.5]]), np.array([[0, -1]]), (0, 1)),
)


@pytest.mark.parametrize(("make", "y", "t", "place"), AT_KINKS)
def test_a_switch_passes_0_at_a_kink_and_nowhere_near_it(make, y, t, place):
    row, step = make(), np.zeros(y.shape)
    step[place] = 2.0**-10
    below, at, above = (row.switches(y + side * step, t) for side in (-1, 0, 1))
    crossed = [np.sign(p) * np.sign(q) == -1 for p, q in zip(below, above, strict=True)]
    assert any(np.any(c) for c in crossed)
    for switch, c in zip(at, crossed, strict=True):
        assert np.all(switch[c] == 0)
    # Off the kink the gradient is one formula: its second difference vanishes for these piecewise polynomials.
    for side in (-3, 3):
        g = [row.gradient(y + (side + k) * step, t) for k in (-1, 0, 1)]
        assert_same(g[0] - 2 * g[1] + g[2], np.zeros(y.shape))
    assert np.any(sum(k * row.gradient(y + s * step, t) for s, k in ((-1, 1), (1, -2), (3, 1))))


def test_the_rows_with_switches_are_those_with_kinks():
    with_switches = set()
    for name, row in ref.LOSSES.items():
        y, t = output_and_target(row, np.random.default_rng(15))
        if row.switches(y, t):
            with_switches.add(name)
    # bce: where torch's limit of the logarithm sets in.
    assert with_switches == {make().name for make, *_ in AT_KINKS} | {"bce"}


# ── parameters and names ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (losses.smooth_l1, {"beta": -1.0}, "smooth_l1: beta must be a finite number of at least 0"),
        (losses.smooth_l1, {"beta": math.nan}, "smooth_l1: beta must be a finite number"),
        (losses.huber, {"delta": 0.0}, "huber: delta must be a finite number above 0"),
        (losses.huber, {"delta": math.inf}, "huber: delta must be a finite number"),
        (losses.huber, {"delta": "1"}, "huber: delta must be a finite number"),
        (losses.gaussian_nll, {"eps": 0.0}, "gaussian_nll: eps must be a finite number above 0"),
        (
            losses.gaussian_nll,
            {"var": -1.0},
            "gaussian_nll: var must be a number or K numbers, finite and not negative",
        ),
        (losses.gaussian_nll, {"var": math.nan}, "gaussian_nll: var must be a number or K numbers"),
        (losses.gaussian_nll, {"var": "wide"}, "gaussian_nll: var must be"),
        (losses.cross_entropy, {"label_smoothing": 1.5}, "cross_entropy: label_smoothing must not exceed 1"),
        (losses.cross_entropy, {"label_smoothing": -0.1}, "cross_entropy: label_smoothing must be"),
        (losses.cross_entropy, {"weight": [1, 2]}, "cross_entropy: weight must be one array of K finite floating"),
        (losses.cross_entropy, {"weight": np.ones((2, 2))}, "cross_entropy: weight must be"),
        (losses.cross_entropy, {"weight": "heavy"}, "cross_entropy: weight must be"),
        (losses.nll, {"weight": np.array([math.inf])}, "nll: weight must be"),
        (losses.bce, {"weight": np.array([math.nan])}, "bce: weight must be"),
        (losses.bce_with_logits, {"pos_weight": np.array([-math.inf])}, "bce_with_logits: pos_weight must be"),
        (losses.multi_margin, {"p": 3}, "multi_margin: p must be 1 or 2, got 3"),
        (losses.multi_margin, {"margin": math.nan}, "multi_margin: margin must be a finite number"),
        (losses.hinge_embedding, {"margin": math.inf}, "hinge_embedding: margin must be a finite number"),
        (losses.poisson_nll, {"eps": -1.0}, "poisson_nll: eps must be a finite number of at least 0"),
        (losses.multilabel_soft_margin, {"weight": np.ones((1, 1, 1))}, "multilabel_soft_margin: weight must be"),
    ],
)
def test_a_bad_parameter_is_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_get_takes_a_name_or_a_row():
    row = losses.huber(delta=0.5)
    assert losses.get(row) is row
    assert losses.get("mse") is ref.LOSSES["mse"]
    with pytest.raises(ValueError, match="no row is named 'MSELoss'; there are bce, bce_with_logits, ") as error:
        losses.get("MSELoss")
    assert all(name in str(error.value) for name in ref.LOSSES)
    with pytest.raises(TypeError, match="loss: expected a name or a row, got NoneType"):
        losses.get(None)


@pytest.mark.parametrize("margin", [k / 32 for k in range(-24, 25)])
def test_a_row_checks_itself_off_the_kinks_that_its_parameters_make(margin):
    """Numbers that the probe has exactly: with them the row lies on its own kink there, and was refused."""
    for row in (losses.multi_margin(margin=margin), losses.hinge_embedding(margin=margin)):
        y, target, _ = row.probe()
        assert all(np.all(switch) for switch in row.switches(y, target))
        assert ref.operations.of_loss(row, "none").name == row.name


def test_a_row_with_equal_outputs_on_its_kink_moves_them_apart():
    """With more classes than the probe has numbers some are equal; at a margin of 0 they lie on a kink together."""
    row = losses.multi_margin(margin=0.0, weight=np.ones(7))
    y, target, _ = row.probe()
    assert all(np.all(switch) for switch in row.switches(y, target))


def test_a_row_whose_switch_is_always_0_is_made():
    """Nothing moves it off: it is checked where it lies."""
    row = replace(ref.LOSSES["mse"], switches=lambda y, t: (0 * y,))
    assert row.gradient is ref.LOSSES["mse"].gradient


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_logit_of_minus_infinity_leaves_the_loss_of_other_classes_what_it_is(dtype):
    """As where a mask forbids a class; torch's too. For probabilities torch has 0·∞, which is none."""
    y, t = np.array([[-np.inf, 0.0, 1.0]], dtype), np.array([1])
    loss = losses.LOSSES["cross_entropy"]
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_max_ulp(loss.value(y, t), np.array([math.log1p(math.e)], dtype), maxulp=ULPS)
        share = 1 / (1 + math.exp(-1))
        np.testing.assert_array_max_ulp(loss.gradient(y, t), np.array([[0, -share, share]], dtype), maxulp=ULPS)
        assert losses.cross_entropy(label_smoothing=0.1).value(y, t)[0] == np.inf
        assert np.isnan(loss.value(y, np.array([[0, 0.25, 0.75]], dtype))[0])
