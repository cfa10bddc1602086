"""adafactor: by hand, by its algebra, against torch.optim, and with planted faults."""

import inspect

import numpy as np
import pytest

from reference.optimizers import adafactor
from reference.rounding.distance import FACTOR
from tests.helpers import DTYPES, assert_same, gamma
from tests.helpers.source_faults import with_source_changed
from tests.reference.optimizers.helpers import (
    MODULES,
    STEPS,
    assert_every_option_and_type,
    assert_nothing_changes_type_or_in_place,
    assert_real_numbers_only,
    missing_pairs,
    steps,
    worst,
)
from torch_compare.torch_side.optimizers import Twin
from torch_compare.trajectories.matrix import (
    DRAWS,
    adafactor_against_torch,
    matrix_trajectory,
)
from torch_compare.trajectories.random_trajectories import covering_seeds, options

# ── by hand ──────────────────────────────────────────────────────────────────────────────────────────


def test_adafactor_worked_by_hand():
    """g = (3, 4; 0, 0)·√2: row means (25, 0), column means (9, 16), V = (18, 32; 0, 0), U = (1, 1; 0, 0)."""
    g = np.array([[3.0, 4.0], [0.0, 0.0]]) * np.sqrt(2)
    start = np.array([[2.0, 2.0], [2.0, 2.0]])
    (moved,), state = steps(adafactor(lr=0.25), [start], [[g]])
    assert np.allclose(state["row_var"][0], [[25.0], [0.0]], rtol=gamma(4), atol=0)
    assert np.allclose(state["col_var"][0], [[9.0, 16.0]], rtol=gamma(4), atol=0)
    # α = 0.25·2; RMS(U) = √½ < 1 does not clip
    assert np.allclose(moved, [[1.5, 1.5], [2.0, 2.0]], rtol=gamma(4), atol=0)


def test_adafactor_clips_updates_and_scales_steps_with_the_parameters():
    """A vector's first update is ±1 everywhere; one tenth of the second moment later it is √10, and is clipped to d."""
    start, g = np.full(4, 8.0), np.array([1.0, -2.0, 0.5, 4.0])
    (moved,), state = steps(adafactor(lr=0.125), [start], [[g]])
    assert_same(moved, start - np.sign(g))
    assert_same(state["variance"][0], g * g)
    (far,), _ = steps(adafactor(lr=0.125, beta2_decay=-1.0), [start], [[g], [100 * g]])
    # V = ½(1 + 10⁴)g²; U = 100/√5000.5 is clipped to 1; RMS(θ) is that after the first step
    clipped = moved - 0.125 * np.sqrt(np.mean(moved**2)) * np.sign(g)
    assert np.allclose(far, clipped, rtol=gamma(30), atol=0)


def test_adafactor_keeps_rows_and_columns_and_not_a_matrix():
    params = [np.ones((30, 20)), np.ones((2, 30, 20)), np.ones(7), np.ones(())]
    state = adafactor().init(params)
    assert [None if a is None else a.shape for a in state["row_var"]] == [(30, 1), (2, 30, 1), None, None]
    assert [None if a is None else a.shape for a in state["col_var"]] == [(1, 20), (2, 1, 20), None, None]
    assert [None if a is None else a.shape for a in state["variance"]] == [None, None, (7,), ()]


def test_a_stack_of_matrices_shares_only_the_size_of_its_step():
    """Rows and columns are averaged matrix by matrix: those of a stack are those of its members."""
    rng = np.random.default_rng(0)
    p, g = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4))
    _, together = steps(adafactor(), [p], [[g]])
    _, apart = steps(adafactor(), list(p), [list(g)])
    for slot in ("row_var", "col_var"):
        assert_same(together[slot][0], np.stack(apart[slot]))


def test_the_factors_of_a_matrix_of_rank_one_are_its_second_moment():
    """V = RC/mean(R) is exact for g² = uvᵀ: every entry of U is ±1."""
    rng = np.random.default_rng(1)
    u, v = 2.0 ** rng.integers(-3, 4, (5, 1)), 2.0 ** rng.integers(-3, 4, (1, 7))
    signs = rng.choice([-1.0, 1.0], (5, 7))
    (moved,), _ = steps(adafactor(lr=0.5), [np.ones((5, 7))], [[signs * u * v]])
    assert np.max(np.abs(moved - (1 - 0.5 * signs))) <= gamma(16)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_default_of_eps_is_the_spacing_of_the_parameters_type(dtype):
    rng = np.random.default_rng(2)
    tiny = float(np.finfo(dtype).eps)
    params = [rng.normal(size=(3, 2)).astype(dtype), rng.normal(size=4).astype(dtype)]
    grads = [[(tiny * rng.normal(size=p.shape)).astype(dtype) for p in params] for _ in range(4)]
    found = [steps(adafactor(eps=eps), params, grads)[0] for eps in ((None, 1e-3), (tiny, 1e-3), (tiny / 2, 1e-3))]
    for left, right, other in zip(*found, strict=True):
        assert_same(left, right)
        assert not np.array_equal(left, other)
    twins = [Twin(adafactor(eps=eps), params) for eps in ((None, 1e-3), (tiny, 1e-3))]
    for g in grads:
        for twin in twins:
            twin.step(g)
    for left, right in zip(*(twin.params for twin in twins), strict=True):
        assert_same(left, right)


# ── hyperparameters, purity, types ───────────────────────────────────────────────────────────────────

BAD = [
    ({"lr": -1.0}, "adafactor: lr"),
    ({"beta2_decay": 0.1}, "beta2_decay"),
    ({"d": 0.5}, "d must lie"),
    ({"weight_decay": -0.1}, "weight_decay"),
    ({"eps": (-1e-8, 1e-3)}, "eps1"),
    ({"eps": (None, np.nan)}, "eps2"),
]
BAD_TYPES = [
    ({"eps": 1e-3}, "pair"),
    ({"lr": "fast"}, "lr must be a number"),
]


@pytest.mark.parametrize(("bad", "message"), BAD)
def test_hyperparameters_out_of_range(bad, message):
    with pytest.raises(ValueError, match=message):
        adafactor(**bad)


@pytest.mark.parametrize(("bad", "message"), BAD_TYPES)
def test_hyperparameters_of_another_type(bad, message):
    with pytest.raises(TypeError, match=message):
        adafactor(**bad)


def test_only_real_floating_parameters():
    assert_real_numbers_only(adafactor)


@pytest.mark.parametrize("dtype", [*DTYPES, np.float16, np.longdouble])
def test_nothing_changes_type_or_in_place(dtype):
    assert_nothing_changes_type_or_in_place(adafactor, dtype)


# ── against torch ────────────────────────────────────────────────────────────────────────────────────


def seeds():
    return covering_seeds(lambda seed: matrix_trajectory("adafactor", seed, 1))


def test_random_trajectories_are_torchs():
    for seed in seeds():
        outcome = adafactor_against_torch(seed, STEPS)
        assert outcome.agrees, f"seed {seed}: {outcome.worst}; own: {outcome.own}"
        assert (outcome.undecided, outcome.steps) == (0, STEPS)


def test_the_trajectories_hold_every_pair_of_options():
    drawn = [options(matrix_trajectory("adafactor", seed, STEPS)) for seed in seeds()]
    names = inspect.signature(adafactor).parameters.keys()
    assert_every_option_and_type(drawn, names, always={"lr", "eps[0]"})
    assert missing_pairs(drawn) == []


def test_the_draws_reach_every_shape():
    assert {p.shape for seed in range(60) for p in matrix_trajectory("adafactor", seed, 1).params} == set(
        DRAWS["adafactor"][1]
    )


# ── planted faults ───────────────────────────────────────────────────────────────────────────────────

FAULTS = [
    ("_rms(update, d), 1.0)", "_rms(update), 1.0)"),
    ("_rms(update, d), 1.0)", "_rms(update, d), 1.01)"),
    (" / np.maximum(rows.sum(axis=-2, keepdims=True) / g.shape[-2], tiny)", ""),
    ("rows.sum(axis=-2, keepdims=True) / g.shape[-2]", "rows.sum(axis=-2, keepdims=True) / g.shape[-1]"),
    ("_mean_square(g, -2), fresh)", "_mean_square(g, -2), 1 - fresh)"),
    ("return norm * norm / g.shape[axis]", "return norm * norm"),
    ("fresh = t**beta2_decay", "fresh = (t + 1)**beta2_decay"),
    ("min(lr, t**-0.5)", "lr"),
    ("min(lr, t**-0.5) * np.maximum(_rms(p), smallest_rms)", "min(lr, t**-0.5)"),
    ("np.maximum(_rms(p), smallest_rms)", "_rms(p)"),
    ("variance, tiny * tiny)", "variance, tiny)"),
    ("variance, tiny * tiny)", "variance, 0)"),
    ("p * (1 - lr * weight_decay)\n        if g", "p * (1 - alpha * weight_decay)\n        if g"),
    ("g = -g if maximize else g", "g = g"),
    ("g * g, fresh)", "np.abs(g), fresh)"),
]


@pytest.mark.parametrize(("old", "new"), FAULTS)
def test_a_planted_fault_is_caught(old, new):
    assert worst("adafactor", with_source_changed(MODULES["adafactor"], old, new).adafactor) > FACTOR


UNCHANGED = "RMS(x) ="


def test_without_a_fault_nothing_is_caught():
    assert worst("adafactor", with_source_changed(MODULES["adafactor"], UNCHANGED, UNCHANGED).adafactor) == 0
