"""What goes wrong with weight decay: where it acts, and how much."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reference.optimizers.state import State

from .candidates import Recipe, decoupled
from .step import Flat, Step, rebuilt


def of_the_decay(step: Step) -> Iterator[Recipe]:
    """Of an optimiser whose λ is not 0."""
    h = step.optimizer.hyperparameters
    eta, decay = h["lr"], h["weight_decay"]
    apart = decoupled(step)

    def undecayed(s: Step) -> tuple[Flat, State]:
        return s.take(rebuilt(s.optimizer, weight_decay=0.0))

    def shrunk_before(share: float) -> Callable[[Step], tuple[Flat, State]]:
        def make(s: Step) -> tuple[Flat, State]:
            new, state = undecayed(s)
            return tuple(q - share * p for q, p in zip(new, s.params, strict=True)), state

        return make

    def shrunk_after(s: Step) -> tuple[Flat, State]:
        new, state = undecayed(s)
        return tuple(q * (1 - eta * decay) for q in new), state

    def coupled(share: float) -> Callable[[Step], tuple[Flat, State]]:
        sign = -1.0 if h.get("maximize") else 1.0

        def make(s: Step) -> tuple[Flat, State]:
            grads = tuple(g + sign * share * p for g, p in zip(s.grads, s.params, strict=True))
            return s.take(rebuilt(s.optimizer, weight_decay=0.0), grads=grads)

        return make

    yield Recipe("no decay", "the weight decay left out", undecayed)
    yield Recipe("decay after the step", "the weights decayed after the step, not before", shrunk_after)
    if apart:
        yield Recipe("L2 for decoupled", "L2 regularisation (λθ added to g) in place of decoupled weight decay",
                     coupled(decay))  # fmt: skip
        yield Recipe(
            "decay without the rate", "the weight decay not multiplied by the learning rate", shrunk_before(decay)
        )
        yield Recipe("decay's sign", "the weights grown by the decay, not shrunk", shrunk_before(-eta * decay))
        yield Recipe("decay by the rate twice", "the weight decay multiplied by the learning rate twice",
                     shrunk_before(eta * eta * decay))  # fmt: skip
    else:
        yield Recipe(
            "decoupled for L2", "decoupled weight decay in place of L2 regularisation", shrunk_before(eta * decay)
        )
        yield Recipe("decay's sign", "λθ subtracted from the gradient, not added", coupled(-decay))
        yield Recipe("decay without the rate", "the weights shrunk by λ itself", shrunk_before(decay))
        yield Recipe("decay by the rate twice", "the weight decay multiplied by the learning rate twice",
                     coupled(eta * decay))  # fmt: skip
        yield Recipe("decay halved", "λ/2 in place of λ", coupled(decay / 2))
        yield Recipe("decay doubled", "2λ in place of λ", coupled(2 * decay))
    if h.get("maximize"):
        yield Recipe("decay climbed", "the gradient negated after the decay was added", coupled(-decay))
