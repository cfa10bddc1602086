"""The benchmark of difference quotients: their orders, the shapes of its curves, and what refutes its claim."""

import pytest

from benchmarks.exactness import differences
from tests.benchmarks.helpers import PNG, run_script


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


def test_the_script_writes_its_table_and_its_picture(monkeypatch, tmp_path):
    ran = run_script(monkeypatch, tmp_path, "differences", "--quick", width=200)
    assert ran.document["claim"] == ran.report.claim
    assert ran.document["rows"][0].keys() >= ran.report.columns.keys()
    assert ran.picture.startswith(PNG)
