"""The bank: every entry is wrong, where it says and nowhere above, and of the shape of a right gradient."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.implementations import naive, naive_losses
from benchmarks.implementations.naive import naive_gradients
from benchmarks.wrong_gradients import bank
from benchmarks.wrong_gradients.bank import BANK, PLACES
from reference.network.gradients import layer_of

SEEDS = (0, 3)
LAYER = {"first": 0, "middle": 2, "last": 3}
"""In the bank's networks of 4 layers."""


def both(wrong, seed):
    """The right leaves and the wrong ones."""
    problem = wrong.problem(seed, wrong.dtype)
    return naive_gradients(problem), wrong.gradients(problem)


@pytest.mark.parametrize("wrong", BANK, ids=lambda wrong: wrong.name)
def test_each_is_off_and_looks_like_a_right_one(wrong):
    """A mistake that the naive network does not know, or that its problem does not show, would be right."""
    for seed in SEEDS:
        right, given = both(wrong, seed)
        assert given.keys() == right.keys()
        for place, leaf in given.items():
            assert leaf.shape == right[place].shape
            assert leaf.dtype == right[place].dtype == wrong.dtype
            assert np.all(np.isfinite(leaf))
        assert any(np.any(given[place] != right[place]) for place in right if place != "loss")


@pytest.mark.parametrize(
    "wrong",
    [w for w in BANK if w.place in LAYER and "both passes" not in w.name and len(w.problem(0).mlp.layers) == 4],
    ids=lambda wrong: wrong.name,
)
def test_a_mistake_in_a_layer_leaves_all_above_it_right(wrong):
    right, given = both(wrong, SEEDS[0])
    for place, leaf in right.items():
        if place == "loss" or (layer_of(place) or 0) > LAYER[wrong.place]:
            np.testing.assert_array_equal(given[place], leaf)


def test_the_same_problem_gives_the_same_wrong_gradient():
    for wrong in BANK[::20]:
        (_, one), (_, again) = both(wrong, 5), both(wrong, 5)
        for place, leaf in one.items():
            np.testing.assert_array_equal(again[place], leaf)


def test_every_mistake_of_the_naive_network_is_in_the_bank():
    code = "".join(Path(module.__file__).read_text("utf-8") for module in (naive, naive_losses))
    quoted = set(re.findall(r'\b_?on\("([^"]+)"', code)) | set(re.findall(r'\("(updated by \w+)",', code))
    quoted |= set(re.findall(r'^ +"((?:sum|mean) over [^"]+)": ', code, re.MULTILINE))
    assert len(quoted) > 40
    text = Path(bank.__file__).read_text("utf-8")
    formed = {f"updated by {step}" for step in ("gradient", "sign", "Adam")}
    formed |= {f"bias not summed, {which} example" for which in ("first", "last")}
    formed |= {f"derivative of the layer {other}" for other in ("below", "above")}
    assert {name for name in quoted if f'"{name}"' not in text} <= formed


def test_the_places_are_layers_the_loss_and_what_was_right():
    assert {wrong.place for wrong in BANK} == {*PLACES, "loss", "leaves"}
    assert {wrong.status for wrong in BANK} == {"wrong", "imprecise"}
