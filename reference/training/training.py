"""Training: forward (store), backward (gradients), optimiser, until the loss is small enough.

Nothing else is in the loop, so a step costs what its two passes and its update cost. The data are checked once, before
the first step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ..arithmetic.array import Array, NumPyArray, is_numpy
from ..losses.row import Loss
from ..network.gradients import Gradients
from ..network.mlp import MLP
from ..network.problem import Problem, gradients, loss_value
from ..network.validation import require_finite
from ..optimizers.optimizer import Evaluate, Optimizer
from ..optimizers.state import State, check_steps, require_form
from .arguments import check_arguments, problem_of
from .divergence import culprit, finite, leading
from .resumption import Course, course_of, require_same_course

__all__ = ["Training", "batch_order", "train"]

Callback = Callable[[int, Any, MLP, Gradients], Any]


@dataclass(frozen=True, eq=False)
class Training:
    """The result of `train`, which can be resumed.

    Attributes:
        mlp: the network after the last update.
        state: the optimiser's.
        losses: (steps,), the loss that each update saw: of its batch, before it.
        evaluated: (updates made, loss over the whole data) wherever `train` asked whether the loss is small enough.
        loss: over the whole data, of `mlp`.
        steps: how many updates were made, those before a resumption included.
        reached: whether the loss is small enough.
        stopped: why the training stopped: a sentence.
        course: what decides how it goes on; a resumption must have the same.
    """

    mlp: MLP
    state: State
    losses: Array
    evaluated: tuple[tuple[int, Any], ...]
    loss: Any
    steps: int
    reached: bool
    stopped: str
    course: Course


def train(
    start: Problem | MLP,
    optimizer: Optimizer,
    *,
    until: float | None = None,
    max_steps: int,
    batch_size: int | None = None,
    seed: int = 0,
    data: tuple[Array, Array] | None = None,
    loss: Loss | str | None = None,
    reduction: str | None = None,
    callback: Callback | None = None,
    progress: bool = False,
    resume: Training | tuple[State, int] | None = None,
) -> Training:
    """Forward, backward, update, again and again until the loss over the whole data is at most `until`.

    With the whole data at each step, the loss is known before every update, and the training stops at the first
    parameters that reach `until`. With mini-batches the loss over the whole data is evaluated before each epoch (of
    `batch_size` examples a step, the last step takes what is left) and after the last step.

    A step depends on parameters, state, seed and its own number alone. So a training that is resumed, also from a
    checkpoint, is bit for bit the one that was never interrupted.

    Args:
        start: a problem, whose x and target are the whole data; or a network.
        optimizer: from `optimizers`.
        until: the loss that is small enough; None trains for `max_steps`.
        max_steps: updates at most, those before a resumption included.
        batch_size: examples a step; None takes all of them, in the order given.
        seed: of the order of the examples in every epoch (`batch_order`).
        data: (x, target) for a network; see `Problem`.
        loss: for a network.
        reduction: "mean" (also if None) or "sum", for a network.
        callback: called before every update with its number from 1, the loss, the network and its gradients (of the
            step's batch, none of its x); it stops the training, before the update, by returning True.
        progress: show a bar (of rich) on standard error.
        resume: an earlier `Training` of the same network, data, loss, optimiser and batches, which goes on from its own
            parameters; or (state, updates made), which goes on from the network of `start`, with any of these changed,
            and whose history begins there.

    Raises:
        TypeError: an argument of another kind; data for a problem, or a network without data or loss.
        ValueError: an argument out of range, data that do not fit or are not finite (see `Problem`), a state of
            another optimiser, a training of another network, data, loss, optimiser or batches (all that differs is
            named).

    >>> import reference as ref
    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> mlp = ref.MLP((ref.Layer(np.array([[0.0]]), np.array([0.0]), "identity"),))
    >>> trained = train(mlp, ref.optimizers.sgd(lr=0.3), data=(x, 2 * x + 1), loss="mse", until=1e-6, max_steps=1000)
    >>> trained.reached, trained.steps, trained.stopped
    (True, 29, 'reached 1e-06 after 29 steps: loss 8.61228e-07')
    >>> train(mlp, ref.optimizers.sgd(lr=0.3), data=(x, 2 * x + 1), loss="mse", until=1e-6, max_steps=20).stopped
    'steps ran out after 20: loss 2.33679e-05, above 1e-06'
    """
    problem = problem_of(start, data, loss, reduction)
    check_arguments(optimizer, until, max_steps, batch_size, seed, problem.x.shape[0])
    course = course_of(problem, optimizer, batch_size, seed)
    mlp, state, steps, losses, evaluated = _beginning(problem, course, resume)
    problem = problem.replace(network=mlp)
    if is_numpy(problem.x):
        require_finite(problem.arrays())
    batch_of = _batches(problem, batch_size, seed)
    begins_epoch = _epochs(problem, batch_size, until)
    passed: Gradients | None = None
    stopped = ""
    # An overflow is not a warning: it is the reason that the training gives for its end.
    with np.errstate(all="ignore"), _bar(progress, steps, max_steps) as show:
        while steps < max_steps:
            if begins_epoch(steps):
                evaluated.append((steps, loss_value(problem.replace(network=mlp))))
                if _small(evaluated[-1][1], until):
                    break
            here = batch_of(steps, mlp)
            g = gradients(here, to_input=False)
            if stopped := _not_a_number(here, g.loss, passed, steps):
                break
            if batch_size is None and _small(g.loss, until):
                break
            if stopped := _called_off(callback, steps + 1, mlp, g):
                break
            mlp, state = optimizer.update(mlp, g, state, _evaluation(here) if optimizer.needs_evaluate else None)
            losses.append(g.loss)
            if batch_size is None:
                evaluated.append((steps, g.loss))
            passed, steps = g, steps + 1
            if show is not None:
                show(steps, g.loss)
        problem = problem.replace(network=mlp)
        found = loss_value(problem)
        reached = _small(found, until)
        stopped = _reason(problem, found, until, stopped, passed, steps)
    if batch_size is None or (begins_epoch(steps) and (not evaluated or evaluated[-1][0] != steps)):
        evaluated.append((steps, found))
    return Training(mlp, state, _as_array(losses, problem), tuple(evaluated), found, steps, reached, stopped, course)


def batch_order(examples: int, seed: int, epoch: int) -> Array:
    """The order of the examples in an epoch, counted from 0: each step takes the next `batch_size` of them.

    >>> batch_order(5, seed=0, epoch=0), batch_order(5, seed=0, epoch=1)
    (array([2, 4, 3, 0, 1]), array([1, 4, 3, 0, 2]))
    """
    return np.random.default_rng((seed, epoch)).permutation(examples)


def _batches(problem: Problem, batch_size: int | None, seed: int) -> Callable[[int, MLP], Problem]:
    """(updates made, network) ↦ the next step's problem. An epoch's examples are put in order once."""
    if batch_size is None:
        return lambda step, mlp: problem.replace(network=mlp)
    examples, steps = problem.x.shape[0], _steps_of_an_epoch(problem, batch_size)
    current = -1
    x, target = problem.x, problem.target

    def batch_of(step: int, mlp: MLP) -> Problem:
        nonlocal current, x, target
        epoch, place = divmod(step, steps)
        if epoch != current:
            order = batch_order(examples, seed, epoch)
            current, x, target = epoch, problem.x[order], problem.target[order]
        part = slice(place * batch_size, (place + 1) * batch_size)
        return problem.replace(network=mlp, x=x[part], target=target[part])

    return batch_of


def _epochs(problem: Problem, batch_size: int | None, until: float | None) -> Callable[[int], bool]:
    """Updates made ↦ whether an epoch of mini-batches begins, so that the loss over the whole data is asked for."""
    if until is None or batch_size is None:
        return lambda steps: False
    epoch = _steps_of_an_epoch(problem, batch_size)
    return lambda steps: steps % epoch == 0


def _steps_of_an_epoch(problem: Problem, batch_size: int) -> int:
    return -(-problem.x.shape[0] // batch_size)


def _evaluation(problem: Problem) -> Evaluate:
    """Network ↦ (loss, gradients) on the step's batch."""

    def evaluate(mlp: MLP) -> tuple[Any, Gradients]:
        g = gradients(problem.replace(network=mlp), to_input=False)
        return g.loss, g

    return evaluate


def _as_array(losses: list[Any], problem: Problem) -> Array:
    if is_numpy(problem.x):
        return np.array(losses, dtype=problem.dtype)
    array = np.empty(len(losses), dtype=object)
    for index, loss in enumerate(losses):
        array[index] = loss
    return array


# ── where it begins ──────────────────────────────────────────────────────────────────────────────────


Beginning = tuple[MLP, State, int, list[Any], list[tuple[int, Any]]]


def _beginning(problem: Problem, course: Course, resume: Any) -> Beginning:
    """Network, state, updates made, and the history so far."""
    fresh = course.optimizer.init(problem.mlp)
    if resume is None:
        return problem.mlp, fresh, 0, [], []
    if isinstance(resume, Training):
        require_same_course((resume.mlp, resume.course), (problem.mlp, course))
        mlp, state, steps = resume.mlp, resume.state, resume.steps
        losses = list(cast(NumPyArray, resume.losses))
        evaluated = [(at, value) for at, value in resume.evaluated if at < steps]
    elif isinstance(resume, tuple) and len(resume) == 2 and isinstance(resume[0], dict):
        (state, steps), mlp, losses, evaluated = resume, problem.mlp, [], []
    else:
        raise TypeError(f"resume: expected a Training or (state, steps), got {type(resume).__name__}")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise ValueError(f"resume: expected the number of updates made, got {steps!r}")
    place = f"resume: state of {course.optimizer.name}"
    require_form(place, state, fresh)
    check_steps(place, state)
    return mlp, state, steps, losses, evaluated


# ── why it stops ─────────────────────────────────────────────────────────────────────────────────────


def _small(loss: Any, until: float | None) -> bool:
    return until is not None and bool(leading(loss) <= until)


def _not_a_number(here: Problem, loss: Any, passed: Gradients | None, steps: int) -> str:
    """Why the next step's loss is not finite; an empty string if it is."""
    return "" if finite(loss) else f"loss {leading(loss)} at step {steps + 1}: {culprit(here, passed, steps)}"


def _called_off(callback: Callback | None, step: int, mlp: MLP, g: Gradients) -> str:
    """Tell the callback of a step; that it stops the training, or an empty string if it does not."""
    if callback is not None and callback(step, g.loss, mlp, g) is True:
        return f"the callback stopped it at step {step}: loss {leading(g.loss):.6g}"
    return ""


def _reason(
    problem: Problem, found: Any, until: float | None, stopped: str, passed: Gradients | None, steps: int
) -> str:
    """The sentence that says why a training stopped, with the loss found; stopped is what stopped it before the end."""
    if _small(found, until):
        return f"reached {until:.6g} after {steps} steps: loss {leading(found):.6g}"
    if stopped:
        return stopped
    if not finite(found):
        return f"loss {leading(found)} after {steps} steps: {culprit(problem, passed, steps)}"
    above = "" if until is None else f", above {until:.6g}"
    return f"steps ran out after {steps}: loss {leading(found):.6g}{above}"


# ── what it shows ─────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _bar(shown: bool, first: int, last: int) -> Iterator[Callable[[int, Any], None] | None]:
    """A progress bar's (updates made, loss) ↦ nothing; None if nothing is to be shown."""
    if not shown:
        yield None
        return
    # Imported here: whoever computes gradients only needs no terminal.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=last, completed=first)
        yield lambda steps, loss: bar.update(task, completed=steps, description=f"loss {leading(loss):.6g}")
