"""Random problems reach what they promise."""

from collections import Counter

import numpy as np
import pytest

import reference as ref
from torch_compare import build
from torch_compare.random_problems.spec import FEATURES, MAX_BATCH, MAX_DEPTH, MAX_WIDTH, Spec, random_spec


def campaign_specs(cases, dtype="float64", seed=11):
    return [random_spec(np.random.default_rng([seed, case]), case, dtype) for case in range(cases)]


@pytest.fixture(scope="module")
def many():
    return [(spec, build(spec)) for spec in campaign_specs(700)]


def test_every_activation_and_loss_comes_round(many):
    seen = Counter(name for spec, _ in many for name in set(spec.activations))
    losses = Counter(spec.loss for spec, _ in many)
    assert set(seen) == set(ref.ACTIVATIONS)
    assert set(losses) == set(ref.LOSSES)
    assert min(losses.values()) >= 700 // len(ref.LOSSES)


def test_every_number_is_finite(many):
    for spec, problem in many:
        found = ref.gradients(problem)
        assert all(np.all(np.isfinite(leaf)) for leaf in found.leaves().values()), spec


def test_the_extremes_of_structure_are_reached(many):
    structures = [spec for spec, _ in many]
    assert any(len(s.activations) == 1 for s in structures)
    assert any(len(s.activations) > 50 for s in structures)
    assert any(max(s.widths) > 55 for s in structures)
    assert any(s.batch == 1 for s in structures)
    assert any(s.batch > 25 for s in structures)
    assert any(1 in s.widths[1:-1] for s in structures)
    assert any(s.biases and not all(s.biases) for s in structures)
    assert {s.reduction for s in structures} == {"mean", "sum"}
    assert {f for s in structures for f in s.features} == set(FEATURES)
    assert max(len(s.activations) for s in structures) <= MAX_DEPTH
    assert max(max(s.widths) for s in structures) <= MAX_WIDTH
    assert max(s.batch for s in structures) <= MAX_BATCH


def test_the_numbers_reach_what_the_features_name(many):
    kinks, saturated, dead, zero_weights, tiny, huge, minus_zero, parameters = 0, 0, 0, 0, 0, 0, 0, 0
    for _, problem in many:
        trace = ref.forward(problem.mlp, problem.x)
        minus_zero += bool(np.any((problem.x == 0) & np.signbit(problem.x)))
        for layer, z in zip(problem.mlp.layers, trace.preactivations, strict=True):
            row = layer.activation
            kinks += any(np.any(z == kink.at) for kink in row.kinks)
            saturated += row.name in ("tanh", "sigmoid") and bool(np.any(np.abs(z) > 20))
            dead += row.name == "relu" and bool(np.any(np.all(z < 0, axis=0)))
            zero_weights += bool(np.any(layer.weight == 0))
            size = np.max(np.abs(layer.weight))
            tiny += 0 < size < 1e-6
            huge += size > 30
            parameters += bool(row.parameters) and row.parameters != ref.ACTIVATIONS[row.name].parameters
    assert min(kinks, saturated, dead, zero_weights, tiny, huge, minus_zero, parameters) >= 5


def test_building_is_deterministic():
    for spec in campaign_specs(30):
        a, b = build(spec), build(spec)
        assert np.array_equal(a.x, b.x)
        assert all(np.array_equal(p.weight, q.weight) for p, q in zip(a.mlp.layers, b.mlp.layers, strict=True))


def test_float32_problems_are_float32_throughout():
    for spec in campaign_specs(60, "float32"):
        problem = build(spec)
        assert problem.dtype == np.float32
        assert all(leaf.dtype == np.float32 for leaf in ref.gradients(problem).leaves().values())


def test_an_impossible_spec_is_named():
    with pytest.raises(ValueError, match="no row is named 'swoosh'"):
        build(Spec((1, 1), ("swoosh",), "mse", 1, 0))
