"""The summary of the last long campaign: its totals are consistent, and its disagreements are all listed."""

import json
from pathlib import Path

import pytest

import reference as ref
from torch_compare.sources.outcome import PAIRS

FOLDER = Path(__file__).parents[3] / "benchmarks" / "campaigns"


def inconsistent(data):
    """What in a report contradicts the rest of it."""
    ran = sum(end - first for ranges in data["ran"].values() for first, end in ranges)
    compared = data["pairs"]["reference ~ torch"]
    listed = dict.fromkeys(data["pairs"], 0)
    for case in data["disagreements"]:
        for outcome in case["outcomes"]:
            listed[outcome["pair"]] += outcome["verdict"] == "disagrees"
    checks = {
        "ran": ran == data["problems"],
        "losses": sum(data["losses"].values()) == data["problems"] and set(data["losses"]) == set(ref.LOSSES),
        "activations": set(data["activations"]) == set(ref.ACTIVATIONS),
        "pairs": set(data["pairs"]) == set(PAIRS),
        "compared": sum(compared[k] for k in ("cases", "not_judged", "unresolved", "deviations")) == data["problems"],
        "disagreements": all(listed[name] == tally["disagreements"] for name, tally in data["pairs"].items()),
        "more than all": all(
            tally["cases"] + tally["not_judged"] + tally["unresolved"] + tally["deviations"] <= data["problems"]
            for tally in data["pairs"].values()
        ),
    }
    return [name for name, right in checks.items() if not right]


@pytest.fixture(params=["verify", "networks"])
def report(request):
    return json.loads((FOLDER / f"{request.param}.json").read_text(encoding="utf-8"))


def test_its_totals_are_consistent(report):
    assert inconsistent(report) == []
    assert report["problems"] > 0
    assert report["networks"] == report["problems"] or not report.get("only")


def test_a_case_that_is_left_out_is_found(report):
    report["problems"] += 1
    assert inconsistent(report) == ["ran", "losses", "compared"]
    report["problems"] -= 1
    report["pairs"]["reference ~ torch"]["disagreements"] += 1
    assert inconsistent(report) == ["disagreements"]
