"""What goes wrong with momentum, and in the updates that have a rule of their own: rprop and asgd."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from reference.optimizers.state import State

from .candidates import Recipe, setting
from .step import Array, Flat, Step, rebuilt


def of_momentum(step: Step) -> Iterator[Recipe]:
    """Of sgd and muon."""
    h = step.optimizer.hyperparameters
    if step.optimizer.name == "muon" and h.get("momentum"):
        yield Recipe("stale first moment", "the step made with the momentum from before this gradient", _stale_muon)
        return
    if step.optimizer.name != "sgd" or not h["momentum"]:
        return
    mu, first = h["momentum"], step.state["step"] == 0

    def moved(
        name: str, what: str, buffer: Callable[[Array, Array], Array], along: Callable[[Array, Array, Array], Array]
    ) -> Recipe:
        def make(s: Step) -> tuple[Flat, State]:
            new, kept = [], []
            for p, g, before in zip(s.params, s.grads, s.state["momentum_buffer"], strict=True):
                g = (-g if h["maximize"] else g) + h["weight_decay"] * p
                kept.append(buffer(g, before))
                new.append(p - h["lr"] * along(g, kept[-1], before))
            return tuple(new), {"step": s.state["step"] + 1, "momentum_buffer": tuple(kept)}

        return Recipe(name, what, make)

    def right(g: Array, m: Array) -> Array:
        return g if first else mu * m + (1 - h["dampening"]) * g

    def step_of(g: Array, m: Array, before: Array) -> Array:
        return g + mu * m if h["nesterov"] else m

    yield moved("momentum's sign", "momentum subtracted, not added", lambda g, m: g - mu * m, step_of)
    yield moved("stale first moment", "the step made with the momentum from before this gradient", right,
                lambda g, m, before: before)  # fmt: skip
    yield moved("no momentum", "the buffer kept, but the step made with the gradient itself", right, lambda g, m, b: g)
    yield moved("dampening", "the gradient weighted by 1 − μ, as in a running mean",
                lambda g, m: mu * m + (1 - mu) * g, step_of)  # fmt: skip
    yield moved("momentum twice", "momentum applied to the gradient too: μ(m + g)", lambda g, m: mu * (m + g), step_of)
    yield moved("rate inside the momentum", "the learning rate inside the momentum buffer",
                lambda g, m: mu * m + h["lr"] * g, lambda g, m, b: m / h["lr"])  # fmt: skip
    if h["dampening"]:
        yield moved("dampening left out", "dampening left out", lambda g, m: g if first else mu * m + g, step_of)
        yield moved("dampening's sign", "the gradient weighted by τ, not by 1 − τ",
                    lambda g, m: g if first else mu * m + h["dampening"] * g, step_of)  # fmt: skip
    if h["nesterov"]:
        yield moved("no look-ahead", "Nesterov's look-ahead left out: plain momentum", right, lambda g, m, b: m)
        yield moved("buffer overwritten", "the momentum buffer overwritten with Nesterov's look-ahead",
                    lambda g, m: g + mu * right(g, m), lambda g, m, b: m)  # fmt: skip
    else:
        yield moved(
            "Nesterov for plain", "Nesterov's momentum in place of the plain one", right, lambda g, m, b: g + mu * m
        )


def _stale_muon(step: Step) -> tuple[Flat, State]:
    _, state = step.take()
    plain = rebuilt(step.optimizer, nesterov=False)
    zero = tuple(np.zeros_like(g) for g in step.grads)
    mu = step.optimizer.hyperparameters["momentum"]
    before = tuple(m / mu for m in step.state["momentum_buffer"])
    new, _ = step.take(plain, grads=zero, momentum_buffer=before)
    return new, state


# ── rprop and asgd ───────────────────────────────────────────────────────────────────────────────────


def of_rprop(step: Step) -> Iterator[Recipe]:
    """Of rprop."""
    if step.optimizer.name != "rprop":
        return

    def moved(size: str, where_changed: str) -> Callable[[Step], tuple[Flat, State]]:
        def make(s: Step) -> tuple[Flat, State]:
            _, state = s.take()
            new = []
            parts = zip(s.params, s.grads, state["step_size"], s.state["step_size"], s.state["prev"], strict=True)
            for p, g, after, before, last in parts:
                g = -g if s.optimizer.hyperparameters["maximize"] else g
                sign = np.sign(g) if where_changed == "moved" else np.where(last * g < 0, 0.0, np.sign(g))
                reach = {"after": after, "before": before if s.state["step"] else after, "gradient": after * np.abs(g)}
                new.append(p - sign * reach[size])
            return tuple(new), state

        return make

    yield Recipe(
        "moved where the sign changed", "a step taken where the gradient's sign changed", moved("after", "moved")
    )
    yield Recipe("stale step size", "the step made with the sizes from before this gradient", moved("before", "held"))
    yield Recipe("gradient for its sign", "the gradient in place of its sign", moved("gradient", "held"))


def of_asgd(step: Step) -> Iterator[Recipe]:
    """Of asgd."""
    if step.optimizer.name != "asgd":
        return

    def averaged(s: Step) -> tuple[Flat, State]:
        _, state = s.take()
        return state["ax"], state

    yield Recipe("average returned", "the average of the parameters in place of the parameters", averaged)
    yield setting("λ′ left out", "the factor 1 − λ′η left out", lambd=0.0)
    yield setting("rate not decayed", "the learning rate not decayed", alpha=0.0)
