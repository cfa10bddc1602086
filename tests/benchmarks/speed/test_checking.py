"""What a verdict costs: the table's columns, and what follows from it."""

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.speed import checking
from torch_compare.sources import campaign


def test_a_row_counts_in_gradients():
    row = checking.costs((2, 2, 1), 1, np.float32, 0, 1)
    assert row["parameters"] == 9
    assert row["check"] == pytest.approx(1e3 * row["seconds"] / row["gradients"])
    assert min(row["scale"], row["certified"]) > 0
    assert np.isnan(row["goal"])


def parameters(widths):
    return sum((i + 1) * o for i, o in pairwise(widths))


def test_the_goals_are_those_of_networks_that_are_measured():
    assert parameters(checking.LARGEST[0]) == max(checking.SECONDS)
    assert min(checking.SECONDS) in {parameters(widths) for widths, _ in checking.NETWORKS}


def test_a_check_beyond_its_goal_refutes_the_claim(monkeypatch):
    row = {"name": "one", "type": "float32", "seconds": 2.0, "goal": 3.0}
    monkeypatch.setattr(checking, "costs", lambda *given: dict(row))
    monkeypatch.setattr(checking, "rate", lambda *given: 1.0)
    monkeypatch.setattr(checking, "shares", lambda *given: {"torch": 0.5})
    assert checking.measure(True, 0).holds
    row["goal"] = 1.0
    found = checking.measure(True, 0)
    assert not found.holds
    assert "one, float32: 2 s" in found.figures["beyond their goals"]


def test_a_rate_is_that_of_the_campaigns_problems_and_no_part_takes_more_than_all():
    specs = [campaign.spec_of(5, case, "both") for case in range(checking.LOADING + 2)]
    assert checking.rate(specs) > 0
    parts = checking.shares(specs[:3])
    assert parts.keys() == checking.PARTS.keys()
    assert 0 < parts["noisy runs"] < sum(parts.values()) < 1
