"""Verdicts on steps: public reports, correct steps, half precision, and input that is refused."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

import reference as ref
import torch_compare as tc
from reference import optimizers as o
from torch_compare.steps.check_step import StepVerdict

from .correct_steps import NAMES, SOURCES, verdict

RNG = np.random.default_rng


def step_of(opt, steps=3, dtype=np.float64, shapes=((6, 4), (5,)), seed=0):
    rng = RNG(seed)
    params = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    state = opt.init(params)
    for _ in range(steps):
        params, state = opt.update(params, [rng.normal(size=p.shape).astype(dtype) for p in params], state)
    return params, [rng.normal(size=p.shape).astype(dtype) for p in params], state


def named(opt, given_by, dtype=np.float64, **options):
    """The verdict on what a wrong implementation makes of a step."""
    params, grads, state = step_of(opt, dtype=dtype, **options)
    return tc.check_step(opt, params, grads, state, given_by(params, grads, state))


# ── the public reports ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("lr", "decay", "way"), [(0.63, 0.1, 0.063), (1e-4, 0.11, 1.1e-5)])
def test_decay_after_the_step_cs336_and_bitsandbytes(lr, decay, way):
    opt = o.adamw(lr=lr, weight_decay=decay)

    def wrong(params, grads, state):
        new, after = o.adamw(lr=lr, weight_decay=0.0).update(params, grads, state)
        return [p * (1 - lr * decay) for p in new], after

    found = named(opt, wrong, steps=0)
    assert found.status == "wrong"
    assert found.diagnosis.names == ("decay after the step",)
    assert found.way == pytest.approx(way, rel=0.3)
    assert "% of the way moved" in str(found)


@pytest.mark.parametrize(
    ("right", "taken", "name"),
    [
        (o.adam(lr=0.01, weight_decay=0.1), o.adamw(lr=0.01, weight_decay=0.1), "decoupled for L2"),
        (o.adamw(lr=0.01, weight_decay=0.1), o.adam(lr=0.01, weight_decay=0.1), "L2 for decoupled"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_decoupled_for_coupled_flaggems_4989_and_nntrainer_3527(right, taken, name, dtype):
    found = named(right, taken.update, dtype=dtype)
    assert (found.status, found.diagnosis.names) == ("wrong", (name,))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_adam_without_bias_correction_mlx_1640(dtype):
    def wrong(params, grads, state):
        m = [0.9 * m + 0.1 * g for m, g in zip(state["exp_avg"], grads, strict=True)]
        v = [0.999 * v + 0.001 * g * g for v, g in zip(state["exp_avg_sq"], grads, strict=True)]
        return [(p - 0.01 * a / (np.sqrt(b) + 1e-8)).astype(dtype) for p, a, b in zip(params, m, v, strict=True)]

    found = named(o.adam(lr=0.01), wrong, dtype=dtype)
    assert (found.status, found.diagnosis.names) == ("wrong", ("bias correction",))


def test_nesterovs_buffer_overwritten_google_research_1711():
    opt = o.sgd(lr=0.1, momentum=0.9, nesterov=True)

    def wrong(params, grads, state):
        buffers = [0.9 * m + g for m, g in zip(state["momentum_buffer"], grads, strict=True)]
        buffers = tuple(0.9 * m + g for m, g in zip(buffers, grads, strict=True))
        moved = [p - 0.1 * m for p, m in zip(params, buffers, strict=True)]
        return moved, {"step": state["step"] + 1, "momentum_buffer": buffers}

    found = named(opt, wrong)
    assert (found.status, found.diagnosis.names) == ("wrong", ("buffer overwritten",))
    assert found.worst.leaf.startswith("momentum_buffer")


def test_adafactors_clipping_the_wrong_way_round_timm_2790():
    opt = o.adafactor(lr=0.5, beta2_decay=-0.5)

    def wrong(params, grads, state):
        new, after = opt.update(params, grads, state)
        moved = []
        for index, (p, q, g) in enumerate(zip(params, new, grads, strict=True)):
            if g.ndim > 1:
                rows, columns = after["row_var"][index], after["col_var"][index]
                u = g / np.sqrt(rows * columns / rows.mean())
            else:
                u = g / np.sqrt(after["variance"][index])
            size = np.sqrt(np.mean(u * u))
            moved.append(p + (q - p) * max(size, 1.0) / min(size, 1.0))
        return moved, after

    found = named(opt, wrong, steps=5)
    assert (found.status, found.diagnosis.names) == ("wrong", ("clipping the wrong way round",))


# ── correct steps ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", SOURCES)
def test_correct_steps_are_not_accused(name, source):
    for seed in range(3):
        found = verdict(name, source, seed)
        if found is None:
            continue
        own = found.status == "imprecise" and found.diagnosis.startswith("torch's own arithmetic")
        own &= found.dtype == "float64" or (name == "muon" and source == "torch in bfloat16")
        assert found.status in ("agrees", "unresolved") or own, (seed, str(found))
        assert found.status == "agrees" or own or "float16" in source


def test_torch_s_muon_divides_a_bfloat16_buffer_in_place():
    """torch's step is explained by the published deviation; a buffer of another size is not."""
    opt, rng = o.muon(lr=0.1, nesterov=False), RNG(4)
    p, g, m = (torch.tensor(3 * rng.normal(size=(3, 5))).bfloat16() for _ in range(3))
    own = torch.nn.Parameter(p.clone())
    theirs = torch.optim.Muon([own], lr=0.1, nesterov=False)
    theirs.state[own]["momentum_buffer"] = m.clone()
    own.grad = g
    theirs.step()

    def check(buffer):
        state = {"step": 1, "momentum_buffer": [m]}
        return tc.check_step(opt, [p], [g], state, ([own.detach()], {"momentum_buffer": [buffer]}))

    divided = theirs.state[own]["momentum_buffer"]
    found = check(divided)
    assert (found.status, found.worst.leaf) == ("imprecise", "momentum_buffer[0]")
    assert found.diagnosis.startswith("torch's own arithmetic: the cast to bfloat16 makes no copy")
    assert check(2 * divided).status == "wrong"
    assert check(m.lerp(g, 0.05)).agrees


def test_float32_scalars_agree_on_the_textbook_scale():
    params, grads, state = step_of(o.adam(lr=0.01), dtype=np.float32, steps=0)
    b1, b2, f = np.float32(0.9), np.float32(0.999), np.float32
    new = [
        p - f(0.01) * ((1 - b1) * g / (1 - f(0.9))) / np.sqrt((1 - b2) * g * g / f(1 - 0.999))
        for p, g in zip(params, grads, strict=True)
    ]
    found = tc.check_step(o.adam(lr=0.01), params, grads, state, new)
    assert (found.status, found.scale) == ("agrees", "textbook")


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop"])
def test_bfloat16_parameters_beside_float32_moments(name):
    opt = o.OPTIMIZERS[name](lr=0.01)
    params, grads, state = step_of(opt, dtype=np.float32, shapes=((30, 20),))
    half = [p.astype(ml_dtypes.bfloat16) for p in params]
    new, after = opt.update([h.astype(np.float32) for h in half], grads, state)
    stored = [p.astype(ml_dtypes.bfloat16) for p in new]
    found = tc.check_step(opt, half, grads, state, (stored, after))
    assert (found.status, found.dtype) == ("agrees", "float32")
    doubled = [
        (h.astype(np.float32) + 2 * (n - h.astype(np.float32))).astype(ml_dtypes.bfloat16)
        for h, n in zip(half, new, strict=True)
    ]
    assert tc.check_step(opt, half, grads, state, (doubled, after)).status == "wrong"


def test_a_small_common_factor_is_seen_in_bfloat16_arithmetic():
    opt = o.sgd(lr=0.1, momentum=0.9)
    params, grads, state = step_of(opt, shapes=((64, 64),))
    params = [p * 1e-3 for p in params]
    new, _ = opt.update(params, grads, state)
    found = tc.check_step(
        opt, params, grads, state, [p + 1.04 * (n - p) for p, n in zip(params, new, strict=True)], "bfloat16"
    )
    assert found.status == "wrong"
    assert tc.check_step(opt, params, grads, state, new, "bfloat16").status == "agrees"


def test_stochastic_rounding_is_imprecise_and_not_wrong():
    opt, rng = o.adam(lr=0.01), RNG(1)
    params, grads, state = step_of(opt, dtype=np.float32, shapes=((30, 20),))
    half = [p.astype(ml_dtypes.bfloat16) for p in params]
    new, after = opt.update([h.astype(np.float32) for h in half], grads, state)
    bits = new[0].view(np.uint32) + rng.integers(0, 2**16, new[0].shape, np.uint32)
    stored = (bits & np.uint32(0xFFFF0000)).view(np.float32).astype(ml_dtypes.bfloat16)
    found = tc.check_step(opt, half, grads, state, ([stored], after))
    assert found.status == "imprecise"
    assert "another way than to nearest" in found.diagnosis


# ── what is said ─────────────────────────────────────────────────────────────────────────────────────


def test_another_convention_names_its_source():
    opt = o.adam(lr=0.01, eps=1e-2)
    params, grads, state = step_of(opt, steps=0)
    new = [
        p - 0.01 * np.sqrt(0.001) / 0.1 * 0.1 * g / (np.sqrt(0.001 * g * g) + 1e-2)
        for p, g in zip(params, grads, strict=True)
    ]
    found = tc.check_step(opt, params, grads, state, new)
    assert found.status == "another convention"
    assert "Kingma & Ba 2015, §2" in found.diagnosis


def test_a_factor_without_a_name_is_read_off():
    opt = o.adam(lr=0.01)
    found = named(opt, lambda p, g, s: [a + 0.5 * (b - a) for a, b in zip(p, opt.update(p, g, s)[0], strict=True)])
    assert found.diagnosis.startswith("the step is 0.5 × the oracle's")
    assert "off by 50% of the way moved" in str(found)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("factor", [0.1, 2.0, 3.0, 10.0, 1000.0])
def test_another_learning_rate_is_read_off_whatever_its_factor(factor, dtype):
    found = named(o.adam(lr=0.01), o.adam(lr=0.01 * factor).update, dtype=dtype)
    assert (found.status, found.diagnosis.names) == ("wrong", ("factor",))
    found = named(o.adamw(lr=0.01, weight_decay=0.1), o.adamw(lr=0.01 * factor, weight_decay=0.1).update, dtype=dtype)
    assert (found.status, found.diagnosis.names) == ("wrong", ("learning rate",))
    assert "as by another learning rate" in found.diagnosis


def test_another_decoupled_decay_is_read_off():
    found = named(o.adamw(lr=0.01, weight_decay=0.1), o.adamw(lr=0.01, weight_decay=0.05).update)
    assert found.diagnosis.startswith("the weight decay is 0.5 × the oracle's")


def test_what_the_step_left_as_it_was_is_named():
    opt = o.adamw(lr=0.01, weight_decay=0.1)
    params, grads, state = step_of(opt)
    new, after = opt.update(params, grads, state)

    def said(*changed, kept=None):
        found = tc.check_step(opt, params, grads, state, list(changed) if kept is None else (changed, kept))
        assert found.status == "wrong"
        return str(found.diagnosis)

    assert said(new[0], params[1]) == "params[1] is as it was before the step; all else is right"
    rows = np.vstack([new[0][:-1], params[0][-1:]])
    assert said(rows, new[1]) == "row 5 of params[0] is as it was before the step; all else is right"
    one = new[0].copy()
    one[2, 3] = params[0][2, 3]
    assert said(one, new[1]).startswith("element [2, 3] of params[0] is as it was before the step")
    skipped = {key: slot if key == "step" else (slot[0], state[key][1]) for key, slot in after.items()}
    assert said(new[0], params[1], kept=skipped).startswith("params[1] and exp_avg[1] and exp_avg_sq[1] are as they")
    off = new[0].copy()
    off[-1] = params[0][-1] + 0.1
    assert "as it was" not in said(off, new[1])


def test_scaled_gradients_are_read_off_the_first_moment():
    opt = o.adam(lr=0.01)
    found = named(opt, lambda p, g, s: opt.update(p, [0.25 * a for a in g], s))
    assert found.diagnosis.startswith("the gradients are 0.25 × those given")


def test_what_nothing_explains_says_which_part_is_right():
    opt = o.adam(lr=0.01)

    def wrong(params, grads, state):
        new, after = opt.update(params, grads, state)
        return [new[0] + 0.01 * np.sin(np.arange(24)).reshape(6, 4), new[1]], after

    found = named(opt, wrong)
    assert found.status == "wrong"
    assert "the state is right" in found.diagnosis


def test_the_status_does_not_depend_on_the_diagnosis():
    opt = o.adam(lr=0.01)
    params, grads, state = step_of(opt)
    for factor in (0.0, 0.5, 1.0, -1.0):
        given = [a + factor * (b - a) for a, b in zip(params, opt.update(params, grads, state)[0], strict=True)]
        one, other = (tc.check_step(opt, params, grads, state, given, diagnose=d) for d in (True, False))
        assert one.status == other.status
        assert not other.diagnosis.sought


def test_a_count_not_raised_is_found():
    opt = o.adam(lr=0.01)
    params, grads, state = step_of(opt)
    new, after = opt.update(params, grads, state)
    found = tc.check_step(opt, params, grads, state, (new, after | {"step": state["step"]}))
    assert (found.status, found.worst.leaf, found.diagnosis.names) == ("wrong", "step", ("count kept",))


def test_networks_mappings_and_tensors_are_taken():
    mlp = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=0)
    problem = ref.Problem(mlp, RNG(0).normal(size=(5, 3)), RNG(1).normal(size=(5, 2)), "mse")
    opt, grads = o.adam(), ref.gradients(problem)
    found = tc.check_step(opt, mlp, grads, None, opt.update(mlp, grads, opt.init(mlp)))
    assert isinstance(found, StepVerdict)
    assert found.agrees
    assert "params[layers[0].weight]" in found.places
    w = torch.nn.Parameter(torch.ones(3))
    w.grad = torch.tensor([1.0, -2.0, 0.5])
    before = w.detach().clone()
    torch.optim.Adam([w]).step()
    assert tc.check_step(opt, {"w": before}, {"w": w.grad}, None, {"w": w}).agrees


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────

W = [np.ones(3)]


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("adam", W, W, None, W), TypeError, "optimizer: expected one of reference.optimizers"),
        ((o.adam(), 3, W, None, W), TypeError, "params: expected an MLP"),
        ((o.adam(), [], W, None, W), ValueError, "params: expected at least one array"),
        ((o.adam(), W, [np.ones(2)], None, W), ValueError, r"gradients\[0\]: expected shape \(3,\)"),
        ((o.adam(), W, [np.ones(3, int)], None, W), TypeError, r"gradients\[0\]: expected floating numbers"),
        ((o.adam(), {"w": W[0]}, {"v": W[0]}, None, W), ValueError, "gradients: 'v' is unknown"),
        ((o.adam(), W, W, {"step": 1}, W), ValueError, "state: 'exp_avg' is missing"),
        ((o.adam(), W, W, o.sgd(momentum=0.9).init(W), W), ValueError, "state: 'momentum_buffer' is unknown"),
        ((o.adam(), W, W, None, (W, {"step": 0.5})), ValueError, "state.step: expected a whole number"),
        ((o.adam(), W, W, None, (W, {"exp_avg": (np.ones(2),)})), ValueError, r"state.exp_avg\[0\]: expected shape"),
        ((o.adam(), W, W, None, [*W, *W]), ValueError, "given: expected 1 arrays"),
        ((o.adam(), W, W, None, W, "float99"), ValueError, "dtype: expected one of"),
        ((o.lbfgs(), W, W, None, W), ValueError, "lbfgs: evaluates the loss at several points"),
    ],
)
def test_bad_input_is_named(arguments, error, said):
    with pytest.raises(error, match=said):
        tc.check_step(*arguments)
