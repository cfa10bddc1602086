"""The checkers that are held side by side: each of them says yes and no, by its own defaults."""

import numpy as np
import pytest

from benchmarks.detection import checkers
from benchmarks.detection.checkers import CHECKERS
from benchmarks.implementations import correct_gradients
from benchmarks.implementations.correct_gradients import representable
from benchmarks.implementations.naive import naive_gradients
from benchmarks.wrong_gradients.problems import network


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda c: c.name)
def test_each_checker_passes_the_right_gradient_and_catches_a_wrong_one(checker):
    """One that could say only one of the two would make an empty comparison."""
    problem = network(0, widths=(3, 4, 2))
    right = naive_gradients(problem)
    for number in checker.formats:
        if number in ("float64", "float32"):
            mine = {k: v.astype(number) for k, v in right.items()} if number == "float32" else right
            held = representable(problem, number)
            mine = mine if number == "float64" else correct_gradients.by_reference(held, number)
            assert checker.passes(held, mine, number)
            wrong = {k: v if k == "loss" else v * v.dtype.type(1.25) for k, v in mine.items()}
            assert not checker.passes(held, wrong, number)


@pytest.mark.parametrize("place", ["layers[0].weight", "layers[1].bias", "input"])
@pytest.mark.parametrize("checker", CHECKERS, ids=lambda c: c.name)
def test_each_checker_sees_every_array(checker, place):
    problem = network(1, widths=(3, 4, 2))
    wrong = naive_gradients(problem)
    wrong[place] = wrong[place] + 1.0
    assert not checker.passes(problem, wrong, "float64")


def test_the_direction_that_autograd_draws_leaves_numpys_generator_alone():
    problem = network(0, widths=(2, 2))
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    checker = next(c for c in CHECKERS if c.name.startswith("autograd"))
    checker.passes(problem, naive_gradients(problem), "float64")
    assert np.random.random() == expected  # noqa: NPY002


def test_the_peers_defaults_are_theirs():
    """No tolerance of ours: SciPy has no limit, so its own documentation's is taken."""
    assert checkers.SCIPY_LIMIT == 1e-6
    assert [c.name for c in CHECKERS if c.whole] == [
        "gradient-oracle", "gradient-oracle, certified", "torch gradcheck, slow", "SciPy check_grad",
    ]  # fmt: skip
