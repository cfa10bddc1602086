"""Variants side by side: what they give is what each gives by itself, bit for bit."""

import numpy as np
import pytest

import reference as ref
from reference.arithmetic.variants import Variants
from reference.network import graph

FEW = 3


def variants_of(rng, x):
    """Three variants of an array of numbers; what is none stays as it is, the same in all."""
    if not graph.has_gradient(np.asarray(x)):
        return x
    return Variants(np.asarray(x) + 2.0**-20 * rng.integers(-3, 4, (FEW, *np.shape(x))))


def of(x, k):
    """The k-th variant."""
    return x.data[min(k, len(x.data) - 1)] if isinstance(x, Variants) else x


@pytest.mark.parametrize("name", ref.operations.OPERATIONS)
def test_every_operation_gives_what_it_gives_by_itself(name):
    row, rng = ref.operations.OPERATIONS[name], np.random.default_rng(1)
    for probe in row.probes[:2]:
        given = [x if x is None or row.is_data(k) else variants_of(rng, x) for k, x in enumerate(probe)]
        with np.errstate(all="ignore"):
            made = row.value(*given)
            for k in range(FEW):
                alone = row.value(*(of(x, k) for x in given))
                pairs = zip(made, alone, strict=True) if isinstance(made, tuple) else [(made, alone)]
                for together, single in pairs:
                    np.testing.assert_array_equal(of(together, k), single)


def test_infinities_and_masks_stay_in_their_variant():
    z = Variants(np.array([[0.0, -np.inf], [1.0, 2.0]]))
    y = ref.operations.softmax().value(z)
    np.testing.assert_array_equal(y.data[0], [1.0, 0.0])
    assert (z > 0).data.tolist() == [[False, False], [True, True]]
    with pytest.raises(TypeError, match="take their data"):
        np.asarray(z)


def test_values_added_at_places_are_summed_in_each():
    found = Variants(np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])).added_at((2,), np.array([0, 1, 1]))
    assert found.data.tolist() == [[1.0, 6.0], [8.0, 48.0]]
