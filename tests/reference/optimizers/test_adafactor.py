"""adafactor and muon: by hand, by their algebra, against torch.optim, and with planted faults."""

import copy
import functools
import importlib

import numpy as np
import pytest
import torch

import reference as ref
from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from reference.optimizers import adafactor, adam, lbfgs, muon
from reference.optimizers.muon import newton_schulz
from reference.rounding.distance import FACTOR
from tests.helpers import DTYPES, assert_same, gamma, mutant
from torch_compare.torch_side.muon import without_bfloat16
from torch_compare.torch_side.optimizers import Twin
from torch_compare.trajectories.comparison import distance, follow, follow_torch
from torch_compare.trajectories.matrix import DRAWS, MATRIX_SUBJECTS, bfloat16_scales, matrix_scales, matrix_trajectory
from torch_compare.trajectories.random_trajectories import Trajectory

MODULES = {name: importlib.import_module(f"reference.optimizers.{name}") for name in ("adafactor", "muon")}
"""The modules: the package hands on the functions of these names."""


def frozen(array):
    array = np.array(array)
    array.setflags(write=False)
    return array


def steps(optimizer, params, grads):
    state = optimizer.init(params)
    for g in grads:
        params, state = optimizer.update(params, g, state)
    return params, state


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


# ── muon and what is no matrix ───────────────────────────────────────────────────────────────────────


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


# ── hyperparameters, purity, types ───────────────────────────────────────────────────────────────────

BAD = [
    (adafactor, {"lr": -1.0}, "adafactor: lr"),
    (adafactor, {"beta2_decay": 0.1}, "beta2_decay"),
    (adafactor, {"d": 0.5}, "d must lie"),
    (adafactor, {"weight_decay": -0.1}, "weight_decay"),
    (adafactor, {"eps": (-1e-8, 1e-3)}, "eps1"),
    (adafactor, {"eps": (None, np.nan)}, "eps2"),
    (muon, {"lr": np.nan}, "muon: lr"),
    (muon, {"momentum": -0.1}, "momentum"),
    (muon, {"weight_decay": -1}, "weight_decay"),
    (muon, {"eps": -1e-7}, "eps"),
    (muon, {"ns_steps": 100}, "ns_steps"),
    (muon, {"ns_coefficients": (1.0, 2.0)}, "three numbers"),
    (muon, {"ns_coefficients": (1.0, 2.0, np.nan)}, r"ns_coefficients\[2\]"),
    (muon, {"adjust_lr_fn": "other"}, "original, match_rms_adamw"),
]
BAD_TYPES = [
    (adafactor, {"eps": 1e-3}, "pair"),
    (adafactor, {"lr": "fast"}, "lr must be a number"),
    (muon, {"ns_steps": 2.5}, "whole number"),
    (muon, {"momentum": None}, "momentum must be a number"),
]


@pytest.mark.parametrize(("make", "bad", "message"), BAD)
def test_hyperparameters_out_of_range(make, bad, message):
    with pytest.raises(ValueError, match=message):
        make(**bad)


@pytest.mark.parametrize(("make", "bad", "message"), BAD_TYPES)
def test_hyperparameters_of_another_type(make, bad, message):
    with pytest.raises(TypeError, match=message):
        make(**bad)


@pytest.mark.parametrize("make", [adafactor, muon])
def test_only_real_floating_parameters(make):
    for dtype in (complex, int):
        with pytest.raises(TypeError, match="real floating numbers"):
            make().init([np.ones((2, 2), dtype=dtype)])


@pytest.mark.parametrize("make", [adafactor, muon])
@pytest.mark.parametrize("dtype", [*DTYPES, np.float16, np.longdouble])
def test_nothing_changes_type_or_in_place(make, dtype):
    rng = np.random.default_rng(6)
    p, g = (frozen(rng.normal(size=(3, 2)).astype(dtype)) for _ in range(2))
    optimizer = make(lr=np.float64(0.1))
    state = optimizer.init([p])
    before = copy.deepcopy(state)
    (moved,), after = optimizer.update([p], [g], state)
    assert moved.dtype == p.dtype
    for key, slot in after.items():
        assert key == "step" or all(a is None or a.dtype == p.dtype for a in slot)
    assert state.keys() == before.keys()
    for key in state:
        np.testing.assert_equal(state[key], before[key])


# ── against torch ────────────────────────────────────────────────────────────────────────────────────


SEEDS = {"adafactor": range(6), "muon": (0, 2, 5, 8), "muon, bfloat16": (2, 5, 11)}


@pytest.mark.parametrize("name", MATRIX_SUBJECTS)
def test_random_trajectories_are_torchs(name):
    found = [MATRIX_SUBJECTS[name](seed, 50) for seed in SEEDS[name]]
    assert {o.dtype for o in found} == {"float32", "float64"}
    for outcome in found:
        assert outcome.agrees, f"{name}, seed {outcome.seed}: {outcome.worst}; own: {outcome.own}"
        assert outcome.undecided == 0
        assert outcome.steps == 50


def test_the_draws_reach_every_option_and_shape():
    for name, (draw, shapes) in DRAWS.items():
        signature = getattr(ref.optimizers, name).__kwdefaults__.keys() | set(
            getattr(ref.optimizers, name).__code__.co_varnames[: getattr(ref.optimizers, name).__code__.co_argcount]
        )
        drawn = [draw(np.random.default_rng(seed)) for seed in range(60)]
        assert set(drawn[0]) == signature - {"others", "orthogonalize"}
        for key in drawn[0]:
            assert len({d[key] for d in drawn}) > 1, key
        seen = {p.shape for seed in range(60) for p in matrix_trajectory(name, seed, 1).params}
        assert seen == set(shapes)


def test_torch_is_itself_again_afterwards():
    with pytest.raises(ZeroDivisionError), without_bfloat16():
        1 / 0  # noqa: B018
    assert torch.ones(1).bfloat16().dtype == torch.bfloat16


# ── planted faults ───────────────────────────────────────────────────────────────────────────────────

FAULTS = {
    "adafactor": [
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
    ],
    "muon": [
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
    ],
}
CASES = [(name, *fault) for name, faults in FAULTS.items() for fault in faults]


@functools.cache
def judged(name):
    """Trajectories, ours along them, and σ."""
    paths = [matrix_trajectory(name, seed, 20) for seed in range(100, 116)]
    return [
        (path, follow(path.optimizer, path.params, path.grads), matrix_scales(path, seed=seed))
        for seed, path in enumerate(paths)
    ]


@pytest.mark.parametrize(("name", "old", "new"), CASES)
def test_a_planted_fault_is_caught(name, old, new):
    make = getattr(mutant(MODULES[name], old, new), name)
    assert worst(name, make) > FACTOR


def worst(name, make):
    found = []
    for path, ours, scale in judged(name):
        hyperparameters = dict(path.optimizer.hyperparameters)
        if hyperparameters.get("ns_coefficients") == MODULES["muon"].NS_COEFFICIENTS:
            del hyperparameters["ns_coefficients"]
        with np.errstate(all="ignore"):
            theirs = follow(make(**hyperparameters), path.params, path.grads)
        found.append(distance(theirs, ours, scale, get_format(path.dtype))[0].scales)
    return np.nanmax(found)


UNCHANGED = {name: (line, line) for name, line in (("adafactor", "RMS(x) ="), ("muon", "NS_COEFFICIENTS = ("))}


@pytest.mark.parametrize("name", FAULTS)
def test_without_a_fault_nothing_is_caught(name):
    assert worst(name, getattr(mutant(MODULES[name], *UNCHANGED[name]), name)) == 0


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
