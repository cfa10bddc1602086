"""The small network: printed whole, its two forms the same."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

import reference as ref
import torch_compare as tc
from tests.helpers import Reader, integers
from torch_compare.commands import by_node, cli, explain, explained
from torch_compare.commands.small_network import example

ELEMENTWISE = [name for name, row in ref.ACTIVATIONS.items() if not row.rowwise]
PARAMETERS = [f"W[0,{i},{j}]" for i in (0, 1) for j in (0, 1)] + ["W[1,0,0]", "W[1,0,1]", "b[0,0]", "b[0,1]", "b[1,0]"]


def printed(activation, width=80, **of):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    explain.print_parts(explained.parts(example(activation, **of)), console)
    return console.file.getvalue()


def random_problem(rng, activation, draw):
    layers = tuple(ref.Layer(draw(rng, shape), draw(rng, shape[:1]), activation) for shape in ((2, 2), (1, 2)))
    return ref.Problem(ref.MLP(layers), draw(rng, (1, 2)), draw(rng, (1, 1)), loss="half_squared_error")


def scalar_gradients(problem):
    return by_node.scalar_gradients(problem.mlp, by_node.nodes(problem))


def tree_of(problem, named):
    """The scalar results in the matrices' places."""
    layers = []
    for l, layer in enumerate(problem.mlp.layers):
        fan_out, fan_in = layer.weight.shape
        weight = np.array([[named[f"W[{l},{i},{j}]"] for j in range(fan_in)] for i in range(fan_out)])
        layers.append(ref.LayerGradients(weight, np.array([named[f"b[{l},{i}]"] for i in range(fan_out)])))
    return ref.Gradients(tuple(layers), np.array([[named[f"x[{j}]"] for j in range(problem.x.shape[1])]]))


@pytest.mark.parametrize("activation", ELEMENTWISE)
@pytest.mark.parametrize("width", [80, 60, 40])
def test_it_prints_every_activation_within_the_width_and_without_escapes(activation, width):
    text = printed(activation, width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert not re.search(r"\bnan\b|\binf\b", text)
    for name in PARAMETERS:
        assert f"∂E/∂{name}\n" in "\n".join(line.rstrip() + "\n" for line in text.splitlines())


@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_it_shows_the_numbers_of_the_reference(activation):
    text = printed(activation)
    problem = example(activation)
    trace, g = ref.forward(problem.mlp, problem.x), ref.gradients(problem)
    for array in (*trace.inputs, *trace.preactivations, trace.output, g.loss, *g.leaves().values()):
        for value in np.ravel(array).tolist():
            assert f"{value:.6g}" in text


@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_the_example_stands_on_no_kink_and_teaches_something(activation):
    problem = example(activation)
    row = ref.ACTIVATIONS[activation]
    for z in ref.forward(problem.mlp, problem.x).preactivations:
        assert not np.isin(z, row.all_breaks).any()
    assert ref.gradients(problem).layers[0].weight.any()


@pytest.mark.parametrize("activation", ["identity", "relu", "square"])
@pytest.mark.parametrize("seed", range(20))
def test_both_forms_agree_in_every_digit_where_no_operation_rounds(activation, seed):
    problem = random_problem(np.random.default_rng(seed), activation, lambda rng, shape: integers(rng, *shape))
    assert scalar_gradients(problem) == by_node.matrix_gradients(ref.gradients(problem))


def with_wrong_chain(monkeypatch, name, make):
    """Plants another chain for one variable."""
    right = by_node.chains

    def wrong(mlp):
        found = right(mlp)
        return found | {name: make(found)}

    for module in (by_node, explained):
        monkeypatch.setattr(module, "chains", wrong)


@pytest.mark.parametrize("name", list(by_node.chains(example().mlp)))
def test_a_wrong_factor_in_a_chain_is_noticed(name, monkeypatch):
    with_wrong_chain(monkeypatch, name, lambda found: [(*found[name][0], "W[1,0,1]"), *found[name][1:]])
    problem = example("identity")
    right, wrong = by_node.matrix_gradients(ref.gradients(problem)), scalar_gradients(problem)
    assert [n for n in right if right[n] != wrong[n]] == [name]
    text = printed("identity")
    assert "agree in every digit" not in text
    assert f"at ∂E/∂{name}." in " ".join(text.split())


def test_it_says_when_every_digit_agrees():
    assert "agree in every digit" in printed("identity")


@pytest.mark.parametrize("activation", ELEMENTWISE)
@pytest.mark.parametrize("seed", range(5))
def test_the_scalar_form_agrees_with_the_matrix_form_within_the_rounding_scale(activation, seed):
    problem = random_problem(np.random.default_rng([seed, 7]), activation, lambda rng, shape: rng.normal(size=shape))
    assert tc.check(problem, tree_of(problem, scalar_gradients(problem))).status == "agrees"


def test_the_rounding_scale_tells_a_wrong_chain_from_a_right_one(monkeypatch):
    with_wrong_chain(monkeypatch, "W[0,1,0]", lambda found: found["W[0,0,0]"])
    problem = example("tanh")
    assert tc.check(problem, tree_of(problem, scalar_gradients(problem))).status != "agrees"


@pytest.mark.parametrize("widths", [(1, 1), (3, 2), (2, 3, 2), (2, 2, 2, 2)])
@pytest.mark.parametrize("loss", ["mse", "bce_with_logits", "cross_entropy", "multilabel_margin"])
def test_another_small_network_and_loss_are_shown_in_both_forms(widths, loss):
    problem = example("tanh", loss, widths)
    assert tc.check(problem, ref.gradients(problem)).status == "agrees"
    scalar, matrix = scalar_gradients(problem), by_node.matrix_gradients(ref.gradients(problem))
    assert scalar.keys() == matrix.keys()
    assert tc.check(problem, tree_of(problem, scalar)).status == "agrees"
    text = printed("tanh", 40, loss=loss, widths=widths)
    assert max(map(len, text.splitlines())) <= 40
    assert f"{loss}: " in text
    assert all(f"∂E/∂{name}" in text for name in matrix)


def test_formulas_of_value_and_derivative_stand_with_the_parameters():
    text = printed("rrelu")
    assert "a(z) = z if z > 0 else slope·z\na′(z) = 1 if z > 0 else slope\n" in text
    assert "with slope = 0.229167" in text
    assert "a′(0) is taken as 0.229167" in text
    assert "with α = 1\n" in printed("elu")
    assert "with λ = 1.0507\n  with α = 1.67326" in printed("selu")
    assert "with threshold = 0.1\n  with value = 20" in printed("threshold")


@pytest.mark.parametrize("widths", [(2,), (5, 1), (2, 2, 2, 2, 2, 2), (1, 1, 3, 3)])
def test_a_network_that_is_not_small_is_refused(widths):
    with pytest.raises(ValueError, match="--widths: expected a small network"):
        example(widths=widths)


def test_an_output_that_the_loss_does_not_take_is_refused(capsys):
    assert cli.main(["explain", "--loss", "bce", "--activation", "threshold"]) == cli.BAD_INPUT
    assert "between 0 and 1" in capsys.readouterr().err


def test_the_page_has_the_same_numbers(tmp_path, capsys):
    path = tmp_path / "explained.html"
    assert cli.main(["explain", "--loss", "mse", "--html", str(path)]) == cli.AGREES
    cells = " ".join("\n".join(Reader(path.read_text(encoding="utf-8")).texts).split())
    assert "mse: (y − t)²" in cells
    for step in (s for part in explained.parts(example("tanh", "mse")) for s in part.steps):
        assert " ".join("\n".join(step.matrix).split()) in cells
        assert " ".join("\n".join(step.node_by_node).split()) in cells


@pytest.mark.parametrize("activation", ["softmax", "log_softmax", "softmin", "glu"])
def test_a_rowwise_activation_is_refused_by_name(activation):
    with pytest.raises(ValueError, match=rf"{activation} acts along a whole row.*tanh"):
        example(activation)


def test_an_unknown_activation_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"no row is named 'tanhh'.*tanh"):
        example("tanhh")


def test_units_apart_is_symmetric_and_counts_from_zero():
    assert explained.units_apart(0.0, -0.0) == 0
    assert explained.units_apart(0.0, 5e-324) == 1
    assert explained.units_apart(-1.0, 1.0) == explained.units_apart(1.0, -1.0) == 2**53
