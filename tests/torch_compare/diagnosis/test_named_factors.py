"""The factors that have a name on a problem, and the one nearest to a number."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from tests.torch_compare.diagnosis.helpers import network
from torch_compare.diagnosis.named_factors import COARSE, RARER, Named, constants, nearest, product

CALLS = {float(n) for n in range(2, 9)}


def kinds(problem):
    return {named.value: named.kinds for named in constants(problem)}


def test_every_size_of_the_problem_is_a_factor_of_a_mean_over_elements():
    """9 examples of 3 outputs: the mean divides by 27."""
    problem = network([4, 3], ["identity"])
    found = {value: kind for value, kind in kinds(problem).items() if not set(kind) & set(RARER)}
    assert found.keys() == {27.0, 1 / 27, 9.0, 1 / 9, 3.0, 1 / 3, -1.0, 2.0, 0.5} | CALLS
    assert found[27.0] == found[9.0] == ("sum for mean",)
    assert found[1 / 27] == found[1 / 9] == found[1 / 3] == ("mean for sum",)
    assert found[3.0] == ("sum for mean", "accumulated")
    assert (found[-1.0], found[2.0], found[0.5]) == (("sign",), ("factor 2", "accumulated"), ("factor 1/2",))


def test_a_mean_over_examples_divides_by_them():
    problem = network([4, 3], ["identity"], loss="half_squared_error")
    texts = {named.value: named.text for named in constants(problem)}
    assert texts[9.0] == "9 is the batch size: a sum where the loss takes the mean"
    assert texts[1 / 9] == "1/9, and 9 is the batch size: the mean is taken twice"
    assert texts[1 / 3] == "1/3, and 3 is the number of outputs: a mean over all elements, not the examples"
    assert 27.0 not in texts


def test_of_a_sum_every_mean_is_a_factor():
    problem = network([4, 3], ["identity"]).replace(reduction="sum")
    texts = {named.value: named.text for named in constants(problem)}
    for size, title in ((27, "the number of output elements"), (9, "the batch size"), (3, "the number of outputs")):
        assert texts[1 / size] == f"1/{size}, and {size} is {title}: a mean where the loss takes the sum"
    assert texts[9.0] == "9 is the batch size: multiplied by it"


def test_no_factor_is_1_and_each_value_stands_once():
    for problem in (network([4, 1], ["identity"], examples=1), network([4, 2], ["identity"], examples=2)):
        values = [named.value for named in constants(problem)]
        assert 1.0 not in values
        assert len(set(values)) == len(values)
    text = next(n.text for n in constants(network([4, 2], ["identity"], examples=2)) if n.value == 0.25)
    assert text.startswith("1/4, and 4 is the number of output elements")


@pytest.mark.parametrize(("value", "noise", "expected"), [
    (2.0, 0.0, [2.0]), (-1.0, 0.0, [-1.0]), (54.0, 0.0, [27.0, 2.0]), (-27.0, 0.0, [27.0, -1.0]),
    (2 * (1 + 2.0**-30), 2.0**-31, [2.0]), (-27.0, 2.0**-10, [27.0, -1.0]),
    (4.5, 0.0, [9.0, 0.5]), (4.5, COARSE, [9.0, 0.5]), (4.5, 2 * COARSE, [4.0]),
])  # fmt: skip
def test_the_nearest_is_one_constant_or_a_product_of_two(value, noise, expected):
    """With much noise a product is near any number: then only a sign goes with a constant."""
    found = nearest(constants(network([4, 3], ["identity"])), value, noise)
    assert sorted(named.value for named in found) == sorted(expected)
    assert product(found) == np.prod(expected)


def test_calls_alone_are_no_part_of_a_product():
    """2·7: gradients that are accumulated over seven calls and doubled, too, are far-fetched; 2·27/9 is not tried."""
    table = constants(network([4, 3], ["identity"]))
    assert 7.0 in {n.value for n in table}
    assert all(n.kinds != ("accumulated",) for n in nearest(table, 14.0, 0.0))


def test_a_loss_that_counts_its_own_terms_divides_by_them():
    """Cross entropy that ignores two of nine examples divides by seven."""
    problem = network([4, 3], ["identity"], loss="cross_entropy")
    target = np.array([0, 1, 2, 0, 1, 2, 0, -100, -100])
    problem = ref.Problem(problem.mlp, problem.x, target, "cross_entropy")
    texts = {named.value: named.text for named in constants(problem)}
    assert texts[7.0].startswith("7 is what the loss's mean divides by: a sum where the loss takes the mean")
    assert texts[1 / 7] == "1/7, and 7 is what the loss's mean divides by: the mean is taken twice"


def attention(d=8):
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=(2, 4, 6, d)) for name in ("query", "key", "value")}, rng.normal(size=(2, 4, 6, d))


def scaled(operation, inputs, d, factors, dtype, **parameters):
    """What is said of right gradients in a format, some of them times a factor."""
    step = ref.Step("output", ref.operations.MAKERS[operation](**parameters), *inputs)
    floats = {name: v.astype(np.float32) for name, v in inputs.items()}
    net = ref.Network({}, [step], inputs=tuple(inputs), output="output")
    right = ref.gradients(
        ref.Problem(net, {k: v.astype(float) for k, v in floats.items()}, d, "inner_product")
    ).leaves()
    given = {place: (right[place] * factor).astype(np.float32) for place, factor in factors.items()}
    return tc.check_operation(operation, floats, d.astype(np.float32), given, dtype=dtype, **parameters).diagnosis


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("factor", "kind", "text"), [
    (8**0.5, "scale of attention", "√8, and 8 is the width of the queries"),
    (8**-0.5, "scale of attention", "1/√8, and 8 is"), (1 / np.log(2), "logarithm base", "log₂ e: powers"),
])  # fmt: skip
def test_the_constants_of_attention_have_names(dtype, factor, kind, text):
    """In bfloat16 √8 was "3 calls", and its inverse a batch of 48 that is padded to 128."""
    found = scaled("scaled_dot_product_attention", *attention(), {"query": 1, "key": factor, "value": 1}, dtype)
    assert found.names == (kind,)
    assert text in found


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_dropout_keeps_is_a_factor(dtype):
    """0.36 was 6/16 in bfloat16: a batch of 6 that is padded."""
    rng = np.random.default_rng(2)
    inputs = {"x": rng.normal(size=(6, 8)), "mask": (rng.random((6, 8)) > 0.4).astype(float)}
    found = scaled("dropout", inputs, rng.normal(size=(6, 8)), {"x": 0.36}, dtype, p=0.4)
    assert found.names == ("scale of dropout",)
    assert "(1 − p)² of the step output (dropout): multiplied by 1 − p, not divided" in found


def loss_in_steps():
    """4·Σ(y − t)²/… written in steps, as a traced loss is: the network's output is one number."""
    rng = np.random.default_rng(3)
    steps = [ref.Step("h", "linear", "x", "w", "b"), ref.Step("d", "sub", "h", "t"), ref.Step("q", "square", "d"),
             ref.Step("m", "mean", "q"), ref.Step("y", "mul", "m", "c")]  # fmt: skip
    constants = {"t": rng.normal(size=(10, 3)), "c": np.array(4.0)}
    net = ref.Network({"w": rng.normal(size=(3, 8)), "b": rng.normal(size=3)}, steps, constants=constants)
    return ref.Problem(net, rng.normal(size=(10, 8)), np.ones(()), "inner_product")


def test_a_network_has_the_batch_size_of_its_inputs_and_the_lengths_that_its_steps_add_over():
    texts = {named.value: named.text for named in constants(loss_in_steps())}
    assert texts[10.0] == "10 is the batch size: a sum for a mean, or multiplied by it"
    assert texts[30.0].startswith("30 is how many numbers the step m (mean) adds up to one: ")
    assert texts[3.0].startswith("3 is the length of an axis of what the step m (mean) takes: ")
    assert texts[0.25].startswith("1/4, and 4 is a constant of the step y (mul): it is left out")
    assert 10 / 16 in texts


@pytest.mark.parametrize(("factor", "said"), [(3.0, "3 is the length of an axis"), (0.25, "1/4, and 4 is a constant")])
def test_a_factor_of_a_loss_in_steps_is_named(factor, said):
    problem = loss_in_steps()
    right = {place: leaf for place, leaf in ref.gradients(problem).leaves().items() if place != "loss"}
    found = tc.check(problem, {place: factor * leaf for place, leaf in right.items()}).diagnosis
    assert f"everywhere; {said}" in found


def test_one_example_is_not_padded():
    table = constants(network([4, 3], ["identity"], examples=1))
    assert not any("padding" in named.kinds for named in table)


@pytest.mark.parametrize(("noise", "value"), [(2.0**-12, 7.0), (2.0**-8, 9.0)])
def test_calls_are_counted_only_where_chance_does_not_meet_such_a_number(noise, value):
    """5, 6, 7, 8 and 9 have names: one of twenty numbers there is one of them to within a 128th."""
    calls = (Named(float(calls), ("accumulated",), "", rare=True) for calls in range(2, 9))
    table = (*calls, Named(9.0, ("sum for mean",), ""))
    (found,) = nearest(table, 7.0, noise)
    assert found.value == value
