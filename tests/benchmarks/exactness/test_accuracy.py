"""The benchmarks of accuracy and of differences: their points, their measures, and what refutes their claims."""

import io
import json
from functools import partial

import numpy as np
import pytest
from rich.console import Console

import reference as ref
from benchmarks.exactness import accuracy, differences
from benchmarks.exactness.accuracy import measure
from benchmarks.implementations import peers
from tests.helpers import DTYPES, ELEMENTWISE

FEW = ("tanh", "softsign", "hardtanh")


def quiet():
    return Console(file=io.StringIO(), width=200)


# ── accuracy ─────────────────────────────────────────────────────────────────────────────────────────


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


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_gives_value_and_two_derivatives_of_every_row(name, dtype):
    z = np.array([-1.75, -0.625, 0.375, 1.25], dtype)
    for given, expected in zip(peers.by_torch(name, z), peers.ours(name, z), strict=True):
        if given is None:
            assert name == "hardsigmoid"
            continue
        assert given.dtype == dtype
        # Formulas are compared here, not digits; torch holds the sixth of hardsigmoid in float32.
        step = np.finfo(np.float32 if name == "hardsigmoid" else dtype).eps
        assert np.max(np.abs(given - expected)) <= 64 * step


def test_without_jax_its_columns_are_left_out_in_one_line(monkeypatch):
    monkeypatch.setattr(accuracy, "HAS_JAX", False)
    monkeypatch.setattr(peers, "HAS_JAX", False)
    found = measure(quick=True, seed=0, names=("relu",), depths=(1,))
    assert "JAX" not in found.columns
    assert "not installed" in found.figures["JAX"]
    assert peers.jax_activations() == {}


# ── differences ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["forward", "central", "Richardson"])
def test_the_quotients_are_exact_for_the_powers_of_their_order(method):
    """h = 1: forward is exact for straight lines, central to degree 2, extrapolated to degree 4."""
    degree = {"forward": 1, "central": 2, "Richardson": 4}[method]
    for power in range(degree + 1):
        slope = differences.METHODS[method](lambda h, power=power: (2 + h) ** power, 1.0)
        assert slope == power * 2.0 ** (power - 1)


def test_the_curves_have_their_shapes():
    assert differences.measure(quick=True, seed=0).holds


@pytest.mark.parametrize("method", ["central", "Richardson", "complex step"])
def test_a_method_that_is_off_refutes_the_claim(method, monkeypatch):
    monkeypatch.setitem(differences.METHODS, method, differences.forward)
    if method == "complex step":
        monkeypatch.setitem(differences.METHODS, method, lambda loss, h: differences.complex_step(loss, h) * (1 + 1e-9))
    assert not differences.measure(quick=True, seed=0).holds


# ── the command lines ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("module", [accuracy, differences])
def test_a_script_writes_its_table_and_its_picture(module, monkeypatch, tmp_path):
    monkeypatch.setattr(accuracy, "measure", partial(measure, names=FEW, depths=(1, 2)))
    written = tmp_path / "r.json", tmp_path / "r.png"
    found = module.main(["--quick", "--json", str(written[0]), "--plot", str(written[1])], quiet())
    document = json.loads(written[0].read_text("utf-8"))
    assert document["claim"] == found.claim
    assert document["rows"][0].keys() >= found.columns.keys()
    assert written[1].read_bytes().startswith(b"\x89PNG")
