"""The benchmark of the optimisers: its rows are its outcomes, and what should refute its claim does."""

import dataclasses
from functools import partial

import numpy as np
from joblib import parallel_config

from benchmarks.claims import optimizers
from tests.benchmarks.helpers import PNG, run_script
from torch_compare.trajectories.comparison import compare, elementwise_subject, follow
from torch_compare.trajectories.random_trajectories import HYPERPARAMETERS, random_trajectory

HONEST = {name: elementwise_subject(name) for name in ("sgd", "nadam")}


def measured(subjects=HONEST, trajectories=3):
    return optimizers.measure(quick=True, seed=0, subjects=subjects, trajectories=trajectories, jobs=1)


def test_the_claim_holds_of_honest_optimisers():
    found = measured()
    assert found.holds
    assert [row["optimizer"] for row in found.rows] == ["sgd", "nadam"]
    assert found.figures["trajectories"] == 6
    assert found.figures["trajectories with a deviation of torch"] > 0
    for row in found.rows:
        assert row["steps"] == 3 * optimizers.STEPS
        assert 0 < row["median"] <= row["most"] <= row["scales"] < optimizers.FACTOR


def test_the_row_of_an_optimiser_is_the_worst_of_its_outcomes():
    outcomes = [HONEST["sgd"](seed, optimizers.STEPS) for seed in range(3)]
    row = measured({"sgd": HONEST["sgd"]}).rows[0]
    assert row["scales"] == max(o.worst.scales for o in outcomes)
    assert row["own"] == max(o.own.scales for o in outcomes)
    assert row["numbers"] == sum(o.elements for o in outcomes)


def test_every_optimiser_is_measured_and_quick_makes_500_trajectories():
    assert optimizers.SUBJECTS.keys() >= HYPERPARAMETERS.keys()
    assert optimizers.TRAJECTORIES == 500
    assert optimizers.STEPS == 50


def test_one_wrong_trajectory_refutes_the_claim_and_names_its_seed():
    def wrong(seed, steps):
        path = random_trajectory("sgd", seed, steps)
        if seed != 1:
            return compare(path, seed)
        late = follow(path.optimizer, path.params, (path.grads[0], *path.grads[:-1]))
        return compare(path, seed, given=late)

    found = measured({"sgd": wrong})
    assert not found.holds
    assert found.rows[0]["disagreements"] == 1
    assert found.rows[0]["disagreeing seeds"] == [1]


def test_numbers_that_nothing_decides_refute_the_claim():
    def silent(seed, steps):
        outcome = HONEST["sgd"](seed, steps)
        return dataclasses.replace(outcome, undecided=outcome.elements // 2)

    assert not measured({"sgd": silent}).holds


def test_an_outcome_without_a_scale_does_not_hide_the_others():
    def odd(seed, steps):
        outcome = HONEST["sgd"](seed, steps)
        nothing = dataclasses.replace(outcome.worst, scales=np.nan)
        return dataclasses.replace(outcome, worst=nothing) if seed == 0 else outcome

    assert measured({"sgd": odd}).rows[0]["scales"] > 0


def test_the_outcomes_do_not_depend_on_how_they_are_shared_out(monkeypatch):
    monkeypatch.setattr(optimizers, "CHUNK", 2)
    with parallel_config(backend="threading"):
        shared = optimizers.many(HONEST["sgd"], 3, 5, jobs=2)
    assert shared == optimizers.many(HONEST["sgd"], 3, 5, jobs=1)
    assert [o.seed for o in shared] == [5, 6, 7]


def test_the_script_writes_its_table_and_its_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(optimizers, "SUBJECTS", {"sgd": HONEST["sgd"]})
    monkeypatch.setattr(optimizers, "TRAJECTORIES", 2)
    monkeypatch.setattr(optimizers, "measure", partial(optimizers.measure, jobs=1))
    ran = run_script(monkeypatch, tmp_path, "optimizers", "--quick", "--seed", "3")
    assert "The claim holds." in ran.printed
    assert ran.document["rows"][0]["trajectories"] == 2
    assert ran.picture.startswith(PNG)
