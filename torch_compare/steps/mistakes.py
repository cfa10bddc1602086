"""What goes wrong around an update, whatever the update: rate, sign, decay, momentum, gradients, state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np

from reference.optimizers import sgd
from reference.optimizers.state import State

from .candidates import Candidate, Recipe, decoupled, made, named, of_the_divisor, setting
from .decay import of_the_decay
from .momentum import of_asgd, of_momentum, of_rprop
from .scales import exact
from .step import Flat, Step

COUNTING = ("asgd", "adam", "adamw", "adamax", "nadam", "radam", "adagrad", "adafactor", "sgd")


def candidates(step: Step) -> Iterator[Candidate]:
    """Every known way of going wrong that the optimiser at hand has, made on this step."""
    h = step.optimizer.hyperparameters
    recipes = chain(_of_the_rate(step), _of_the_gradient(step), _of_the_count(step), of_the_divisor(step),
                    of_the_decay(step) if h.get("weight_decay") else (), _of_the_settings(step), of_momentum(step),
                    of_rprop(step), of_asgd(step), _of_the_state(step))  # fmt: skip
    yield from made(step, (named(step, recipe) for recipe in recipes))


# ── rate and sign ────────────────────────────────────────────────────────────────────────────────────


def start_of(step: Step) -> Flat:
    """Where the gradient's part of the step starts: θ, or (1 − ηλ)θ if the decay is decoupled."""
    h = step.optimizer.hyperparameters
    keep = 1 - h["lr"] * h["weight_decay"] if decoupled(step) and h.get("weight_decay") else 1.0
    return tuple(p * np.longdouble(keep) for p in step.params)


def scaled(step: Step, factor: float) -> tuple[Flat, State]:
    """The step with the gradient's part of it multiplied."""
    return _stretched(step, start_of(step), factor)


def faster(step: Step, factor: float) -> tuple[Flat, State]:
    """The step with all of it multiplied, the decay too, as another learning rate does."""
    return _stretched(step, step.params, factor)


def decaying(step: Step, factor: float) -> tuple[Flat, State]:
    """The step with the decay multiplied that shrinks θ by itself."""
    new, state = _taken(step)
    parts = zip(step.params, start_of(step), new, strict=True)
    return tuple(q + (factor - 1) * (s - p) for p, s, q in parts), state


def _stretched(step: Step, start: Flat, factor: float) -> tuple[Flat, State]:
    new, state = _taken(step)
    return tuple(s + factor * (p - s) for s, p in zip(start, new, strict=True)), state


def _taken(step: Step) -> tuple[Flat, State]:
    """The step, its parameters in long double: a large factor would show how float64 rounds θ − Δ."""
    made = exact(step)
    return tuple(made[f"params[{label}]"] for label in step.labels), step.take()[1]


def _scaling(factor: float) -> Callable[[Step], tuple[Flat, State]]:
    return lambda step: scaled(step, factor)


def _of_the_rate(step: Step) -> Iterator[Recipe]:
    lr = step.optimizer.hyperparameters["lr"]
    yield Recipe("not moved", "the parameters not moved by the gradient", _scaling(0.0))
    yield Recipe("sign", "the step added, not subtracted: the sign is wrong", _scaling(-1.0))
    if lr and step.optimizer.name != "rprop":
        yield Recipe("learning rate twice", "the learning rate applied twice", _scaling(lr))
        yield Recipe("learning rate left out", "the learning rate not applied", _scaling(1 / lr))


# ── gradients ────────────────────────────────────────────────────────────────────────────────────────


def _of_the_gradient(step: Step) -> Iterator[Recipe]:
    yield Recipe(
        "gradient's sign",
        "the gradient's sign flipped: climbing for descending, or the other way round",
        lambda s: s.take(grads=tuple(-g for g in s.grads)),
    )
    finite = [g[np.isfinite(g)] for g in step.grads]
    norm = float(np.sqrt(sum(np.sum(g * g) for g in finite)))
    if norm > 1:
        yield Recipe(
            "norm clipped", "the gradients clipped to norm 1 first", lambda s: s.take(grads=_times(s, 1 / norm))
        )
    elif norm > 0:
        yield Recipe(
            "gradient normalised", "the gradients divided by their norm", lambda s: s.take(grads=_times(s, 1 / norm))
        )
    if any(np.any(np.abs(g) > 1) for g in finite):
        clipped = tuple(np.clip(g, -1, 1) for g in step.grads)
        yield Recipe("values clipped", "the gradients' elements clipped to ±1 first", lambda s: s.take(grads=clipped))
    for loss_scale in (2.0**16, 2.0**10):
        yield Recipe(
            "loss scale",
            f"the gradients not divided by the loss scale, {loss_scale:g}",
            lambda s, k=loss_scale: s.take(grads=_times(s, k)),  # type: ignore[misc]
        )


def _times(step: Step, factor: float) -> Flat:
    return tuple(g * factor for g in step.grads)


# ── the count of steps ───────────────────────────────────────────────────────────────────────────────


def _of_the_count(step: Step) -> Iterator[Recipe]:
    if step.optimizer.name not in COUNTING:
        return
    h, count = step.optimizer.hyperparameters, step.state["step"]
    if step.optimizer.name == "sgd":
        if count == 0 and h["momentum"]:
            yield Recipe(
                "dampening on the first step",
                "dampening applied on the first step, where the buffer is the gradient itself",
                lambda s: s.take(step=1),
            )
        if count and h["momentum"]:
            yield Recipe("momentum reset", "the momentum buffer begun anew", lambda s: s.take(step=0))
        return
    bias = "the bias correction" if "betas" in h else "the count of steps"
    for other, text in ((count + 1, "one step ahead"), (count - 1, "one step behind, from 0 for 1")):
        yield Recipe("off by one", f"{bias} {text}", lambda s, k=other: s.take(step=k))  # type: ignore[misc]
    if count:
        yield Recipe("step 1", f"{bias} of step 1 at every step", lambda s: s.take(step=0))


# ── settings taken for others ────────────────────────────────────────────────────────────────────────


def _of_the_settings(step: Step) -> Iterator[Recipe]:
    h = step.optimizer.hyperparameters
    betas, etas = h.get("betas"), h.get("etas")
    if betas:
        yield setting("betas swapped", "β₁ and β₂ swapped", betas=betas[::-1])
    if etas:
        yield setting("etas swapped", "η₋ and η₊ as one another's inverse", etas=(1 / etas[1], 1 / etas[0]))
    if h.get("amsgrad"):
        yield setting("no maximum", "AMSGrad's maximum left out", amsgrad=False)
    if h.get("momentum_decay"):
        yield setting("momentum not decayed", "the decay of the momentum left out", momentum_decay=0.0)
    if step.optimizer.name == "muon":
        other = "match_rms_adamw" if h["adjust_lr_fn"] in (None, "original") else "original"
        yield setting("other scale", f"the scale of the step that of {other!r}", adjust_lr_fn=other)
        yield setting("not orthogonalised", "the momentum not orthogonalised", ns_steps=0)
        yield setting("one iteration more", "one Newton–Schulz step more", ns_steps=h["ns_steps"] + 1)
        if h["ns_steps"]:
            yield setting("one iteration less", "one Newton–Schulz step less", ns_steps=h["ns_steps"] - 1)
        if not h["nesterov"]:
            yield setting("Nesterov for plain", "Nesterov's momentum in place of the plain one", nesterov=True)
        else:
            yield setting("no look-ahead", "Nesterov's look-ahead left out", nesterov=False)
    if step.optimizer.name == "adafactor":
        yield setting("decay of the mean", "−0.8 as the exponent of the second moment's decay", beta2_decay=-0.8)
    for key, what in (("rho", "ρ"), ("alpha", "α")):
        if key in h and step.optimizer.name != "asgd":
            yield setting("weights swapped", f"{what} and 1 − {what} swapped", **{key: 1 - h[key]})


# ── state ────────────────────────────────────────────────────────────────────────────────────────────


def _of_the_state(step: Step) -> Iterator[Recipe]:
    count = step.state["step"]
    yield Recipe("state kept", "the state not changed by the step", lambda s: (s.take()[0], s.state))
    yield Recipe("count kept", "the count of steps not raised", lambda s: _counted(s, count))
    yield Recipe("counted twice", "the step counted twice", lambda s: _counted(s, count + 2))
    if count and step.alone:

        def forgotten(s: Step) -> tuple[Flat, State]:
            return s.take(**{k: v for k, v in s.optimizer.init(s.params).items() if k != "step"})

        def afresh(s: Step) -> tuple[Flat, State]:
            return s.take(**s.optimizer.init(s.params))

        yield Recipe("state lost", "the moments of the steps before lost, the count kept", forgotten)
        yield Recipe("state begun anew", "the state begun anew, as if this were the first step", afresh)
    if step.alone:

        def twice(s: Step) -> tuple[Flat, State]:
            new, state = s.take()
            return s.optimizer.step(new, s.grads, state, None)

        def again(s: Step) -> tuple[Flat, State]:
            return s.take(**s.take()[1])

        yield Recipe("taken twice", "the step taken twice", twice)
        yield Recipe("state of the next step", "the gradient counted into the state twice", again)
    if step.optimizer.name not in ("sgd", "lbfgs") and len(step.optimizer.hyperparameters) > 2:
        yield Recipe("plain descent", "plain gradient descent in its place", _plain)


def _counted(step: Step, count: int) -> tuple[Flat, State]:
    new, state = step.take()
    return new, state | {"step": count}


def _plain(step: Step) -> tuple[Flat, State]:
    new, _ = sgd(lr=step.optimizer.hyperparameters["lr"]).step(
        step.params, step.grads, {"step": step.state["step"]}, None
    )
    return new, step.take()[1]
