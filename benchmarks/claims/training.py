"""Does training end where it should, and as torch's does? Claim S11: forward, backward, optimiser, until it is enough.

Claim: every optimiser of `reference.optimizers` trains a network on real data to a loss and stops there. Laid on
torch's eager training with the optimiser of the same name, from the same start with the same batches, the curve is
the same to rounding: each of the first 100 losses lies within 32 σ of torch's, and both reach the loss at the same
step. With Adam the network then puts every held-out digit into the class that torch's does, and over 97% into the
right one.

Measured: the handwritten digits (1,797 of 64 pixels; a 64-128-10 network, cross-entropy with smoothed labels in
mini-batches) and the diabetes data (442 patients, 10 measurements; a 10-16-1 network, half squared error over the
whole data) that scikit-learn ships, a fifth held out. σ of a step's loss is the spread of whole trainings in noisy
arithmetic, every operation of forward, backward and update with a rounding error: what any correct implementation is
off by there. Later losses are shown, and not judged: a training multiplies its rounding errors.

Refuted by: a loss among the first 100 further than 32 σ from torch's; a training that does not reach its loss, goes on
behind it, or reaches it at another step than torch; with Adam, a held-out digit put into another class than by torch,
or no more than 97% of them right.

The time of a step beside torch's is measured in the same run, taking turns, and shown; another program on the machine
can turn it, so it decides nothing. The goal is that ours takes no longer.

muon is left out: it needs a second optimiser for the biases, and torch computes it in bfloat16, far from its formula.
rprop and lbfgs are made for whole batches and run on the diabetes data only; the noisy runs of lbfgs judge as many
losses as they take the same branches of its line search for. Where torch.optim departs from its own formula (the
published list of `torch_compare.torch_side.optimizer_deviations`), ours departs with it here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource, Split
from reference.arithmetic.noisy import Noisy
from reference.optimizers import Optimizer
from reference.rounding.distance import FACTOR, in_scales
from torch_compare.torch_side.optimizer_deviations import as_torch

from ..harness.report import Report
from ..harness.style import GREY, panels, save_picture
from ..harness.timing import interleaved_medians
from .torch_training import TorchTraining, train_torch
from .training_tasks import Task, diabetes_task, digits_task, wide_task

Array = Any

FIRST = 100
"""How many losses are held against torch's."""
ENOUGH = 0.97
"""The share of held-out digits that Adam must put into the right class."""
QUICK = ("sgd", "momentum", "adam", "lbfgs")
"""The optimisers of the quick run and of the picture."""
POINTS = 60
"""Of a curve in the JSON file and the picture: means of as many stretches."""


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────


def loss_scales(task: Task, optimizer: Optimizer, steps: int, runs: int, seed: int) -> Array:
    """σ of the loss at each of the first steps; as far as the runs take the same branches of a line search."""
    source = NoiseSource(get_format(task.problem.dtype), runs, np.random.default_rng(seed))
    noisy = task.problem.map(lambda values: Noisy.exact(values, source))
    losses: list[Array] = []

    def keep(step: int, loss: Any, mlp: ref.MLP, g: ref.Gradients) -> None:
        losses.append(loss.spread())

    with suppress(Split):
        ref.train(noisy, optimizer, max_steps=steps, batch_size=task.batch_size, seed=seed, callback=keep)
    return np.array(losses)


def error(task: Task, mlp: ref.MLP) -> float:
    """The score on the held-out examples: the share classified right, or the half squared error."""
    x, target = task.held_out
    output = ref.forward(mlp, x).output
    if task.name == "digits":
        return float(np.mean(np.argmax(output, axis=1) == target))
    return float(((output - target) ** 2).sum() / 2 / len(target))


def classes_apart(task: Task, one: ref.MLP, other: ref.MLP) -> int:
    """How many held-out examples the two networks classify differently."""
    x, _ = task.held_out
    return int(np.sum(np.argmax(ref.forward(one, x).output, axis=1) != np.argmax(ref.forward(other, x).output, axis=1)))


def stops_there(trained: ref.Training, enough: float) -> bool:
    """Whether the last loss that was evaluated is small enough, and no earlier one."""
    *before, (step, last) = trained.evaluated
    return trained.reached and step == trained.steps and last <= enough and all(loss > enough for _, loss in before)


def means(losses: Array) -> list[float]:
    """The mean loss of `POINTS` stretches."""
    return [float(np.mean(part)) for part in np.array_split(losses, min(POINTS, len(losses)))]


def row(task: Task, name: str, runs: int, repetitions: int, seed: int) -> dict[str, Any]:
    """One optimiser on one task, ours and torch's."""
    optimizer = task.optimizers[name]
    steps = 20 if optimizer.needs_evaluate else task.steps
    twin, deviations = as_torch(optimizer, task.problem.dtype)
    train = partial(ref.train, task.problem, twin, max_steps=steps, batch_size=task.batch_size, seed=seed)
    short = train(until=task.enough)
    ours: ref.Training = train(resume=short)
    theirs: TorchTraining = train_torch(task.problem, optimizer, steps, task.batch_size, seed, until=task.enough)
    sigma = loss_scales(task, optimizer, min(FIRST, steps), runs, seed)
    judged = len(sigma)
    scales = in_scales(
        np.asarray(theirs.losses[:judged]), np.asarray(ours.losses[:judged]), sigma, get_format(task.problem.dtype)
    )
    scales = np.where(np.isfinite(sigma), scales, np.inf)
    few = min(FIRST, steps)
    timed = partial(ref.train, task.problem, optimizer, max_steps=few, batch_size=task.batch_size, seed=seed)
    rival = partial(train_torch, task.problem, optimizer, few, task.batch_size, seed)
    seconds = interleaved_medians({"ours": timed, "torch": rival}, repetitions=repetitions)
    return {
        "data": task.name,
        "optimizer": name + ("*" if deviations else ""),
        "judged": judged,
        "to_judge": 1 if optimizer.needs_evaluate else few,
        "scales": float(np.max(scales, initial=0.0)),
        "ours_reached": short.steps if stops_there(short, task.enough) else None,
        "torch_reached": theirs.reached,
        "steps": steps,
        "ours_loss": float(ours.loss),
        "torch_loss": theirs.loss,
        "ours_held_out": error(task, ours.mlp),
        "torch_held_out": error(task, theirs.mlp),
        "apart": classes_apart(task, ours.mlp, theirs.mlp) if task.name == "digits" else 0,
        "seconds": seconds["ours"] / few,
        "ratio": seconds["ours"] / seconds["torch"],
        "sigma_curve": [float(s) for s in scales],
        "ours_curve": means(ours.losses),
        "torch_curve": means(theirs.losses),
        "stopped": short.stopped,
    }


def stands(found: Mapping[str, Any]) -> bool:
    """Whether a row is as the claim says."""
    same = found["ours_reached"] is not None and found["ours_reached"] == found["torch_reached"]
    classified = found["apart"] == 0 and min(found["ours_held_out"], found["torch_held_out"]) > ENOUGH
    judged = found["judged"] >= found["to_judge"] and found["scales"] <= FACTOR
    return judged and same and (classified or (found["data"], found["optimizer"]) != ("digits", "adam"))


def time_ratios(task: Task, name: str, repetitions: int, seed: int) -> dict[str, float]:
    """The time of a training, ours divided by torch's: both number types, and torch's fused update."""
    found, steps = {}, min(FIRST, task.steps)
    for dtype in (np.float64, np.float32):
        problem = task.problem.map(partial(np.asarray, dtype=dtype))
        first = (problem, task.optimizers[name])
        work: Mapping[str, Callable[[], Any]] = {
            "ours": partial(ref.train, *first, max_steps=steps, batch_size=task.batch_size, seed=seed),
            "torch": partial(train_torch, *first, steps, task.batch_size, seed),
            "torch's fused update": partial(train_torch, *first, steps, task.batch_size, seed, fused=True),
        }
        seconds = interleaved_medians(work, repetitions=repetitions)
        for rival in ("torch", "torch's fused update"):
            found[f"{name} on {task.name}, {np.dtype(dtype)}: time / {rival}"] = seconds["ours"] / seconds[rival]
    return found


def measure(quick: bool, seed: int, tasks: Sequence[Task] | None = None, runs: int | None = None) -> Report:
    """Trainings on real data, ours laid on torch's."""
    runs = runs or (8 if quick else 16)
    repetitions = 3 if quick else 9
    timed = () if tasks else (wide_task(seed),)
    tasks = tasks or (digits_task(seed), diabetes_task(seed))
    rows = [
        row(task, name, runs, repetitions, seed)
        for task in tasks
        for name in task.optimizers
        if not quick or name in QUICK
    ]
    worst = max(rows, key=lambda r: r["scales"])
    figures: dict[str, Any] = {
        "worst of all [σ]": worst["scales"],
        "found in": f"{worst['optimizer']} on {worst['data']}",
        "optimisers that reach the loss at torch's step": sum(r["ours_reached"] == r["torch_reached"] for r in rows),
        "of": len(rows),
    }
    for r in rows:
        if r["optimizer"] == "adam":
            figures[f"adam on {r['data']}: worst of the first {r['judged']} losses [σ]"] = r["scales"]
            figures[f"adam on {r['data']}: stopped"] = r["stopped"]
            if r["data"] == "digits":
                figures["adam on digits: held-out digits right, ours and torch [%]"] = (
                    f"{r['ours_held_out']:.2%} and {r['torch_held_out']:.2%}"
                )
                figures["adam on digits: held-out digits that the two classify differently"] = r["apart"]
    for task in tasks:
        if task.name == "digits" and "adam" in task.optimizers:
            figures |= time_ratios(task, "adam", repetitions, seed)
    for task in timed:
        for name in task.optimizers:
            figures |= time_ratios(task, name, repetitions, seed)
    return Report(
        question="Does training end where it should, and as torch's does?",
        claim=(
            f"Every optimiser trains to a loss on real data and stops there. The first {FIRST} losses are torch's to "
            f"rounding, and both reach the loss at the same step. Adam's network classifies every held-out digit as "
            f"torch's does, and over {ENOUGH:.0%} of them right."
        ),
        refuted_by=(
            f"one of the first {FIRST} losses more than {FACTOR:g} σ from torch's; a training that misses its loss, "
            "goes on behind it, or reaches it at another step than torch; with Adam, a held-out digit put into another "
            f"class than by torch, or no more than {ENOUGH:.0%} right. (Times are shown and decide nothing; * marks "
            "where torch's own deviation is followed.)"
        ),
        columns={
            "data": "data",
            "optimizer": "optimiser",
            "judged": "losses judged",
            "scales": "worst [σ]",
            "ours_reached": "enough at step: ours",
            "torch_reached": "torch",
            "steps": "steps",
            "ours_loss": "final loss: ours",
            "torch_loss": "torch",
            "ours_held_out": "held out: ours",
            "torch_held_out": "torch",
            "seconds": "a step [s]",
            "ratio": "time / torch",
        },
        rows=rows,
        figures=figures,
        holds=all(stands(r) for r in rows),
        source_claim="S11",
    )


EQUAL = 1e-3
"""Where the picture's logarithmic axis puts a distance of 0."""


def draw(report: Report, path: Path) -> None:
    """The curves of some optimisers, torch's dashed over ours, and how far apart they are."""
    tasks = list(dict.fromkeys(r["data"] for r in report.rows))
    figure, axes = panels(len(tasks) + 1, share_vertical=False)
    for panel, task in zip(axes, tasks, strict=False):
        chosen = [r for r in report.rows if r["data"] == task and r["optimizer"] in QUICK]
        for r, (_, marker, _) in zip(chosen, GREY, strict=False):
            at = np.linspace(0, r["steps"], len(r["ours_curve"]))
            every = max(1, len(at) // 8)
            wide = {"color": "0.8", "lw": 5, "marker": marker, "ms": 8, "mfc": "1", "mec": "0.35", "mew": 1}
            panel.semilogy(at, r["ours_curve"], markevery=every, label=r["optimizer"], **wide)
            panel.semilogy(at, r["torch_curve"], color="0", lw=1, ls="--")
        panel.plot([], [], color="0", lw=1, ls="--", label="torch, laid over ours")
        panel.set(title=f"the {task} data", xlabel="step", ylabel="loss")
        panel.legend()
    adams = [r for r in report.rows if r["optimizer"] == "adam"]
    for r, (shade, marker, _) in zip(adams, GREY, strict=False):
        style = {"color": shade, "marker": marker, "ls": "", "ms": 4, "mfc": "none"}
        axes[-1].semilogy(np.maximum(r["sigma_curve"], EQUAL), label=f"adam, {r['data']}", **style)
    axes[-1].axhline(FACTOR, color="0.5", ls=":", label=f"{FACTOR:g} σ: what rounding explains")
    axes[-1].set(title="torch's loss from ours", xlabel="step", ylim=(EQUAL / 2, 1e4))
    axes[-1].set_ylabel(f"distance [σ]; equal losses at {EQUAL:g}")
    axes[-1].legend(loc="upper right")
    figure.suptitle("Training on real data: our curves (wide, grey) and torch's (dashed)")
    save_picture(figure, path)
