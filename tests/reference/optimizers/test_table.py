"""The elementwise optimisers: worked by hand, in closed form, against torch.optim, and with planted faults."""

import functools
import inspect

import ml_dtypes
import mpmath
import numpy as np
import pytest
import torch

import reference as ref
from reference.arithmetic.formats import get_format
from reference.optimizers import OPTIMIZERS
from reference.optimizers.optimizer import by_array, zeros_like
from reference.rounding.distance import FACTOR
from tests.helpers import DTYPES, assert_same
from tests.reference.optimizers.helpers import assert_every_option_and_type, frozen, missing_pairs
from torch_compare.torch_side.optimizer_deviations import LAST_STEP, OPTIMIZER_DEVIATIONS, as_torch
from torch_compare.torch_side.optimizers import CLASSES, UNCOUNTED, Twin
from torch_compare.trajectories.comparison import compare, distance, follow, follow_torch, rounding_scales
from torch_compare.trajectories.random_trajectories import (
    HYPERPARAMETERS,
    KINDS,
    Trajectory,
    covering_seeds,
    options,
    random_trajectory,
)

opt = ref.optimizers
NAMES = tuple(HYPERPARAMETERS)


def trajectory(optimizer, seed=0, steps=20, dtype=np.float64, shapes=((2, 3), (3,))):
    """Normal gradients, those of one element constant, and parameters of the same size as they."""
    rng = np.random.default_rng(seed)
    params = tuple(frozen(rng.normal(size=s).astype(dtype)) for s in shapes)
    grads = [[rng.normal(size=s).astype(dtype) for s in shapes] for _ in range(steps)]
    for g in grads:
        g[0][0, 0] = 0.75
    return Trajectory(optimizer, params, tuple(tuple(frozen(a) for a in g) for g in grads))


# ── worked by hand: no number here rounds, or only in the last operation ─────────────────────────────

BY_HAND = [
    ("plain", opt.sgd(lr=0.5), 1.0, [1.0, 2.0], [0.5, -0.5]),
    ("uphill", opt.sgd(lr=0.5, maximize=True), 1.0, [1.0], [1.5]),
    # g + λθ = 2, m = 2; then g + λθ = 1.5, m = ½·2 + ¾·1.5
    ("momentum", opt.sgd(lr=0.5, momentum=0.5, dampening=0.25, weight_decay=0.5), 2.0, [1.0, 1.0], [1.0, -0.0625]),
    # moves by 1 + ½·1, then by 2 + ½·(½·1 + 2)
    ("nesterov", opt.sgd(lr=0.5, momentum=0.5, nesterov=True), 2.0, [1.0, 2.0], [1.25, -0.375]),
    # the step size doubles, then halves, and then nothing moves, as g was set to 0
    ("rprop", opt.rprop(lr=0.5, etas=(0.5, 2.0)), 4.0, [3.0, 1.0, -1.0, -5.0], [3.5, 2.5, 2.5, 3.0]),
    ("rprop's bounds", opt.rprop(lr=0.5, etas=(0.5, 2.0), step_sizes=(0.25, 0.75)), 4.0, [1.0, 1.0], [3.5, 2.75]),
    # 4·(1 − ½·½) − ½·1; η₂ = ½/(1 + ½·½·1) = 0.4; 2.5·(1 − 0.2)
    ("asgd", opt.asgd(lr=0.5, lambd=0.5, alpha=1.0), 4.0, [1.0, 0.0], [2.5, 2.0]),
    ("adam", opt.adam(lr=0.5, betas=(0.5, 0.75), eps=0.0), 1.0, [4.0], [0.5]),
    ("adam's ε", opt.adam(lr=0.5, betas=(0.5, 0.75), eps=1.0), 1.0, [4.0], [0.6]),
    ("adam, λ in g", opt.adam(lr=0.5, betas=(0.5, 0.75), eps=0.0, weight_decay=0.5), 1.0, [3.5], [0.5]),
    ("adamw", opt.adamw(lr=0.5, betas=(0.5, 0.75), eps=0.0, weight_decay=0.5), 4.0, [4.0], [2.5]),
    # the largest v is 16 at both steps: ⅔·1.5/4
    ("amsgrad", opt.adam(lr=0.5, betas=(0.5, 0.0), eps=0.0, amsgrad=True), 1.0, [4.0, 1.0], [0.5, 0.25]),
    ("adamax", opt.adamax(lr=0.5, betas=(0.5, 0.5), eps=8.0), 1.0, [8.0], [0.75]),
    # μ = ½·½ at every step: 1 − ½ − ½·¼/(1 − 1/16)·½
    ("nadam", opt.nadam(lr=0.5, betas=(0.5, 0.75), eps=0.0, momentum_decay=0.0), 1.0, [2.0], [1 - 0.5 - 1 / 15]),
    ("radam, not rectified", opt.radam(lr=0.5), 1.0, [2.0], [0.0]),
    ("rmsprop", opt.rmsprop(lr=0.5, alpha=0.75, eps=4.0, momentum=0.5), 1.0, [8.0], [0.5]),
    # v = 32, ḡ = 4
    ("rmsprop, centred", opt.rmsprop(lr=0.5, alpha=0.5, eps=4.0, centered=True), 2.0, [8.0], [1.5]),
    ("adagrad", opt.adagrad(lr=0.5, initial_accumulator_value=9.0, lr_decay=1.0, eps=3.0), 1.0, [4.0], [0.75]),
    # (1 + 3·3 + …): v = 25, then 169; η₂ = ½/2
    ("adagrad's decay", opt.adagrad(lr=1.0, initial_accumulator_value=9.0, lr_decay=1.0, eps=0.0), 1.0,
     [4.0, 12.0], [0.2, 0.2 - 0.5 * 12 / 13]),
    ("adadelta", opt.adadelta(rho=0.0, eps=9.0), 1.0, [4.0], [-1.4]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "optimizer", "start", "grads", "expected"), BY_HAND, ids=[c[0] for c in BY_HAND])
def test_steps_worked_by_hand(what, optimizer, start, grads, expected):
    here, state = [np.array([start])], optimizer.init([np.array([start])])
    for g, there in zip(grads, expected, strict=True):
        here, state = optimizer.update(here, [np.array([g])], state)
        assert abs(here[0][0] - there) <= 2 * np.spacing(abs(there)), what
    assert state["step"] == len(grads)


def test_every_elementwise_optimiser_is_worked_by_hand():
    assert {c[1].name for c in BY_HAND} == set(NAMES)


# ── in closed form, to 50 digits: the sums that the running means are ────────────────────────────────


def running_mean(decay, values):
    """(1 − β)·Σ βᵗ⁻ⁱ xᵢ."""
    return (1 - decay) * sum(decay ** (len(values) - 1 - i) * x for i, x in enumerate(values))


def closed_adam(h, theta, g):
    b1, b2 = map(mpmath.mpf, h["betas"])
    for t in range(1, len(g) + 1):
        m = running_mean(b1, g[:t]) / (1 - b1**t)
        v = running_mean(b2, [x * x for x in g[:t]]) / (1 - b2**t)
        theta -= h["lr"] * m / (mpmath.sqrt(v) + h["eps"])
    return theta


def closed_adamax(h, theta, g):
    b1, b2 = map(mpmath.mpf, h["betas"])
    for t in range(1, len(g) + 1):
        largest = max(b2 ** (t - 1 - i) * (abs(x) + h["eps"]) for i, x in enumerate(g[:t]))
        theta -= h["lr"] * running_mean(b1, g[:t]) / (1 - b1**t) / largest
    return theta


def closed_radam(h, theta, g):
    b1, b2 = map(mpmath.mpf, h["betas"])
    for t in range(1, len(g) + 1):
        step = h["lr"] * running_mean(b1, g[:t]) / (1 - b1**t)
        most = 2 / (1 - b2) - 1
        length = most - 2 * t * b2**t / (1 - b2**t)
        if length > 5:
            v = running_mean(b2, [x * x for x in g[:t]])
            variance = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
            step *= mpmath.sqrt(variance * (1 - b2**t)) / (mpmath.sqrt(v) + h["eps"])
        theta -= step
    return theta


def closed_nadam(h, theta, g):
    b1, b2 = map(mpmath.mpf, h["betas"])

    def mu(t):
        return b1 * (1 - mpmath.mpf(0.5) * mpmath.mpf(0.96) ** (t * mpmath.mpf(h["momentum_decay"])))

    for t in range(1, len(g) + 1):
        product = mpmath.fprod(mu(i) for i in range(1, t + 1))
        root = mpmath.sqrt(running_mean(b2, [x * x for x in g[:t]]) / (1 - b2**t)) + h["eps"]
        m = running_mean(b1, g[:t])
        theta -= h["lr"] * ((1 - mu(t)) / (1 - product) * g[t - 1] + mu(t + 1) / (1 - product * mu(t + 1)) * m) / root
    return theta


def closed_sgd(h, theta, g):
    mu, kept = mpmath.mpf(h["momentum"]), 1 - mpmath.mpf(h["dampening"])
    for t in range(1, len(g) + 1):
        theta -= h["lr"] * (mu ** (t - 1) * g[0] + kept * sum(mu ** (t - 1 - i) * g[i] for i in range(1, t)))
    return theta


def closed_adagrad(h, theta, g):
    for t in range(1, len(g) + 1):
        v = h["initial_accumulator_value"] + sum(x * x for x in g[:t])
        theta -= h["lr"] / (1 + (t - 1) * mpmath.mpf(h["lr_decay"])) * g[t - 1] / (mpmath.sqrt(v) + h["eps"])
    return theta


def closed_rmsprop(h, theta, g):
    a = mpmath.mpf(h["alpha"])
    for t in range(1, len(g) + 1):
        variance = running_mean(a, [x * x for x in g[:t]]) - running_mean(a, g[:t]) ** 2
        theta -= h["lr"] * g[t - 1] / (mpmath.sqrt(variance) + h["eps"])
    return theta


CLOSED = [
    (closed_adam, opt.adam(lr=0.1, betas=(0.8, 0.99))),
    (closed_adam, opt.adam(lr=0.1, betas=(0.3, 0.4), eps=1e-2)),
    (closed_adamax, opt.adamax(lr=0.1, betas=(0.8, 0.9))),
    (closed_radam, opt.radam(lr=0.1, betas=(0.8, 0.99))),
    (closed_nadam, opt.nadam(lr=0.1, betas=(0.8, 0.99), momentum_decay=0.5)),
    (closed_sgd, opt.sgd(lr=0.1, momentum=0.8, dampening=0.3)),
    (closed_adagrad, opt.adagrad(lr=0.1, lr_decay=0.2, initial_accumulator_value=0.1)),
    (closed_rmsprop, opt.rmsprop(lr=0.1, alpha=0.8, centered=True)),
]


@pytest.mark.parametrize(("closed", "optimizer"), CLOSED)
def test_many_steps_are_the_papers_sums(closed, optimizer):
    """Every step by a sum over all gradients so far, to 50 digits, within the rounding scale."""
    path = trajectory(optimizer, seed=3, steps=12)
    ours = follow(optimizer, path.params, path.grads)["params[1]"][-1]
    scale = rounding_scales(path)["params[1]"][-1]
    with mpmath.workdps(50):
        for i in range(len(ours)):
            g = [mpmath.mpf(float(step[1][i])) for step in path.grads]
            exact = closed(optimizer.hyperparameters, mpmath.mpf(float(path.params[1][i])), g)
            assert abs(ours[i] - exact) <= FACTOR * scale[i]


def test_the_average_of_asgd_is_the_mean_of_the_last_iterates():
    optimizer = opt.asgd(lr=0.125, lambd=0.0, t0=3.0)
    path = trajectory(optimizer, steps=9)
    found = follow(optimizer, path.params, path.grads)
    scale = rounding_scales(path)["ax[0]"][-1]
    # μ₆ = ½ is the first weight below 1 (t − 1 − t₀ > 1): the iterates from the fifth on
    exact = found["params[0]"].astype(np.longdouble)[4:].mean(axis=0)
    assert np.all(np.abs(found["ax[0]"][-1] - exact) <= FACTOR * scale)


# ── against torch.optim ──────────────────────────────────────────────────────────────────────────────


@functools.cache
def chosen(name):
    """The trajectories that are compared with torch's, by their seeds."""
    seeds = covering_seeds(lambda seed: random_trajectory(name, seed, steps=1))
    return {seed: random_trajectory(name, seed, steps=20) for seed in seeds}


def names_of(name):
    return inspect.signature(OPTIMIZERS[name]).parameters.keys()


@pytest.mark.parametrize("name", NAMES)
def test_random_trajectories_agree_with_torch(name):
    for seed, path in chosen(name).items():
        outcome = compare(path, seed)
        assert outcome.agrees, outcome


@pytest.mark.parametrize("name", NAMES)
def test_the_trajectories_reach_every_option_of_ours_and_of_torch(name):
    ours = names_of(name)
    switches = {"foreach", "capturable", "differentiable", "fused", "params"}
    assert ours == inspect.signature(CLASSES[name]).parameters.keys() - switches
    assert ours == OPTIMIZERS[name]().hyperparameters.keys()
    assert_every_option_and_type(map(options, chosen(name).values()), ours, always={"lr", "lambd", "alpha"})


@pytest.mark.parametrize("name", NAMES)
def test_the_trajectories_hold_every_pair_of_options(name):
    impossible = [{"nesterov": "True", "momentum": "0"}, {"nesterov": "True", "dampening": "other"}]
    missing = missing_pairs(list(map(options, chosen(name).values())))
    assert [pair for pair in missing if pair not in impossible] == []


def test_a_pair_of_options_that_never_meet_is_noticed():
    drawn = [options(path) for path in chosen("adam").values()]
    apart = [one for one in drawn if (one["amsgrad"], one["maximize"]) != ("True", "True")]
    assert {"maximize": "True", "amsgrad": "True"} in missing_pairs(apart)
    with pytest.raises(AssertionError, match="amsgrad"):
        assert_every_option_and_type([one for one in drawn if one["amsgrad"] == "False"], names_of("adam"), {"lr"})


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_are_torchs(name):
    theirs = inspect.signature(CLASSES[name]).parameters
    for key, option in inspect.signature(OPTIMIZERS[name]).parameters.items():
        assert option.default == theirs[key].default, key


def test_the_trajectories_have_every_kind_of_gradient():
    paths = [random_trajectory("sgd", seed, steps=12) for seed in range(60)]
    assert {p.dtype.name for p in paths} == {"float64", "float32"}
    assert {len(p.params) for p in paths} == {1, 2, 3}
    stacked = [np.stack([g[i] for g in p.grads]) for p in paths for i in range(len(p.params))]
    moving = [g for g in stacked if len(g.ravel()) > 12]
    assert any(np.all(g == g[0]) and np.any(g) for g in moving), "constant"
    assert any(0.5 < np.mean(g == 0) < 0.95 for g in moving), "sparse"
    assert any(np.any(np.all(g.reshape(12, -1) == 0, axis=1)) and np.any(g) for g in moving), "zeros"
    assert any(np.all(g[1:] * g[:-1] < 0) for g in moving), "alternating"
    assert any(np.all(g == np.rint(g)) for g in moving), "integers"
    sizes = [np.log10(np.abs(g[g != 0])) for g in stacked if np.any(g)]
    assert min(s.min() for s in sizes) < -5
    assert max(s.max() for s in sizes) > 2
    assert any(np.ptp(s) > 6 for s in sizes), "wide"
    assert len(KINDS) == 7


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_torch_goes_on_from_our_state_and_we_from_torchs(name, dtype):
    if name == "nadam":
        dtype = np.float32  # torch's load_state_dict changes its arithmetic in float64: see the deviations
    path = trajectory(OPTIMIZERS[name](), steps=6, dtype=dtype)
    optimizer, _ = as_torch(path.optimizer, path.dtype)
    here, state, twin = list(path.params), optimizer.init(path.params), Twin(optimizer, path.params)
    for index, g in enumerate(path.grads):
        here, state = optimizer.update(here, list(g), state)
        twin.step(g)
        if index == 2:
            here, state = twin.params, twin.state
        if index == 4:
            twin = Twin(optimizer, here)
            twin.load(here, state)
    scale = rounding_scales(path)
    for index, (ours, theirs) in enumerate(zip(here, twin.params, strict=True)):
        assert np.all(np.abs(ours - theirs) <= FACTOR * scale[f"params[{index}]"][-1])
    assert twin.state.keys() == state.keys()
    assert twin.state["step"] == state["step"] == 6
    for key in state.keys() - {"step"}:
        assert [(a.shape, a.dtype) for a in twin.state[key]] == [(a.shape, a.dtype) for a in state[key]]


def test_torch_has_no_twin_of_an_unknown_optimiser():
    nameless = by_array("mine", "", "", {}, lambda p: {}, lambda p, g, slots, t: (p, {}))
    with pytest.raises(ValueError, match="no counterpart of 'mine'"):
        Twin(nameless, [np.ones(1)])


def test_histories_of_different_leaves_are_refused():
    one = {"params[0]": np.zeros((1, 1))}
    with pytest.raises(ValueError, match="expected the leaves"):
        distance({}, one, one, get_format("float64"))


def test_what_has_no_scale_is_counted_and_nan_on_both_sides_is_the_same():
    given = {"params[0]": np.array([np.nan, 1.0, np.nan, 4.0])}
    expected = {"params[0]": np.array([np.nan, 2.0, 3.0, 4.0])}
    scale = {"params[0]": np.array([np.nan, np.nan, np.inf, 1.0])}
    place, undecided = distance(given, expected, scale, get_format("float64"))
    assert undecided == 2
    assert place.scales == 0


# ── where torch deviates ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["nadam", "asgd"])
def test_torch_keeps_a_number_in_float32_beside_float64_parameters(name):
    path = trajectory(OPTIMIZERS[name]())
    theirs = follow_torch(path.optimizer, path.params, path.grads)
    assert compare(path, given=theirs).worst.scales > 1e4
    outcome = compare(path)
    assert outcome.agrees
    assert len(outcome.deviations) == 1


def test_nadam_goes_on_in_float64_after_loading_its_state():
    path = trajectory(opt.nadam())
    kept, resumed = Twin(path.optimizer, path.params), Twin(path.optimizer, path.params)
    for index, g in enumerate(path.grads):
        if index == 10:
            saved = resumed._optimizer.state_dict()
            resumed._optimizer = torch.optim.NAdam(resumed._tensors)
            resumed._optimizer.load_state_dict(saved)
        kept.step(g)
        resumed.step(g)
    assert any(np.any(a != b) for a, b in zip(kept.params, resumed.params, strict=True))


def test_torch_counts_to_two_to_the_24():
    """Adagrad's learning rate stands still; ours goes on falling."""
    optimizer = opt.adagrad(lr_decay=1.0, lr=1.0)
    p, g = [np.array([1.0])], [np.array([1.0])]
    state = {"step": LAST_STEP, "sum": (np.array([3.0]),)}
    twin = Twin(optimizer, p)
    twin.load(p, state)
    twin.step(g)
    stuck, names = as_torch(optimizer, np.dtype(np.float64), LAST_STEP)
    assert names == ("float32_step_count",)
    assert_same(twin.params[0] - 1, stuck.update(p, g, state)[0][0] - 1)
    assert twin.params[0] != optimizer.update(p, g, state)[0][0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_fused_sgd_moves_no_half_precision_parameter_of_a_whole_register(dtype):
    """63 elements, so that no processor's last register of the buffer is read beyond its end."""
    rng = np.random.default_rng(0)
    before, *grads = (torch.tensor(rng.normal(size=63)).to(dtype) for _ in range(3))
    made = {}
    for kind in ("fused", "foreach"):
        p = before.clone().requires_grad_()
        theirs = torch.optim.SGD([p], lr=0.5, momentum=0.5, **{kind: True})
        for g in grads:
            p.grad = g.clone()
            theirs.step()
        made[kind] = p.detach(), theirs.state[p]["momentum_buffer"]
    (still, read), (moved, right) = made["fused"], made["foreach"]
    assert torch.equal(still[:32], before[:32])
    assert not torch.equal(moved[:32], before[:32])
    assert torch.equal(still[-1], moved[-1])
    assert (read - right)[:16].abs().max() > 0.1
    names = [row.name for row in OPTIMIZER_DEVIATIONS if row.applies(opt.sgd(), str(dtype).removeprefix("torch."), 0)]
    assert names == ["sgd_fused_half_precision"]
    assert as_torch(opt.sgd(), "bfloat16")[1] == ()


def test_a_centred_rmsprop_turns_into_nan_where_the_gradient_is_constant():
    optimizer = opt.rmsprop(alpha=0.3, centered=True)
    lost = [0, 0]
    for seed in range(20):
        g = np.random.default_rng(seed).normal(size=3)
        path = Trajectory(optimizer, (np.ones(3),), ((g,),) * 60)
        with np.errstate(invalid="ignore"):
            ours = follow(optimizer, path.params, path.grads)
        lost[0] += np.any(np.isnan(ours["params[0]"]))
        lost[1] += np.any(np.isnan(follow_torch(optimizer, path.params, path.grads)["params[0]"]))
    assert min(lost) > 0


def test_every_deviation_says_where_and_what():
    names = [row.name for row in OPTIMIZER_DEVIATIONS]
    assert len(set(names)) == len(names)
    for row in OPTIMIZER_DEVIATIONS:
        assert all((row.where, row.what, row.size, row.since, row.reference))
    centred = opt.rmsprop(centered=True)
    assert [r.name for r in OPTIMIZER_DEVIATIONS if r.applies(centred, np.dtype(np.float32), 0)] == [
        "rmsprop_centered_cancellation"
    ]
    assert all(as_torch(OPTIMIZERS[n](), np.dtype(np.float32))[1] == () for n in NAMES)
    assert as_torch(opt.muon(nesterov=False), np.dtype(ml_dtypes.bfloat16))[1] == ("muon_bfloat16_buffer",)
    assert as_torch(opt.muon(), "bfloat16")[1] == ()
    assert set(UNCOUNTED) <= set(CLASSES)


# ── what holds of every optimiser ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", [*DTYPES, np.float16, np.longdouble])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_modified_and_the_same_state_gives_the_same_step(name, dtype):
    """The inputs are read-only, and every array that comes out is of the type that went in."""
    optimizer = random_trajectory(name, 5, steps=1).optimizer
    params = [frozen(np.array([[0.5, -2.0], [0.0, 3.0]], dtype)), None, frozen(np.array([1.5], dtype))]
    grads = [frozen(np.array([[1.0, 0.25], [0.5, -1.0]], dtype)), None, frozen(np.array([-0.5], dtype))]
    state = optimizer.init(params)
    for _ in range(4):
        before = {key: [a.copy() for a in slot] for key, slot in state.items() if key != "step"}
        new, after = optimizer.update(params, grads, state)
        again, _ = optimizer.update(params, grads, state)
        assert new[1] is None
        for key, slot in before.items():
            for kept, a, b in zip(slot, state[key], after[key], strict=True):
                assert_same(a, kept, key)
                assert b.dtype == np.dtype(dtype), key
                b.setflags(write=False)
        for one, other, p in zip(new[::2], again[::2], params[::2], strict=True):
            assert_same(one, other)
            assert np.array_equal(np.signbit(one), np.signbit(other))
            assert (one.dtype, one.shape) == (p.dtype, p.shape)
            one.setflags(write=False)
        assert after["step"] == state["step"] + 1
        params, state = new, after


@pytest.mark.parametrize("name", NAMES)
def test_a_numpy_scalar_for_a_hyperparameter_leaves_float32_alone(name):
    drawn = HYPERPARAMETERS[name](np.random.default_rng(2))
    typed = {k: np.float64(v) if isinstance(v, float) else v for k, v in drawn.items()}
    typed |= {k: tuple(np.float64(x) for x in v) for k, v in drawn.items() if isinstance(v, tuple)}
    path = trajectory(OPTIMIZERS[name](**drawn), steps=3, dtype=np.float32)
    plain, other = (follow(o, path.params, path.grads) for o in (path.optimizer, OPTIMIZERS[name](**typed)))
    for leaf in plain:
        assert_same(other[leaf], plain[leaf], leaf)
        assert plain[leaf].dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
def test_a_network_takes_the_steps_of_its_arrays(name):
    optimizer = OPTIMIZERS[name]()
    mlp = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=1, bias=False)
    mlp = ref.MLP((ref.Layer(mlp.layers[0].weight, np.ones(4), "tanh"), mlp.layers[1]))
    rng = np.random.default_rng(1)
    problem = ref.Problem(mlp, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "mse")
    g = ref.gradients(problem)
    arrays = [mlp.layers[0].weight, mlp.layers[0].bias, mlp.layers[1].weight, None]
    slopes = [g.layers[0].weight, g.layers[0].bias, g.layers[1].weight, None]
    moved, state = optimizer.update(mlp, g, optimizer.init(mlp))
    listed, listed_state = optimizer.update(arrays, slopes, optimizer.init(arrays))
    assert moved.layers[1].bias is None
    assert moved.layers[0].activation is mlp.layers[0].activation
    assert_same(moved.layers[0].weight, listed[0])
    assert_same(moved.layers[0].bias, listed[1])
    assert_same(moved.layers[1].weight, listed[2])
    assert state.keys() == listed_state.keys()


@pytest.mark.parametrize("name", NAMES)
def test_a_learning_rate_that_changes_before_the_first_step_counts_as_with_torch(name):
    """torch makes most states at the first step and not before."""
    path = trajectory(OPTIMIZERS[name](lr=0.25), steps=2, dtype=np.float32)
    twin = Twin(OPTIMIZERS[name](lr=0.5), path.params)
    twin.set(lr=0.25)
    here, state = list(path.params), OPTIMIZERS[name](lr=0.5).init(path.params)
    for g in path.grads:
        here, state = path.optimizer.update(here, list(g), state)
        twin.step(g)
    scale = rounding_scales(path)["params[0]"][-1]
    assert np.all(np.abs(here[0] - twin.params[0]) <= FACTOR * scale)


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────


BAD = [
    ("sgd", {"lr": -1.0}, ValueError, r"sgd: lr must be a finite number of at least 0\.0, got -1\.0"),
    ("sgd", {"lr": float("nan")}, ValueError, "got nan"),
    *(
        (name, {"lr": float("inf")}, ValueError, f"{name}: lr must be a finite number of at least 0.0, got inf")
        for name in opt.OPTIMIZERS
    ),
    ("sgd", {"dampening": float("-inf")}, ValueError, "sgd: dampening must be a finite number, got -inf"),
    ("adam", {"eps": float("inf")}, ValueError, "adam: eps must be a finite number"),
    ("muon", {"momentum": float("inf")}, ValueError, "muon: momentum must be a finite number"),
    ("sgd", {"lr": "0.1"}, TypeError, "sgd: lr must be a number, got '0.1'"),
    ("sgd", {"momentum": True}, TypeError, "sgd: momentum must be a number"),
    ("sgd", {"nesterov": True}, ValueError, "nesterov needs momentum > 0 and dampening 0"),
    ("sgd", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, ValueError, "got 0.9 and 0.1"),
    ("rprop", {"etas": (1.2, 0.5)}, ValueError, "etas must satisfy"),
    ("rprop", {"etas": 0.5}, TypeError, "etas must be a pair"),
    ("rprop", {"step_sizes": (1.0, 0.5)}, ValueError, "step_sizes must rise, got 1.0 and 0.5"),
    ("asgd", {"t0": -1.0}, ValueError, "asgd: t0"),
    ("adam", {"betas": (1.0, 0.9)}, ValueError, r"adam: betas\[0\]"),
    ("adam", {"betas": (0.9, -0.1)}, ValueError, r"adam: betas\[1\]"),
    ("adam", {"betas": (0.9,)}, TypeError, "pair of numbers"),
    ("adam", {"eps": -1e-8}, ValueError, "adam: eps"),
    ("adamw", {"weight_decay": -1.0}, ValueError, "adamw: weight_decay"),
    ("adamax", {"lr": None}, TypeError, "adamax: lr must be a number, got None"),
    ("nadam", {"momentum_decay": -1.0}, ValueError, "nadam: momentum_decay"),
    ("radam", {"betas": "ab"}, TypeError, "pair of numbers"),
    ("rmsprop", {"alpha": 1.5}, ValueError, "rmsprop: alpha must lie between 0.0 and 1.0, got 1.5"),
    ("adagrad", {"initial_accumulator_value": -1.0}, ValueError, "initial_accumulator_value"),
    ("adadelta", {"rho": 2.0}, ValueError, "adadelta: rho"),
]


@pytest.mark.parametrize(("name", "wrong", "error", "message"), BAD)
def test_hyperparameters_out_of_range_are_named(name, wrong, error, message):
    with pytest.raises(error, match=message):
        OPTIMIZERS[name](**wrong)


def test_parameters_gradients_and_states_that_do_not_fit_are_named():
    o = opt.adam()
    p = [np.ones((2, 3)), np.ones(3)]
    state = o.init(p)
    mlp = ref.initialize([2, 1], ["tanh"], seed=0)
    g = ref.gradients(ref.Problem(mlp, np.ones((1, 2)), np.ones((1, 1)), "mse"))
    for wrong, error, message in [
        ((p, p[:1], state), ValueError, "grads: expected 2 arrays, one per parameter, got 1"),
        ((p, [p[0], np.ones(4)], state), ValueError, r"grads\[1\]: expected shape \(3,\)"),
        ((p, [p[0], np.ones(3, np.float32)], state), ValueError, r"grads\[1\]: expected float64"),
        ((p[:1], p[:1], state), ValueError, "made for 2 arrays, the parameters are 1"),
        (("ab", p, state), TypeError, "expected an MLP or a sequence of arrays, got str"),
        ((3.0, p, state), TypeError, "got float"),
        ((p, g, state), TypeError, "a Gradients goes with an MLP"),
    ]:
        with pytest.raises(error, match=message):
            o.update(*wrong)


# ── planted faults: each breaks one rule, and the comparison must see it ─────────────────────────────


def faulty_adam(
    betas=(0.8, 0.9), lr=0.1, eps=1e-3, decay=0.1, *, amsgrad=False, coupled=True, inside=False, first=True,
    second=True, late=0, scaled=True, early=False,
):  # fmt: skip
    """Adam with a switch for every way to get it wrong."""

    def rule(p, g, slots, t):
        if coupled:
            g = g + decay * p
        elif not early:
            p = p * (1 - (lr if scaled else 1) * decay)
        m = betas[0] * slots["exp_avg"] + (1 - betas[0]) * g
        v = betas[1] * slots["exp_avg_sq"] + (1 - betas[1]) * g * g
        kept = {"exp_avg": m, "exp_avg_sq": v} | ({"max_exp_avg_sq": v} if amsgrad else {})
        t = t + late
        size = lr / (1 - betas[0] ** t if first else 1)
        v = v / (1 - betas[1] ** t if second else 1)
        p = p - size * m / (np.sqrt(v + eps) if inside else np.sqrt(v) + eps)
        return p * (1 - lr * decay) if early else p, kept

    names = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if amsgrad else ()))
    return by_array("adam", "", "", {}, lambda p: {n: zeros_like(p) for n in names}, rule)


HONEST = {"betas": (0.8, 0.9), "lr": 0.1, "eps": 1e-3, "weight_decay": 0.1}


def faulty(names, rule, **start):
    return by_array("faulty", "", "", {}, lambda p: {n: zeros_like(p) + start.get(n, 0.0) for n in names}, rule)


def nesterov_with_the_old_buffer(p, g, slots, t):
    m = g if t == 1 else 0.5 * slots["momentum_buffer"] + g
    return p - 0.1 * (g + 0.5 * slots["momentum_buffer"]), {"momentum_buffer": m}


def first_gradient_damped(p, g, slots, t):
    m = 0.5 * slots["momentum_buffer"] + 0.75 * g
    return p - 0.1 * m, {"momentum_buffer": m}


def uphill_after_the_decay(p, g, slots, t):
    return p + 0.1 * (g + 0.1 * p), {}


def rprop_that_still_moves(p, g, slots, t):
    agree = np.sign(slots["prev"] * g)
    size = np.where(agree > 0, slots["step_size"] * 2, np.where(agree < 0, slots["step_size"] / 2, slots["step_size"]))
    return p - np.sign(g) * size, {"prev": np.where(agree < 0, 0 * g, g), "step_size": size}


def rprop_that_does_not_forget(p, g, slots, t):
    agree = np.sign(slots["prev"] * g)
    size = np.where(agree > 0, slots["step_size"] * 2, np.where(agree < 0, slots["step_size"] / 2, slots["step_size"]))
    return p - np.sign(np.where(agree < 0, 0 * g, g)) * size, {"prev": g, "step_size": size}


def rmsprop_not_centred(p, g, slots, t):
    v = 0.5 * slots["square_avg"] + 0.5 * g * g
    mean = 0.5 * slots["grad_avg"] + 0.5 * g
    return p - 0.1 * g / (np.sqrt(v) + 1e-8), {"square_avg": v, "grad_avg": mean}


def rmsprop_with_the_rate_in_its_buffer(p, g, slots, t):
    v = 0.5 * slots["square_avg"] + 0.5 * g * g
    b = 0.5 * slots["momentum_buffer"] + 0.1 * g / (np.sqrt(v) + 1e-8)
    return p - b, {"square_avg": v, "momentum_buffer": b}


def adagrad_that_decays_a_step_early(p, g, slots, t):
    v = slots["sum"] + g * g
    return p - 0.1 / (1 + t * 0.1) * g / (np.sqrt(v) + 1e-10), {"sum": v}


def adagrad_with_this_gradient_left_out(p, g, slots, t):
    return p - 0.1 * g / (np.sqrt(slots["sum"]) + 1e-10), {"sum": slots["sum"] + g * g}


def adadelta_that_looks_ahead(p, g, slots, t):
    v = 0.5 * slots["square_avg"] + 0.5 * g * g
    d = np.sqrt(slots["acc_delta"] + 1e-6) / np.sqrt(v + 1e-6) * g
    a = 0.5 * slots["acc_delta"] + 0.5 * d * d
    return p - np.sqrt(a + 1e-6) / np.sqrt(v + 1e-6) * g, {"square_avg": v, "acc_delta": a}


def adadelta_with_epsilon_outside(p, g, slots, t):
    v = 0.5 * slots["square_avg"] + 0.5 * g * g
    d = (np.sqrt(slots["acc_delta"]) + 1e-3) / (np.sqrt(v) + 1e-3) * g
    return p - d, {"square_avg": v, "acc_delta": 0.5 * slots["acc_delta"] + 0.5 * d * d}


def adamax_with_epsilon_outside(p, g, slots, t):
    m, u = 0.5 * slots["exp_avg"] + 0.5 * g, np.maximum(0.9 * slots["exp_inf"], np.abs(g))
    return p - 0.1 / (1 - 0.5**t) * m / (u + 1e-3), {"exp_avg": m, "exp_inf": u}


def asgd_whose_average_is_late(p, g, slots, t):
    p = p * (1 - 0.1 * slots["eta"]) - slots["eta"] * g
    mean = slots["ax"] + (p - slots["ax"]) * slots["mu"] if t > 3 else p
    one = zeros_like(p).sum(keepdims=True)
    return p, {"ax": mean, "eta": one + 0.1 / (1 + 0.01 * t) ** 0.75, "mu": one + 1 / max(1, t - 1)}


def asgd_start(p):
    one = zeros_like(p).sum(keepdims=True)
    return {"ax": zeros_like(p), "eta": one + 0.1, "mu": one + 1.0}


FAULTS = {
    "ε inside the root": (opt.adam(**HONEST), faulty_adam(inside=True)),
    "no correction of the bias": (opt.adam(**HONEST), faulty_adam(first=False, second=False)),
    "no correction of m": (opt.adam(**HONEST), faulty_adam(first=False)),
    "no correction of v": (opt.adam(**HONEST), faulty_adam(second=False)),
    "one step late": (opt.adam(**HONEST), faulty_adam(late=1)),
    "one step early": (opt.adam(**HONEST | {"betas": (0.8, 0.9)}), faulty_adam(late=2)),
    "decay coupled": (opt.adamw(**HONEST), faulty_adam()),
    "decay decoupled": (opt.adam(**HONEST), faulty_adam(coupled=False)),
    "decay without the learning rate": (opt.adamw(**HONEST), faulty_adam(coupled=False, scaled=False)),
    "decay after the step": (opt.adamw(**HONEST), faulty_adam(coupled=False, early=True)),
    "no largest v": (opt.adam(**HONEST, amsgrad=True), faulty_adam(amsgrad=True)),
    "the betas swapped": (opt.adam(**HONEST), opt.adam(**HONEST | {"betas": (0.9, 0.8)})),
    "dampening ignored": (opt.sgd(momentum=0.5, dampening=0.25), opt.sgd(momentum=0.5)),
    "the first gradient damped": (
        opt.sgd(lr=0.1, momentum=0.5, dampening=0.25), faulty(["momentum_buffer"], first_gradient_damped)
    ),
    "nesterov ignored": (opt.sgd(momentum=0.5, nesterov=True), opt.sgd(momentum=0.5)),
    "nesterov with the old buffer": (
        opt.sgd(lr=0.1, momentum=0.5, nesterov=True), faulty(["momentum_buffer"], nesterov_with_the_old_buffer)
    ),
    "downhill": (opt.sgd(lr=0.1, maximize=True), opt.sgd(lr=0.1)),
    "uphill after the decay": (
        opt.sgd(lr=0.1, weight_decay=0.1, maximize=True), faulty([], uphill_after_the_decay)
    ),
    "rprop still moves": (
        opt.rprop(lr=0.01, etas=(0.5, 2.0)), faulty(["prev", "step_size"], rprop_that_still_moves, step_size=0.01)
    ),
    "rprop does not forget": (
        opt.rprop(lr=0.01, etas=(0.5, 2.0)), faulty(["prev", "step_size"], rprop_that_does_not_forget, step_size=0.01)
    ),
    "not centred": (
        opt.rmsprop(lr=0.1, alpha=0.5, centered=True), faulty(["square_avg", "grad_avg"], rmsprop_not_centred)
    ),
    "the rate in the buffer": (
        opt.rmsprop(lr=0.1, alpha=0.5, momentum=0.5),
        faulty(["square_avg", "momentum_buffer"], rmsprop_with_the_rate_in_its_buffer),
    ),
    "the rate decays early": (opt.adagrad(lr=0.1, lr_decay=0.1), faulty(["sum"], adagrad_that_decays_a_step_early)),
    "the sum starts at 0": (opt.adagrad(initial_accumulator_value=0.1), opt.adagrad()),
    "this gradient left out": (
        opt.adagrad(lr=0.1, initial_accumulator_value=0.1),
        faulty(["sum"], adagrad_with_this_gradient_left_out, sum=0.1),
    ),
    "adadelta looks ahead": (opt.adadelta(rho=0.5), faulty(["square_avg", "acc_delta"], adadelta_that_looks_ahead)),
    "adadelta's ε outside": (opt.adadelta(rho=0.5), faulty(["square_avg", "acc_delta"], adadelta_with_epsilon_outside)),
    "adamax's ε outside": (
        opt.adamax(lr=0.1, betas=(0.5, 0.9), eps=1e-3), faulty(["exp_avg", "exp_inf"], adamax_with_epsilon_outside)
    ),
    "the average is late": (
        opt.asgd(lr=0.1, lambd=0.1, t0=0.0), by_array("asgd", "", "", {}, asgd_start, asgd_whose_average_is_late)
    ),
    "no decay of the momentum": (opt.nadam(momentum_decay=0.1), opt.nadam(momentum_decay=0.0)),
    "nadam is adam": (opt.nadam(lr=0.1, betas=(0.5, 0.9), momentum_decay=0.0),
                      opt.nadam(lr=0.1, betas=(0.5, 0.9), momentum_decay=1e9)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault, dtype):
    honest, wrong = FAULTS[fault]
    path = trajectory(honest, seed=1, steps=8, dtype=dtype)
    assert compare(path).agrees
    assert not compare(path, given=follow(wrong, path.params, path.grads)).agrees


@pytest.mark.parametrize("name", NAMES)
def test_a_learning_rate_that_is_off_in_the_twelfth_digit_is_caught(name):
    honest, wrong = OPTIMIZERS[name](lr=0.1), OPTIMIZERS[name](lr=0.1 * (1 + 1e-12))
    path = trajectory(honest, seed=2, steps=8)
    assert not compare(path, given=follow(wrong, path.params, path.grads)).agrees


@pytest.mark.parametrize("name", NAMES)
def test_a_step_that_is_missing_is_caught(name):
    path = trajectory(OPTIMIZERS[name](), steps=6)
    short = follow(path.optimizer, path.params, (*path.grads[:3], path.grads[2], *path.grads[4:]))
    assert not compare(path, given=short).agrees


def test_a_rule_that_is_less_accurate_than_its_type_is_caught():
    """Ours is held against long double, too."""

    def rule(p, g, slots, t):
        return (p - (0.1 * g).astype(np.float32)).astype(p.dtype), {}

    coarse = by_array("sgd", "", "", {"lr": 0.1}, lambda p: {}, rule)
    path = trajectory(opt.sgd(lr=0.1), steps=4)
    assert not compare(path, given=follow(coarse, path.params, path.grads)).agrees


def test_what_may_be_without_a_bound():
    """No average of the path, no clipping, no largest step."""
    for optimizer in (opt.asgd(t0=np.inf), opt.adafactor(d=np.inf), opt.rprop(step_sizes=(1e-6, np.inf))):
        params = [np.ones((2, 2))]
        assert np.all(np.isfinite(optimizer.update(params, params, optimizer.init(params))[0][0]))


STATES = {
    "step -1": (lambda state: state | {"step": -1}, r"state\['step'\]: expected the number .* made, 0 or more, got -1"),
    "step 0.5": (lambda state: state | {"step": 0.5}, r"state\['step'\]: expected the number of steps"),
    "no step": (lambda state: {key: v for key, v in state.items() if key != "step"}, "expected the number .* got none"),
    "another shape": (
        lambda state: state | {"exp_avg": (np.zeros((1, 3)),)},
        r"state of adam, exp_avg\[0\]: expected float64 of shape \(2, 3\), got float64 of shape \(1, 3\)",
    ),
    "no broadcast": (
        lambda state: state | {"exp_avg": (np.zeros((2, 4)),)}, r"adam, exp_avg\[0\]: .* of shape \(2, 3\), got",
    ),
    "a slot of None": (lambda state: state | {"exp_avg": (None,)}, r"state of adam, exp_avg\[0\]: expected float64"),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_a_state_that_is_none_is_named(name):
    spoil, message = STATES[name]
    params = [np.ones((2, 3))]
    with pytest.raises(ValueError, match=message):
        opt.adam().update(params, params, spoil(opt.adam().init(params)))
    with pytest.raises(TypeError, match="state: expected the dictionary of init or of the last update, got list"):
        opt.adam().update(params, params, [])


@pytest.mark.parametrize("name", opt.OPTIMIZERS)
@pytest.mark.parametrize("other", opt.OPTIMIZERS)
def test_the_state_of_another_optimiser_is_refused(name, other):
    """Where its slots have other names; those of adam and adamw, say, mean the same."""
    params = [np.ones((2, 3))]
    here, there = opt.OPTIMIZERS[name](), opt.OPTIMIZERS[other]()
    state = there.init(params)

    def evaluate(params):
        return np.float64(1.0), params

    if state.keys() == here.init(params).keys():
        here.update(params, params, state, evaluate)
    else:
        with pytest.raises(ValueError, match=f"state of {name}: expected step"):
            here.update(params, params, state, evaluate)


def test_errors_of_the_callers_own_functions_come_through():
    params = [np.ones((2, 3))]
    optimizer = opt.lbfgs()

    def evaluate(params):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        optimizer.update(params, params, optimizer.init(params), evaluate)


def test_an_empty_list_and_what_is_no_array():
    adam, params = opt.adam(), [np.ones(2)]
    for empty in ([], [None]):
        with pytest.raises(ValueError, match="params: expected at least one array, got none in a list"):
            adam.init(empty)
    with pytest.raises(ValueError, match="grads: expected at least one array, got none in a tuple"):
        adam.update(params, (), adam.init(params))
    with pytest.raises(TypeError, match=r"params\[1\]: expected an array, got float"):
        adam.init([np.ones(2), 1.0])


def test_masked_arrays_are_refused_by_place():
    adam, params, masked = opt.adam(), [np.ones(2)], np.ma.masked_less(np.array([1.0, -1.0]), 0.0)
    state = adam.init(params)
    with pytest.raises(TypeError, match=r"params\[1\]: a masked array"):
        adam.init([np.ones(2), masked])
    with pytest.raises(TypeError, match=r"grads\[0\]: a masked array"):
        adam.update(params, [masked], state)
    with pytest.raises(TypeError, match=r"state\['exp_avg'\]\[0\]: a masked array"):
        adam.update(params, params, state | {"exp_avg": (masked,)})
    mlp = ref.MLP((ref.Layer(np.ones((1, 2)), None, "relu"),))
    with pytest.raises(TypeError, match=r"grads: layers\[0\]\.weight: a masked array"):
        adam.update(mlp, ref.Gradients((ref.LayerGradients(masked[None], None),), None), adam.init(mlp))
