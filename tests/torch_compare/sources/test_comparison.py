"""Every source of gradients agrees with every other, on problems that hypothesis draws and shrinks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference as ref
import torch_compare as tc
from torch_compare.sources import campaign


@given(tc.problems(max_depth=8, max_width=16, max_batch=8), st.integers(0, 2**32))
@settings(max_examples=150)
def test_no_pair_of_sources_disagrees(problem, seed):
    for outcome in campaign.compare(problem, seed):
        assert outcome.verdict != "disagrees", outcome.text


@given(tc.problems(max_depth=100, max_width=6, max_batch=4, losses=("mse", "cross_entropy", "huber")))
@settings(max_examples=25)
def test_no_pair_of_sources_disagrees_in_deep_networks(problem):
    for outcome in campaign.compare(problem):
        assert outcome.verdict != "disagrees", outcome.text


@pytest.mark.parametrize("name", tc.SOURCES)
def test_every_source_makes_a_tree_of_the_same_shapes(name):
    mlp = ref.initialize([3, 4, 2], ["silu", "identity"], seed=1, bias=[True, False])
    rng = np.random.default_rng(2)
    problem = ref.Problem(mlp, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "huber")
    expected = ref.gradients(problem).leaves()
    found = tc.SOURCES[name](problem)
    assert {place: leaf.shape for place, leaf in found.leaves().items()} == {p: e.shape for p, e in expected.items()}
    assert found.layers[1].bias is None
    assert np.shape(found.loss) == ()


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
