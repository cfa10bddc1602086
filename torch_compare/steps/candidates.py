"""Steps done wrongly, each under a name, and what they make of the numbers given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from reference.optimizers.state import State

from .formulas import FORMULAS, Ways
from .step import Flat, Leaves, Step, leaves, rebuilt


@dataclass(frozen=True)
class Candidate:
    """One way of going wrong, made on the step at hand.

    Attributes:
        name: the kind, for programs.
        what: what was done, as a sentence's beginning.
        made: parameters and state that it gives, by place.
        convention: whether a paper or a library has it so.
    """

    name: str
    what: str
    made: Leaves = field(repr=False)
    convention: bool = False


Make = Callable[[Step], tuple[Flat, State]]


@dataclass(frozen=True)
class Recipe:
    """A candidate that has not been made yet."""

    name: str
    what: str
    make: Make = field(repr=False)
    convention: bool = False


def made(step: Step, recipes: Iterator[Recipe]) -> Iterator[Candidate]:
    """The recipes, carried out; one that the optimiser refuses is left out."""
    for recipe in recipes:
        try:
            with np.errstate(all="ignore"):
                flat, state = recipe.make(step)
        except (ValueError, TypeError, ArithmeticError):
            continue
        yield Candidate(recipe.name, recipe.what, leaves(step.labels, flat, state), recipe.convention)


# ── the ways that a divisor may go wrong ─────────────────────────────────────────────────────────────


def decoupled(step: Step) -> bool:
    """Whether the weights shrink by 1 − ηλ by themselves."""
    always = step.optimizer.name in ("adamw", "muon", "adafactor")
    return always or bool(step.optimizer.hyperparameters.get("decoupled_weight_decay"))


def in_ways(step: Step, ways: Ways, **changes: Any) -> tuple[Flat, State]:
    """The step by its formula, with some of its parts done otherwise."""
    rule = FORMULAS[step.optimizer.name]
    h = dict(step.optimizer.hyperparameters) | {"decoupled": decoupled(step)} | changes
    names = [key for key in step.state if key != "step"]
    count, results = step.state["step"] + 1, []
    for index, (p, g) in enumerate(zip(step.params, step.grads, strict=True)):
        results.append(rule(h, p, g, {key: step.state[key][index] for key in names}, count, ways))
    state = {"step": count} | {key: tuple(kept[key] for _, kept in results) for key in names}
    return tuple(p for p, _ in results), state


ADAMS = ("adam", "adamw", "nadam", "radam")
ROOTED = (*ADAMS, "rmsprop", "adagrad", "adadelta")
SECOND = (*ROOTED, "adamax", "adafactor")

WAYS: tuple[tuple[str, str, tuple[str, ...], Mapping[str, Any]], ...] = (
    ("bias correction", "the bias corrections left out", (*ADAMS, "adamax"), {"first": False, "second": False}),
    ("first bias correction", "the bias correction of the first moment left out", (*ADAMS, "adamax"), {"first": False}),
    ("second bias correction", "the bias correction of the second moment left out", ADAMS, {"second": False}),
    ("second bias correction", "a bias correction of u, which needs none", ("adamax",), {"second": False}),
    ("ε inside the root", "ε inside the root, not outside", ("adam", "adamw", "nadam", "radam", "rmsprop", "adagrad"),
     {"epsilon": "inside"}),
    ("ε outside the root", "ε outside the roots, not inside", ("adadelta",), {"epsilon": "inside"}),
    ("ε twice", "ε both inside and outside the root", ("adam", "adamw", "nadam", "rmsprop", "adagrad"),
     {"epsilon": "twice"}),
    ("ε left out", "ε left out", (*ROOTED, "adamax"), {"epsilon": "left out"}),
    ("ε as a floor", "the larger of the root and ε taken, not their sum",
     ("adam", "adamw", "nadam", "rmsprop", "adagrad"), {"epsilon": "largest"}),
    ("ε before the correction", "ε added before the bias correction of the root", ("adam", "adamw", "nadam"),
     {"epsilon": "before"}),
    ("ε after the correction", "ε added after the bias correction of the root", ("radam",), {"epsilon": "before"}),
    ("ε after the maximum", "ε added to u after the maximum was taken", ("adamax",), {"epsilon": "before"}),
    ("no root", "the square root left out", (*ROOTED, "adafactor"), {"root": False}),
    ("g for g²", "g in place of g² in the second moment", (*ADAMS, "rmsprop", "adagrad", "adadelta"), {"square": "g"}),
    ("|g| for g²", "|g| in place of g² in the second moment", (*ADAMS, "rmsprop", "adagrad", "adadelta"),
     {"square": "|g|"}),
    ("g for |g|", "g in place of |g| in the running maximum", ("adamax",), {"square": "g"}),
    ("g² for |g|", "g² in place of |g| in the running maximum", ("adamax",), {"square": "|g|"}),
    ("1 − β₁ left out", "the factor 1 − β₁ of the gradient left out", (*ADAMS, "adamax"), {"weight_first": False}),
    ("1 − β₂ left out", "the factor 1 − β₂ of g² left out", (*ADAMS, "rmsprop", "adadelta"), {"weight_second": False}),
    ("stale first moment", "the step made with the first moment from before this gradient",
     (*ADAMS, "adamax", "rmsprop"), {"stale_first": True}),
    ("stale second moment", "the step made with the second moment from before this gradient", SECOND,
     {"stale_second": True}),
    ("stale moments", "the step made with both moments from before this gradient", (*ADAMS, "adamax"),
     {"stale_first": True, "stale_second": True}),
    ("no momentum", "the gradient itself taken for the first moment", (*ADAMS, "adamax", "rmsprop"),
     {"momentum": False}),
    ("no sum", "the sum of g² replaced by the last g²", ("adagrad",), {"momentum": False}),
    ("maximum of the corrected moment", "the largest taken of v after its bias correction", ("adam", "adamw"),
     {"largest": "v̂"}),
    ("no look-ahead", "Nesterov's look-ahead left out: Adam's step", ("nadam",), {"ahead": False}),
    ("not rectified", "the rectification r left out", ("radam",), {"rectified": False}),
    ("threshold", "the threshold of the rectification at ρ = 4, as in the paper, not at 5 as in torch", ("radam",),
     {"threshold": 4.0}),
    ("rate inside the momentum", "the learning rate inside the momentum buffer", ("rmsprop",), {"rate_inside": True}),
    ("not centred", "the mean gradient's square not subtracted", ("rmsprop",), {"centered": False}),
    ("rate not decayed", "the learning rate not decayed by lr_decay", ("adagrad",), {"decays_rate": False}),
    ("newest mean", "the mean of the updates taken after this update, not before", ("adadelta",), {"newest": True}),
    ("g² for the update's square", "g² in place of the update's square in its mean", ("adadelta",),
     {"weight_first": False}),
    ("clipping the wrong way round", "the clipping the wrong way round: divided by min(1, RMS/d) for max(1, RMS/d)",
     ("adafactor",), {"clip": "other side"}),
    ("clipping the wrong way round", "multiplied by max(1, RMS/d), not divided by it", ("adafactor",),
     {"clip": "multiplied"}),
    ("no clipping", "the clipping of the update left out", ("adafactor",), {"clip": "none"}),
    ("always clipped", "every update divided by RMS/d, short ones too", ("adafactor",), {"clip": "always"}),
    ("not scaled", "the step not scaled by the parameters' RMS", ("adafactor",), {"scaled": False}),
    ("relative step", "the learning rate itself, not the smaller of it and 1/√t", ("adafactor",), {"relative": False}),
    ("not normalised", "the product of rows and columns not divided by the mean", ("adafactor",), {"factored": False}),
)  # fmt: skip
"""Kind, what was done, of which optimisers, and the parts that are done otherwise."""

CONVENTIONS: Mapping[tuple[str, str], str] = {
    ("adam", "ε before the correction"): "Kingma & Ba 2015, §2, the form with ε̂; TensorFlow, Keras",
    ("adamw", "ε before the correction"): "Kingma & Ba 2015, §2, the form with ε̂; TensorFlow, Keras",
    ("nadam", "ε before the correction"): "Dozat 2016 leaves the place of ε open; TensorFlow has the form with ε̂",
    ("radam", "ε after the correction"): "the place of ε in optax and in Adam itself; the paper has none",
    ("rmsprop", "ε inside the root"): "Graves 2013, eq. 40; TensorFlow; optax with eps_in_sqrt",
    ("adamax", "ε left out"): "Kingma & Ba 2015, algorithm 2, which has no ε",
    ("adamax", "ε after the maximum"): "Keras, optax",
    ("adam", "maximum of the corrected moment"): "optax, Keras",
    ("adamw", "maximum of the corrected moment"): "optax, Keras",
    ("radam", "threshold"): "Liu et al. 2020, algorithm 2",
    ("rprop", "moved where the sign changed"): "Rprop− of Igel & Hüsken 2000",
}
"""What a paper or a library has in another way than torch: (optimiser, kind) ↦ where it is so."""


def of_the_divisor(step: Step) -> Iterator[Recipe]:
    """What goes wrong within a step that divides by a root."""
    for name, what, optimizers, parts in WAYS:
        if step.optimizer.name in optimizers:
            yield Recipe(name, what, lambda s, parts=parts: in_ways(s, Ways(**parts)))  # type: ignore[misc]


def named(step: Step, recipe: Recipe) -> Recipe:
    """The recipe, marked as a convention where it is one."""
    source = CONVENTIONS.get((step.optimizer.name, recipe.name))
    return recipe if source is None else replace(recipe, what=f"{recipe.what} ({source})", convention=True)


def changed_settings(step: Step, **changes: Any) -> tuple[Flat, State]:
    """The step with other hyperparameters, and as much of the state as those know."""
    other = rebuilt(step.optimizer, **changes)
    begun = other.init(step.params)
    kept = {key: step.state.get(key, slot) for key, slot in begun.items()}
    flat, after = other.step(step.params, step.grads, kept, None)
    return flat, {key: after.get(key, before) for key, before in step.state.items()}


def setting(name: str, what: str, **changes: Any) -> Recipe:
    """A hyperparameter taken for another."""
    return Recipe(name, what, lambda step: changed_settings(step, **changes))
