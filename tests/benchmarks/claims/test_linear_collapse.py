"""The script on linear layers at its smallest: what it shows, and what refutes it."""

from functools import partial

import pytest

import reference as ref
from benchmarks.claims import linear_collapse
from tests.benchmarks.helpers import PNG, run_script

SMALLEST = {"depths": (1, 3), "networks": 2}


def measured():
    return linear_collapse.measure(quick=True, seed=0, **SMALLEST)


def test_the_script_shows_its_claim_and_writes_its_table_and_its_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(linear_collapse, "measure", partial(linear_collapse.measure, **SMALLEST))
    ran = run_script(monkeypatch, tmp_path, "linear_collapse", "--quick")
    assert ran.report.holds
    assert ran.status == 0
    assert ran.document["claim"] == ran.report.claim
    assert ran.document["rows"][0].keys() >= ran.report.columns.keys()
    assert ran.picture.startswith(PNG)
    assert [word in linear_collapse.__doc__ for word in ("Claim:", "Measured:", "Refuted by:")] == [True] * 3


def off_by_a_little(layer):
    return ref.Layer(layer.weight * (1 + 1e-12), layer.bias, layer.activation)


def without_bias(layer):
    return ref.Layer(layer.weight, None, layer.activation)


@pytest.mark.parametrize("spoil", [off_by_a_little, without_bias])
def test_a_collapsed_layer_that_is_off_refutes(spoil, monkeypatch):
    honest = ref.collapse
    monkeypatch.setattr(ref, "collapse", lambda mlp: spoil(honest(mlp)))
    found = measured()
    assert not found.holds
    assert any(row["exact"] < row["networks"] for row in found.rows)
    assert found.figures["largest error of a collapsed network [σ]"] > linear_collapse.FACTOR


def test_a_collapse_that_refuses_nothing_refutes(monkeypatch):
    honest = ref.collapse

    def lenient(mlp):
        return honest(ref.MLP(tuple(ref.Layer(layer.weight, layer.bias, "identity") for layer in mlp.layers)))

    monkeypatch.setattr(ref, "collapse", lenient)
    found = measured()
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
    assert not measured().holds


def test_a_refused_network_that_does_not_bend_refutes(monkeypatch):
    monkeypatch.setattr(linear_collapse, "bend", lambda mlp, x: ref.forward(mlp, x).output * 0)
    assert not measured().holds
