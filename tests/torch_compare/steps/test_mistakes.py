"""Every mistake with a name, planted in every optimiser that can make it, is found and named."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import torch_compare as tc
from reference import optimizers as o
from torch_compare.steps.candidates import CONVENTIONS, WAYS
from torch_compare.steps.mistakes import candidates
from torch_compare.steps.step import read_step

SUBJECTS = {
    "sgd": o.sgd(lr=0.1, momentum=0.9, weight_decay=0.01),
    "sgd, nesterov": o.sgd(lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "sgd, dampening": o.sgd(lr=0.1, momentum=0.9, dampening=0.3),
    "sgd, plain": o.sgd(lr=0.1, weight_decay=0.1),
    "rprop": o.rprop(lr=0.02, step_sizes=(1e-4, 1.0)),
    "asgd": o.asgd(lr=0.1, weight_decay=0.01, t0=0.0, lambd=0.01),
    "adam": o.adam(lr=0.03, weight_decay=0.1, eps=1e-2),
    "adam, amsgrad": o.adam(lr=0.03, weight_decay=0.1, amsgrad=True, betas=(0.9, 0.9), eps=1e-2),
    "adam, climbing": o.adam(lr=0.03, weight_decay=0.1, eps=1e-2, maximize=True),
    "adamw": o.adamw(lr=0.03, weight_decay=0.3, eps=1e-2),
    "adamw, amsgrad": o.adamw(lr=0.03, weight_decay=0.3, eps=1e-2, amsgrad=True, betas=(0.9, 0.9)),
    "adamax": o.adamax(lr=0.03, weight_decay=0.1, eps=1e-2),
    "nadam": o.nadam(lr=0.03, weight_decay=0.1, eps=1e-2),
    "radam": o.radam(lr=0.03, weight_decay=0.1, eps=1e-2, betas=(0.9, 0.99)),
    "radam, four": o.radam(lr=0.03, eps=1e-2, betas=(0.9, 0.9999)),
    "rmsprop": o.rmsprop(lr=0.03, weight_decay=0.1, eps=1e-2, momentum=0.9, centered=True),
    "rmsprop, plain": o.rmsprop(lr=0.03, weight_decay=0.1, eps=1e-2),
    "adagrad": o.adagrad(lr=0.03, weight_decay=0.1, eps=1e-2, lr_decay=0.1),
    "adadelta": o.adadelta(weight_decay=0.1, lr=0.3, eps=1e-3),
    "adafactor": o.adafactor(lr=0.5, weight_decay=0.1, beta2_decay=-0.5),
    "muon": o.muon(lr=0.03),
    "muon, plain": o.muon(lr=0.03, nesterov=False, adjust_lr_fn="match_rms_adamw"),
    "lbfgs": o.lbfgs(max_iter=1, lr=0.5),
}
"""Settings in which mistakes show: an ε that is not lost beside the root, both kinds of decay."""


def planted(name, dtype):
    """A step of few before it, and every candidate with what it makes of it in the type."""
    opt, rng = SUBJECTS[name], np.random.default_rng(5)
    inside = np.float32 if dtype is ml_dtypes.bfloat16 else dtype
    params = [rng.normal(size=shape).astype(dtype).astype(inside) for shape in ((8, 6), (5, 5))]
    state, steps = opt.init(params), 0 if opt.needs_evaluate else 5
    for _ in range(steps):
        grads = [(rng.normal(size=p.shape) * 0.9).astype(inside) for p in params]
        params, state = opt.update(params, grads, state)
    params = [p.astype(dtype) for p in params]
    grads = [(rng.normal(size=p.shape) * 0.9).astype(inside) for p in params]
    for candidate in candidates(read_step(opt, params, grads, state)):
        made = candidate.made
        new = [np.asarray(made[f"params[{i}]"]).astype(dtype) for i in range(2)]
        after = {
            key: made[key]
            if not isinstance(slot, tuple)
            else tuple(None if s is None else np.asarray(made[f"{key}[{i}]"], inside) for i, s in enumerate(slot))
            for key, slot in state.items()
            if key != "history"
        }
        if all(np.all(np.isfinite(p)) for p in new):
            yield candidate, (opt, params, grads, state), (new, {} if opt.needs_evaluate else after)


def same(verdict, candidate):
    """Whether the verdict says so, or names another mistake that gives the same numbers."""
    if candidate.convention:
        return verdict.status == "another convention"
    found = [*verdict.diagnosis.names, *(names[0] for names in verdict.diagnosis.others)]
    return verdict.status == "wrong" and candidate.name in found and len(found) <= 3


SHARES = {np.float64: slice(0, None, 3), np.float32: slice(1, None, 8)}


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_planted_mistake_is_found_and_named(name, dtype):
    missed, count = [], 0
    share = SHARES[dtype]  # of the candidates; all of them take ten minutes
    for candidate, step, given in list(planted(name, dtype))[share]:
        verdict, right = tc.check_step(*step, given), equal_to_the_right_step(step, candidate)
        count += not right
        if verdict.agrees != right or not (right or same(verdict, candidate)):
            missed.append((candidate.name, verdict.status, verdict.diagnosis))
    assert missed == []
    assert count >= (4 if name == "lbfgs" else 15) // (4 if dtype is np.float64 else 10)


def equal_to_the_right_step(step, candidate):
    """Whether the candidate makes the right numbers to within float32's rounding: then there is nothing to find."""
    opt, params, grads, state = step
    found = read_step(opt, params, grads, state)
    from torch_compare.steps.step import leaves

    right = leaves(found.labels, *found.take())
    start = found.start
    seen = {p for p in right if not (opt.needs_evaluate and not p.startswith("params["))}
    return all(
        np.all(
            np.abs(np.asarray(right[p]) - candidate.made[p])
            <= 1e-6 * np.abs(np.asarray(right[p]) - (start[p] if p.startswith("params[") else 0)) + 1e-15
        )
        for p in seen
    )


def stored_alike(step, given):
    """Whether storing leaves nothing of the mistake: every parameter and slot is that of the right step."""
    opt, params, grads, state = step
    new, after = opt.update([p.astype(np.float32) for p in params], grads, state)
    kept = [(a, given[1][key][i]) for key, slot in after.items() if key != "step" for i, a in enumerate(slot)]
    same_step = given[1].get("step") == after["step"]
    moved = all(np.array_equal(n.astype(ml_dtypes.bfloat16), g) for n, g in zip(new, given[0], strict=True))
    return moved and same_step and all(a is b or np.allclose(a, b, rtol=1e-5, atol=0) for a, b in kept)


@pytest.mark.parametrize("name", [n for n in SUBJECTS if n != "lbfgs"])
def test_most_are_found_where_parameters_are_bfloat16(name):
    found = []
    for candidate, step, given in list(planted(name, ml_dtypes.bfloat16))[::5]:
        if not equal_to_the_right_step(step, candidate) and not stored_alike(step, given):
            verdict = tc.check_step(*step, given)
            assert verdict.dtype == "float32"
            found.append(same(verdict, candidate))
    assert sum(found) >= 0.8 * len(found)


def test_conventions_are_candidates():
    kinds = {(optimizer, name) for name, _, optimizers, _ in WAYS for optimizer in optimizers}
    assert {key for key in CONVENTIONS if key[0] != "rprop"} <= kinds
