"""The 2-2-1 example: printed whole, its two forms the same."""

import importlib
import io
import re

import numpy as np
import pytest
from rich.console import Console

import reference as ref
from tests.helpers import integers

module = importlib.import_module("torch_compare.commands.explain")
ELEMENTWISE = [name for name, row in ref.ACTIVATIONS.items() if not row.rowwise]
PARAMETERS = ["w1", "w2", "w3", "w4", "w5", "w6", "b1", "b2", "b3"]


def printed(activation, width=80):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    module.explain(activation, console)
    return console.file.getvalue()


def random_problem(rng, activation, draw):
    layers = tuple(ref.Layer(draw(rng, shape), draw(rng, shape[:1]), activation) for shape in ((2, 2), (1, 2)))
    return ref.Problem(ref.MLP(layers), draw(rng, (1, 2)), draw(rng, (1, 1)), loss="half_squared_error")


def as_tree(named):
    """The scalar results in the matrices' places."""
    pick = lambda *names: np.array([named[name] for name in names])  # noqa: E731
    return ref.Gradients(
        layers=(
            ref.LayerGradients(pick("w1", "w2", "w3", "w4").reshape(2, 2), pick("b1", "b2")),
            ref.LayerGradients(pick("w5", "w6").reshape(1, 2), pick("b3")),
        ),
        input=pick("x1", "x2").reshape(1, 2),
    )


@pytest.mark.parametrize("activation", ELEMENTWISE)
@pytest.mark.parametrize("width", [80, 60])
def test_it_prints_every_activation_within_the_width_and_without_escapes(activation, width):
    text = printed(activation, width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert not re.search(r"\bnan\b|\binf\b", text)
    for name in PARAMETERS:
        assert f"∂E/∂{name} = " in text


@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_it_shows_the_numbers_of_the_reference(activation):
    text = printed(activation)
    problem = module.example(activation)
    trace, g = ref.forward(problem.mlp, problem.x), ref.gradients(problem)
    for array in (*trace.inputs, *trace.preactivations, trace.output, g.loss, *g.leaves().values()):
        for value in np.ravel(array).tolist():
            assert f"{value:.6g}" in text


@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_the_example_stands_on_no_kink_and_teaches_something(activation):
    problem = module.example(activation)
    row = ref.ACTIVATIONS[activation]
    for z in ref.forward(problem.mlp, problem.x).preactivations:
        assert not np.isin(z, row.all_breaks).any()
    assert ref.gradients(problem).layers[0].weight.any()


@pytest.mark.parametrize("activation", ["identity", "relu", "square"])
@pytest.mark.parametrize("seed", range(20))
def test_both_forms_agree_in_every_digit_where_no_operation_rounds(activation, seed):
    problem = random_problem(np.random.default_rng(seed), activation, lambda rng, shape: integers(rng, *shape))
    assert module.scalar_gradients(problem) == module.matrix_gradients(ref.gradients(problem))


@pytest.mark.parametrize("name", list(module.CHAINS))
def test_a_wrong_factor_in_a_chain_is_noticed(name, monkeypatch):
    path, *others = module.CHAINS[name]
    monkeypatch.setitem(module.CHAINS, name, ((*path, "w6"), *others))
    problem = module.example("identity")
    right, wrong = module.matrix_gradients(ref.gradients(problem)), module.scalar_gradients(problem)
    assert [n for n in right if right[n] != wrong[n]] == [name]
    text = printed("identity")
    assert "agree in every digit" not in text
    assert f"at ∂E/∂{name}." in text


def test_it_says_when_every_digit_agrees():
    assert "agree in every digit" in printed("identity")


@pytest.mark.parametrize("activation", ELEMENTWISE)
@pytest.mark.parametrize("seed", range(5))
def test_the_scalar_form_agrees_with_the_matrix_form_within_the_rounding_scale(activation, seed):
    import torch_compare as tc

    problem = random_problem(np.random.default_rng([seed, 7]), activation, lambda rng, shape: rng.normal(size=shape))
    assert tc.check(problem, as_tree(module.scalar_gradients(problem))).status == "agrees"


def test_the_rounding_scale_tells_a_wrong_chain_from_a_right_one(monkeypatch):
    import torch_compare as tc

    monkeypatch.setitem(module.CHAINS, "w3", module.CHAINS["w1"])
    problem = module.example("tanh")
    assert tc.check(problem, as_tree(module.scalar_gradients(problem))).status != "agrees"


@pytest.mark.parametrize("activation", ["softmax", "log_softmax", "softmin", "glu"])
def test_a_rowwise_activation_is_refused_by_name(activation):
    with pytest.raises(ValueError, match=rf"{activation} acts along a whole row.*tanh"):
        module.explain(activation)


def test_an_unknown_activation_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"no row is named 'tanhh'.*tanh"):
        module.explain("tanhh")


def test_units_apart_is_symmetric_and_counts_from_zero():
    assert module.units_apart(0.0, -0.0) == 0
    assert module.units_apart(0.0, 5e-324) == 1
    assert module.units_apart(-1.0, 1.0) == module.units_apart(1.0, -1.0) == 2**53
