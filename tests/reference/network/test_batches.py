"""Gradients of batches that are gone through one by one: those of all examples, in bounded memory."""

import tracemalloc
from itertools import pairwise

import dask.array
import numpy as np
import pytest

import reference as ref
from reference.rounding.distance import FACTOR
from torch_compare.random_problems.targets import drawn_target

CUTS = {"one": (7,), "uneven": (1, 4, 2), "singles": (1,) * 7}


def cut(problem, sizes):
    """The examples of a problem in batches of these sizes."""
    ends = np.cumsum(sizes)
    return [(problem.x[e - n : e], problem.target[e - n : e]) for n, e in zip(sizes, ends, strict=True)]


@pytest.mark.parametrize("sizes", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", [*ref.LOSSES, "weighted", "ignoring"])
def test_they_are_those_of_the_whole_data_to_the_rounding_scale(loss, reduction, sizes):
    rng = np.random.default_rng(5)
    rows = {
        "weighted": ref.losses.cross_entropy(weight=[0.2, 3.0, 1.0, 0.5]),
        "ignoring": ref.losses.cross_entropy(ignore_index=1),
    }
    row = rows.get(loss) or ref.LOSSES[loss]
    last = "sigmoid" if row.domain_text != "any real number" else "identity"
    mlp = ref.initialize([3, 5, 4], ["gelu", last], seed=2)
    x = rng.normal(size=(7, 3))
    target = drawn_target(rng, row, ref.forward(mlp, x).output, np.dtype(float), kinks=False)
    problem = ref.Problem(mlp, x, target, row, reduction)
    expected, sigma = ref.gradients(problem, to_input=False).leaves(), ref.rounding_scale(problem).leaves()
    found = ref.gradients_of_batches(mlp, iter(cut(problem, sizes)), row, reduction).leaves()
    assert found.keys() == expected.keys()
    for place, leaf in found.items():
        assert np.all(np.abs(leaf - expected[place]) <= FACTOR * sigma[place]), place


def regression(examples, seed=3):
    rng = np.random.default_rng(seed)
    mlp = ref.initialize([20, 30, 5], ["tanh", "identity"], seed=0)
    return ref.Problem(mlp, rng.normal(size=(examples, 20)), rng.normal(size=(examples, 5)), "mse")


def test_a_network_of_operations_gives_the_gradients_of_its_parameters():
    problem = regression(6)
    network = ref.as_network(problem.mlp)
    found = ref.gradients_of_batches(network, cut(problem, (4, 2)), "mse").leaves()
    whole = problem.replace(network=network, x={network.inputs[0]: problem.x})
    sigma = ref.rounding_scale(whole).leaves()
    for place, leaf in ref.gradients(whole, to_input=False).leaves().items():
        assert np.all(np.abs(found[place] - leaf) <= FACTOR * sigma[place]), place


def test_many_small_terms_beside_a_large_one_are_not_lost():
    """2^24 and 256 ones: float32 adds one after the other to 2^24."""
    mlp = ref.MLP((ref.Layer(np.ones((1, 1), np.float32), None, "identity"),))
    x = np.ones((257, 1), np.float32)
    x[0] = 2.0**24
    batches = [(x[i : i + 1], np.ones((1, 1), np.float32)) for i in range(257)]
    found = ref.gradients_of_batches(mlp, batches, "inner_product", "sum").layers[0].weight
    assert found.dtype == np.float32
    assert found == 2.0**24 + 256


@pytest.mark.parametrize("signs", [(1, 1), (1, -1)], ids=["infinite", "undefined"])
def test_infinities_add_up_as_they_do_in_the_whole_data(signs):
    mlp = ref.MLP((ref.Layer(np.ones((1, 1)), None, "identity"),))
    x, target = np.array([[2.0**1023], [2.0**1023], [1.0]]), np.array([[4.0 * signs[0]], [4.0 * signs[1]], [1.0]])
    whole = ref.Problem(mlp, x, target, "inner_product", "sum")
    with np.errstate(all="ignore"):
        expected = ref.gradients(whole, to_input=False).leaves()
        found = ref.gradients_of_batches(mlp, cut(whole, (1, 1, 1)), "inner_product", "sum").leaves()
    assert not np.isfinite(expected["layers[0].weight"])
    for place, leaf in expected.items():
        np.testing.assert_array_equal(found[place], leaf)


def small(kind):
    """A network of one layer and its numbers of a type, 3000 examples of 2 features."""
    rng = np.random.default_rng(1)
    mlp = ref.MLP((ref.Layer(rng.normal(size=(2, 2)).astype(kind), None, "identity"),))
    return mlp, rng.normal(size=(3000, 2)).astype(kind), rng.integers(0, 2, 3000)


def test_the_weights_of_many_batches_are_added_up_without_loss():
    """float16 has 11 bits: half of a weight more is nothing beside 2048."""
    row = ref.losses.cross_entropy(weight=[0.75, 1.0])
    mlp, x, target = small(np.float16)
    cuts = [(x[a:b], target[a:b]) for a, b in pairwise((0, *range(2800, 3001)))]
    found = ref.gradients_of_batches(mlp, cuts, row)
    alone = [float(ref.loss_value(ref.Problem(mlp, *one, row, "sum"))) for one in cuts]
    assert found.loss.dtype == found.layers[0].weight.dtype == np.float16
    assert found.loss == np.float16(sum(alone) / np.where(target == 0, 0.75, 1.0).sum())


def test_a_sum_beyond_the_range_does_not_take_the_mean_with_it():
    mlp, x, _ = small(np.float16)
    cuts = [(x[i : i + 30], np.full((30, 2), 30, np.float16)) for i in range(0, 3000, 30)]
    found = ref.gradients_of_batches(mlp, cuts, "half_squared_error")
    assert np.isfinite(found.loss)
    assert 3000 * float(found.loss) > float(np.finfo(np.float16).max)


@pytest.mark.parametrize("where", [0, 1])
def test_what_is_beyond_all_range_is_infinite_as_of_the_whole(where):
    mlp, x, _ = small(float)
    target = np.zeros((2, 2))
    target[where] = 1e200
    with np.errstate(over="ignore"):
        found = ref.gradients_of_batches(mlp, [(x[:1], target[:1]), (x[1:2], target[1:])], "mse")
    assert found.loss == np.inf


@pytest.mark.parametrize("row", [{"ignore_index": 1}, {"weight": [1.0, 0.0]}], ids=str)
def test_targets_that_do_not_count_have_no_mean(row):
    mlp, x, _ = small(float)
    loss, ignored = ref.losses.cross_entropy(**row), np.ones(2, int)
    with pytest.raises(ValueError, match="has no mean"):
        ref.gradients_of_batches(mlp, [(x[:2], ignored)], loss)
    assert ref.gradients_of_batches(mlp, [(x[:2], ignored)], loss, "sum").loss == 0
    assert ref.gradients_of_batches(mlp, [(x[:2], ignored), (x[2:3], np.zeros(1, int))], loss).loss > 0


def test_one_batch_is_in_memory_at_a_time():
    def peak(count):
        made = regression(500)
        tracemalloc.start()
        try:
            ref.gradients_of_batches(made.mlp, ((made.x + k, made.target) for k in range(count)), "mse")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)  # what is made once
    assert peak(40) < peak(2) + regression(500).x.nbytes


def test_the_blocks_of_a_dask_array_are_batches():
    problem = regression(9)
    x, target = (dask.array.from_array(a, chunks=(4, -1)) for a in (problem.x, problem.target))
    found = ref.gradients_of_batches(problem.mlp, zip(x.blocks, target.blocks, strict=True), "mse").leaves()
    cuts = ref.gradients_of_batches(problem.mlp, cut(problem, (4, 4, 1)), "mse").leaves()
    for place, leaf in cuts.items():
        np.testing.assert_array_equal(found[place], leaf)


def test_what_does_not_fit_is_named_by_its_batch():
    problem = regression(4)
    good = cut(problem, (2, 2))
    with pytest.raises(ValueError, match=r"batch 1: x: expected shape \(N, 20\)"):
        ref.gradients_of_batches(problem.mlp, [good[0], (np.ones((2, 3)), good[1][1])], "mse")
    with pytest.raises(TypeError, match="batch 0: x: "):
        ref.gradients_of_batches(problem.mlp, [(problem.x.astype(np.float32), problem.target)], "mse")
    with pytest.raises(ValueError, match="batch 0: too many values to unpack"):
        ref.gradients_of_batches(problem.mlp, [(*good[0], 1)], "mse")
    with pytest.raises(ValueError, match="expected at least one"):
        ref.gradients_of_batches(problem.mlp, [], "mse")
    with pytest.raises(ValueError, match='expected "mean" or "sum", got \'none\''):
        ref.gradients_of_batches(problem.mlp, good, "mse", "none")
