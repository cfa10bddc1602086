"""How small an error is still caught: what is planted, and what the figures make of it."""

import math

import numpy as np
import pytest

from benchmarks.detection import power
from benchmarks.detection.speed import network
from benchmarks.implementations.correct_gradients import NUMBERS, representable
from benchmarks.implementations.naive import naive_gradients
from tests.helpers.comparing import assert_within_rounding

WIDTHS = (5, 6, 4, 3)


@pytest.mark.parametrize("name", power.GOALS)
def test_the_goal_is_among_the_sizes(name):
    for quick in (True, False):
        sizes = power.sizes_of(name, quick)
        assert power.GOALS[name] in sizes
        assert sizes == sorted(sizes)
        assert min(sizes) < power.GOALS[name] < max(sizes) < 1


@pytest.mark.parametrize("name", power.GOALS)
def test_every_error_has_the_size_that_it_is_said_to_have(name):
    problem, size = representable(network(WIDTHS, 8, 0), name), 0.3
    right = naive_gradients(problem, dtype=name)
    found = {title: (kind, leaves) for kind, title, leaves in power.errors(problem, name, size)}
    assert {kind for kind, _ in found.values()} == {"a layer's derivative", "all gradients", "one array"}
    unit = float(np.finfo(np.float32).eps) if name == "float32" else 2.0 ** -{"float64": 52, "float16": 10}.get(name, 7)
    for title, (kind, leaves) in found.items():
        if title.endswith("naive") and kind != "a layer's derivative":
            off = {p for p in right if p != "loss" and not np.array_equal(leaves[p], right[p])}
            for place in off:  # a product with 1.3, which is rounded, and the rounding of storing it
                np.testing.assert_allclose(leaves[place], 1.3 * right[place], rtol=2 * unit)
            assert off == ({title.partition(",")[0]} if kind == "one array" else set(right) - {"loss"})
        for place, leaf in leaves.items():
            if place != "loss":
                np.testing.assert_array_equal(np.asarray(leaf).astype(NUMBERS[name]).astype(float), leaf)
    last = found["the last layer's derivative"][1]
    bias = {"layers[2].bias": last["layers[2].bias"]}
    assert_within_rounding(problem, bias, {"layers[2].bias": 1.3 * right["layers[2].bias"]}, name)


def rows(**caught_from):
    return [
        {"power": "all gradients", "format": name, "size": times * goal, "caught": times >= caught_from.get(name, 1)}
        for name, goal in power.GOALS.items()
        for times in power.TIMES
    ]


def test_the_smallest_size_is_that_below_which_one_passes():
    assert power.smallest(rows(), "float32") == pytest.approx(1e-6)
    assert power.smallest(rows(float32=0), "float32") == pytest.approx(1e-8)
    gap = [*rows(float16=0), {"power": "one array", "format": "float16", "size": 3e-3, "caught": False}]
    assert power.smallest(gap, "float16") == pytest.approx(3e-3 * 10**0.5)
    assert power.smallest(gap, "float16", "all gradients") == pytest.approx(3e-5)
    assert math.isnan(power.smallest(rows(bfloat16=99), "bfloat16"))


def test_one_format_that_misses_its_goal_is_enough():
    assert power.reached(rows())
    for name in power.GOALS:
        assert not power.reached(rows(**{name: 2}))
    assert not power.reached([row for row in rows() if row["format"] != "bfloat16"])
    assert power.reached([*rows(), {"power": "one array", "format": "float16", "size": 3e-3, "caught": False}])


def test_the_check_itself_is_asked():
    found = power.judged("float64", 0.1, 0, WIDTHS)
    assert all(row["caught"] for row in found)
    assert {row["sign"] for row in found} == {1, -1}
    assert not any(row["caught"] for row in power.judged("float64", 1e-19, 0, WIDTHS))


def test_the_figures_stand_beside_their_goals():
    found = power.figures_of(rows())
    assert found["bfloat16, 64-64-64-10, all errors in all gradients from, goal 0.02"] == pytest.approx(0.02)
    assert list(power.share_caught(rows(), "float64").values()) == [0, 0, 0, 1, 1, 1]
