"""Losses of outputs with any leading axes: the numbers of as many rows, and errors that name the index as given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as ref
from reference import losses

K = 3
LEADING = ((), (1,), (4,), (2, 3), (2, 1, 2))
CLASS_WEIGHTS = np.array([0.5, 2.0, 1.25])
ROWS: tuple[ref.Loss, ...] = (
    *(row for row in ref.LOSSES.values()),
    losses.cross_entropy(weight=CLASS_WEIGHTS, ignore_index=1, label_smoothing=0.125),
    losses.cross_entropy(ignore_index=-1),
    losses.nll(weight=CLASS_WEIGHTS, ignore_index=0),
    losses.bce_with_logits(pos_weight=CLASS_WEIGHTS),
    losses.multi_margin(weight=CLASS_WEIGHTS),
)


def _output(row: ref.Loss, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    y = rng.uniform(0.1, 0.9, shape)
    return y if row.name in ("bce", "poisson_nll") else np.log(y) if row.name in ("nll", "kl_div") else y * 4 - 2


def _target(row: ref.Loss, shape: tuple[int, ...], rng: np.random.Generator, *, soft: bool = False) -> Any:
    if row.target in ("indices", "classes") and not soft:
        t = rng.integers(K, size=shape[:-1])
        t = np.asarray(t)
        if row.ignore_index == -1 and t.size > 1:
            t.flat[0] = -1
        if row.ignore_index in (0, 1):
            t.flat[-1] = 2  # one at least counts
        return t
    if row.target == "labels":
        t = np.full(shape, -1)
        t[..., 0] = rng.integers(K, size=shape[:-1])
        return t
    if row.target == "signs":
        return rng.choice([-1.0, 1.0], size=shape)
    return rng.uniform(0.05, 0.95, shape)


def _problem(row: ref.Loss, y: Any, t: Any, reduction: str = "mean") -> ref.Problem:
    return ref.Problem(ref.Network({}, [ref.Step("y", "neg", "x")]), -y, t, loss=row, reduction=reduction)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("leading", LEADING, ids=str)
@pytest.mark.parametrize("soft", [False, True])
def test_every_loss_is_that_of_so_many_rows(row: ref.Loss, leading: tuple[int, ...], soft: bool) -> None:
    rng = np.random.default_rng(1)
    shape = (*leading, K)
    rows = (int(np.prod(leading)), K)
    y, t = _output(row, shape, rng), _target(row, shape, rng, soft=soft)
    if soft and row.target == "indices":
        with pytest.raises((TypeError, ValueError), match=r"^target: .* expects class indices of shape"):
            _problem(row, y, t)
        return
    flat = t.reshape(rows[:1] if t.ndim < len(shape) else rows)
    for reduction in ("mean", "sum"):
        many = ref.gradients(_problem(row, y, t, reduction))
        few = ref.gradients(_problem(row, y.reshape(rows), flat, reduction))
        assert many["x"].shape == shape
        np.testing.assert_array_equal(many["x"].reshape(rows), few["x"])
        assert many.loss == few.loss
    many_losses = ref.loss_value(_problem(row, y, t, "none"))
    few_losses = ref.loss_value(_problem(row, y.reshape(rows), flat, "none"))
    assert many_losses.shape == (shape if few_losses.ndim == 2 else leading)
    np.testing.assert_array_equal(many_losses.ravel(), few_losses.ravel())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_balls_and_noise_take_any_leading_axes(row: ref.Loss) -> None:
    rng = np.random.default_rng(2)
    shape = (2, 2, K)
    problem = _problem(row, _output(row, shape, rng), _target(row, shape, rng))
    exact = ref.certified_gradients(problem)
    assert exact.status == "certified"
    sigma = ref.rounding_scale(problem, "float64").leaves()["x"]
    assert np.all(np.abs(ref.gradients(problem)["x"] - exact.leaves()["x"].nearest) <= 32 * sigma)


def test_cross_entropy_over_tokens_divides_by_the_weights_of_those_that_count() -> None:
    """By hand: two sequences of three tokens, one of which is padding."""
    rng = np.random.default_rng(3)
    y, t = rng.normal(size=(2, 3, K)), np.array([[0, 2, -100], [1, 1, 2]])
    row = losses.cross_entropy(weight=CLASS_WEIGHTS)
    problem = _problem(row, y, t)
    g, sigma = ref.gradients(problem), ref.rounding_scale(problem, "float64").leaves()["x"]
    softmax = np.exp(y) / np.exp(y).sum(axis=-1, keepdims=True)
    weights = np.where(t >= 0, CLASS_WEIGHTS[np.maximum(t, 0)], 0)
    onehot = np.arange(K) == t[..., None]
    expected = weights[..., None] * (onehot - softmax) / weights.sum()  # of x = −y
    assert np.all(np.abs(g["x"] - expected) <= 32 * sigma)
    assert np.all(g["x"][0, 2] == 0)


def test_cross_entropy_along_another_axis_is_moved_there() -> None:
    """torch has the classes in axis 1: a network permutes before the loss."""
    y, t = np.random.default_rng(4).normal(size=(2, K, 4)), np.ones((2, 4), int)
    moved = _problem(ref.LOSSES["cross_entropy"], np.moveaxis(y, 1, -1), t)
    assert ref.gradients(moved)["x"].shape == (2, 4, K)


@pytest.mark.parametrize(
    ("loss", "shape", "place", "wrong", "message"),
    [
        ("cross_entropy", (2, 3), (1, 2), 7, r"target\[1, 2\]: cross_entropy expects class indices from 0 to 2, got 7"),
        ("cross_entropy", (2, 2, 3), (1, 0, 2), -3, r"target\[1, 0, 2\]: cross_entropy expects class indices"),
        ("nll", (4,), (3,), 3, r"target\[3\]: nll expects class indices from 0 to 2, got 3"),
        ("bce", (2, 3, K), (1, 2, 0), 1.5, r"target\[1, 2, 0\]: bce expects numbers between 0 and 1, got 1\.5"),
        ("kl_div", (2, 2, 2, K), (1, 0, 1, 2), -1.0, r"target\[1, 0, 1, 2\]: kl_div expects numbers of at least 0"),
        ("soft_margin", (K,), (1,), 0.0, r"target\[1\]: soft_margin expects -1 or 1, got 0\.0"),
        ("multilabel_margin", (2, 2, K), (1, 1, 0), 5, r"target\[1, 1, 0\]: multilabel_margin expects label indices"),
    ],
)
def test_an_error_names_the_index_in_the_given_shape(
    loss: str, shape: tuple[int, ...], place: tuple[int, ...], wrong: Any, message: str
) -> None:
    rng = np.random.default_rng(5)
    row = ref.LOSSES[loss]
    indices = row.target in ("classes", "indices")
    output = (*shape, K) if indices else shape
    t = np.array(_target(row, output, rng))
    t[place] = wrong
    with pytest.raises(ValueError, match=f"^{message}"):
        _problem(row, _output(row, output, rng), t)


def test_an_output_outside_the_domain_is_named_by_its_index() -> None:
    y = np.full((2, 2, K), 0.5)
    y[1, 0, 2] = 1.5
    with pytest.raises(ValueError, match=r"^output\[1, 0, 2\]: bce is defined for an output between 0 and 1"):
        _problem(ref.LOSSES["bce"], y, np.full(y.shape, 0.5))


@pytest.mark.parametrize(
    ("loss", "t", "message"),
    [
        ("mse", np.zeros((2, 3)), r"target: mse expects shape \(2, 3, 3\), that of the output, got \(2, 3\)"),
        ("cross_entropy", np.zeros((3, 2), int), r"target: cross_entropy expects class indices of shape \(2, 3\)"),
        ("cross_entropy", np.zeros((6,), int), r"target: .* shape \(2, 3\), got shape \(6,\)"),
        ("multilabel_margin", np.zeros((2, 3), int), r"target: .* label indices of shape \(2, 3, 3\), got \(2, 3\)"),
    ],
)
def test_a_target_of_another_shape(loss: str, t: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        _problem(ref.LOSSES[loss], np.full((2, 3, K), 0.5), t)


def test_a_single_number_has_no_classes() -> None:
    with pytest.raises(ValueError, match="output: nll expects an axis of classes, the network gives a single number"):
        _problem(ref.LOSSES["nll"], np.array(0.5), np.array(0))


def test_ignoring_every_token_leaves_no_mean() -> None:
    with pytest.raises(ValueError, match=r"every index is ignore_index \(-100\), so cross_entropy has no mean"):
        _problem(ref.LOSSES["cross_entropy"], np.zeros((2, 2, K)), np.full((2, 2), -100))


def test_weights_of_no_token_that_counts_are_named_by_their_index() -> None:
    row = losses.cross_entropy(weight=np.array([0.0, 1.0, 1.0]))
    t = np.array([[-100, -100], [-100, 0]])
    with pytest.raises(ValueError, match=r"\(the first is weight\[0\], of target\[1, 1\]\) add up to 0"):
        _problem(row, np.zeros((2, 2, K)), t)
