"""The script on the output layer at its smallest: its floor and its depth, and what refutes it."""

import dataclasses
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
import torch_compare as tc
from benchmarks.claims import output_layer
from tests.benchmarks.helpers import PNG, run_script

SMALLEST = {"steps": 200, "networks": 1}


def measured():
    return output_layer.measure(quick=True, seed=0, **SMALLEST)


def test_the_script_shows_its_claim_and_writes_its_table_and_its_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(output_layer, "DEPTH", 20)
    monkeypatch.setattr(output_layer, "measure", partial(output_layer.measure, **SMALLEST))
    ran = run_script(monkeypatch, tmp_path, "output_layer", "--quick")
    assert ran.report.holds
    assert ran.status == 0
    assert ran.document["claim"] == ran.report.claim
    assert ran.document["rows"][0].keys() >= ran.report.columns.keys()
    assert ran.picture.startswith(PNG)
    assert [word in output_layer.__doc__ for word in ("Claim:", "Measured:", "Refuted by:")] == [True] * 3


@pytest.fixture
def shallow(monkeypatch):
    monkeypatch.setattr(output_layer, "DEPTH", 4)
    monkeypatch.setattr(output_layer, "DEEP", {"tanh": "glorot_normal"})


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_a_hundred_layers_are_differentiated(name):
    problem = output_layer.deep_problem(name, seed=1)
    assert [layer.activation.name for layer in problem.mlp.layers] == [name] * 99 + ["identity"]
    assert tc.check(problem, tc.SOURCES["torch"](problem)).status == "agrees"
    assert all(np.any(layer.weight != 0) for layer in ref.gradients(problem).layers)


@given(seed=st.integers(0, 2**32 - 1), output=st.sampled_from(["tanh", "sigmoid"]))
def test_no_output_in_the_range_is_below_the_floor(seed, output):
    _, target = output_layer.data()
    rng = np.random.default_rng(seed)
    y = ref.ACTIVATIONS[output].value(np.where(rng.random() < 0.5, 40 * target, rng.normal(size=target.shape) * 4))
    assert np.mean((y - target) ** 2) >= output_layer.floor(target, output) > 0


@pytest.mark.parametrize(("output", "instead"), [("tanh", "identity"), ("sigmoid", "identity"), ("identity", "tanh")])
def test_an_output_that_is_another_refutes(output, instead, shallow, monkeypatch):
    honest = output_layer.fitted
    monkeypatch.setattr(output_layer, "fitted", lambda name, *rest: honest(instead if name == output else name, *rest))
    assert not measured().holds


@pytest.fixture
def fits_are_right(monkeypatch):
    """No training: networks whose losses are on the sides that the claim wants."""
    row = {"network": "", "torch": "", "certificate": "", "scales": 0.0, "curve": [0.0]}
    losses = {"identity": 0.001, "tanh": 0.5, "sigmoid": 1.5}
    monkeypatch.setattr(output_layer, "output_row", lambda output, *_: row | {
        "output": output, "least": losses[output], "most": losses[output],
        "floor": output_layer.floor(output_layer.data()[1], output),
    })  # fmt: skip


def test_deep_gradients_that_torch_contradicts_refute(shallow, fits_are_right, monkeypatch):
    assert measured().holds
    honest = tc.SOURCES["torch"]
    monkeypatch.setattr(tc, "SOURCES", {**tc.SOURCES, "torch": lambda p: honest(p).map(lambda leaf: leaf * (1 + 1e-9))})
    assert not measured().holds


@pytest.mark.parametrize("change", ["status", "leaf"])
def test_deep_gradients_that_the_certificate_contradicts_refute(change, shallow, fits_are_right, monkeypatch):
    honest = output_layer.certified_gradients

    def spoiled(problem):
        found = honest(problem)
        if change == "status":
            return dataclasses.replace(found, status="unresolved")
        return found.map(lambda leaf: dataclasses.replace(leaf, nearest=leaf.nearest * (1 + 1e-9)))

    monkeypatch.setattr(output_layer, "certified_gradients", spoiled)
    if change == "leaf":
        monkeypatch.setattr(output_layer, "certified_gradients", lambda p: _Certified(spoiled(p)))
    assert not measured().holds


class _Certified:
    """A spoiled tree that still says that it is certified."""

    status = "certified"

    def __init__(self, tree):
        self.map = tree.map


def test_deep_gradients_that_vanish_refute(shallow, fits_are_right, monkeypatch):
    honest = output_layer.deep_problem

    def dead(name, seed):
        problem = honest(name, seed)
        return problem.map(lambda values: values * 0)

    monkeypatch.setattr(output_layer, "deep_problem", dead)
    assert not measured().holds
