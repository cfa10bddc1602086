"""The benchmark of reuse: its four methods give the gradients, its counts are the formulas', and what refutes it."""

from functools import partial

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.claims import reuse
from tests.benchmarks.helpers import PNG, run_script
from tests.helpers import exact_mlp, integers


def exact_problem(seed, widths, names):
    """A problem that float64 solves without a rounding error."""
    rng = np.random.default_rng(seed)
    mlp = exact_mlp(rng, widths, names)
    return ref.Problem(mlp, integers(rng, 3, widths[0]), integers(rng, 3, widths[-1]), "half_squared_error", "sum")


def assert_same_pairs(pairs, problem):
    for (d_weight, d_bias), layer in zip(pairs, ref.gradients(problem).layers, strict=True):
        np.testing.assert_array_equal(d_weight, layer.weight)
        np.testing.assert_array_equal(d_bias, layer.bias)


@pytest.mark.parametrize("method", list(reuse.METHODS))
@pytest.mark.parametrize("widths", [[1, 1], [2, 3, 1], [3, 2, 4, 2]])
def test_every_method_gives_the_gradients_exactly_where_nothing_rounds(method, widths):
    """The loss of a linear network is quadratic in each parameter: central differences are exact too."""
    problem = exact_problem(len(widths), widths, ["identity"] * (len(widths) - 1))
    assert_same_pairs(reuse.METHODS[method](problem), problem)


@pytest.mark.parametrize("method", ["each layer alone", "each parameter alone"])
def test_the_chain_rules_hold_for_non_linear_layers(method):
    problem = exact_problem(5, [3, 4, 3, 2], ["square", "relu", "hardtanh"])
    assert_same_pairs(reuse.METHODS[method](problem), problem)


@pytest.mark.parametrize("method", ["each layer alone", "each parameter alone"])
def test_the_chain_rules_agree_on_the_problem_that_is_timed(method):
    problem = reuse.square_problem(4, 5, seed=1)
    assert tc.check(problem, reuse.METHODS[method](problem)).status == "agrees"


def test_differencing_leaves_the_problem_as_it_was():
    problem = reuse.square_problem(2, 3, seed=0)
    before = [layer.weight.copy() for layer in problem.mlp.layers]
    reuse.by_differences(problem)
    for layer, weight in zip(problem.mlp.layers, before, strict=True):
        np.testing.assert_array_equal(layer.weight, weight)


@pytest.mark.parametrize(("depth", "width"), [(1, 2), (2, 4), (5, 3), (9, 2)])
def test_the_counted_products_are_those_of_the_formulas(depth, width):
    """In forward passes: 3 with reuse; 2 + (L − 1)/2 by layer; 1 + P(L − 1)/2L by parameter; 2P by differences."""
    problem = reuse.square_problem(depth, width, seed=0)
    one_pass = reuse.multiply_adds(reuse.forward_pass, problem)
    assert one_pass == depth * reuse.BATCH * width**2
    counts = {name: reuse.multiply_adds(f, problem) for name, f in reuse.METHODS.items()}
    parameters = problem.mlp.parameters
    assert counts["with reuse"] == 3 * one_pass
    assert 2 * counts["each layer alone"] == (4 + depth - 1) * one_pass
    assert 2 * depth * counts["each parameter alone"] == (2 * depth + parameters * (depth - 1)) * one_pass
    assert counts["central differences"] == 2 * parameters * one_pass


def test_the_report_shows_the_claim():
    found = reuse.measure(quick=True, seed=0, depths=(2, 3, 4), widths=(2, 3))
    assert found.holds
    assert {row["method"] for row in found.rows} == set(reuse.METHODS)
    assert found.figures["with reuse: products in passes ∝ depth^"] == 0
    assert found.figures["with reuse: products in passes ∝ parameters^"] == 0
    assert found.figures["central differences: products in passes ∝ parameters^"] == 1
    assert found.figures["each layer alone: products in passes ∝ depth^"] > 0


def test_a_method_that_only_pretends_to_reuse_refutes_the_claim(monkeypatch):
    monkeypatch.setitem(reuse.METHODS, "with reuse", reuse.each_layer_alone)
    assert not reuse.measure(quick=True, seed=0, depths=(2, 3), widths=(2, 3)).holds


def test_a_method_that_reuses_in_secret_refutes_the_claim(monkeypatch):
    monkeypatch.setitem(reuse.METHODS, "each layer alone", reuse.with_reuse)
    assert not reuse.measure(quick=True, seed=0, depths=(2, 3), widths=(2, 3)).holds


def test_the_script_writes_its_table_and_its_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(reuse, "measure", partial(reuse.measure, depths=(2, 3), widths=(2, 3)))
    ran = run_script(monkeypatch, tmp_path, "reuse", "--quick", "--seed", "3")
    assert ran.document["header"]["seed"] == "3"
    assert ran.document["claim"] == ran.report.claim
    assert ran.document["rows"][0].keys() >= ran.report.columns.keys()
    assert ran.picture.startswith(PNG)
