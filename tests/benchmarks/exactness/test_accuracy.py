"""The benchmark of accuracy: its points, its measures, and what refutes its claim."""

from functools import partial

import numpy as np
import pytest

import reference as ref
from benchmarks.exactness import accuracy
from benchmarks.exactness.accuracy import measure
from benchmarks.implementations import peers
from tests.benchmarks.helpers import PNG, run_script
from tests.helpers import DTYPES

FEW = ("tanh", "softsign", "hardtanh")


@pytest.mark.parametrize("name", ["gelu", "mish", "hardtanh", "square"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_points_reach_kinks_roots_tails_and_the_ends_of_the_range(name, dtype):
    z = accuracy.points(name, dtype, 5, np.random.default_rng(0))
    row = ref.ACTIVATIONS[name]
    assert z.dtype == dtype
    assert np.isfinite(z).all()
    assert not np.isin(z, np.array(row.all_breaks, dtype)).any()
    for at in row.all_breaks:
        assert {np.nextafter(dtype(at), dtype(side)) for side in (-9, 9)} <= set(z)
    assert np.abs(z[z != 0]).min() == np.finfo(dtype).smallest_subnormal
    assert np.abs(z).max() >= accuracy.FAR


def test_a_root_is_found_to_the_last_bit():
    """gelu″ = φ(z)(2 − z²): √2 lies between a found point and its neighbour."""
    roots = accuracy._roots(ref.ACTIVATIONS["gelu"], np.float64)
    assert any(abs(z - np.sqrt(2)) <= np.spacing(np.sqrt(2)) for z in roots)


def test_ours_hold_and_the_peers_show_their_losses():
    found = measure(quick=True, seed=0, names=FEW, depths=(1, 3))
    assert found.holds
    tanh = {(row["type"], row["order"]): row for row in found.rows if row["function"] == "tanh"}
    assert tanh["float64", "first derivative"]["torch"] > 1e10  # 1 − tanh² at |z| = 20
    networks = [row for row in found.rows if row["function"].startswith("network")]
    assert len(networks) == 2 * 2 * 2
    assert all(np.isfinite(row["ours"]) for row in networks)


def test_a_formula_that_loses_digits_refutes_the_claim(monkeypatch):
    honest = peers.ours

    def off(name, z):
        value, first, second = honest(name, z)
        return value, (first * (1 + 16 * np.finfo(z.dtype).eps)).astype(z.dtype), second

    monkeypatch.setitem(accuracy.PEERS, "ours", off)
    assert not measure(quick=True, seed=0, names=("tanh",), depths=()).holds


def test_without_jax_its_columns_are_left_out_in_one_line(monkeypatch):
    monkeypatch.setattr(accuracy, "HAS_JAX", False)
    monkeypatch.setattr(peers, "HAS_JAX", False)
    found = measure(quick=True, seed=0, names=("relu",), depths=(1,))
    assert "JAX" not in found.columns
    assert "not installed" in found.figures["JAX"]
    assert peers.jax_activations() == {}


def test_the_picture_s_title_is_what_the_figures_say():
    found = measure(quick=True, seed=0, names=("tanh",), depths=())
    worst = max(row["ours"] for row in found.rows)
    losing = sum(row["torch"] > accuracy.ULPS for row in found.rows)
    text = accuracy.message(found)
    assert f"within {worst:.1f} ulps" in text
    assert f"of 6 cases, errors exceed 4 ulps: torch's in {losing}, " in text + ", "


def test_the_script_writes_its_table_and_its_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(accuracy, "measure", partial(measure, names=FEW, depths=(1, 2)))
    ran = run_script(monkeypatch, tmp_path, "accuracy", "--quick", width=200)
    assert ran.document["claim"] == ran.report.claim
    assert ran.document["rows"][0].keys() >= ran.report.columns.keys()
    assert ran.picture.startswith(PNG)
