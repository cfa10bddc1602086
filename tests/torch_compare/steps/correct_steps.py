"""Random steps that are right: torch's own, the reference's in the format at hand, and other orders of operations."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import torch

import torch_compare as tc
from torch_compare.torch_side.optimizers import Twin
from torch_compare.trajectories.matrix import matrix_trajectory
from torch_compare.trajectories.random_trajectories import HYPERPARAMETERS, random_trajectory

NAMES = (*HYPERPARAMETERS, "adafactor", "muon")
SOURCES = ("torch", "reference", "another order", "bfloat16 beside float32", "torch in bfloat16", "torch in float16")


def trajectory(name: str, seed: int, steps: int):
    draw = matrix_trajectory if name in ("adafactor", "muon") else random_trajectory
    return draw(name, seed, steps)


def tensors(arrays, dtype):
    return [torch.tensor(np.asarray(a, np.float64)).to(dtype) for a in arrays]


def verdict(name: str, source: str, seed: int) -> Any:
    """On a step that is right, the last of a few; None if the source has no such step."""
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(1, 8))
    found = trajectory(name, seed, steps)
    opt, params, grads = found.optimizer, list(found.params), [list(g) for g in found.grads]
    if source.startswith("torch in"):
        return narrow_torch(opt, params, grads, getattr(torch, source.rsplit(maxsplit=1)[-1]))
    if source == "torch":
        twin = Twin(opt, params)
        state = opt.init(params)
        for g in grads[:-1]:
            twin.step(g)
            params, state = twin.params, twin.state
        twin.step(grads[-1])
        after = twin.state if name not in ("sgd", "muon") else {k: v for k, v in twin.state.items() if k != "step"}
        return tc.check_step(opt, params, grads[-1], state, (twin.params, after), seed=seed)
    state = opt.init(params)
    with np.errstate(all="ignore"):
        for g in grads[:-1]:
            params, state = opt.update(params, g, state)
        if source == "reference":
            return tc.check_step(opt, params, grads[-1], state, opt.update(params, grads[-1], state), seed=seed)
        if source == "another order":
            made = other_order(opt, params, grads[-1], state)
            return None if made is None else tc.check_step(opt, params, grads[-1], state, made, seed=seed)
        return mixed(opt, params, grads[-1], state, seed)


def mixed(opt, params, g, state, seed):
    """bfloat16 parameters, float32 moments and arithmetic, one rounding at the end."""
    kept = [np.asarray(p, np.float32).astype(ml_dtypes.bfloat16) for p in params]
    g = [np.float32(a) for a in g]
    state = {k: tuple(None if a is None else np.float32(a) for a in s) if k != "step" else s for k, s in state.items()}
    if opt.name == "adafactor" and opt.hyperparameters["eps"][0] is None:
        return None
    new, after = opt.update([np.float32(p) for p in kept], g, state)
    return tc.check_step(opt, kept, g, state, ([p.astype(ml_dtypes.bfloat16) for p in new], after), seed=seed)


def narrow_torch(opt, params, grads, dtype):
    """torch's optimiser on tensors of a narrow type, the state in the same type."""
    from torch_compare.torch_side.optimizers import CLASSES, _arguments

    own = [t.requires_grad_() for t in tensors(params, dtype)]
    theirs = CLASSES[opt.name](own, **_arguments(opt.hyperparameters))
    state, before = None, [t.detach().clone() for t in own]
    for index, g in enumerate(grads):
        if index == len(grads) - 1:
            before = [t.detach().clone() for t in own]
            state = torch_state(opt, theirs, own, index)
        for t, a in zip(own, tensors(g, dtype), strict=True):
            t.grad = a
        theirs.step()
    after = torch_state(opt, theirs, own, len(grads))
    after.pop("step")
    last = tensors(grads[-1], dtype)
    return tc.check_step(opt, before, last, state if len(grads) > 1 else None, ([t.detach() for t in own], after))


def torch_state(opt, theirs, own, step):
    template = opt.init([np.zeros(tuple(t.shape)) for t in own])
    made = {"step": step}
    for key, slot in template.items():
        if key != "step":
            made[key] = tuple(
                None
                if s is None
                else torch.as_tensor(theirs.state[t].get(key, torch.tensor(s))).detach().clone()
                if theirs.state.get(t)
                else torch.tensor(s).to(t.dtype)
                for s, t in zip(slot, own, strict=True)
            )
    return made


def other_order(opt, params, g, state):
    """The same step with its operations in another customary order, in the arrays' type."""
    h, t, kind = opt.hyperparameters, state["step"] + 1, params[0].dtype.type
    new, kept = [], {key: [] for key in state if key != "step"}
    for i, (p, grad) in enumerate(zip(params, g, strict=True)):
        s = {key: slot[i] for key, slot in state.items() if key != "step"}
        grad = -grad if h.get("maximize") else grad
        apart = opt.name == "adamw" or h.get("decoupled_weight_decay")
        decay = kind(h.get("weight_decay", 0.0))
        if decay and not apart:
            grad = p * decay + grad
        lr = kind(h["lr"])
        if opt.name in ("adam", "adamw"):
            b1, b2 = (kind(b) for b in h["betas"])  # as in optax and CUDA kernels: everything in the arrays' type
            m = b1 * s["exp_avg"] + (1 - b1) * grad
            v = b2 * s["exp_avg_sq"] + (1 - b2) * (grad * grad)
            made = {"exp_avg": m, "exp_avg_sq": v}
            if h["amsgrad"]:
                made["max_exp_avg_sq"] = np.maximum(v, s["max_exp_avg_sq"])
                v = made["max_exp_avg_sq"]
            d = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + kind(h["eps"]))
            new.append(p - lr * (d + decay * p) if apart and decay else p - lr * d)
        elif opt.name == "sgd":
            made = {}
            d = grad
            if h["momentum"]:
                m = (
                    grad
                    if t == 1
                    else kind(h["momentum"]) * s["momentum_buffer"] + (grad - kind(h["dampening"]) * grad)
                )
                made, d = {"momentum_buffer": m}, grad + kind(h["momentum"]) * m if h["nesterov"] else m
            new.append(p - lr * d)
        elif opt.name == "rmsprop" and not h["centered"]:
            a = kind(h["alpha"])
            v = s["square_avg"] + (1 - a) * (grad * grad - s["square_avg"])
            made, d = {"square_avg": v}, grad * (1 / (np.sqrt(v) + kind(h["eps"])))
            if h["momentum"]:
                d = made["momentum_buffer"] = s["momentum_buffer"] * kind(h["momentum"]) + d
            new.append(p - d * lr)
        elif opt.name == "adagrad":
            v = grad**2 + s["sum"]
            rate = lr / (1 + kind(t - 1) * kind(h["lr_decay"]))
            new.append(p - grad / (np.sqrt(v) + kind(h["eps"])) * rate)
            made = {"sum": v}
        else:
            return None
        for key, value in made.items():
            kept[key].append(value)
    return new, {"step": t} | {key: tuple(slot) for key, slot in kept.items()}
