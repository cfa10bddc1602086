"""Rows and optimisers are compared, copied and pickled by the call that made them, and nothing in them changes."""

import copy
import json
import math
import pickle
import subprocess
import sys
from dataclasses import asdict, replace

import cloudpickle  # which joblib needs
import numpy as np
import pytest

import reference as ref
from reference import activations as act
from reference import losses
from reference import optimizers as opt
from reference.functions.recipe import ReadOnly, frozen
from reference.network.unchecked import changed

WEIGHTS = np.array([0.25, 0.75])
RECORDS = {
    "leaky_relu": act.leaky_relu(negative_slope=0.2),
    "softplus": act.softplus(2.0, threshold=math.inf),
    "huber": losses.huber(delta=2.0),
    "cross_entropy": losses.cross_entropy(weight=WEIGHTS, label_smoothing=0.1),
    "weights in a list": losses.bce(weight=[0.5, 1.5]),
    "gaussian_nll": losses.gaussian_nll(var=np.array([1.0, 2.0]), full=True),
    "adam": opt.adam(lr=0.02, betas=(0.8, 0.99)),
    "muon": opt.muon(lr=0.02, others=opt.adamw(lr=3e-4)),
    "lbfgs": opt.lbfgs(line_search_fn="strong_wolfe"),
}
OTHERS = {
    "leaky_relu": act.leaky_relu(negative_slope=0.3),
    "softplus": act.softplus(2.0),
    "huber": losses.huber(),
    "cross_entropy": losses.cross_entropy(weight=WEIGHTS[::-1], label_smoothing=0.1),
    "weights in a list": losses.bce(weight=[0.5, 1.25]),
    "gaussian_nll": losses.gaussian_nll(var=np.array([1.0, 2.5]), full=True),
    "adam": opt.adamw(lr=0.02, betas=(0.8, 0.99)),
    "muon": opt.muon(lr=0.02, others=opt.adamw(lr=2e-4)),
    "lbfgs": opt.lbfgs(),
}


def own_value(z):
    return z * z * z


def own_slope(z):
    return 3 * z * z


def own_curvature(z):
    return 6 * z


def own_row():
    return ref.Activation("cube", "z³", "a test", own_value, own_slope, own_curvature)


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("through", [lambda r: pickle.loads(pickle.dumps(r)), copy.copy, copy.deepcopy])
def test_a_record_comes_back_equal_and_unlike_another(name, through):
    record, other = through(RECORDS[name]), OTHERS[name]
    assert record == RECORDS[name]
    assert hash(record) == hash(RECORDS[name])
    assert record != other
    assert other != record


@pytest.mark.parametrize("table", [ref.ACTIVATIONS, ref.LOSSES])
def test_the_rows_of_the_tables_come_back_themselves(table):
    for row in table.values():
        assert pickle.loads(pickle.dumps(row)) is row


@pytest.mark.parametrize("name", opt.OPTIMIZERS)
def test_every_optimiser_comes_back(name):
    made = opt.OPTIMIZERS[name]()
    assert pickle.loads(pickle.dumps(made)) == made == opt.OPTIMIZERS[name]()


def test_what_came_back_computes_the_same():
    row = pickle.loads(pickle.dumps(RECORDS["leaky_relu"]))
    assert row.value(np.array([-1.0, 2.0])).tolist() == [-0.2, 2.0]
    y, t = np.array([[0.5, -1.0]]), np.array([1])
    loss = pickle.loads(pickle.dumps(RECORDS["cross_entropy"]))
    assert loss.gradient(y, t).tolist() == RECORDS["cross_entropy"].gradient(y, t).tolist()


def test_a_new_process_reads_it(tmp_path):
    """As multiprocessing's spawn does."""
    file = tmp_path / "records"
    file.write_bytes(pickle.dumps(RECORDS))
    program = f"import pickle; print(pickle.load(open({str(file)!r}, 'rb'))['leaky_relu'].parameters['negative_slope'])"
    assert (
        subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True).stdout == "0.2\n"
    )


def test_an_argument_left_out_is_its_default():
    assert act.leaky_relu() == act.leaky_relu(0.01) == act.leaky_relu(negative_slope=0.01)
    assert act.leaky_relu() != act.rrelu()


def test_a_changed_record_is_not_what_its_maker_made():
    """It would come back as the row that it was made from."""
    row = RECORDS["leaky_relu"]
    for other in (changed(row, value=np.tanh), replace(row, name="other")):
        assert other != row
        with pytest.raises(pickle.PicklingError, match=r"its (value|derivative) cannot be pickled"):
            pickle.dumps(other)
    assert replace(row) == row


def test_a_row_of_the_users_own_is_pickled_if_its_functions_are():
    again = pickle.loads(pickle.dumps(own_row()))
    assert again == own_row()
    assert again.value is own_value


@pytest.mark.parametrize("part", ["value", "textbook_value"])
def test_a_function_that_cannot_be_pickled_is_named(part):
    row = replace(own_row(), **{part: lambda z: z * z * z})
    with pytest.raises(pickle.PicklingError, match=f"activation 'cube': its {part} cannot be pickled .*top level"):
        pickle.dumps(row)


def test_what_pickles_lambdas_is_left_to_it():
    row = pickle.loads(cloudpickle.dumps(replace(own_row(), value=lambda z: z * z * z)))
    assert row.value(2.0) == 8.0
    assert pickle.loads(cloudpickle.dumps(RECORDS)) == RECORDS


def test_no_later_change_of_an_array_reaches_a_row():
    weight, var = np.array([1.0, 2.0]), np.array([1.0, 2.0])
    rows = losses.cross_entropy(weight=weight), losses.gaussian_nll(var=var)
    before = [row.value(np.array([[0.5, -1.0]]), t).tolist() for row, t in zip(rows, (np.array([1]), 0.0), strict=True)]
    weight[:], var[:] = 100.0, 100.0
    after = [row.value(np.array([[0.5, -1.0]]), t).tolist() for row, t in zip(rows, (np.array([1]), 0.0), strict=True)]
    assert after == before
    assert rows[0].parameters["weight"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("name", RECORDS)
def test_parameters_are_read_only(name):
    record = RECORDS[name]
    parameters = record.hyperparameters if isinstance(record, opt.Optimizer) else record.parameters
    with pytest.raises(TypeError, match="read-only"):
        parameters["lr"] = 1.0
    for value in parameters.values():
        assert type(value) not in (dict, list)
        assert not isinstance(value, np.ndarray) or not value.flags.writeable


@pytest.mark.parametrize(("make", "place"), [
    (lambda: losses.cross_entropy(weight=np.ma.masked_less(WEIGHTS, 0.5)), "cross_entropy: weight: a masked array"),
    (lambda: losses.gaussian_nll(var=np.ma.masked_less(WEIGHTS, 0.5)), "gaussian_nll: var: a masked array"),
])  # fmt: skip
def test_masked_weights_are_refused(make, place):
    with pytest.raises(TypeError, match=place):
        make()


def test_frozen():
    given = {"a": [1, {"b": np.ones(2)}], "c": (1.0, "x")}
    kept = frozen(given)
    given["a"][1]["b"][0] = 5.0
    assert kept["a"][1]["b"].tolist() == [1.0, 1.0]
    for again in (copy.copy(kept), copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))):
        assert again["c"] == (1.0, "x")
        assert type(again["a"][1]) is ReadOnly


@pytest.mark.parametrize("change", [
    lambda d: d.update(lr=1.0), lambda d: d.pop("lr"), lambda d: d.clear(), lambda d: d.setdefault("x", 1.0),
    lambda d: d.popitem(), lambda d: d.__ior__({"lr": 1.0}), lambda d: d.__delitem__("lr"),
])  # fmt: skip
def test_nothing_changes_parameters(change):
    parameters = opt.adam(lr=0.5).hyperparameters
    with pytest.raises(TypeError, match="read-only: make a dict of them"):
        change(parameters)
    assert (parameters["lr"], (parameters | {"lr": 1.0})["lr"]) == (0.5, 1.0)


def test_parameters_are_written_as_json_and_data():
    assert json.loads(json.dumps(act.leaky_relu(0.2).parameters)) == {"negative_slope": 0.2}
    assert asdict(act.leaky_relu(0.2))["parameters"] == {"negative_slope": 0.2}
