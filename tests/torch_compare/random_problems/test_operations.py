"""Random inputs of operations: every row has some, of every kind of shape."""

from __future__ import annotations

import numpy as np
import pytest

import reference as ref
from torch_compare.random_problems.operations import draw, names


@pytest.mark.parametrize("name", names())
def test_every_row_takes_its_random_inputs_and_gives_finite_numbers(name):
    for seed in range(20):
        row, inputs = draw(np.random.default_rng(seed), name)
        assert row.name == name
        row.check_count(inputs)
        with np.errstate(all="ignore"):
            made = row.value(*inputs)
        for part in made if isinstance(made, tuple) else (made,):
            assert np.all(np.isfinite(part)), seed
        for k, x in enumerate(inputs):
            assert x is None or row.is_data(k) or x.dtype in (np.float64, np.bool_)


def drawn(name, count=60):
    return [draw(np.random.default_rng(seed), name) for seed in range(count)]


def test_broadcasts_reach_every_kind():
    pairs = [(a.shape, b.shape) for _, (a, b) in drawn("mul", 100)]
    assert any(len(a) < len(b) for a, b in pairs)
    assert any(len(b) < len(a) for a, b in pairs)
    assert any(1 in a and a != b for a, b in pairs)
    assert any(a == b for a, b in pairs)
    assert any(a == () or b == () for a, b in pairs)


def test_layers_come_with_and_without_a_bias_and_with_any_leading_axes():
    rows = drawn("linear")
    assert {len(x.shape) for _, (x, _, _) in rows} == {1, 2, 3}
    assert {bias is None for _, (_, _, bias) in rows} == {True, False}
    assert any(1 in weight.shape for _, (_, weight, _) in rows)


def test_rows_along_an_axis_come_along_all():
    assert {row.parameters["dim"] for row, _ in drawn("softmax", 200)} == {-3, -2, -1, 0, 1, 2}


def test_numbers_hold_zeros_ties_and_other_scales():
    arrays = [x.ravel() for _, (x,) in drawn("tanh", 200)]
    assert any(np.any(x == 0) for x in arrays)
    assert any(len(np.unique(x)) < len(x) and not np.any(x == 0) for x in arrays)
    assert any(np.abs(x).max() > 10 for x in arrays)
    assert any(np.abs(x).max() < 0.1 for x in arrays)


def test_a_row_without_an_entry_gets_the_shapes_of_its_probes(monkeypatch):
    monkeypatch.setattr("torch_compare.random_problems.operations.DRAWS", {})
    row, inputs = draw(np.random.default_rng(1), "matmul")
    shapes = [tuple(x.shape for x in probe) for probe in ref.OPERATIONS["matmul"].probes]
    assert tuple(x.shape for x in inputs) in shapes
    assert not any(np.array_equal(x, y) for probe in row.probes for x, y in zip(inputs, probe, strict=True))
