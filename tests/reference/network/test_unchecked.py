"""What was checked stays as it was: arrays are copies, read-only, also behind pickle and copy."""

import copy
import pickle

import numpy as np
import pytest

import reference as ref
from reference.arithmetic.ball import Ball
from reference.network.in_arithmetic import in_balls
from reference.network.mlp import kept_network

ROW = ref.activations.leaky_relu(negative_slope=0.2)
THROUGH = {"pickle": lambda p: pickle.loads(pickle.dumps(p)), "copy": copy.copy, "deepcopy": copy.deepcopy}


def given_arrays(dtype=np.float64, order="C"):
    rng = np.random.default_rng(0)
    shapes = {"weight": (3, 2), "bias": (3,), "x": (4, 2), "target": (4, 3)}
    return {name: np.array(rng.normal(size=shape), dtype=dtype, order=order) for name, shape in shapes.items()}


def problem_of(weight, bias, x, target, loss=None):
    return ref.Problem(ref.MLP((ref.Layer(weight, bias, ROW),)), x, target, loss or ref.losses.huber(delta=0.5))


@pytest.mark.parametrize("name", ["weight", "bias", "x", "target"])
def test_no_later_change_reaches_a_problem_and_nothing_is_locked(name):
    arrays = given_arrays()
    problem = problem_of(**arrays)
    before = {place: leaf.copy() for place, leaf in ref.gradients(problem).leaves().items()}
    assert arrays[name].flags.writeable
    arrays[name][...] = np.nan
    for place, leaf in ref.gradients(problem).leaves().items():
        np.testing.assert_array_equal(leaf, before[place])


def test_every_array_of_a_problem_is_read_only():
    for values in problem_of(**given_arrays()).arrays().values():
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0.0


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_order_in_memory_stays(order):
    assert problem_of(**given_arrays(order=order)).x.flags.f_contiguous == (order == "F")


def test_a_problem_on_a_network_that_an_optimiser_made_keeps_its_own():
    problem = problem_of(**given_arrays())
    adam = ref.optimizers.adam()
    moved, _ = adam.update(problem.mlp, ref.gradients(problem), adam.init(problem.mlp))
    later = ref.Problem(moved, problem.x, problem.target, "mse")
    before = later.mlp.layers[0].weight.copy()
    moved.layers[0].weight[...] = np.inf
    np.testing.assert_array_equal(later.mlp.layers[0].weight, before)
    assert kept_network(later.mlp) is later.mlp


def test_nothing_is_copied_on_the_way_to_gradients():
    problem = problem_of(**given_arrays())
    assert problem.replace(reduction="sum").x is problem.x
    assert problem.map(lambda values: values).mlp.layers[0].weight is problem.mlp.layers[0].weight


@pytest.mark.parametrize("through", THROUGH)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_problem_comes_back_equal_and_read_only(through, dtype):
    problem = problem_of(**given_arrays(dtype))
    again = THROUGH[through](problem)
    for place, values in problem.arrays().items():
        got = again.arrays()[place]
        assert (got.dtype, got.shape, got.flags.writeable) == (values.dtype, values.shape, False)
        np.testing.assert_array_equal(got, values)
    assert (again.loss, again.reduction, again.mlp.layers[0].activation) == (problem.loss, problem.reduction, ROW)
    for place, leaf in ref.gradients(problem).leaves().items():
        np.testing.assert_array_equal(ref.gradients(again)[place], leaf)


def test_a_copy_of_a_layer_does_not_lock_what_an_optimiser_made():
    layer = (
        ref.optimizers.sgd()
        .update(
            ref.MLP((ref.Layer(np.ones((1, 1)), None, "relu"),)),
            ref.Gradients((ref.LayerGradients(np.ones((1, 1)), None),), None),
            {"step": 0},
        )[0]
        .layers[0]
    )
    for copied in (copy.copy(layer), copy.deepcopy(layer)):
        assert copied.weight == layer.weight
    assert layer.weight.flags.writeable


def test_gradients_and_certificates_come_back():
    problem = problem_of(**given_arrays())
    for tree in (ref.gradients(problem), ref.certified_gradients(problem)):
        again = pickle.loads(pickle.dumps(tree))
        assert type(again) is type(tree)
        for place, leaf in tree.leaves().items():
            for part in ("lower", "upper", "nearest", "resolved") if hasattr(leaf, "nearest") else ("T",):
                np.testing.assert_array_equal(getattr(again.leaves()[place], part), getattr(leaf, part))
    assert (again.bits, again.status, again.kinks) == (tree.bits, tree.status, tree.kinks)


def test_a_problem_in_balls_comes_back():
    again = pickle.loads(pickle.dumps(in_balls(problem_of(**given_arrays()))))
    assert isinstance(again.x, Ball)
    assert again.x.bounds()[0].tolist() == given_arrays()["x"].tolist()


@pytest.mark.parametrize("name", ["weight", "bias", "x", "target"])
@pytest.mark.parametrize("listed", [False, True])
def test_masked_arrays_are_refused_by_name(name, listed):
    arrays = given_arrays()
    masked = np.ma.masked_less(arrays[name], 0.0)
    arrays[name] = list(masked) if listed and masked.ndim > 1 else masked
    with pytest.raises(TypeError, match=rf"^{name}(\[0\])?: a masked array, whose mask would be lost"):
        problem_of(**arrays)


def test_bfloat16_is_read_exactly():
    bfloat16 = pytest.importorskip("ml_dtypes", reason="an optional extra").bfloat16
    arrays = given_arrays()
    problem = problem_of(**{name: values.astype(bfloat16) for name, values in arrays.items()})
    assert problem.dtype == problem.target.dtype == np.float32
    for name, values in (("x", problem.x), ("target", problem.target), ("weight", problem.mlp.layers[0].weight)):
        np.testing.assert_array_equal(values, arrays[name].astype(bfloat16).astype(np.float64))


def test_a_loss_named_in_a_replacement_is_its_row():
    problem = problem_of(**given_arrays())
    assert problem.replace(loss="mse").loss is ref.LOSSES["mse"]
    assert ref.gradients(problem.replace(loss="mse")).loss > 0
    with pytest.raises(ValueError, match="loss: no row is named 'mes'"):
        problem.replace(loss="mes")
    with pytest.raises(TypeError, match="a problem has no los; it has network, x, target, loss, reduction"):
        problem.replace(los="mse")


@pytest.mark.parametrize("loss", [
    ref.losses.cross_entropy(weight=np.array([1.0, 0.0, 1.0])), ref.losses.nll(weight=np.array([1.0, 0.0, 1.0])),
], ids=["cross_entropy", "nll"])  # fmt: skip
def test_a_mean_over_nothing_is_refused(loss):
    arrays = given_arrays() | {"target": np.ones(4, dtype=int)}
    with pytest.raises(ValueError, match=r"target: the weights of its classes .* add up to 0, so .* has no mean"):
        problem_of(**arrays, loss=loss)


def test_layers_that_are_no_sequence():
    with pytest.raises(TypeError, match="layers: expected a sequence of Layers, got int"):
        ref.MLP(3)
    with pytest.raises(ValueError, match="layers: an MLP needs at least one layer, got none"):
        ref.MLP([])


@pytest.mark.parametrize("table", ["ACTIVATIONS", "LOSSES"])
def test_the_tables_are_read_only(table):
    with pytest.raises(TypeError, match="does not support item assignment"):
        getattr(ref, table)["relu"] = None
    with pytest.raises(TypeError, match="does not support item assignment"):
        ref.optimizers.OPTIMIZERS["sgd"] = None
