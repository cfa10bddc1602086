"""Right steps in every customary order of an update are right; a wrong rate stays wrong in each of them."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import torch_compare as tc
from reference import optimizers as o

PLAIN = {
    "at once": lambda p, g, b, m, lr, mu: p - lr(1) * m,
    "gradient first": lambda p, g, b, m, lr, mu: p - lr(1) * g - lr(mu) * b,
    "momentum first": lambda p, g, b, m, lr, mu: p - lr(mu) * b - lr(1) * g,
}
NESTEROV = {
    "at once": lambda p, g, b, m, lr, mu: p - lr(1) * (g + m.dtype.type(mu) * m),
    "gradient first": lambda p, g, b, m, lr, mu: p - lr(1) * g - lr(mu) * m,
    "momentum first": lambda p, g, b, m, lr, mu: p - lr(mu) * m - lr(1) * g,
    "from the buffer before": lambda p, g, b, m, lr, mu: p - lr(mu * mu) * b - lr(1 + mu) * g,
    "the buffer before taken back": lambda p, g, b, m, lr, mu: p + lr(mu) * b - lr(1 + mu) * m,
}
ORDERS = [(False, name) for name in PLAIN] + [(True, name) for name in NESTEROV]
MU = 0.9


def verdict(nesterov, order, dtype, seed, factor=1.0, size=200, decay=0.0, maximize=False):
    """On a step of momentum in an order, its rate multiplied by a factor."""
    rng = np.random.default_rng(seed)
    lr = 10.0 ** rng.uniform(-3, 0) if factor == 1.0 else 1.0
    p, g, b = (rng.normal(size=size).astype(dtype) for _ in range(3))
    kind = p.dtype.type
    d = (-g if maximize else g) + (kind(decay) * p if decay else kind(0))
    m = kind(MU) * b + d
    new = (NESTEROV if nesterov else PLAIN)[order](p, d, b, m, lambda share: kind(lr * factor * share), MU)
    opt = o.sgd(lr=lr, momentum=MU, nesterov=nesterov, weight_decay=decay, maximize=maximize)
    before = {"step": 3, "momentum_buffer": [b]}
    return tc.check_step(opt, [p], [g], before, ([new], {"momentum_buffer": [m]}), seed=seed)


@pytest.mark.parametrize(("nesterov", "order"), ORDERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, ml_dtypes.bfloat16])
def test_every_customary_order_agrees(nesterov, order, dtype):
    for seed in range(5):
        found = verdict(nesterov, order, dtype, seed, maximize=seed == 4)
        assert found.agrees, (seed, str(found))
    assert verdict(nesterov, order, dtype, 5, decay=0.1).agrees


@pytest.mark.parametrize("dtype", [np.float64, np.float32, ml_dtypes.bfloat16])
def test_rmsprops_momentum_in_two_parts_agrees(dtype):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        p, g, b = (rng.normal(size=300).astype(dtype) for _ in range(3))
        kind, v, lr = p.dtype.type, np.square(p), 10.0 ** rng.uniform(-3, 0)
        d = g / (np.sqrt(kind(0.9) * v + kind(0.1) * g * g) + kind(1e-8))
        new = p - kind(lr * MU) * b - kind(lr) * d
        opt = o.rmsprop(lr=lr, momentum=MU, alpha=0.9)
        assert tc.check_step(opt, [p], [g], {"step": 3, "momentum_buffer": [b], "square_avg": [v]}, [new]).agrees


@pytest.mark.parametrize(("nesterov", "order"), ORDERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_rate_off_by_a_few_ulps_is_seen_where_theta_can_show_it(nesterov, order, dtype):
    factor = 1 + 16 * float(np.finfo(dtype).eps)
    assert not verdict(nesterov, order, dtype, 0, factor, size=2000).agrees


def test_float64_steps_near_a_midpoint_agree():
    """The noise of Δ is below an ulp of θ, and decides which way a hundred thousand elements round."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        p, g, b = (rng.normal(size=100_000) for _ in range(3))
        lr = 10.0 ** rng.uniform(-2, 0)
        opt, before = o.sgd(lr=lr, momentum=MU), {"step": 3, "momentum_buffer": [b]}
        found = tc.check_step(opt, [p], [g], before, [p - lr * (MU * b + g)], diagnose=False)
        assert found.agrees, (seed, str(found))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_candidate_that_changes_nothing_is_not_named(dtype):
    """The count that the state of sgd has not raised is no part of these numbers, nor is a rate times 1."""
    rng = np.random.default_rng(0)
    p, g, b = (rng.normal(size=20).astype(dtype) for _ in range(3))
    opt, before = o.sgd(lr=0.01, momentum=0.9, nesterov=True), {"step": 3, "momentum_buffer": [b]}
    new, after = opt.update([p], [g], before)
    off = new[0] + np.spacing(new[0]) * np.where(np.arange(20) % 2, 1, -1).astype(dtype)
    found = tc.check_step(opt, [p], [g], before, ([off], {"momentum_buffer": after["momentum_buffer"]}))
    assert not found.agrees
    assert found.diagnosis.names == ()
    assert "× the oracle's" not in found.diagnosis


def test_the_count_of_sgd_is_named_where_it_is_given():
    rng = np.random.default_rng(0)
    p, g, b = ([rng.normal(size=20)] for _ in range(3))
    opt, before = o.sgd(lr=0.01, momentum=0.9), {"step": 3, "momentum_buffer": b}
    new, after = opt.update(p, g, before)
    found = tc.check_step(opt, p, g, before, (new, after | {"step": 3}))
    assert (found.status, found.diagnosis.names) == ("wrong", ("count kept",))
