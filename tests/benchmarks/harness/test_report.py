"""Every benchmark at its smallest size: its methods compute what they say, its figures show the claim."""

import dataclasses
import io
import json
from functools import partial

import numpy as np
import pytest
from rich.console import Console

import reference as ref
import torch_compare as tc
from benchmarks import __main__ as everything
from benchmarks.claims import reuse
from benchmarks.exactness import accuracy, digits
from benchmarks.harness import report as harness
from tests.helpers import exact_mlp, integers


def quiet():
    return Console(file=io.StringIO(), width=80)


def exact_problem(seed, widths, names):
    """A problem that float64 solves without a rounding error."""
    rng = np.random.default_rng(seed)
    mlp = exact_mlp(rng, widths, names)
    return ref.Problem(mlp, integers(rng, 3, widths[0]), integers(rng, 3, widths[-1]), "half_squared_error", "sum")


def assert_same_pairs(pairs, problem):
    for (d_weight, d_bias), layer in zip(pairs, ref.gradients(problem).layers, strict=True):
        np.testing.assert_array_equal(d_weight, layer.weight)
        np.testing.assert_array_equal(d_bias, layer.bias)


# ── harness ──────────────────────────────────────────────────────────────────────────────────────────


def report(**changes):
    fields = {
        "question": "?", "claim": "c", "refuted_by": "r", "columns": {"name": "name", "size": "size [s]"},
        "rows": [{"name": "a", "size": float("nan")}, {"name": "b", "size": 1234}], "figures": {"f": 2.0},
    }  # fmt: skip
    return harness.Report(**(fields | changes))


def test_the_header_says_machine_versions_threads_and_seed():
    head = harness.header(7)
    assert list(head) == ["machine", "python", "numpy", "scipy", "torch", "threads", "seed"]
    assert head["numpy"] == np.__version__
    assert head["seed"] == "7"
    assert all(head.values())


def test_the_pieces_of_work_take_turns():
    turns = []
    pieces = {name: partial(turns.append, name) for name in "ab"}
    medians = harness.interleaved_medians(pieces, repetitions=3, least=0.0)
    assert turns == ["a", "b"] * 4  # one warm-up turn
    assert all(seconds >= 0 for seconds in medians.values())


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 1.0, 2.5])
def test_growth_finds_the_exponent_of_a_power(exponent):
    x = 2.0 ** np.arange(6)
    assert round(harness.growth(list(x), list(3 * x**exponent)), 9) == exponent


def test_json_holds_header_claim_and_table_and_no_nan(tmp_path):
    harness.write_json(report(), {"seed": "0"}, tmp_path / "new" / "r.json")
    document = json.loads((tmp_path / "new" / "r.json").read_text("utf-8"))
    assert document["header"] == {"seed": "0"}
    assert document["claim"] == "c"
    assert document["rows"] == [{"name": "a", "size": None}, {"name": "b", "size": 1234}]


@pytest.mark.parametrize(("holds", "text"), [(True, "The claim holds."), (False, "The claim is refuted.")])
def test_the_table_is_printed_with_the_outcome(holds, text):
    console = quiet()
    harness.show(report(holds=holds), {"seed": "0"}, console)
    printed = console.file.getvalue()
    assert text in printed
    assert "size [s]" in printed
    assert "1,234" in printed


# ── reuse ────────────────────────────────────────────────────────────────────────────────────────────


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


# ── digits ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def few_digits(monkeypatch):
    """The benchmark on 40 of the digits."""
    monkeypatch.setattr(digits, "measure", partial(digits.measure, examples=40))


def measured():
    return digits.measure(quick=True, seed=0)


def test_every_source_agrees_on_the_digits(few_digits):
    found = measured()
    assert found.holds
    assert {row["source"] for row in found.rows} >= {"reference", "torch", "complex_step", "central_difference"}
    assert len({row["when"] for row in found.rows}) == 2
    start, trained = found.figures.values()
    assert trained < start


@pytest.mark.parametrize("source", ["torch", "reference"])
def test_a_source_that_is_off_refutes_the_claim(source, few_digits, monkeypatch):
    honest = tc.SOURCES[source]

    def off(problem):
        return honest(problem).map(lambda leaf: leaf * (1 + 1e-9))

    monkeypatch.setitem(tc.SOURCES, source, off)
    assert not measured().holds


def test_a_complex_step_that_is_off_refutes_the_claim(few_digits, monkeypatch):
    honest = digits.complex_step
    off = lambda problem, **rest: honest(problem, **rest).map(lambda leaf: leaf * (1 + 1e-9))  # noqa: E731
    monkeypatch.setattr(digits, "complex_step", off)
    assert not measured().holds


def test_a_difference_beyond_its_error_bars_refutes_the_claim(few_digits, monkeypatch):
    honest = digits.central_difference

    def off(problem, **rest):
        found = honest(problem, **rest)
        return dataclasses.replace(found, value=found.value.map(lambda leaf: leaf * 1.001))

    monkeypatch.setattr(digits, "central_difference", off)
    assert not measured().holds


@pytest.mark.parametrize("name", ["complex_step", "central_difference"])
def test_a_source_that_judges_nothing_refutes_the_claim(name, few_digits, monkeypatch):
    honest = getattr(digits, name)

    def silent(problem, **rest):
        found = honest(problem, **rest)
        nothing = ref.gradients(problem).map(lambda leaf: leaf * np.nan)
        return nothing if name == "complex_step" else dataclasses.replace(found, value=nothing)

    monkeypatch.setattr(digits, name, silent)
    assert not measured().holds


def test_the_whole_data_set_is_used_unless_told_otherwise():
    problem = digits.digits_problem(seed=0)
    assert problem.x.shape == (1797, 64)
    assert (problem.x.min(), problem.x.max()) == (0, 1)
    assert set(problem.target.tolist()) == set(range(10))


# ── the command lines ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("module", [reuse, digits])
def test_a_script_writes_its_table_and_its_picture(module, few_digits, monkeypatch, tmp_path):
    monkeypatch.setattr(reuse, "measure", partial(reuse.measure, depths=(2, 3), widths=(2, 3)))
    written = tmp_path / "r.json", tmp_path / "r.png"
    found = module.main(["--quick", "--seed", "3", "--json", str(written[0]), "--plot", str(written[1])], quiet())
    document = json.loads(written[0].read_text("utf-8"))
    assert document["header"]["seed"] == "3"
    assert document["claim"] == found.claim
    assert document["rows"][0].keys() >= found.columns.keys()
    assert written[1].read_bytes().startswith(b"\x89PNG")


def test_they_run_together_and_say_what_they_wrote(few_digits, monkeypatch, tmp_path):
    monkeypatch.setattr(reuse, "measure", partial(reuse.measure, depths=(2, 3), widths=(2, 3)))
    monkeypatch.setattr(accuracy, "measure", partial(accuracy.measure, names=("tanh",), depths=(1,)))
    console = quiet()
    names = ("reuse", "digits", "accuracy")
    assert everything.main(names, tmp_path, console) == 0
    for name in names:
        assert (tmp_path / f"{name}.json").exists()
        assert (tmp_path / f"{name}.png").exists()
        assert f"{name}.png" in console.file.getvalue()
