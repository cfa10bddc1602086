"""Shared by the tests of the optimisers."""

import copy
import functools
import importlib
from itertools import combinations

import numpy as np
import pytest

from reference.arithmetic.formats import get_format
from torch_compare.trajectories.comparison import distance, follow
from torch_compare.trajectories.matrix import matrix_scales, matrix_trajectory

MODULES = {name: importlib.import_module(f"reference.optimizers.{name}") for name in ("adafactor", "muon")}
"""The modules: the package hands on the functions of these names."""
STEPS = 8
"""Of a random trajectory: momenta build up, and a fault of one step shows in the next ones at the latest."""


def frozen(array):
    array = np.array(array)
    array.setflags(write=False)
    return array


def steps(optimizer, params, grads):
    state = optimizer.init(params)
    for g in grads:
        params, state = optimizer.update(params, g, state)
    return params, state


@functools.cache
def judged(name):
    """Trajectories, ours along them, and σ."""
    paths = [matrix_trajectory(name, seed, STEPS) for seed in range(100, 116)]
    return [
        (path, follow(path.optimizer, path.params, path.grads), matrix_scales(path, seed=seed))
        for seed, path in enumerate(paths)
    ]


def worst(name, make):
    found = []
    for path, ours, scale in judged(name):
        hyperparameters = dict(path.optimizer.hyperparameters)
        if hyperparameters.get("ns_coefficients") == MODULES["muon"].NS_COEFFICIENTS:
            del hyperparameters["ns_coefficients"]
        with np.errstate(all="ignore"):
            theirs = follow(make(**hyperparameters), path.params, path.grads)
        found.append(distance(theirs, ours, scale, get_format(path.dtype))[0].scales)
    return np.nanmax(found)


def assert_every_option_and_type(drawn, names, always=()):
    """Each of the names is found, with one value at least that is not its default and, unless `always`, two in all."""
    drawn = list(drawn)
    assert {option.partition("[")[0] for option in drawn[0]} == {*names, "dtype"}
    for option in drawn[0]:
        found = {one[option] for one in drawn}
        assert len(found) > 1 or option in always, option
        assert found & {"other", "True", "float32"} or option == "adjust_lr_fn", option


def missing_pairs(drawn):
    """Values of two options that each occur, but not together; members of one pair may depend on each other."""
    found = {option: sorted({one[option] for one in drawn}) for option in drawn[0]}
    pairs = [
        {one: value, other: beside}
        for one, other in combinations(found, 2)
        if one.partition("[")[0] != other.partition("[")[0]
        for value in found[one]
        for beside in found[other]
    ]
    return [pair for pair in pairs if not any(pair.items() <= one.items() for one in drawn)]


def assert_real_numbers_only(make):
    """Parameters of complex numbers or integers are refused."""
    for dtype in (complex, int):
        with pytest.raises(TypeError, match="real floating numbers"):
            make().init([np.ones((2, 2), dtype=dtype)])


def assert_nothing_changes_type_or_in_place(make, dtype):
    """One step of a matrix: parameters and state keep their type, and what was given is as it was."""
    rng = np.random.default_rng(6)
    p, g = (frozen(rng.normal(size=(3, 2)).astype(dtype)) for _ in range(2))
    optimizer = make(lr=np.float64(0.1))
    state = optimizer.init([p])
    before = copy.deepcopy(state)
    (moved,), after = optimizer.update([p], [g], state)
    assert moved.dtype == p.dtype
    for key, slot in after.items():
        assert key == "step" or all(a is None or a.dtype == p.dtype for a in slot)
    assert state.keys() == before.keys()
    for key in state:
        np.testing.assert_equal(state[key], before[key])
