"""The worst element: in its own units, of the gradients alone."""

import numpy as np
import pytest

import reference as ref
from benchmarks.harness.furthest import furthest


def tree(weight, bias=(0.0,), loss=1.0):
    layer = ref.LayerGradients(np.array([weight], float), None if bias is None else np.array(bias, float))
    return ref.Gradients((layer,), None, np.float64(loss))


@pytest.mark.parametrize(
    ("given", "worst"),
    [
        (tree([1.0, 2.0]), 0.0),
        (tree([1.5, 2.0]), 1.0),  # half off, in units of a half
        (tree([1.5, 2.5]), 2.0),  # the finer unit decides
        (tree([1.0, 2.0], bias=[-3.0]), 3.0),
        (tree([np.nan, 2.25]), 1.0),  # what is not given does not count
        (tree([np.nan, np.nan], bias=[np.nan]), 0.0),
        (tree([1.0, 2.0], bias=None), 0.0),
        (tree([1.0, 2.0], loss=9.0), 0.0),  # the loss is no gradient
        (tree([np.inf, 2.0]), np.inf),
    ],
)
def test_the_worst_element_counts_in_its_own_unit(given, worst):
    unit = tree([0.5, 0.25], bias=[1.0], loss=0.0)
    assert furthest(given, tree([1.0, 2.0]), unit) == worst


def test_where_the_unit_is_0_only_the_right_value_is_near():
    assert furthest(tree([1.0]), tree([1.0]), tree([0.0])) == 0
    assert furthest(tree([1.0 + 2**-52]), tree([1.0]), tree([0.0])) == np.inf


def test_a_leaf_without_a_counterpart_is_refused():
    with pytest.raises(KeyError, match="bias"):
        furthest(tree([1.0]), tree([1.0], bias=None), tree([1.0]))
