"""The bank of operations before every check: the bank's own, the checks', and what refutes the claim."""

from functools import partial

import numpy as np
import pytest

from benchmarks.detection import operation_mistakes
from benchmarks.detection.checkers import relative_error
from benchmarks.detection.operation_checkers import (
    CHECKERS,
    COMPUTED_IN,
    OURS,
    OperationChecker,
    Subject,
    stored,
)
from benchmarks.detection.operation_mistakes import CORRECT, FORMATS, holds, measure, of_kernel
from benchmarks.detection.power import GOALS
from benchmarks.wrong_gradients.operation_bank import KERNELS, leaves_of, mistakes
from tests.benchmarks.helpers import PNG, run_script

BY_NAME = {kernel.name: kernel for kernel in KERNELS}
FEW = tuple(BY_NAME[name] for name in ("layer_norm", "add"))
SMALL = 16


def subject_of(name, dtype):
    return Subject(BY_NAME[name].problem(0, SMALL, dtype), dtype)


def line(**changes):
    """A line of the summary."""
    return {"format": "float32", "checker": OURS, "let through": 0, "refused": 0} | changes


def lines(**changes):
    """A summary that bears the claim out, but for what is changed of this project's check in float32."""
    others = [line(checker=c.name, refused=1) for c in CHECKERS if c.name != OURS]
    return [line(**changes), line(format="bfloat16"), *others]


# ── the bank ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_every_kernel_has_mistakes_that_the_type_can_show(kernel):
    problem = kernel.problem(0, 32, "float32", np.float32)
    right = leaves_of(problem)
    shown = [t for t, wrong in mistakes(problem) if relative_error(wrong(problem), right) >= 1e-2]
    assert any(not title.startswith("factor") for title in shown) or kernel.name in ("gated block", "tril")
    assert sum(title.startswith("factor") for title in shown) >= 4


@pytest.mark.parametrize("name", FORMATS)
def test_a_kernels_numbers_are_those_of_its_type(name):
    problem = BY_NAME["layer_norm"].problem(0, SMALL, name)
    for leaf in (*problem.leaves().values(), problem.target):
        assert leaf.dtype == np.float64
        assert np.array_equal(stored({"x": leaf}, name)["x"].astype(float), leaf)


def test_a_branch_lost_is_in_the_bank():
    titles = {title for title, _ in mistakes(BY_NAME["residual block"].problem(0, SMALL, "float64"))}
    assert {"branch lost, x", "branch added twice, x"} <= titles


# ── the checks ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.name)
@pytest.mark.parametrize("name", ["layer_norm", "embedding", "residual block"])
def test_a_check_refuses_a_doubled_gradient_and_takes_the_right_ones(checker, name):
    for dtype in checker.formats:
        subject = subject_of(name, dtype)
        right = subject.eager if checker.name == "twice eager's error" else subject.wider
        right = stored(right, dtype)
        assert checker.passes(subject, right)
        first = next(iter(right))
        assert not checker.passes(subject, {**right, first: 2 * right[first]})


@pytest.mark.parametrize("what", CORRECT)
def test_correct_kernels_are_correct(what):
    """To the type's own precision: a naive formula that is another function fails."""
    for kernel in KERNELS:
        for name in ("float64", "float32"):
            problem = kernel.problem(1, SMALL, name, COMPUTED_IN[name])
            subject = Subject(kernel.problem(1, SMALL, name), name)
            found = CORRECT[what](subject, problem)
            for place, leaf in (found or {}).items():
                right = leaves_of(subject.problem)[place]
                assert np.linalg.norm(leaf - right) <= 1e3 * np.finfo(name).eps * (1 + np.linalg.norm(right)), kernel


# ── what refutes the claim ───────────────────────────────────────────────────────────────────────────


def test_the_claim_follows_from_the_summary():
    assert holds(lines())
    assert not holds(lines(refused=1))
    assert not holds(lines(**{"let through": 1}))
    assert holds([*lines()[:2], line(checker="allclose, 1e-2 and 1e-2")])  # one that errs on neither side is no rival
    assert not holds(lines()[2:])  # nothing was judged


def test_a_check_that_lets_everything_through_refutes_the_claim(monkeypatch):
    blind = OperationChecker(OURS, lambda subject, given: True, tuple(FORMATS))
    monkeypatch.setattr(operation_mistakes, "CHECKERS", (blind,))
    found = measure(quick=True, seed=0, kernels=FEW[1:], sizes=(SMALL,), jobs=1)
    assert not found.holds
    assert {row["let through [%]"] for row in found.digest} == {100.0}


def test_only_what_the_type_can_show_is_counted(monkeypatch):
    blind = OperationChecker(OURS, lambda subject, given: True, tuple(FORMATS))
    monkeypatch.setattr(operation_mistakes, "CHECKERS", (blind,))
    rows = of_kernel(BY_NAME["layer_norm"], SMALL, "bfloat16", 0, 1)
    assert all(row["planted"] >= GOALS["bfloat16"] for row in rows if row["wrong"])
    assert not any(row["what"].startswith("epsilon_left_out") for row in rows)
    assert {row["what"] for row in rows if not row["wrong"]} == set(CORRECT)


@pytest.mark.explore
def test_small_kernels_are_judged_right_and_customary_tolerances_err(monkeypatch):
    found = measure(quick=True, seed=0, kernels=FEW, sizes=(SMALL,), jobs=1)
    mine = [row for row in found.digest if row["checker"] == OURS]
    assert [(row["let through"], row["refused"]) for row in mine] == [(0, 0)] * len(FORMATS)
    loose = next(row for row in found.digest if (row["checker"], row["format"]) == ("2e-2 absolute", "float32"))
    assert loose["let through"] > 0


def test_the_script_writes_its_table_and_its_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(operation_mistakes, "measure", partial(measure, kernels=FEW[1:], sizes=(SMALL,), jobs=1))
    ran = run_script(monkeypatch, tmp_path, "operation_mistakes", "--quick", width=200)
    assert ran.document["claim"] == ran.report.claim
    assert ran.document["rows"][0].keys() >= ran.report.columns.keys()
    assert ran.picture.startswith(PNG)
