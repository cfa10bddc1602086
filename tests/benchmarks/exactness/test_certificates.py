"""The benchmark of certificates: what it counts, what it times, and what refutes its claim. No time is judged."""

import dataclasses
import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.exactness import certificates
from benchmarks.harness.multiply_adds import multiply_adds
from tests.benchmarks.helpers import PNG, run_script
from tests.helpers import DTYPES

TINY = (3, 4, 4, 2)


@pytest.fixture
def tiny(monkeypatch):
    """Networks and products that take no time, within any budget."""
    monkeypatch.setattr(certificates, "SMALL", TINY)
    monkeypatch.setattr(certificates, "BUDGET", {TINY: (math.inf, math.inf), certificates.LARGE: (6.0, 4.0)})
    monkeypatch.setattr(certificates, "SMALL_BATCH", 2)
    monkeypatch.setattr(certificates, "PRODUCT", 3)


def measured(**changes):
    return certificates.measure(**({"quick": True, "seed": 0, "names": ("tanh", "relu")} | changes))


def certificate(**changes):
    row = {
        "method": "certificate",
        "status": "certified",
        "bits": "128",
        "seconds": 1.0,
        "memory": 1.0,
        "budget": (2, 3),
    }
    return row | changes


@pytest.mark.parametrize(("widths", "batch"), [(TINY, 2), (certificates.SMALL, certificates.SMALL_BATCH)])
def test_the_counted_products_are_one_pass_forward_and_two_back(widths, batch):
    problem = certificates.classifier(widths, batch, "tanh", seed=0)
    one_pass = batch * sum(i * o for i, o in pairwise(widths))
    assert multiply_adds(ref.gradients, problem) == one_pass + 2 * one_pass


def test_the_sizes_are_those_of_the_claim():
    sizes = [certificates.classifier(w, 1, "relu", seed=0).mlp.parameters for w in certificates.BUDGET]
    assert sizes == [8970, 784 * 1024 + 1024 + 1024 * 256 + 256 + 256 * 10 + 10]


@pytest.mark.parametrize("name", list(certificates.TEXTBOOK))
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_textbook_formulas_are_planted_and_right_where_nothing_cancels(name, dtype):
    problem = certificates.classifier(TINY, 5, name, seed=1, dtype=dtype)
    planted = certificates.with_textbook_formulas(problem)
    row = planted.mlp.layers[0].activation
    assert row.name == name
    assert row.derivative is certificates.TEXTBOOK[name][1]
    assert planted.mlp.layers[-1].activation is problem.mlp.layers[-1].activation
    found = ref.gradients(planted)
    assert all(leaf.dtype == dtype for leaf in found.leaves().values())
    assert tc.check(problem, found).status == "agrees"


def test_the_textbook_formulas_lose_the_tails():
    """At z = 20, 1 − tanh² is 0: it is another formula that is timed."""
    z = np.array([20.0])
    assert certificates.TEXTBOOK["tanh"][1](z) == 0 < ref.ACTIVATIONS["tanh"].derivative(z)


def test_the_table_holds_every_method_and_every_certificate_is_reached(tiny):
    found = measured()
    assert found.holds
    methods = {(row["function"], row["type"], row["method"]) for row in found.rows}
    assert methods == {
        *(("tanh", t, m) for t in ("float64", "float32") for m in ("ours", "textbook", "torch")),
        ("tanh", "float64", "certificate"), ("relu", "float64", "ours"), ("relu", "float64", "certificate"),
        ("product", "float64", "float64"), ("product", "arb", "arb_mat"), ("product", "arb", "object array"),
    }  # fmt: skip
    for row in found.rows:
        assert row["products"] == (27 if not row["parameters"] else 3 * 2 * (3 * 4 + 4 * 4 + 4 * 2))
        assert row["status"] == ("certified" if row["method"] == "certificate" else "")
        assert row["each"] == 1e9 * row["seconds"] / row["products"]
    assert sum("ours/" in name for name in found.figures) == 4
    assert found.figures["3-4-4-2, batch 2: parameters"] == 3 * 4 + 4 + 4 * 4 + 4 + 4 * 2 + 2
    assert found.figures["3-4-4-2, batch 2: multiply-adds, forward and backward"] == 3 * 2 * 36


@pytest.mark.parametrize("change", [{"status": "unresolved"}, {"bits": 512}])
def test_a_certificate_that_is_not_reached_at_once_refutes_the_claim(change, tiny, monkeypatch):
    honest = certificates.certified_gradients
    monkeypatch.setattr(certificates, "certified_gradients", lambda p: dataclasses.replace(honest(p), **change))
    assert not measured(names=("relu",)).holds


@pytest.mark.parametrize("change", [{"seconds": 2.5}, {"memory": 3.5}])
def test_a_budget_counts_only_where_time_is_judged(change):
    assert certificates.holds([certificate()], timed=True)
    assert certificates.holds([certificate(memory=math.nan)], timed=True)
    assert not certificates.holds([certificate(), certificate(**change)], timed=True)
    assert certificates.holds([certificate(**change)], timed=False)


def test_no_certificate_at_all_refutes_the_claim():
    assert not certificates.holds([], timed=False)


def test_the_script_writes_its_table_and_its_picture(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(certificates, "measure", partial(certificates.measure, names=("tanh",)))
    ran = run_script(monkeypatch, tmp_path, "certificates", "--quick", width=200)
    assert ran.document["claim"] == ran.report.claim
    assert ran.document["rows"][0].keys() >= ran.report.columns.keys()
    assert ran.document["rows"][0]["memory"] is None
    assert ran.picture.startswith(PNG)
