"""The scripts of the lessons on linear layers, depth and outputs: at their smallest, and with what refutes them."""

import dataclasses
import io
import json
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import reference as ref
import torch_compare as tc
from benchmarks.claims import (
    depth_and_complexity,
    information_loss,
    line_pieces,
    linear_collapse,
    output_layer,
    polynomial,
)

SMALLEST = {
    linear_collapse: {"depths": (1, 3), "networks": 2},
    depth_and_complexity: {"depths": (1, 2, 4), "networks": 5},
    output_layer: {"steps": 200, "networks": 1},
    polynomial: {"depths": (1, 2, 3), "widths": (1, 2, 16), "networks": 3},
    information_loss: {"dimensions": (2, 5), "embeddings": 40, "bottlenecks": (2,), "networks": 3, "steps": 200},
}


def measured(module):
    return module.measure(quick=True, seed=0, **SMALLEST[module])


@pytest.mark.parametrize("module", [linear_collapse, depth_and_complexity, polynomial, output_layer, information_loss])
def test_a_script_shows_its_claim_and_writes_its_table_and_its_picture(module, monkeypatch, tmp_path):
    if module is output_layer:
        monkeypatch.setattr(output_layer, "DEPTH", 20)
    monkeypatch.setattr(module, "measure", partial(module.measure, **SMALLEST[module]))
    written = tmp_path / "r.json", tmp_path / "r.png"
    arguments = ["--quick", "--json", str(written[0]), "--plot", str(written[1])]
    found = module.main(arguments, Console(file=io.StringIO(), width=80))
    assert found.holds
    document = json.loads(written[0].read_text("utf-8"))
    assert document["claim"] == found.claim
    assert document["rows"][0].keys() >= found.columns.keys()
    assert written[1].read_bytes().startswith(b"\x89PNG")
    assert [word in module.__doc__ for word in ("Claim:", "Measured:", "Refuted by:")] == [True] * 3


# ── linear layers ────────────────────────────────────────────────────────────────────────────────────


def off_by_a_little(layer):
    return ref.Layer(layer.weight * (1 + 1e-12), layer.bias, layer.activation)


def without_bias(layer):
    return ref.Layer(layer.weight, None, layer.activation)


@pytest.mark.parametrize("spoil", [off_by_a_little, without_bias])
def test_a_collapsed_layer_that_is_off_refutes(spoil, monkeypatch):
    honest = ref.collapse
    monkeypatch.setattr(ref, "collapse", lambda mlp: spoil(honest(mlp)))
    found = measured(linear_collapse)
    assert not found.holds
    assert any(row["exact"] < row["networks"] for row in found.rows)
    assert found.figures["largest error of a collapsed network [σ]"] > linear_collapse.FACTOR


def test_a_collapse_that_refuses_nothing_refutes(monkeypatch):
    honest = ref.collapse

    def lenient(mlp):
        return honest(ref.MLP(tuple(ref.Layer(layer.weight, layer.bias, "identity") for layer in mlp.layers)))

    monkeypatch.setattr(ref, "collapse", lenient)
    found = measured(linear_collapse)
    assert [row["refused"] for row in found.rows] == [0, 0]
    assert not found.holds


def test_a_refusal_that_names_another_layer_refutes(monkeypatch):
    honest = ref.collapse

    def confused(mlp):
        try:
            return honest(mlp)
        except ValueError:
            raise ValueError("layers[7]: relu is not linear") from None

    monkeypatch.setattr(ref, "collapse", confused)
    assert not measured(linear_collapse).holds


def test_a_refused_network_that_does_not_bend_refutes(monkeypatch):
    monkeypatch.setattr(linear_collapse, "bend", lambda mlp, x: ref.forward(mlp, x).output * 0)
    assert not measured(linear_collapse).holds


# ── depth ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_counts_are_those_of_the_formulas():
    found = measured(depth_and_complexity)
    counts = {(row["kind"], row["depth"]): (row["least"], row["most"]) for row in found.rows}
    for depth in (1, 2, 4):
        assert counts[depth_and_complexity.LINEAR, depth] == (1, 1)
        assert counts[depth_and_complexity.SAWTOOTH, depth] == (8**depth, 8**depth)
        assert counts[depth_and_complexity.ONE_LAYER, depth] == (8 * depth + 1, 8 * depth + 1)


def test_a_counter_that_misses_a_breakpoint_refutes(monkeypatch):
    honest = line_pieces.breakpoints
    monkeypatch.setattr(line_pieces, "breakpoints", lambda *given, **named: honest(*given, **named)[1:])
    assert not measured(depth_and_complexity).holds


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
    assert not measured(depth_and_complexity).holds


# ── the output ───────────────────────────────────────────────────────────────────────────────────────


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
    assert not measured(output_layer).holds


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
    assert measured(output_layer).holds
    honest = tc.SOURCES["torch"]
    monkeypatch.setitem(tc.SOURCES, "torch", lambda p: honest(p).map(lambda leaf: leaf * (1 + 1e-9)))
    assert not measured(output_layer).holds


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
    assert not measured(output_layer).holds


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
    assert not measured(output_layer).holds
