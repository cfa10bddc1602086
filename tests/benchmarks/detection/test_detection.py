"""The benchmark of detection: its peers say yes and no, its correct gradients are correct, what refutes its claim."""

import dataclasses
import io
import json
import math
from functools import partial

import numpy as np
import pytest
from rich.console import Console

import reference as ref
import torch_compare as tc
from benchmarks.detection import caught as detection_bank
from benchmarks.detection import checkers as detection_peers
from benchmarks.detection import detection
from benchmarks.detection import false_alarms as detection_correct
from benchmarks.detection import speed as detection_speed
from benchmarks.detection.checkers import CHECKERS, Checker
from benchmarks.implementations import correct_gradients
from benchmarks.implementations.correct_gradients import (
    IMPLEMENTATIONS,
    by_autograd,
    by_jax,
    by_numpy,
    by_torch,
    representable,
)
from benchmarks.wrong_gradients.bank import BANK
from torch_compare.diagnosis.diagnosis import Diagnosis

SIZES = detection.Sizes(
    whole_bank=False, seeds=1, gradients=2, peers_every=1, family=2, turns=1, slow_turns=1, large=1
)  # fmt: skip
TINY = (2, 3, 2)


def mutant_named(name):
    return next(i for i, mutant in enumerate(BANK) if mutant.name == name)


MUTANTS = (
    mutant_named("relative error in a layer's derivative, 1e-13, float64"),
    mutant_named("relative error in a layer's derivative, 1e-15, float64"),
    mutant_named("sign of every gradient"),
)


@pytest.fixture
def tiny(monkeypatch):
    """Networks that take no time, few implementations, no other process."""
    monkeypatch.setattr(detection.speed, "seconds", partial(detection_speed.seconds, widths=TINY))
    monkeypatch.setattr(detection.speed, "large_seconds", partial(detection_speed.large_seconds, widths=TINY))
    only = {name: IMPLEMENTATIONS[name] for name in ("torch", "NumPy, shuffled")}
    monkeypatch.setattr(detection_correct, "IMPLEMENTATIONS", only)


def measured(**changes):
    return detection.measure(**({"quick": True, "seed": 0, "sizes": SIZES, "jobs": 1, "mutants": MUTANTS} | changes))


# ── the peers ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda c: c.name)
def test_each_checker_passes_the_right_gradient_and_catches_a_wrong_one(checker):
    """One that could say only one of the two would make an empty comparison."""
    problem = network(0, widths=(3, 4, 2))
    right = naive_gradients(problem)
    for number in checker.formats:
        if number in ("float64", "float32"):
            mine = {k: v.astype(number) for k, v in right.items()} if number == "float32" else right
            held = representable(problem, number)
            mine = mine if number == "float64" else correct_gradients.by_reference(held, number)
            assert checker.passes(held, mine, number)
            wrong = {k: v if k == "loss" else v * v.dtype.type(1.25) for k, v in mine.items()}
            assert not checker.passes(held, wrong, number)


@pytest.mark.parametrize("place", ["layers[0].weight", "layers[1].bias", "input"])
@pytest.mark.parametrize("checker", CHECKERS, ids=lambda c: c.name)
def test_each_checker_sees_every_array(checker, place):
    problem = network(1, widths=(3, 4, 2))
    wrong = naive_gradients(problem)
    wrong[place] = wrong[place] + 1.0
    assert not checker.passes(problem, wrong, "float64")


def test_the_direction_that_autograd_draws_leaves_numpys_generator_alone():
    problem = network(0, widths=(2, 2))
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    checker = next(c for c in CHECKERS if c.name.startswith("autograd"))
    checker.passes(problem, naive_gradients(problem), "float64")
    assert np.random.random() == expected  # noqa: NPY002


# ── correct gradients ────────────────────────────────────────────────────────────────────────────────


def with_row(name, seed=0):
    """A network with an activation whose units lie on both sides of its kinks, and on none of them."""
    rng = np.random.default_rng(seed)
    row = ref.ACTIVATIONS[name]
    layers = (
        ref.Layer(rng.normal(size=(6, 3)), rng.normal(size=6), row),
        ref.Layer(rng.normal(size=(4, 6 // row.shrink)), None, "sigmoid"),
    )
    return ref.Problem(ref.MLP(layers), 2 * rng.normal(size=(5, 3)), rng.random((5, 4)), "mse")


@pytest.mark.parametrize("name", list(ref.ACTIVATIONS))
def test_every_activation_in_customary_formulas_has_the_oracles_derivative(name):
    problem = with_row(name)
    verdict = tc.check(problem, by_autograd(problem, "float64"))
    assert verdict.agrees, str(verdict)


@pytest.mark.parametrize("name", ["relu6", "leaky_relu", "elu", "hardswish", "glu", "softmin", "celu", "gelu_tanh"])
def test_jaxs_own_activations_have_the_oracles_derivative(name):
    problem = with_row(name)
    verdict = tc.check(problem, by_jax(problem, "float64")(problem))
    assert verdict.agrees, str(verdict)


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("name", list(ref.LOSSES))
def test_every_loss_in_customary_formulas_has_the_oracles_derivative(name, index):
    """The cases of one loss come round with other parameters and targets."""
    case = list(ref.LOSSES).index(name) + index * len(ref.LOSSES)
    problem = correct_gradients.random_problem(5, case, "float64", depth=3)
    assert problem.loss.name == name
    verdict = tc.check(problem, by_autograd(problem, "float64"))
    assert verdict.status in ("agrees", "another convention"), str(verdict)


@pytest.mark.parametrize("name", list(correct_gradients.NUMBERS))
def test_a_problem_is_made_of_numbers_that_the_format_holds(name):
    problem = correct_gradients.random_problem(0, 6, name)
    number = correct_gradients.NUMBERS[name]
    for values in (problem.x, *(layer.weight for layer in problem.mlp.layers)):
        assert values.dtype == np.float64
        np.testing.assert_array_equal(values.astype(number).astype(float), values)


def test_a_number_beyond_the_formats_range_is_refused():
    problem = network(0, widths=(2, 2))
    large = problem.map(lambda values: values * 1e6)
    with pytest.raises(ValueError, match="finite"):
        representable(large, "float16")


def test_the_members_of_a_family_share_their_structure_and_sizes():
    problem = with_row("tanh")
    members = correct_gradients.family(problem, 3, np.random.default_rng(0))
    assert len(members) == 3
    assert members[0] is problem
    for member in members[1:]:
        np.testing.assert_array_equal(np.abs(member.x), np.abs(problem.x))
        assert np.any(member.x != problem.x)


@pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16"])
def test_sums_in_another_order_and_torch_agree_in_every_format(name):
    problem = representable(network(2, widths=(5, 6, 3)), name)
    for leaves in (by_torch(problem, name), by_numpy(problem, name, np.random.default_rng(0))):
        verdict = tc.check(problem, leaves, name)
        assert verdict.agrees, str(verdict)


# ── what is excused, and what is not ─────────────────────────────────────────────────────────────────


def tally_of(problem, leaves, implementation="torch", name="float64"):
    tally = detection_correct.Tally()
    detection_correct.judged(tally, problem, leaves, implementation, name, "a test")
    return {outcome: count for outcome, count in tally.outcomes.items() if count}


def test_a_published_deviation_is_counted_apart_and_hides_nothing_else():
    problem = with_row("hardsigmoid")
    leaves = by_torch(problem, "float64")
    assert tally_of(problem, leaves) == {"deviation": 1}
    wrong = leaves | {"input": leaves["input"] * (1 + 1e-9)}
    assert tally_of(problem, wrong) == {"false alarm": 1}
    assert tally_of(problem, leaves, "JAX") == {"false alarm": 1}


def test_overflow_excuses_in_narrow_formats_only():
    problem = network(0, widths=(2, 2))
    huge = problem.map(lambda values: values * 2.0**9)
    missing = {k: np.full(np.shape(v), np.nan) for k, v in ref.gradients(huge).leaves().items()}
    assert tally_of(huge, missing, "JAX", "float16") == {"unresolved": 1}
    assert tally_of(huge, missing, "JAX", "float64") == {"false alarm": 1}


def test_another_convention_excuses_those_alone_who_have_one():
    layers = (ref.Layer(np.zeros((1, 2)), np.zeros(1), "relu"), ref.Layer(np.array([[3.0]]), None, "identity"))
    problem = ref.Problem(ref.MLP(layers), np.array([[2.0, 1.0]]), np.array([[1.0]]), "mse")
    leaves = by_autograd(problem, "float64")
    assert tally_of(problem, leaves, "autograd") == {"another convention": 1}
    assert tally_of(problem, leaves, "torch") == {"false alarm": 1}


# ── the bank ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_quick_bank_has_every_kind_and_place_and_size():
    quick = [BANK[i] for i in detection_bank.selected(quick=True)]
    assert len(detection_bank.selected(quick=False)) == len(BANK) >= 60
    assert {(m.kind, m.place) for m in quick} == {(m.kind, m.place) for m in BANK}
    assert {m.size for m in quick if m.kind == "relative error"} == {m.size for m in BANK if m.kind == "relative error"}


@pytest.mark.parametrize("size", [1e-3, 1e-9, 1e-13])
def test_what_is_planted_is_measured(size):
    mutant = BANK[mutant_named(f"relative error in a layer's derivative, {size:g}, float64")]
    assert detection_bank.planted(mutant, 0) == pytest.approx(size, rel=0.01)


def bank_row(**changes):
    row = {
        "kind": "relative error", "format": "float64", "size": 1e-3, "planted": 1e-3, "caught": True,
        "checker": CHECKERS[0].name, "seconds": 1.0, "mutant": "m",
    }  # fmt: skip
    return row | changes


def test_the_smallest_error_caught_is_that_below_which_one_passes():
    rows = [bank_row(size=10.0**-e, caught=e != 5) for e in range(1, 8)]
    assert detection_bank.smallest_caught(rows, "float64") == pytest.approx(1e-4)
    assert math.isnan(detection_bank.smallest_caught(rows, "float32"))
    assert detection_bank.share_caught([*rows, bank_row(caught=False)], "float64")[1e-3] == 0.5


def correct_row(**changes):
    return {"gradients": 5, "false alarm": 0, "peers": {}} | changes


def held(**changes):
    rows = [bank_row(checker=name) for name in detection.OURS]
    parts = {"rows": rows, "names": [{"right": True}], "implementations": [correct_row()]}
    return detection.holds(**(parts | changes))


def test_what_refutes_the_claim():
    assert held()
    both = [bank_row(checker=name) for name in detection.OURS]
    assert not held(rows=both[:1])  # the certified check has judged nothing
    assert not held(rows=[*both, bank_row(caught=False, planted=1e-13)])
    assert held(rows=[*both, bank_row(caught=False, planted=0.9e-13)])
    assert not held(rows=[*both, bank_row(caught=False, planted=1e-5, format="float32")])
    assert held(rows=[*both, bank_row(caught=False, planted=0.9e-5, format="float32")])
    assert held(rows=[*both, bank_row(caught=False, checker="SciPy check_grad")])
    assert not held(names=[])
    assert not held(names=[{"right": True}] * 9 + [{"right": False}])
    assert held(names=[{"right": True}] * 19 + [{"right": False}])
    assert not held(implementations=[])
    assert not held(implementations=[correct_row(), correct_row(gradients=0)])
    assert not held(implementations=[correct_row(), correct_row(**{"false alarm": 1})])
    certified = {"gradient-oracle, certified": {"given": 4, "alarms": 1}}
    assert not held(implementations=[correct_row(peers=certified)])


# ── the whole ────────────────────────────────────────────────────────────────────────────────────────


def test_the_report_at_its_smallest_holds_and_says_what_passed(tiny):
    found = measured()
    assert found.holds
    assert found.figures["correct gradients"] == 2 * 2 * 4 - found.figures.get("refused", 0)
    assert found.figures["gradient-oracle: missed below, by planted size"] == "float64 1e-15: 1"
    lines = {row["what"]: row for row in found.digest}
    assert set(found.columns) == {"what", *(c.name for c in CHECKERS)}
    assert lines["sign"] == {"what": "sign"} | {c.name: "1/1" for c in CHECKERS}
    assert lines["relative error"]["gradient-oracle"] == "1/2"
    assert lines["relative error"]["torch gradcheck, slow"] == "0/2"
    assert lines["false alarms"]["gradient-oracle"].startswith("0/")


def test_a_checker_that_always_agrees_refutes_the_claim(tiny, monkeypatch):
    blind = Checker(CHECKERS[0].name, lambda problem, leaves, name: True, CHECKERS[0].formats, whole=True)
    monkeypatch.setattr(detection_bank, "CHECKERS", (blind, *CHECKERS[1:2]))
    assert not measured().holds


def test_a_correct_gradient_that_is_called_wrong_refutes_the_claim(tiny, monkeypatch):
    """The implementation is off by a hundredth, which even bfloat16 shows; the benchmark takes it for correct."""

    def off(problem, name, order):
        return lambda p: {k: v * (1 + 1e-2) for k, v in by_torch(p, name).items()}

    monkeypatch.setattr(detection_correct, "IMPLEMENTATIONS", {"torch": off})
    found = measured()
    assert not found.holds
    assert found.figures["false alarms"] > 0
    assert any(name.startswith("false alarm: torch, ") for name in found.figures)


def test_a_diagnosis_that_names_nothing_refutes_the_claim(tiny, monkeypatch):
    honest = tc.check

    def mute(*arguments, **rest):
        verdict = honest(*arguments, **rest)
        return dataclasses.replace(verdict, diagnosis=Diagnosis(str(verdict.diagnosis)))

    monkeypatch.setattr(detection_bank.tc, "check", mute)
    assert not measured().holds


def test_the_networks_whose_time_is_taken_are_those_of_the_claim():
    sizes = [detection_speed.network(w, 1, 0).mlp.parameters for w in (detection_speed.SMALL, detection_speed.LARGE)]
    assert sizes == [8970, 784 * 1024 + 1024 + 1024 * 256 + 256 + 256 * 10 + 10]
    problem = detection_speed.network((3, 4, 2), 2, 0)
    assert detection_speed.gradcheck(problem, fast=True)()
    assert detection_speed.gradcheck(problem, fast=False)()


def test_the_script_writes_its_table_and_its_picture(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(detection, "measure", partial(detection.measure, sizes=SIZES, jobs=1, mutants=MUTANTS))
    written = tmp_path / "r.json", tmp_path / "r.png"
    arguments = ["--quick", "--json", str(written[0]), "--plot", str(written[1])]
    found = detection.main(arguments, Console(file=io.StringIO(), width=200))
    document = json.loads(written[0].read_text("utf-8"))
    assert document["claim"] == found.claim
    assert len(document["rows"]) == len(found.rows)
    assert written[1].read_bytes().startswith(b"\x89PNG")


def test_the_peers_defaults_are_theirs():
    """No tolerance of ours: SciPy has no limit, so its own documentation's is taken."""
    assert detection_peers.SCIPY_LIMIT == 1e-6
    assert [c.name for c in CHECKERS if c.whole] == [
        "gradient-oracle", "gradient-oracle, certified", "torch gradcheck, slow", "SciPy check_grad",
    ]  # fmt: skip
