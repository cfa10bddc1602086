"""The words of a diagnosis: what must be said of a wrong gradient that a user makes, and what must not be."""

import re

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from tests.torch_compare.diagnosis.words_bank import NETS, WRONG, Pass, problem

CASES = [(wrong, name) for wrong in WRONG for name in wrong.formats]


def test_the_bank_has_sixty_kinds_and_its_right_pass_agrees():
    assert len({wrong.name for wrong in WRONG}) == len(WRONG) >= 50
    for widths, hidden, loss, examples in NETS.values():
        for name in ("float64", "float32", "bfloat16"):
            right = problem(widths, hidden, loss, examples)
            assert tc.check(right, Pass().gradients(right, hidden, name), name).status == "agrees"


@pytest.mark.parametrize(("wrong", "name"), CASES, ids=lambda case: getattr(case, "name", case))
def test_the_words_are_those_of_the_mistake(wrong, name):
    made = problem(*NETS[wrong.net])
    found = tc.check(made, wrong.made.gradients(made, NETS[wrong.net][1], name), name).diagnosis
    assert re.search(wrong.said, found), found
    if wrong.unsaid:
        everything = f"{found} | {found.runner_up}"
        assert not re.search(wrong.unsaid, everything), everything


def large(widths, examples):
    rng = np.random.default_rng(0)
    mlp = ref.initialize(widths, ["relu"] * (len(widths) - 2) + ["identity"], seed=0)
    return ref.Problem(
        mlp, rng.normal(size=(examples, widths[0])), rng.integers(0, widths[-1], examples), "cross_entropy"
    )


def test_the_work_is_bounded_by_a_count_and_what_was_left_out_is_said():
    """784-256-10, of which no mistake makes what is given: the search does not look at every pair of mistakes."""
    problem, rng = large([784, 256, 10], 32), np.random.default_rng(1)
    given = ref.gradients(problem).leaves()
    noise = {place: leaf * (1 + 0.001 * rng.normal(size=np.shape(leaf))) for place, leaf in given.items()}
    first, second = (tc.check(problem, noise).diagnosis for _ in range(2))
    assert first == second
    assert first.names == ()
    assert bool(first.stopped) == ("multiply-adds" in first)
