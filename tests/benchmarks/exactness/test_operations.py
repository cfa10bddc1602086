"""The atlas of operations: its hard inputs, its measures, and what refutes its claim."""

from functools import partial

import numpy as np
import pytest

import reference as ref
from benchmarks.exactness import operations
from benchmarks.exactness.hard_inputs import HARD, Edge
from benchmarks.exactness.operations import digits_lost, measure, measured, problem_of
from benchmarks.implementations import peer_operations
from benchmarks.implementations.peer_operations import jax_operation_gradients, jax_operations
from benchmarks.implementations.peers import HAS_JAX
from reference.arithmetic.formats import FORMATS
from reference.rounding.distance import FACTOR, worst_place
from tests.benchmarks.helpers import PNG, run_script
from tests.helpers import DTYPES

FEW = ("softmax", "vector_norm", "amax")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hard", HARD, ids=lambda hard: f"{hard.name}: {hard.what}")
def test_a_hard_case_is_finite_and_takes_the_rows_own_inputs(hard, dtype):
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        problem = problem_of(hard.row, hard.inputs(rng, Edge.of(dtype)), rng, dtype)
    assert problem.dtype == dtype
    assert all(np.isfinite(leaf).all() for leaf in problem.leaves().values())


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_edges_are_where_squares_leave_the_range(dtype):
    edge = Edge.of(dtype)
    with np.errstate(all="ignore"):
        assert np.isinf(dtype(edge.large) ** 2)
        assert dtype(edge.small) ** 2 == 0 < dtype(edge.small)


def test_ours_hold_and_torch_shows_its_losses():
    found = measure(quick=True, seed=0, chosen=FEW, draws=1)
    assert found.holds
    rows = {(row["operation"], row["inputs"], row["type"]): row for row in found.rows}
    assert rows["vector_norm", "squares overflow", "float64"]["torch: digits lost"] > 15
    assert rows["softmax", "one far ahead", "float32"]["torch: digits lost"] > 6
    assert rows["softmax", "one far ahead", "float32"]["torch [textbook σ]"] < FACTOR  # the textbook's own loss
    assert rows["amax", "ties", "float64"]["torch: digits lost"] == 0
    assert "vector_norm" in found.figures["torch: beyond the textbook scale"]


def test_an_error_beyond_the_scale_refutes_the_claim(monkeypatch):
    honest = operations.PEERS["ours"]

    def off(problem):
        return {place: leaf * (1 + 100 * np.finfo(leaf.dtype).eps) for place, leaf in honest(problem).items()}

    monkeypatch.setattr(operations, "PEERS", {**operations.PEERS, "ours": off})
    assert not measure(quick=True, seed=0, chosen=("softmax",), draws=1).holds


def test_a_peer_that_loses_nothing_refutes_the_claim(monkeypatch):
    monkeypatch.setattr(operations, "PEERS", dict.fromkeys(operations.PEERS, operations.PEERS["ours"]))
    assert not measure(quick=True, seed=0, chosen=("softmax",), draws=1).holds


def test_where_elements_tie_another_convention_is_no_error(monkeypatch):
    """torch hands a maximum's gradient of two equal elements on in halves; whole to the first is a convention too."""
    row = ref.operations.maximum()
    x, rng = np.array([1.0, 2.0]), np.random.default_rng(0)
    problem = problem_of(row, (x, x), rng, np.float64)
    d = np.asarray(problem.target)
    for name, error in (("whole", 0.0), ("half", 0.0), ("wrong", np.inf)):
        given = {"whole": (d, 0 * d), "half": (d / 2, d / 2), "wrong": (0.7 * d, 0.3 * d)}[name]
        leaves = dict(zip(("input", "other"), given, strict=True))
        monkeypatch.setattr(operations, "PEERS", {"torch": lambda _, leaves=leaves: leaves})
        scales = measured(problem)["torch [σ]"]
        assert scales == 0.0 if error == 0.0 else scales > FACTOR


def test_digits_are_lost_beyond_the_limit_alone_and_no_more_than_there_are():
    for scales, lost in ((1.0, 0.0), (FACTOR, 0.0), (1e4, 4.0), (np.inf, 53 * np.log10(2))):
        assert digits_lost({"type": "float64", "torch [σ]": scales}, "torch") == pytest.approx(lost)
    assert np.isnan(digits_lost({"type": "float64", "JAX [σ]": np.nan}, "JAX"))


@pytest.mark.skipif(not HAS_JAX, reason="JAX is not installed")
@pytest.mark.parametrize("name", sorted(jax_operations()))
def test_jaxs_operation_is_the_rows(name):
    """On one draw that JAX takes, within rounding: an entry of the table that is another function fails."""
    for _, _, problem in operations.cases((name,), 6, 5, np.float64):
        try:
            found = jax_operation_gradients(problem)
        except (TypeError, ValueError, NotImplementedError):
            continue
        if not found:
            continue
        sigma = ref.rounding_scale(problem, textbook=True).leaves()
        if worst_place(found, ref.gradients(problem).leaves(), sigma, FORMATS["float64"]).scales <= FACTOR:
            return
    raise AssertionError(f"JAX agrees on no draw of {name}")


def test_without_jax_its_columns_are_left_out_in_one_line(monkeypatch):
    monkeypatch.setattr(operations, "HAS_JAX", False)
    monkeypatch.setattr(peer_operations, "jax_operations", dict)
    found = measure(quick=True, seed=0, chosen=("vector_norm",), draws=1)
    assert not any("JAX" in column for column in found.columns)
    assert "not installed" in found.figures["JAX"]
    assert found.holds


def test_the_script_writes_its_table_and_its_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(operations, "measure", partial(measure, chosen=FEW, draws=1))
    ran = run_script(monkeypatch, tmp_path, "operations", "--quick", width=200)
    assert ran.document["claim"] == ran.report.claim
    assert ran.document["rows"][0].keys() >= ran.report.columns.keys()
    assert ran.picture.startswith(PNG)
