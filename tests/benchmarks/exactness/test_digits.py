"""The benchmark on handwritten digits: every source agrees, and what refutes that."""

import dataclasses
from functools import partial

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.exactness import digits
from tests.benchmarks.helpers import PNG, run_script


@pytest.fixture
def few_digits(monkeypatch):
    """The benchmark on 40 of the digits."""
    monkeypatch.setattr(digits, "measure", partial(digits.measure, examples=40))


def measured():
    return digits.measure(quick=True, seed=0)


def test_every_source_agrees_on_the_digits(few_digits):
    found = measured()
    assert found.holds
    assert {row["source"] for row in found.rows} >= {"reference", "torch", "complex_step", "central_difference"}
    assert len({row["when"] for row in found.rows}) == 2
    start, trained = found.figures.values()
    assert trained < start


@pytest.mark.parametrize("source", ["torch", "reference"])
def test_a_source_that_is_off_refutes_the_claim(source, few_digits, monkeypatch):
    honest = tc.SOURCES[source]

    def off(problem):
        return honest(problem).map(lambda leaf: leaf * (1 + 1e-9))

    monkeypatch.setattr(tc, "SOURCES", {**tc.SOURCES, source: off})
    assert not measured().holds


def test_a_complex_step_that_is_off_refutes_the_claim(few_digits, monkeypatch):
    honest = digits.complex_step
    off = lambda problem, **rest: honest(problem, **rest).map(lambda leaf: leaf * (1 + 1e-9))  # noqa: E731
    monkeypatch.setattr(digits, "complex_step", off)
    assert not measured().holds


def test_a_difference_beyond_its_error_bars_refutes_the_claim(few_digits, monkeypatch):
    honest = digits.central_difference

    def off(problem, **rest):
        found = honest(problem, **rest)
        return dataclasses.replace(found, value=found.value.map(lambda leaf: leaf * 1.001))

    monkeypatch.setattr(digits, "central_difference", off)
    assert not measured().holds


@pytest.mark.parametrize("name", ["complex_step", "central_difference"])
def test_a_source_that_judges_nothing_refutes_the_claim(name, few_digits, monkeypatch):
    honest = getattr(digits, name)

    def silent(problem, **rest):
        found = honest(problem, **rest)
        nothing = ref.gradients(problem).map(lambda leaf: leaf * np.nan)
        return nothing if name == "complex_step" else dataclasses.replace(found, value=nothing)

    monkeypatch.setattr(digits, name, silent)
    assert not measured().holds


def test_the_whole_data_set_is_used_unless_told_otherwise():
    problem = digits.digits_problem(seed=0)
    assert problem.x.shape == (1797, 64)
    assert (problem.x.min(), problem.x.max()) == (0, 1)
    assert set(problem.target.tolist()) == set(range(10))


def test_the_script_writes_its_table_and_its_picture(few_digits, monkeypatch, tmp_path):
    ran = run_script(monkeypatch, tmp_path, "digits", "--quick", "--seed", "3")
    assert ran.document["header"]["seed"] == "3"
    assert ran.document["claim"] == ran.report.claim
    assert ran.document["rows"][0].keys() >= ran.report.columns.keys()
    assert ran.picture.startswith(PNG)
