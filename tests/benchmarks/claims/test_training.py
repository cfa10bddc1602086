"""The training benchmark at its smallest size: its figures show the claim, and planted contradictions refute it."""

from dataclasses import replace

import numpy as np
import pytest

import reference as ref
from benchmarks.claims import training
from benchmarks.claims.torch_training import train_torch
from benchmarks.claims.training_tasks import diabetes_task, digits_task
from reference import optimizers as opt
from reference.network.unchecked import changed
from reference.training import training as loop
from tests.benchmarks.helpers import PNG, run_script

FEW = 12


def small_tasks(*names):
    """Zeros and ones among the digits, and the diabetes data, a few steps of each."""
    digits, diabetes = digits_task(0), diabetes_task(0)
    x, labels = digits.problem.x, digits.problem.target
    two = labels < 2
    mlp = ref.initialize([64, 8, 2], ["relu", "identity"], seed=0)
    problem = ref.Problem(mlp, x[two], labels[two], digits.problem.loss)
    held_out, right = digits.held_out
    kept = right < 2
    of_digits = {name: digits.optimizers[name] for name in ("momentum", "adam") if name in names}
    few_iterations = {"lbfgs": opt.lbfgs(max_iter=2, line_search_fn="strong_wolfe")}
    of_diabetes = {
        name: (diabetes.optimizers | few_iterations)[name] for name in ("sgd", "nadam", "lbfgs") if name in names
    }
    tasks = (
        replace(digits, problem=problem, held_out=(held_out[kept], right[kept]), batch_size=32, steps=90,
                enough=0.3, optimizers=of_digits),
        replace(diabetes, steps=60, enough=0.33, optimizers=of_diabetes),
    )  # fmt: skip
    return [task for task in tasks if task.optimizers]


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(training, "FIRST", FEW)


def measured(*names, tasks=None):
    return training.measure(quick=True, seed=0, tasks=tasks or small_tasks(*names), runs=8)


def only_row(report):
    (row,) = report.rows
    return row


@pytest.fixture
def nothing_timed(monkeypatch):
    monkeypatch.setattr(training, "interleaved_medians", lambda work, **rest: dict.fromkeys(work, 1.0))


# ── the claim ────────────────────────────────────────────────────────────────────────────────────────


def test_the_report_shows_the_claim():
    found = training.measure(False, 0, tasks=small_tasks("momentum", "adam", "sgd", "nadam", "lbfgs"), runs=8)
    assert found.holds
    assert found.source_claim == "S11"
    assert [row["optimizer"] for row in found.rows] == ["momentum", "adam", "sgd", "nadam*", "lbfgs"]
    for row in found.rows:
        assert 0 <= row["scales"] <= 32
        assert row["ours_reached"] == row["torch_reached"] > 0
        assert 0 < row["judged"] <= FEW
        assert row["ratio"] > 0
    assert found.figures["adam on digits: held-out digits that the two classify differently"] == 0
    assert sum("time" in name for name in found.figures) == 4


def test_the_quick_report_has_the_few(nothing_timed):
    assert [row["optimizer"] for row in measured("momentum", "adam", "nadam").rows] == ["momentum", "adam"]


def test_torch_trains_on_the_same_batches_and_stops_looking_where_ours_stops():
    task = small_tasks("momentum")[0]
    ours = ref.train(task.problem, opt.sgd(lr=0.1), max_steps=30, batch_size=32, seed=4, until=task.enough)
    theirs = train_torch(task.problem, opt.sgd(lr=0.1), 30, 32, seed=4, until=task.enough)
    other = train_torch(task.problem, opt.sgd(lr=0.1), 30, 32, seed=5)
    assert np.abs(ours.losses - theirs.losses[: ours.steps]).max() < 1e-13
    assert np.abs(ours.losses - other.losses[: ours.steps]).max() > 1e-3
    assert theirs.reached == (ours.steps if ours.reached else None)


# ── contradictions ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["momentum", "adam", "sgd", "lbfgs"])
def test_torch_with_a_learning_rate_off_by_a_billionth_refutes_the_claim(name, nothing_timed, monkeypatch):
    def off(problem, optimizer, *rest, **more):
        hyperparameters = dict(optimizer.hyperparameters)
        hyperparameters["lr"] *= 1 + 1e-9
        return train_torch(problem, changed(optimizer, hyperparameters=hyperparameters), *rest, **more)

    assert measured(name).holds
    monkeypatch.setattr(training, "train_torch", off)
    found = measured(name)
    assert not found.holds
    assert only_row(found)["scales"] > 32


@pytest.mark.parametrize("name", ["momentum", "sgd"])
def test_a_gradient_off_by_a_billionth_refutes_the_claim(name, nothing_timed, monkeypatch):
    honest = loop.gradients

    def off(problem, **rest):
        g = honest(problem, **rest)
        first, *others = g.layers
        return ref.Gradients((ref.LayerGradients(first.weight * (1 + 1e-9), first.bias), *others), None, g.loss)

    monkeypatch.setattr(loop, "gradients", off)
    assert not measured(name).holds


def test_an_optimiser_with_a_mistake_refutes_the_claim(nothing_timed):
    """Adam whose bias correction counts from 2."""
    (task,) = small_tasks("adam")
    honest = task.optimizers["adam"]

    def step(params, grads, state, evaluate):
        new, after = honest.step(params, grads, state | {"step": state["step"] + 1}, evaluate)
        return new, after | {"step": after["step"] - 1}

    tasks = [replace(task, optimizers={"adam": changed(honest, step=step)})]
    assert not measured(tasks=tasks).holds


def test_batches_of_another_seed_refute_the_claim(nothing_timed, monkeypatch):
    honest = training.train_torch
    monkeypatch.setattr(
        training, "train_torch", lambda p, o, s, b, seed=0, **rest: honest(p, o, s, b, seed + 1, **rest)
    )
    assert not measured("momentum").holds


@pytest.mark.parametrize("name", ["momentum", "sgd"])
def test_a_training_that_goes_on_behind_its_loss_refutes_the_claim(name, nothing_timed, monkeypatch):
    honest = ref.train

    def late(problem, optimizer, *, until=None, max_steps, **rest):
        got = honest(problem, optimizer, until=until, max_steps=max_steps, **rest)
        if until is None:
            return got
        return honest(problem, optimizer, until=None, max_steps=got.steps + 1, **rest | {"resume": got})

    monkeypatch.setattr(ref, "train", late)
    assert not measured(name).holds


def test_a_loss_that_is_never_reached_refutes_the_claim(nothing_timed):
    (task,) = small_tasks("sgd")
    found = measured(tasks=[replace(task, enough=0.0)])
    assert not found.holds
    assert only_row(found)["ours_reached"] is None


def test_a_loss_that_torch_reaches_elsewhere_refutes_the_claim(nothing_timed, monkeypatch):
    def elsewhere(*rest, **more):
        found = train_torch(*rest, **more)
        return replace(found, reached=found.reached + 1)

    monkeypatch.setattr(training, "train_torch", elsewhere)
    assert not measured("sgd").holds


def test_other_classes_than_torch_refute_the_claim(nothing_timed, monkeypatch):
    def backwards(*rest, **more):
        found = train_torch(*rest, **more)
        last = found.mlp.layers[-1]
        flipped = ref.Layer(-last.weight, -last.bias, last.activation)
        return replace(found, mlp=ref.MLP((*found.mlp.layers[:-1], flipped)))

    monkeypatch.setattr(training, "train_torch", backwards)
    found = measured("adam")
    assert only_row(found)["apart"] > 0
    assert not found.holds


def test_too_few_right_refute_the_claim(nothing_timed, monkeypatch):
    monkeypatch.setattr(training, "ENOUGH", 1.0)
    assert not measured("adam").holds


@pytest.mark.parametrize("sigma", [np.full(FEW, np.nan), np.full(FEW, np.inf), np.ones(FEW - 1), np.ones(0)])
def test_a_scale_that_judges_nothing_refutes_the_claim(sigma, nothing_timed, monkeypatch):
    monkeypatch.setattr(training, "loss_scales", lambda *rest: sigma)
    assert not measured("sgd").holds


# ── the command line ─────────────────────────────────────────────────────────────────────────────────


def test_the_script_writes_its_table_and_its_picture(nothing_timed, monkeypatch, tmp_path):
    digits, diabetes = small_tasks("momentum", "adam", "sgd")
    monkeypatch.setattr(training, "digits_task", lambda seed: digits)
    monkeypatch.setattr(training, "diabetes_task", lambda seed: diabetes)
    ran = run_script(monkeypatch, tmp_path, "training", "--quick", width=200)
    assert ran.document["holds"] == ran.report.holds is True
    assert ran.document["rows"][0].keys() >= ran.report.columns.keys()
    assert ran.picture.startswith(PNG)
    assert "The claim holds." in ran.printed


def test_the_tasks_hold_a_fifth_out_and_share_no_example():
    for make, examples in ((digits_task, 1797), (diabetes_task, 442)):
        task = make(3)
        rest, held_out = task.problem.x, task.held_out[0]
        assert len(held_out) == examples // 5
        assert len(rest) + len(held_out) == examples
        assert not np.array_equal(rest[:10], make(4).problem.x[:10])
    assert diabetes_task(0).problem.x.mean(axis=0) == pytest.approx(np.zeros(10), abs=1e-12)
