"""Every source of gradients agrees with every other, on problems that hypothesis draws and shrinks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference as ref
import torch_compare as tc
from reference.network.unchecked import changed
from reference.rounding.distance import FACTOR
from reference.rounding.scale import rounding_errors
from tests.torch_compare.sources.helpers import SPEC
from torch_compare.random_problems.spec import build
from torch_compare.sources import campaign, comparison


@given(tc.problems(max_depth=8, max_width=16, max_batch=8), st.integers(0, 2**32))
def test_no_pair_of_sources_disagrees(problem, seed):
    for outcome in campaign.compare(problem, seed):
        assert outcome.verdict != "disagrees", outcome.text


@given(tc.problems(max_depth=100, max_width=6, max_batch=4, losses=("mse", "cross_entropy", "huber")))
@settings(max_examples=10)
def test_no_pair_of_sources_disagrees_in_deep_networks(problem):
    for outcome in campaign.compare(problem):
        assert outcome.verdict != "disagrees", outcome.text


def test_a_wrong_row_makes_torch_and_the_differences_disagree():
    """The published sources are independent: a wrong derivative in the reference alone is outvoted."""
    from reference.network.unchecked import unchecked

    right = ref.ACTIVATIONS["tanh"]
    fields = {name: getattr(right, name) for name in right.__dataclass_fields__}
    wrong = unchecked(ref.Activation, **(fields | {"derivative": lambda z: right.derivative(z) * (1 + 1e-8)}))
    rng = np.random.default_rng(3)
    mlp = ref.MLP((ref.Layer(rng.normal(size=(4, 3)), None, wrong), ref.Layer(rng.normal(size=(2, 4)), None, right)))
    problem = ref.Problem(mlp, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "mse")
    verdicts = {o.pair: o.verdict for o in campaign.compare(problem)}
    assert verdicts["reference ~ torch"] == "disagrees"
    assert verdicts["reference ~ complex_step"] == "disagrees"
    assert verdicts["reference ~ central_difference"] == "disagrees"
    assert verdicts["torch ~ central_difference"] == "bar"


def test_a_broken_reference_is_caught_by_every_other_source(monkeypatch):
    right = ref.gradients

    def wrong(problem):
        g = right(problem)
        return g.map(lambda leaf: leaf * (1 + 1e-6))

    def leaves(problem):
        return wrong(problem).leaves()

    monkeypatch.setattr(comparison, "expected_leaves", leaves)
    verdicts = {o.pair: o.verdict for o in campaign.run_case(SPEC).outcomes}
    assert verdicts["reference ~ torch"] == "disagrees"
    assert verdicts["reference ~ central_difference"] == "disagrees"
    assert verdicts["reference ~ complex_step"] == "disagrees"
    assert verdicts["torch ~ central_difference"] == "bar"


# ── what an outcome says ─────────────────────────────────────────────────────────────────────────────


def few_numbers():
    """So few that differences judge every one of them."""
    mlp = ref.initialize([2, 2, 1], ["tanh", "identity"], seed=4)
    rng = np.random.default_rng(4)
    return ref.Problem(mlp, rng.normal(size=(3, 2)), rng.normal(size=(3, 1)), "mse")


def by_pair(problem):
    return {o.pair: o for o in comparison.compare(problem, certify=False)}


def test_sources_that_agree_have_an_error_in_scales_and_ulps_and_nothing_to_say():
    found = by_pair(few_numbers())
    assert found.keys() == {
        "reference ~ torch", "reference ~ central_difference", "torch ~ central_difference", "reference ~ complex_step",
    }  # fmt: skip
    for pair, outcome in found.items():
        assert outcome.verdict == ("bar" if pair.endswith("central_difference") else "accurate")
        assert 0 <= outcome.scales < (1 if outcome.verdict == "bar" else FACTOR)
        assert outcome.text == ""
    for pair in ("reference ~ central_difference", "torch ~ central_difference"):
        assert found[pair].scales > 0, "a difference is never exact on a tanh"
        assert found[pair].ulps >= 1


@pytest.mark.parametrize(
    ("place", "index"), [("layers[0].weight", (1, 0)), ("layers[1].bias", (0,)), ("input", (2, 1))]
)
def test_a_planted_error_is_named_by_its_place_in_scales_and_ulps(monkeypatch, place, index):
    """2^−20 of one element, in ulps of the expected number: 2^32 or 2^33, less what the difference is off by."""
    problem = few_numbers()
    right = comparison.torch_gradients

    def wrong(problem):
        found = right(problem)
        leaf = found.leaves()[place]
        leaf[index] *= 1 + 2.0**-20
        return found

    monkeypatch.setattr(comparison, "torch_gradients", wrong)
    found = by_pair(problem)
    for pair in ("reference ~ torch", "torch ~ central_difference"):
        outcome = found[pair]
        assert outcome.verdict == "disagrees"
        assert f"{place}{list(index)}: " in outcome.text
        assert outcome.scales > (1 if pair.endswith("central_difference") else FACTOR)
        assert 2.0**31 < outcome.ulps < 2.0**33
    for pair in ("reference ~ central_difference", "reference ~ complex_step"):
        assert found[pair].verdict in ("bar", "accurate")
        assert found[pair].text == ""


def test_a_step_that_is_wrong_is_named_by_its_place(monkeypatch):
    right = comparison.differences.complex_step

    def wrong(problem, **options):
        found = right(problem, **options)
        found.layers[0].bias[1] *= 1 + 2.0**-30
        return found

    monkeypatch.setattr(comparison.differences, "complex_step", wrong)
    outcome = by_pair(few_numbers())["reference ~ complex_step"]
    assert outcome.verdict == "disagrees"
    assert outcome.text.startswith("layers[0].bias[1]: given ")
    assert 2.0**21 <= outcome.ulps <= 2.0**23


def test_where_sources_have_the_same_numbers_the_error_is_0():
    """Behind a relu on its kink, whose gradients no difference judges, the loss alone is left: it is 1 exactly."""
    mlp = ref.MLP((ref.Layer(np.array([[1.0]]), None, "relu"),))
    problem = ref.Problem(mlp, np.array([[0.0]]), np.array([[1.0]]), "mse")
    for pair, outcome in by_pair(problem).items():
        assert outcome.verdict == ("bar" if pair.endswith("central_difference") else "accurate")
        assert (outcome.scales, outcome.ulps, outcome.text) == (0, 0, "")


@given(tc.networks(max_parts=5), st.integers(0, 2**32))
@settings(max_examples=60)
def test_no_pair_of_sources_disagrees_on_networks(problem, seed):
    for outcome in campaign.compare(problem, seed):
        assert outcome.verdict != "disagrees", outcome.text


CANCELLING = {
    "bce as the difference of its quotients": tc.NetworkSpec(
        seed=4025758197617933391, operation="bce", parts=9, loss="inner_product", reduction="sum", dtype="float32",
        features=("scales",),
    ),
    "a softmax whose gradient is rounding alone": tc.Spec(
        widths=(15, 27, 46, 3, 8), activations=("softmax", "softmax", "log_softmax", "softmax"), loss="l1", batch=6,
        seed=726892204971621510, reduction="sum", dtype="float64",
        features=("saturated", "dead", "zeros", "integers", "huge"), variants=True,
    ),
    "d − d(1 − y²) of examples that share z, but not d": tc.Spec(
        widths=(1, 1, 2, 2), activations=("tanhshrink",) * 3, loss="soft_margin", batch=2184, seed=9024325501157035561,
        reduction="mean", dtype="float32", features=("tiny", "huge"), variants=True,
    ),
}  # fmt: skip
"""Problems in which a customary formula loses digits that no scale allowed for, by what it loses them."""


@pytest.mark.parametrize("spec", CANCELLING.values(), ids=CANCELLING)
def test_what_customary_formulas_lose_is_no_disagreement(spec):
    for outcome in campaign.compare(campaign.problem_of(spec), certify=False):
        assert outcome.verdict != "disagrees", outcome.text


def test_every_source_judges_a_network():
    problem = tc.build_network(tc.NetworkSpec(seed=1, parts=2))
    outcomes = {outcome.pair: outcome.verdict for outcome in campaign.compare(problem)}
    assert set(outcomes.values()) <= {"accurate", "bar", "digits"}
    assert set(outcomes) >= {"reference ~ torch", "reference ~ complex_step", "reference ~ certified"}
    for source, gradients in tc.SOURCES.items():
        assert gradients(problem).leaves().keys() == problem.gradient_shapes().keys(), source


def test_a_wrong_row_of_a_network_is_outvoted():
    right = ref.OPERATIONS["matmul"]
    wrong = changed(right, pullback=lambda *given: tuple((1 + 1e-8) * d for d in right.pullback(*given)))
    rng = np.random.default_rng(3)
    network = ref.Network({"w": rng.normal(size=(3, 2))}, [ref.Step("h", wrong, "x", "w"), ref.Step("y", "tanh", "h")])
    problem = ref.Problem(network, rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), "mse")
    verdicts = {o.pair: o.verdict for o in campaign.compare(problem)}
    assert verdicts["reference ~ torch"] == "disagrees"
    assert verdicts["reference ~ complex_step"] == "disagrees"
    assert verdicts["reference ~ central_difference"] == "disagrees"
    assert verdicts["torch ~ central_difference"] == "bar"
    assert verdicts["certified ~ multiprecision_difference"] == "disagrees"


def saturated(bias):
    """torch's 1 − tanh² of float32 loses all digits behind 7 or so; the oracle's derivative loses none."""
    number = np.float32
    layers = (ref.Layer(np.ones((1, 1), number), np.array([bias], number), "tanh"),
              ref.Layer(np.array([[1.5]], number), np.array([0.25], number), "identity"))  # fmt: skip
    return ref.Problem(ref.MLP(layers), np.array([[0.3], [-0.2]], number), np.zeros((2, 1), number), "mse")


def test_the_customary_scale_says_the_same_if_it_is_measured_only_where_it_is_needed(monkeypatch):
    """What the accurate scale allows the wider one allows too: measured later, it changes no verdict."""
    honest, by_accurate = comparison._within_bar, []
    problems = [saturated(bias) for bias in (0.0, 3.0, 7.0, 7.5)]
    problems += [build(campaign.spec_of(11, case, "both")) for case in (0, 1, 3, 4)]  # the others are networks
    for problem in problems:
        lazy = {o.pair: o.verdict for o in comparison.compare(problem, 1, certify=False)}
        customary = dict(rounding_errors(problem, textbook=True, seed=1).sigma)

        def always_wider(pair, leaves, rounding, central, customary=customary):
            if pair == "torch ~ central_difference":
                by_accurate.append(honest(pair, leaves, rounding, central).verdict)
                rounding = comparison._wider(rounding, customary)
            return honest(pair, leaves, rounding, central)

        with monkeypatch.context() as patched:
            patched.setattr(comparison, "_within_bar", always_wider)
            eager = {o.pair: o.verdict for o in comparison.compare(problem, 1, certify=False)}
        assert lazy == eager
        assert "disagrees" not in lazy.values()
    assert {"bar", "disagrees"} <= set(by_accurate), "both ways are gone"


def test_what_cancels_on_the_way_forward_alone_is_the_complex_steps_rounding():
    """c₁ + c₂ is exact, c₁·∂y₁ + c₂·∂y₂ is not: the complex step stands at 200 ulps, which its own pass has lost."""
    network = ref.Network({"w": np.array([0.6182737165])}, [ref.Step("h", "tanh", "w"), ref.Step("y", "cat", "h", "h")],
                          inputs=())  # fmt: skip
    weights = np.array([0.3359865841495961, -0.3361169050754676])
    problem = ref.Problem(network, {}, weights, "inner_product", reduction="sum")
    assert by_pair(problem)["reference ~ complex_step"].verdict == "textbook"
    expected = ref.gradients(problem).leaves()
    scale = rounding_errors(problem).sigma
    wrong = {place: leaf * (1 + 1e-9) for place, leaf in expected.items()}
    outcome = comparison._against_complex_step(problem, wrong, scale, lambda: scale, 0)
    assert outcome.verdict == "disagrees"


@pytest.mark.parametrize(
    ("seed", "case"), [(2909174663, 13121), (2909174663, 8692), (2909174663, 916), (2909174663, 33856)]
)
def test_what_a_campaign_of_networks_found_is_no_disagreement(seed, case):
    """An infinite loss of torch's beside gradients that rounding leaves open; ε in a step; 1 − t in a step;
    a GRU whose 1 − z is lost."""
    found = campaign.run_case(campaign.spec_of(seed, case, "both", "networks"), certify=True)
    assert [outcome.text for outcome in found.outcomes if outcome.verdict == "disagrees"] == []
