"""Rounding errors that are kept: they are those of a call by itself, and no other problem gets them."""

import pickle

import numpy as np
import pytest

import reference as ref
from reference.functions.recipe import recorded
from reference.rounding import measured
from reference.rounding.measured import forget, measured_errors
from reference.rounding.scale import get_format, rounding_errors

SINGLE = get_format("float32")


@pytest.fixture(autouse=True)
def nothing_kept():
    forget()
    yield
    forget()


def problem(activation="tanh", shift=0.0, loss="mse"):
    rng = np.random.default_rng(3)
    layers = (
        ref.Layer(rng.normal(size=(4, 3)) + shift, rng.normal(size=4), activation),
        ref.Layer(rng.normal(size=(2, 4)), None, "identity"),
    )
    return ref.Problem(ref.MLP(layers), rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), loss)


def same(one, two):
    pairs = ((one.sigma, two.sigma), (one.errors, two.errors))
    return all(a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a) for a, b in pairs)


@pytest.mark.parametrize("how", [{}, {"textbook": True}, {"runs": 8}, {"seed": 5}])
def test_they_are_those_of_a_call_by_itself_and_read_only(how):
    found = measured_errors(problem(), SINGLE, **how)
    assert same(found, rounding_errors(problem(), SINGLE, **how))
    assert measured_errors(problem(), SINGLE, **how) is found
    for side in (found.sigma, found.errors):
        with pytest.raises(TypeError, match="read-only"):
            side["loss"] = np.zeros(())
        for values in side.values():
            with pytest.raises(ValueError, match="read-only"):
                values[...] = 1


def test_every_argument_and_every_number_counts():
    others = [problem(), problem(shift=1e-16 * 2), problem("sigmoid"), problem(loss="half_squared_error"),
              problem().replace(reduction="sum"), problem().replace(target=problem().target + 1)]  # fmt: skip
    formats = [SINGLE, get_format("float64"), get_format("bfloat16"), get_format("bfloat16").accumulating_in(SINGLE)]
    found = [measured_errors(other, SINGLE) for other in others]
    found += [measured_errors(others[0], fmt) for fmt in formats[1:]]
    found += [measured_errors(others[0], SINGLE, **how) for how in ({"textbook": True}, {"runs": 8}, {"seed": 1})]
    assert len({id(one) for one in found}) == len(found)
    assert all(same(one, rounding_errors(other, SINGLE)) for one, other in zip(found, others, strict=False))


SCALE = 1.0


def value(z):
    return SCALE * z


def slope(z):
    return SCALE * (0 * z + 1)


def bend(z):
    return 0 * z


def by_hand():
    return ref.Activation("mine", "c·z", "", value, slope, bend)


@recorded
def by_recipe():
    return by_hand()


@pytest.mark.parametrize("maker", [by_hand, by_recipe])
def test_a_row_made_by_hand_is_measured_each_time_even_if_pickle_finds_it_by_its_name(maker):
    row = maker()
    assert pickle.loads(pickle.dumps(row)) == row
    before = measured_errors(problem(row), SINGLE)
    assert measured_errors(problem(row), SINGLE) is not before


def test_what_was_used_the_longest_ago_goes_first(monkeypatch):
    one = measured_errors(problem(), SINGLE)
    size = sum(values.nbytes for part in (one.sigma, one.errors) for values in part.values())
    monkeypatch.setattr(measured, "MOST_BYTES", 2 * size)
    first, second = (measured_errors(problem(shift=s), SINGLE) for s in (1.0, 2.0))
    assert measured_errors(problem(shift=1.0), SINGLE) is first
    measured_errors(problem(shift=3.0), SINGLE)
    assert measured_errors(problem(shift=1.0), SINGLE) is first
    assert measured_errors(problem(shift=2.0), SINGLE) is not second
    monkeypatch.setattr(measured, "MOST_BYTES", size - 1)
    large = measured_errors(problem(shift=4.0), SINGLE)
    assert measured_errors(problem(shift=4.0), SINGLE) is not large, "larger than all that is kept"
