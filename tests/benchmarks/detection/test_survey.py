"""The survey of false alarms: its cases, its pieces, and that a wrong gradient among them is an alarm."""

import io
import json
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from benchmarks import __main__ as everything
from benchmarks.detection import survey, survey_cases
from benchmarks.implementations.correct_gradients import NUMBERS
from torch_compare.sources.pieces import Piece

CHEAP = range(1, 13)


def test_a_case_is_a_function_of_its_seed_and_number():
    for index in (1, 7, 33):
        one, two = survey_cases.case_of(3, index), survey_cases.case_of(3, index)
        assert (one.implementation, one.dtype, one.kind) == (two.implementation, two.dtype, two.kind)
        assert np.array_equal(one.problem.x, two.problem.x)
        other = survey_cases.case_of(4, index).problem
        assert one.problem.x.shape != other.x.shape or not np.array_equal(one.problem.x, other.x)


def test_every_format_implementation_and_kind_comes_round():
    cases = [survey_cases.case_of(1, index) for index in range(240)]
    assert {case.dtype for case in cases} == set(NUMBERS)
    names = {one.name for one in survey_cases.SURVEYED} | {"JAX"}
    assert {case.implementation.name for case in cases} == names
    assert set(Counter(case.kind for case in cases)) == set(survey_cases.KINDS)
    assert max(case.problem.x.shape[0] for case in cases) > 5000
    assert any(len(case.problem.mlp.layers) > 20 for case in cases)
    assert any({layer.width for layer in case.problem.mlp.layers} == {1} for case in cases)
    jax = {case.dtype for i, case in enumerate(cases) if i % survey_cases.EVERY == 0}
    assert jax == set(NUMBERS)


def summary_in(folder, seed=2):
    return json.loads((folder / f"false_alarms-{seed}.json").read_text("utf-8"))


def test_any_split_gives_the_same_summary(tmp_path, monkeypatch):
    monkeypatch.setattr(survey, "PIECE", 5)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    survey.survey(12, 2, tmp_path / "a", jobs=1, first=1)
    survey.survey(4, 2, tmp_path / "b", jobs=1, first=6)
    assert summary_in(tmp_path / "b")["missing"] == [[0, 6]]
    survey.survey(12, 2, tmp_path / "b", jobs=1, first=1)
    assert summary_in(tmp_path / "a") == summary_in(tmp_path / "b")
    assert summary_in(tmp_path / "a")["cases"] == 12


def test_the_totals_of_a_summary_are_consistent():
    found = survey.surveyed(2, CHEAP)
    summary = survey.summary_of([Piece(CHEAP.start, CHEAP.stop, found)], 2)
    assert sum(row["gradients"] for row in summary["rows"]) == summary["cases"] == len(CHEAP)
    for row in summary["rows"]:
        assert sum(row["outcomes"].values()) == row["gradients"]
    assert summary["false alarms"] == len(summary["alarms"])
    assert all(index in CHEAP for values in summary["largest"].values() for _, index in values.values())


def spoilt(monkeypatch, factor):
    honest = survey.case_of

    def case_of(seed, index):
        case = honest(seed, index)
        right = case.implementation.gradients

        def gradients(problem, name):
            return {k: np.asarray(v) * factor for k, v in right(problem, name).items()}

        return replace(case, implementation=replace(case.implementation, gradients=gradients))

    monkeypatch.setattr(survey, "case_of", case_of)


def naive_in(dtype):
    turns = survey_cases._TURNS
    return next(i for i in range(1, 200) if turns[i % len(turns)][0].name == "NumPy" and i % survey_cases.EVERY
                and turns[i % len(turns)][1] == dtype)  # fmt: skip


def test_a_wrong_gradient_among_them_is_an_alarm_that_can_be_run_again(monkeypatch, tmp_path):
    index = naive_in("float64")
    command = ["detection", "--false-alarms", "1", "--first", str(index), "--seed", "2", "--jobs", "1", "--results"]

    def run(folder):
        console = Console(file=io.StringIO(), width=200)
        return everything.main([*command, str(tmp_path / folder)], console=console), console.file.getvalue()

    status, text = run("right")
    assert status == 0, text
    spoilt(monkeypatch, 1 + 1e-3)
    status, text = run("spoilt")
    assert status == 1
    assert "1 correct gradients, 1 false alarms" in text
    (alarm,) = summary_in(tmp_path / "spoilt")["alarms"]
    assert alarm["again"] in text
    assert alarm["again"] == "python -m benchmarks " + " ".join(command[:7])


def test_statistics_of_a_verdict_are_kept_by_name(monkeypatch):
    honest = survey.judgement

    class WithStatistics:
        def __init__(self, verdict):
            self.verdict, self.statistics = verdict, {"projection": 0.25, "size": float("nan")}

        def __getattr__(self, name):
            return getattr(self.verdict, name)

    def judgement(*given):
        found = honest(*given)
        return replace(found, verdict=WithStatistics(found.verdict))

    monkeypatch.setattr(survey, "judgement", judgement)
    index = naive_in("float64")
    found = survey.surveyed(2, range(index, index + 1))
    assert found["largest"]["float64"]["statistic: projection"] == [0.25, index]
    assert "statistic: size" not in found["largest"]["float64"]


def test_what_rounding_buries_is_no_alarm_and_the_summary_says_how_many():
    counts = [["float32", "torch", "agrees", 7], ["float32", "torch", "buried", 2]]
    found = {"counts": counts, "deviations": {}, "largest": {}, "alarms": []}
    summary = survey.summary_of([Piece(0, 9, found)], 2)
    assert summary["false alarms"] == 0
    assert survey.lines_of(summary) == [
        "float32, torch: 9 gradients; 7 agrees, 2 buried",
        "seed 2: 9 correct gradients, 0 false alarms; 2 buried, as rounding is as large as the gradients there",
    ]


def test_a_library_that_is_not_installed_is_counted_apart(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    found = survey.surveyed(2, range(0, 1))
    assert found["counts"] == [["float64", "JAX", "refused", 1]]


def test_a_survey_that_is_stopped_says_so(monkeypatch, tmp_path):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(survey, "surveyed", stopped)
    console = Console(file=io.StringIO(), width=200)
    command = ["detection", "--false-alarms", "9", "--jobs", "1", "--results", str(tmp_path)]
    assert everything.main(command, console=console) == 130
    assert "seed 0: stopped after 0 correct gradients" in console.file.getvalue()
    assert summary_in(tmp_path, 0)["stopped"] is True


@pytest.mark.parametrize(
    "arguments",
    [["reuse", "--false-alarms", "9"], ["detection", "--false-alarms", "0"],
     ["detection", "--false-alarms", "9", "--first", "-1"]],
)  # fmt: skip
def test_bad_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        everything.main(arguments)
    assert ended.value.code == 2
    assert "false-alarms" in capsys.readouterr().err
