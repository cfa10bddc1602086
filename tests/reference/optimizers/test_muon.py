"""muon: its iteration by its algebra, against torch.optim, and with planted faults."""

import inspect

import numpy as np
import pytest
import torch

import reference as ref
from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from reference.optimizers import adam, lbfgs, muon
from reference.optimizers.muon import newton_schulz
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
from torch_compare.torch_side.muon import without_bfloat16
from torch_compare.trajectories.comparison import distance, follow, follow_torch
from torch_compare.trajectories.matrix import (
    DRAWS,
    bfloat16_scales,
    matrix_trajectory,
    muon_against_torch,
    muon_in_full_precision,
)
from torch_compare.trajectories.random_trajectories import Trajectory, covering_seeds, options


def test_newton_schulz_applies_the_quintic_to_singular_values():
    """On a diagonal matrix no sum rounds: the same operations, number by number."""
    a, b, c = MODULES["muon"].NS_COEFFICIENTS
    s = np.array([3.0, 0.7, 1e-3, 0.0])
    norm = np.sqrt((s * s).sum())
    x = s / norm
    for _ in range(5):
        gram = x * x
        x = a * x + (b * gram + c * (gram * gram)) * x
    assert_same(newton_schulz(np.diag(s)), np.diag(x))


def test_newton_schulz_leaves_singular_vectors_alone():
    """NS(Q diag(s) Rᵀ) = Q NS(diag(s)) Rᵀ, to within the rounding of NS and, seen through it, of the product."""
    rng = np.random.default_rng(3)
    q, r = np.linalg.qr(rng.normal(size=(6, 4)))[0], np.linalg.qr(rng.normal(size=(4, 4)))[0]
    s = np.array([3.0, 0.7, 0.2, 0.01])
    source = NoiseSource(get_format(np.float64), 64, rng)
    noisy = newton_schulz(Noisy.exact(q, source) @ np.diag(s) @ r.T)
    error = np.abs(newton_schulz(q @ np.diag(s) @ r.T) - q @ newton_schulz(np.diag(s)) @ r.T)
    assert np.max(error / noisy.spread()) < FACTOR


def test_newton_schulz_of_either_orientation_is_the_same():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(7, 3))
    assert_same(newton_schulz(x).T, newton_schulz(x.T.copy()))


@pytest.mark.parametrize("nesterov", [False, True])
def test_muon_moves_along_what_it_orthogonalizes(nesterov):
    """With the exact U Vᵀ in place of the quintic, a step turns every singular value of the momentum into 1."""
    seen = []

    def polar(b):
        seen.append(b)
        u, _, v = np.linalg.svd(b, full_matrices=False)
        return u @ v

    rng = np.random.default_rng(4)
    start, g = rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
    optimizer = muon(lr=0.5, weight_decay=0.25, momentum=0.75, nesterov=nesterov, orthogonalize=polar)
    (moved,), state = steps(optimizer, [start], [[g]])
    assert_same(state["momentum_buffer"][0], 0.25 * g)
    assert np.allclose(seen[0], (0.25 + 0.25 * 0.75 if nesterov else 0.25) * g, rtol=gamma(4), atol=0)
    assert_same(moved, start * 0.875 - 0.5 * np.sqrt(2) * polar(seen[0]))


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        (None, (8, 2), 2.0),
        ("original", (2, 8), 1.0),
        ("match_rms_adamw", (16, 4), 0.8),
        ("match_rms_adamw", (4, 25), 1),
    ],
)
def test_muons_rates_by_shape(name, shape, expected):
    optimizer = muon(lr=0.5, weight_decay=0.0, adjust_lr_fn=name, orthogonalize=lambda b: 0 * b + 1)
    (moved,), _ = steps(optimizer, [np.zeros(shape)], [[np.ones(shape)]])
    assert np.allclose(moved, -0.5 * expected, rtol=gamma(4), atol=0)


def test_muon_refuses_biases_and_says_what_to_do():
    with pytest.raises(ValueError, match=r"params\[1\] has shape \(3,\): give others="):
        muon().init(ref.initialize([2, 3, 1], activations=["tanh", "identity"], seed=0))
    with pytest.raises(ValueError, match=r"others must be an optimizer of one gradient a step"):
        muon(others=lbfgs())


def test_muon_leaves_the_rest_to_the_others():
    """Bit for bit what muon makes of the matrices and adam of the biases; the state can be taken apart."""
    rng = np.random.default_rng(5)
    mlp = ref.initialize([2, 3, 1], activations=["tanh", "identity"], seed=0)
    x, t = rng.normal(size=(5, 2)), rng.normal(size=(5, 1))
    both = muon(lr=0.1, others=adam(lr=0.2))
    state = both.init(mlp)
    weights, biases = [[la.weight for la in mlp.layers], [la.bias for la in mlp.layers]]
    one, two = muon(lr=0.1), adam(lr=0.2)
    states = [one.init(weights), two.init(biases)]
    for count in range(3):
        g = ref.gradients(ref.Problem(mlp, x, t, loss="mse"))
        mlp, state = both.update(mlp, g, state)
        weights, states[0] = one.update(weights, [la.weight for la in g.layers], states[0])
        biases, states[1] = two.update(biases, [la.bias for la in g.layers], states[1])
        assert state["step"] == count + 1
        for layer, weight, bias in zip(mlp.layers, weights, biases, strict=True):
            assert_same(layer.weight, weight)
            assert_same(layer.bias, bias)
    assert state["matrices"].keys() == states[0].keys()
    assert both.hyperparameters["others"]["name"] == "adam"


@pytest.mark.parametrize("shapes", [((2, 2),), ((3,), ())])
def test_others_may_have_nothing_to_do_or_everything(shapes):
    params = [np.ones(s) for s in shapes]
    moved, state = steps(muon(others=adam()), params, [params] * 2)
    assert state["step"] == 2
    assert len(state) == 2
    assert all(np.all(m < p) for m, p in zip(moved, params, strict=True))


BAD = [
    ({"lr": np.nan}, "muon: lr"),
    ({"momentum": -0.1}, "momentum"),
    ({"weight_decay": -1}, "weight_decay"),
    ({"eps": -1e-7}, "eps"),
    ({"ns_steps": 100}, "ns_steps"),
    ({"ns_coefficients": (1.0, 2.0)}, "three numbers"),
    ({"ns_coefficients": (1.0, 2.0, np.nan)}, r"ns_coefficients\[2\]"),
    ({"adjust_lr_fn": "other"}, "original, match_rms_adamw"),
]
BAD_TYPES = [
    ({"ns_steps": 2.5}, "whole number"),
    ({"momentum": None}, "momentum must be a number"),
]


@pytest.mark.parametrize(("bad", "message"), BAD)
def test_hyperparameters_out_of_range(bad, message):
    with pytest.raises(ValueError, match=message):
        muon(**bad)


@pytest.mark.parametrize(("bad", "message"), BAD_TYPES)
def test_hyperparameters_of_another_type(bad, message):
    with pytest.raises(TypeError, match=message):
        muon(**bad)


def test_only_real_floating_parameters():
    assert_real_numbers_only(muon)


@pytest.mark.parametrize("dtype", [*DTYPES, np.float16, np.longdouble])
def test_nothing_changes_type_or_in_place(dtype):
    assert_nothing_changes_type_or_in_place(muon, dtype)


def seeds():
    return covering_seeds(lambda seed: matrix_trajectory("muon", seed, 1))


def test_random_trajectories_are_torchs():
    for seed in seeds():
        outcome = muon_in_full_precision(seed, STEPS)
        assert outcome.agrees, f"seed {seed}: {outcome.worst}; own: {outcome.own}"
        assert (outcome.undecided, outcome.steps) == (0, STEPS)


def test_the_trajectories_hold_every_pair_of_options():
    drawn = [options(matrix_trajectory("muon", seed, STEPS)) for seed in seeds()]
    names = inspect.signature(muon).parameters.keys() - {"others", "orthogonalize"}
    assert_every_option_and_type(drawn, names, always={"lr"})
    assert missing_pairs(drawn) == []


def test_the_draws_reach_every_shape():
    assert {p.shape for seed in range(60) for p in matrix_trajectory("muon", seed, 1).params} == set(DRAWS["muon"][1])


@pytest.mark.parametrize("seed", [2, 5, 11])
def test_a_random_trajectory_is_torchs_as_it_is_in_bfloat16(seed):
    outcome = muon_against_torch(seed, 20)
    assert outcome.agrees, f"{outcome.worst}; own: {outcome.own}"
    assert (outcome.undecided, outcome.steps) == (0, 20)


def test_torch_is_itself_again_afterwards():
    with pytest.raises(ZeroDivisionError), without_bfloat16():
        1 / 0  # noqa: B018
    assert torch.ones(1).bfloat16().dtype == torch.bfloat16


FAULTS = [
    ("NS_COEFFICIENTS = (3.4445,", "NS_COEFFICIENTS = (3.4446,"),
    ("x = a * x + (b * gram + c * (gram @ gram)) @ x", "x = a * x + (b * gram + a * (gram @ gram)) @ x"),
    ("x = a * x + (b * gram + c * (gram @ gram)) @ x", "x = a * x + (c * gram + b * (gram @ gram)) @ x"),
    ("x = x / np.maximum(np.sqrt((x * x).sum()), eps)", "x = x / np.maximum((x * x).sum(), eps)"),
    ("x = x / np.maximum(np.sqrt((x * x).sum()), eps)", "x = x / (np.sqrt((x * x).sum()) + eps)"),
    ("moved_towards(g, m, momentum) if", "moved_towards(m, g, momentum) if"),
    ("ahead = moved_towards(g, m, momentum) if nesterov else m", "ahead = m"),
    ('moved_towards(slots["momentum_buffer"], g, 1 - momentum)', 'momentum * slots["momentum_buffer"] + g'),
    ("max(1.0, rows / columns)", "max(1.0, columns / rows)"),
    ("0.2 * max(rows, columns)", "0.2 * min(rows, columns)"),
    ("p * (1 - lr * weight_decay) - lr", "p * (1 - lr * adjusted(*p.shape) * weight_decay) - lr"),
    ("for _ in range(steps)", "for _ in range(steps + 1)"),
    ("return x.T if tall else x", "return x if x.shape == matrix.shape else x.T + 1e-12"),
]


@pytest.mark.parametrize(("old", "new"), FAULTS)
def test_a_planted_fault_is_caught(old, new):
    assert worst("muon", with_source_changed(MODULES["muon"], old, new).muon) > FACTOR


UNCHANGED = "NS_COEFFICIENTS = ("


def test_without_a_fault_nothing_is_caught():
    assert worst("muon", with_source_changed(MODULES["muon"], UNCHANGED, UNCHANGED).muon) == 0


def test_the_scale_of_bfloat16_still_sees_what_bfloat16_cannot_explain():
    """torch as it is agrees; momentum that is not orthogonalized does not, nor a step in the other direction.

    With coefficients that contract: the default ones drive rounding errors of bfloat16 apart, to a tenth of the result.
    """
    rng = np.random.default_rng(7)
    (q, _), (r, _) = (np.linalg.qr(rng.normal(size=(n, 3))) for n in (4, 3))
    grads = ((q @ np.diag([1.0, 0.1, 0.1]) @ r,),) * 3
    usual = {"lr": 0.1, "momentum": 0.0, "ns_coefficients": (15 / 8, -5 / 4, 3 / 8), "ns_steps": 8}
    path = Trajectory(muon(**usual), (np.zeros((4, 3)),), grads)
    scale, fmt, ours = bfloat16_scales(path), get_format(np.float64), follow(path.optimizer, path.params, grads)
    assert distance(follow_torch(path.optimizer, path.params, grads), ours, scale, fmt)[0].scales < FACTOR
    for wrong in ({"ns_steps": 0}, {"orthogonalize": lambda b: -newton_schulz(b, usual["ns_coefficients"], 8)}):
        theirs = follow(muon(**usual | wrong), path.params, grads)
        assert distance(theirs, ours, scale, fmt)[0].scales > FACTOR
