"""Multiprecision differences of the loss against certified gradients: 40 digits, and faults of 1e-30 are seen."""

import numpy as np
import pytest
from flint import arb

import reference as ref
from reference.arithmetic.ball_decisions import precision
from reference.differences import random_direction
from reference.differences.multiprecision import BITS, multiprecision_difference, multiprecision_directional
from reference.network.unchecked import unchecked
from reference.rounding.certified import ball_gradients
from tests.helpers import derivatives
from torch_compare.random_problems.spec import Spec, build

DIGITS = 40
OUTPUTS = {"bce": "sigmoid", "nll": "log_softmax", "kl_div": "log_softmax"}


def problem_of(activation, loss, seed, features=()):
    return build(Spec((2, 3, 3), (activation, OUTPUTS.get(loss, "identity")), loss, 2, seed, features=features))


def digits(problem, found):
    """The fewest digits in which an element agrees with its certified gradient, and how many were judged."""
    certified = ball_gradients(problem, BITS)
    worst, judged = np.inf, 0
    with precision(BITS):
        for place, leaf in derivatives(found.value).items():
            for d, bar, g in zip(
                leaf.flat, found.error.leaves()[place].ravel(), certified.leaves()[place].flat, strict=True
            ):
                if d.is_nan():
                    assert np.isinf(bar)
                    continue
                judged += 1
                size = abs(g) if g != 0 else arb(1)
                agreement = -float((abs(d - g) / size + arb(10) ** -200).log() / arb(10).log())
                worst = min(worst, agreement if not abs(d - g) > bar else 0.0)
    return worst, judged


@pytest.mark.parametrize("activation", sorted(ref.ACTIVATIONS))
def test_every_activation_agrees_to_40_digits(activation):
    for seed in range(2):
        problem = problem_of(activation, "mse", seed)
        worst, judged = digits(problem, multiprecision_difference(problem))
        assert worst > DIGITS
        assert judged > 20


@pytest.mark.parametrize("loss", sorted(ref.LOSSES))
def test_every_loss_agrees_to_40_digits(loss):
    for seed in range(2):
        problem = problem_of("tanh", loss, seed)
        worst, judged = digits(problem, multiprecision_difference(problem))
        assert worst > DIGITS
        assert judged > 20


@pytest.mark.parametrize(
    "activation", sorted(n for n, r in ref.ACTIVATIONS.items() if not r.rowwise and n != "identity")
)
def test_a_derivative_off_by_1e_30_is_caught(activation):
    row = ref.ACTIVATIONS[activation]
    fields = {k: getattr(row, k) for k in row.__dataclass_fields__}
    tilted = unchecked(ref.Activation, **fields | {"derivative": lambda z: row.derivative(z) * (1 + _tiny(z))})
    problem = problem_of(activation, "mse", 1)
    first = problem.mlp.layers[0]
    layer = unchecked(ref.Layer, weight=first.weight, bias=first.bias, activation=tilted)
    planted = problem.replace(network=unchecked(ref.MLP, layers=(layer, *problem.mlp.layers[1:])))
    worst, _ = digits(planted, multiprecision_difference(problem))
    assert worst < DIGITS


def _tiny(z):
    return z.parameter(np.array(1e-30))


@pytest.mark.parametrize("loss", sorted(ref.LOSSES))
def test_a_loss_gradient_off_by_1e_30_is_caught(loss):
    problem = problem_of("tanh", loss, 1)
    row = problem.loss
    fields = {k: getattr(row, k) for k in row.__dataclass_fields__}

    def gradient(y, t):
        g = row.gradient(y, t)
        return g + g * _tiny(y)

    planted = problem.replace(loss=unchecked(ref.Loss, **fields | {"gradient": gradient}))
    worst, _ = digits(planted, multiprecision_difference(problem))
    assert worst < DIGITS


def test_units_on_a_break_are_not_judged_unless_nothing_moves_them():
    """relu at z = 0: moving its bias is not judged, moving the other unit's is."""
    mlp = ref.MLP((
        ref.Layer(np.array([[0.0], [1.0]]), np.zeros(2), "relu"), ref.Layer(np.array([[1.0, 1.0]]), None, "identity"),
    ))  # fmt: skip
    problem = ref.Problem(mlp, np.array([[1.0]]), np.array([[0.25]]), "mse")
    bias = multiprecision_difference(problem).value.layers[0].bias
    assert bias.flat[0].is_nan()
    assert float(bias.flat[1]) == 1.5


def test_a_switch_of_the_loss_is_not_judged():
    problem = ref.Problem(
        ref.MLP((ref.Layer(np.array([[1.0]]), np.array([0.0]), "identity"),)),
        np.array([[0.5]]),
        np.array([[0.5]]),
        "l1",
    )
    found = multiprecision_difference(problem)
    assert all(b.is_nan() for leaf in derivatives(found.value).values() for b in leaf.flat)
    assert all(np.all(np.isinf(e)) for e in derivatives(found.error).values())


def test_entries_are_drawn_from_a_seed():
    problem = problem_of("tanh", "mse", 0)
    chosen = [
        [
            b.is_nan()
            for leaf in derivatives(multiprecision_difference(problem, entries=7, seed=s).value).values()
            for b in leaf.flat
        ]
        for s in (1, 1, 2)
    ]
    assert chosen[0].count(False) == 7
    assert chosen[0] == chosen[1] != chosen[2]
    with pytest.raises(ValueError, match="entries"):
        multiprecision_difference(problem, entries=0)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu", "softmax"])
def test_directions_of_larger_networks_agree_to_40_digits(activation):
    mlp = ref.initialize([16, 16, 16, 4], [activation, activation, "identity"], seed=2)
    rng = np.random.default_rng(3)
    problem = ref.Problem(mlp, rng.normal(size=(4, 16)), rng.integers(0, 4, 4), "cross_entropy")
    direction = random_direction(problem, seed=4)
    value, bar = multiprecision_directional(problem, direction)
    certified = ball_gradients(problem, BITS)
    with precision(BITS):
        expected = sum((d * certified[place]).sum() for place, d in direction.leaves().items()).flat[0]
        assert not abs(value.flat[0] - expected) > bar
        assert abs(value.flat[0] - expected) < arb(10) ** -DIGITS * abs(expected)
        wrong = expected * (1 + arb("1e-30"))
        assert abs(value.flat[0] - wrong) > bar


def test_an_inexact_unit_on_a_break_is_judged_where_nothing_moves_it():
    """σ(1) + σ(−1) − 1 is 0, which no ball says: the relu there is on its kink; the one beside it is not."""
    layers = (
        ref.Layer(np.array([[1.0], [-1.0]]), None, "sigmoid"),
        ref.Layer(np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([-1.0, 0.5]), "relu"),
        ref.Layer(np.array([[1.0, 3.0]]), None, "identity"),
    )
    problem = ref.Problem(ref.MLP(layers), np.array([[1.0]]), np.array([[0.25]]), "mse")
    found = multiprecision_difference(problem)
    on_the_kink, beside = found.value.layers[1].bias.flat
    assert on_the_kink.is_nan()
    with precision(BITS):
        # dL/db = 2·(3·½ − ¼)·3
        assert not abs(beside - arb(7.5)) > found.error.layers[1].bias[1]
    assert found.error.layers[1].bias[1] < 1e-100
    assert all(b.is_nan() for b in found.value.layers[0].weight.flat)
