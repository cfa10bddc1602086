"""Every source of gradients makes the same tree."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from tests.torch_compare.sources.helpers import small_problem, undecidable


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


def test_sources_give_the_nearest_float64():
    problem = small_problem()
    certified = tc.SOURCES["certified"](problem)
    differences = tc.SOURCES["multiprecision_difference"](problem)
    for place, leaf in certified.leaves().items():
        assert leaf.dtype == np.float64
        np.testing.assert_array_equal(differences.leaves()[place], leaf)
    assert np.all(np.isnan(tc.SOURCES["certified"](undecidable()).layers[0].weight))
