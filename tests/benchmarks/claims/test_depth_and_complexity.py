"""The script on depth at its smallest: its counts are those of the formulas, and what refutes it."""

from functools import partial

import pytest

from benchmarks.claims import depth_and_complexity, line_pieces
from tests.benchmarks.helpers import PNG, run_script

SMALLEST = {"depths": (1, 2, 4), "networks": 5}


def measured():
    return depth_and_complexity.measure(quick=True, seed=0, **SMALLEST)


def test_the_script_shows_its_claim_and_writes_its_table_and_its_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(depth_and_complexity, "measure", partial(depth_and_complexity.measure, **SMALLEST))
    ran = run_script(monkeypatch, tmp_path, "depth_and_complexity", "--quick")
    assert ran.report.holds
    assert ran.status == 0
    assert ran.document["claim"] == ran.report.claim
    assert ran.document["rows"][0].keys() >= ran.report.columns.keys()
    assert ran.picture.startswith(PNG)
    assert [word in depth_and_complexity.__doc__ for word in ("Claim:", "Measured:", "Refuted by:")] == [True] * 3


def test_the_counts_are_those_of_the_formulas():
    found = measured()
    counts = {(row["kind"], row["depth"]): (row["least"], row["most"]) for row in found.rows}
    for depth in (1, 2, 4):
        assert counts[depth_and_complexity.LINEAR, depth] == (1, 1)
        assert counts[depth_and_complexity.SAWTOOTH, depth] == (8**depth, 8**depth)
        assert counts[depth_and_complexity.ONE_LAYER, depth] == (8 * depth + 1, 8 * depth + 1)


def test_a_counter_that_misses_a_breakpoint_refutes(monkeypatch):
    honest = line_pieces.breakpoints
    monkeypatch.setattr(line_pieces, "breakpoints", lambda *given, **named: honest(*given, **named)[1:])
    assert not measured().holds


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        (depth_and_complexity.LINEAR, depth_and_complexity.RELU),
        (depth_and_complexity.RELU, depth_and_complexity.LINEAR),
        (depth_and_complexity.RELU, depth_and_complexity.HARDTANH),
        (depth_and_complexity.HARDTANH, depth_and_complexity.LINEAR),
        (depth_and_complexity.SAWTOOTH, depth_and_complexity.RELU),
        (depth_and_complexity.ONE_LAYER, depth_and_complexity.HARDTANH),
    ],
)
def test_networks_that_are_others_refute(name, instead, monkeypatch):
    swapped = depth_and_complexity.KINDS | {name: depth_and_complexity.KINDS[instead]}
    monkeypatch.setattr(depth_and_complexity, "KINDS", swapped)
    assert not measured().holds
