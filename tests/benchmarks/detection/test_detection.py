"""The benchmark of detection: what its report says, and what refutes its claim."""

import dataclasses
from functools import partial

import pytest

import torch_compare as tc
from benchmarks.detection import caught, detection, false_alarms, speed
from benchmarks.detection.checkers import CHECKERS, Checker
from benchmarks.implementations.correct_gradients import IMPLEMENTATIONS, by_torch
from tests.benchmarks.detection.helpers import bank_row, wrong_named
from tests.benchmarks.helpers import PNG, run_script
from torch_compare.diagnosis.wording import Diagnosis

SIZES = detection.Sizes(
    whole_bank=False, seeds=1, gradients=2, peers_every=1, family=2, turns=1, slow_turns=1, large=1
)  # fmt: skip
TINY = (2, 3, 2)


CHOSEN = (
    wrong_named("relative error in a layer's derivative, 1e-13, float64"),
    wrong_named("relative error in a layer's derivative, 1e-15, float64"),
    wrong_named("sign of every gradient"),
)


def at_the_goals(**changes):
    """Every format catches what its goal asks."""
    return [
        {"power": "all gradients", "name": "m", "format": name, "size": goal, "caught": True} | changes
        for name, goal in detection.power.GOALS.items()
    ]


@pytest.fixture
def tiny(monkeypatch):
    """Networks that take no time, few implementations, no other process."""
    monkeypatch.setattr(detection.speed, "seconds", partial(speed.seconds, widths=TINY))
    monkeypatch.setattr(detection.power, "power", lambda quick, seeds, jobs: at_the_goals())
    monkeypatch.setattr(detection.planted, "run", lambda seed, jobs: names_of(formats=("float64",)))
    monkeypatch.setattr(detection.speed, "large_seconds", partial(speed.large_seconds, widths=TINY))
    only = {name: IMPLEMENTATIONS[name] for name in ("torch", "NumPy, shuffled")}
    monkeypatch.setattr(false_alarms, "IMPLEMENTATIONS", only)


def measured(**changes):
    return detection.measure(**({"quick": True, "seed": 0, "sizes": SIZES, "jobs": 1, "chosen": CHOSEN} | changes))


# ── what refutes the claim ───────────────────────────────────────────────────────────────────────────


def correct_row(**changes):
    return {"gradients": 5, "false alarm": 0, "peers": {}} | changes


def names_of(right=100, caught=100, formats=tuple(detection.NAMED)):
    """A hundred mistakes in every format, the first so many named and caught."""
    return [
        {"name": "m", "format": n, "planted": 1.0, "right": i < right, "caught": i < caught}
        for n in formats
        for i in range(100)
    ]


def held(**changes):
    rows = [bank_row(checker=name) for name in detection.OURS]
    parts = {"rows": rows, "names": names_of(), "implementations": [correct_row()]}
    return detection.holds(**(parts | changes))


def test_what_refutes_the_claim():
    assert held()
    both = [bank_row(checker=name) for name in detection.OURS]
    assert not held(rows=both[:1])  # the certified check has judged nothing
    assert not held(rows=[*both, bank_row(caught=False, planted=1e-13)])
    assert held(rows=[*both, bank_row(caught=False, planted=0.9e-13)])
    assert not held(rows=[*both, bank_row(caught=False, planted=1e-5, format="float32")])
    assert held(rows=[*both, bank_row(caught=False, planted=0.9e-5, format="float32")])
    assert held(rows=[*both, bank_row(caught=False, checker="SciPy check_grad")])
    assert not held(names=[])
    assert not held(names=names_of(formats=("float64", "float32", "float16")))
    half, wide = ("float16", "bfloat16"), ("float64", "float32")
    assert held(names=[*names_of(98, formats=wide), *names_of(95, formats=half)])
    assert not held(names=[*names_of(97, formats=wide), *names_of(formats=half)])
    assert not held(names=[*names_of(formats=wide), *names_of(94, formats=half)])
    assert not held(names=[*names_of(formats=wide), *names_of(caught=94, formats=half)])  # named, but not caught
    small = [row | {"planted": 1e-3, "caught": False} for row in names_of(formats=half)]
    assert held(names=[*names_of(), *small])  # less than what the format tells
    assert not held(names=[*names_of(), *(row | {"format": "float32"} for row in small)])
    assert not held(implementations=[])
    assert not held(implementations=[correct_row(), correct_row(gradients=0)])
    assert not held(implementations=[correct_row(), correct_row(**{"false alarm": 1})])
    certified = {"gradient-oracle, certified": {"given": 4, "alarms": 1}}
    assert not held(implementations=[correct_row(peers=certified)])


# ── the whole ────────────────────────────────────────────────────────────────────────────────────────


def test_the_report_at_its_smallest_holds_says_what_passed_and_is_written_and_drawn(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(detection, "measure", partial(detection.measure, sizes=SIZES, jobs=1, chosen=CHOSEN))
    ran = run_script(monkeypatch, tmp_path, "detection", "--quick", width=200)
    found = ran.report
    assert ran.document["claim"] == found.claim
    assert len(ran.document["rows"]) == len(found.rows)
    assert ran.picture.startswith(PNG)
    assert found.holds
    assert found.figures["correct gradients"] == 2 * 2 * 4 - found.figures.get("refused", 0)
    assert found.figures["gradient-oracle: missed below, or in half precision, by planted size"] == "float64 1e-15: 1"
    lines = {row["what"]: row for row in found.digest}
    assert set(found.columns) == {"what", *(c.name for c in CHECKERS)}
    assert lines["sign"] == {"what": "sign"} | {c.name: "1/1" for c in CHECKERS}
    assert lines["relative error"]["gradient-oracle"] == "1/2"
    assert lines["relative error"]["torch gradcheck, slow"] == "0/2"
    assert lines["false alarms"]["gradient-oracle"].startswith("0/")


@pytest.mark.explore
def test_an_error_at_the_goal_that_passes_refutes_the_claim(tiny, monkeypatch):
    rows = at_the_goals()
    monkeypatch.setattr(detection.power, "power", lambda *_: [*rows, {**rows[-1], "caught": False}])
    assert not measured().holds


def test_a_checker_that_always_agrees_refutes_the_claim(tiny, monkeypatch):
    blind = Checker(CHECKERS[0].name, lambda problem, leaves, name: True, CHECKERS[0].formats, whole=True)
    monkeypatch.setattr(caught, "CHECKERS", (blind, *CHECKERS[1:2]))
    assert not measured(chosen=CHOSEN[:1]).holds


def test_a_correct_gradient_that_is_called_wrong_refutes_the_claim(tiny, monkeypatch):
    """The implementation is off by a hundredth, which even bfloat16 shows; the benchmark takes it for correct."""

    def off(problem, name, order):
        return lambda p: {k: v * (1 + 1e-2) for k, v in by_torch(p, name).items()}

    monkeypatch.setattr(false_alarms, "IMPLEMENTATIONS", {"torch": off})
    found = measured(chosen=CHOSEN[:1])
    assert not found.holds
    assert found.figures["false alarms"] > 0
    assert any(name.startswith("false alarm: torch, ") for name in found.figures)


@pytest.mark.explore
def test_a_diagnosis_that_names_nothing_refutes_the_claim(tiny, monkeypatch):
    honest = tc.check

    def mute(*arguments, **rest):
        verdict = honest(*arguments, **rest)
        return dataclasses.replace(verdict, diagnosis=Diagnosis(str(verdict.diagnosis)))

    monkeypatch.setattr(caught.tc, "check", mute)
    assert not measured().holds
