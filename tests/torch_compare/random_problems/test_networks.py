"""Random networks: each a pure function of its spec, and together they reach what networks are made of."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings

import reference as ref
from tests.helpers import assert_same
from torch_compare.random_problems.networks import NETWORK_FEATURES, NetworkSpec, build_network, network_spec
from torch_compare.random_problems.operations import names
from torch_compare.random_problems.strategies import network_specs, networks


def many(count, dtype="float64", **changes):
    specs = (network_spec(np.random.default_rng([1, case]), 2 * case + 1, dtype) for case in range(count))
    return [(spec, build_network(spec)) for spec in specs]


@cache
def problems():
    return many(150)


def test_the_same_spec_builds_the_same_problem():
    for spec, problem in problems()[:20]:
        again = build_network(spec)
        assert problem.leaves().keys() == again.leaves().keys()
        for place, leaf in problem.arrays().items():
            assert_same(again.arrays()[place], leaf, place)


def test_every_gradient_is_finite_and_every_array_of_the_type_asked_for():
    for spec, problem in [*problems(), *many(30, "float32")]:
        assert str(problem.dtype) == spec.dtype
        assert all(np.all(np.isfinite(leaf)) for leaf in ref.gradients(problem).leaves().values())


def test_networks_share_parameters_fan_out_and_broadcast():
    shared = fanned = broadcast = constants = 0
    for _, problem in problems():
        network = problem.network
        uses = Counter(name for step in network.steps for name in step.inputs if name is not None)
        shared += any(uses[name] > 1 for name in network.parameters)
        made = {name for step in network.steps for name in step.outputs}
        fanned += any(uses[name] > 1 for name in made)
        values = ref.network.graph.forward(network, problem.x).values
        for step in network.steps:
            if step.operation.name in ("add", "mul"):
                broadcast += len({np.shape(values[name]) for name in step.inputs}) > 1
        constants += bool(network.constants)
    assert min(shared, fanned, broadcast, constants) > 15


def test_networks_reach_lengths_of_1_and_several_inputs():
    sizes = [problem.x["x"].shape for _, problem in problems()]
    for axis in range(3):
        assert any(size[axis] == 1 for size in sizes)
        assert any(size[axis] > 2 for size in sizes)
    assert any(len(problem.x) > 1 for _, problem in problems())
    assert {problem.target.ndim for _, problem in problems()} >= {2, 3}


def test_masks_of_minus_infinity_occur():
    assert any(
        np.any(np.isneginf(c)) for _, p in problems() for c in p.network.constants.values() if c.dtype.kind == "f"
    )


@pytest.mark.parametrize("feature", NETWORK_FEATURES)
def test_features_occur(feature):
    assert any(feature in spec.features for spec, _ in problems())


def test_a_campaign_goes_round_all_operations_and_as_many_networks():
    everything = names()
    specs = [network_spec(np.random.default_rng([0, case]), case, "float64") for case in range(2 * len(everything))]
    assert [spec.operation for spec in specs[::2]] == list(everything)
    assert {spec.operation for spec in specs[1::2]} == {""}


def test_a_single_operation_has_an_upstream_gradient():
    problem = build_network(NetworkSpec(3, "matmul"))
    assert [step.operation.name for step in problem.network.steps] == ["matmul"]
    assert problem.loss.name == "inner_product"


def test_what_does_not_exist_is_refused():
    with pytest.raises((KeyError, ValueError), match="no_such"):
        build_network(NetworkSpec(3, "no_such"))
    with pytest.raises(ValueError, match="no_such"):
        build_network(NetworkSpec(3, loss="no_such"))


@settings(max_examples=20)
@given(networks(dtypes=("float32",), max_parts=2))
def test_the_strategy_gives_problems(problem):
    assert isinstance(problem.network, ref.Network)
    assert problem.dtype == np.float32


@settings(max_examples=20)
@given(network_specs(operations=("matmul", "add")))
def test_the_strategy_is_narrowed_to_operations(spec):
    assert spec.operation in ("matmul", "add")


@settings(max_examples=20)
@given(network_specs(operations=()))
def test_the_strategy_is_narrowed_to_networks(spec):
    assert spec.operation == ""


def test_the_lengths_of_a_product_do_not_depend_on_the_order_of_a_set():
    """A set of letters is in another order in every process: what is drawn in it makes another problem of the seed."""
    code = (
        "import numpy as np; from torch_compare.random_problems.operations import draw; "
        "print([[np.shape(x) for x in draw(np.random.default_rng([s, 4]), name)[1]] "
        "for name in ('bmm', 'mm', 'addmm', 'baddbmm') for s in range(8)])"
    )
    told = set()
    for hashes in ("1", "2"):
        given = os.environ | {"PYTHONHASHSEED": hashes}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=given)
        told.add(done.stdout)
    assert len(told) == 1
