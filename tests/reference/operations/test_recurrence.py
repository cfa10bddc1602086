"""Recurrent networks and cells: both passes against the complex step, every mistake, every arithmetic, lost digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as ref
from reference import operations as ops
from reference.operations.row import STEP, Operation

from .checking import Arrays, problem_of

LAYERS = (ops.rnn_tanh, ops.rnn_relu, ops.gru, ops.lstm)
CELLS = (ops.rnn_tanh_cell(), ops.rnn_relu_cell(), ops.gru_cell(), ops.lstm_cell())
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"num_layers": 2, "has_biases": False},
    {"bidirectional": True, "batch_first": True},
    {"num_layers": 2, "bidirectional": True},
)
BLOCKS = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}
T, N, I, H = 3, 2, 3, 2


def inputs_of(row: Operation, rng: np.random.Generator, projected: int = H) -> Arrays:
    """Random inputs of a network."""
    p = row.parameters
    ways, rows = 1 + p["bidirectional"], BLOCKS[row.name] * H
    x = rng.normal(size=(N, T, I) if p["batch_first"] else (T, N, I))
    widths = (projected, H) if row.name == "lstm" else (H,)
    states = [rng.normal(size=(p["num_layers"] * ways, N, width)) for width in widths]
    params = []
    for k in range(p["num_layers"] * ways):
        shapes = [(rows, I if k < ways else projected * ways), (rows, projected), *[(rows,)] * (2 * p["has_biases"])]
        params += [rng.normal(size=shape) for shape in (*shapes, *[(projected, H)] * (projected < H))]
    return (x, *states, *params)


def parts(y: Any) -> tuple[Any, ...]:
    return y if isinstance(y, tuple) else (y,)


def assert_passes(row: Operation, inputs: Arrays, rng: np.random.Generator) -> None:
    """The pushforward is the complex step's, and the pullback its adjoint."""
    changes = tuple(rng.normal(size=x.shape) for x in inputs)
    y = row.value(*inputs)
    stepped = parts(row.value(*(x + 1j * STEP * dx for x, dx in zip(inputs, changes, strict=True))))
    exact = [np.imag(part) / STEP for part in stepped]
    for found, expected in zip(parts(row.pushforward(inputs, y, changes)), exact, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    d = tuple(rng.normal(size=part.shape) for part in exact)
    d_inputs: tuple[Any, ...] = row.pullback(inputs, y, d if isinstance(y, tuple) else d[0])
    assert [g.shape for g in d_inputs] == [x.shape for x in inputs]
    pulled = sum(np.sum(g * dx) for g, dx in zip(d_inputs, changes, strict=True))
    np.testing.assert_allclose(pulled, sum(np.sum(a * b) for a, b in zip(d, exact, strict=True)), rtol=1e-9)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("make", LAYERS, ids=lambda make: make.__name__)
def test_both_passes_of_every_layer_and_way(make: Any, options: dict[str, Any]) -> None:
    rng, row = np.random.default_rng(1), make(**options)
    assert_passes(row, inputs_of(row, rng), rng)
    if row.name == "lstm":
        assert_passes(row, inputs_of(row, rng, projected=1), rng)


@pytest.mark.parametrize("row", CELLS, ids=lambda row: row.name)
def test_both_passes_of_a_cell_with_and_without_biases(row: Operation) -> None:
    rng = np.random.default_rng(2)
    for inputs in row.probes:
        assert_passes(row, tuple(rng.normal(size=x.shape) for x in inputs), rng)
    biased = row.probes[0]
    y = row.value(*biased[:-2], None, None)
    for found, expected in zip(parts(y), parts(row.value(*biased[:-2])), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("make", LAYERS, ids=lambda make: make.__name__)
def test_a_network_is_its_cell_again_and_again(make: Any) -> None:
    rng, row = np.random.default_rng(3), make()
    cell = next(c for c in CELLS if c.name == f"{row.name}_cell")
    x, *rest = inputs_of(row, rng)
    state, weights = tuple(s[0] for s in rest[:-4]), rest[-4:]
    y, *last = row.value(x, *rest)
    for step, expected in zip(x, y, strict=True):
        state = parts(cell.value(step, *state, *weights))
        np.testing.assert_array_equal(state[0], expected)
    for found, expected in zip(last, state, strict=True):
        np.testing.assert_array_equal(found[0], expected)


@pytest.mark.parametrize(
    "row", [*CELLS, *(make(**options) for make in LAYERS for options in OPTIONS)], ids=lambda row: row.name
)
def test_every_mistake_changes_a_gradient_at_a_probe(row: Operation) -> None:
    rng, inputs = np.random.default_rng(4), row.probes[0]
    y = row.value(*inputs)
    d = tuple(rng.normal(size=part.shape) for part in parts(y))
    d_y = d if isinstance(y, tuple) else d[0]
    right: tuple[Any, ...] = row.pullback(inputs, y, d_y)
    assert row.mistakes
    for what, wrong in row.mistakes.items():
        found: tuple[Any, ...] = wrong(inputs, y, d_y)
        assert any(np.abs(a - b).max() > 1e-7 for a, b in zip(right, found, strict=True)), what
        assert [g.shape for g in found] == [g.shape for g in right], what


def test_the_mistakes_of_an_lstm_are_those_that_people_make() -> None:
    assert set(ops.lstm(bidirectional=True).mistakes) == {
        "the input gate's derivative missing", "the forget gate's derivative missing",
        "the derivative of g's tanh missing", "the output gate's derivative missing",
        "the derivative of c's tanh missing", "the gates g and o exchanged", "the gates i and f exchanged",
        "the state's gradient not carried through time", "the weights' gradients from the last step alone",
        "the reverse direction's gradients not reversed", "both biases' gradients halved",
    }  # fmt: skip


def _flat_problem(row: Operation, inputs: Arrays, rng: np.random.Generator, dtype: Any) -> ref.Problem:
    """The vector-Jacobian product of all outputs in a row."""
    given: dict[str, Any] = {
        row.name_of(k).replace("[", "").replace("]", ""): x.astype(dtype) for k, x in enumerate(inputs)
    }
    outputs = [f"part{k}" for k in range(len(parts(row.value(*inputs))))]
    flat = [ref.Step(f"{name}.flat", ops.reshape((-1,)), name) for name in outputs]
    steps = [ref.Step(outputs, row, *given), *flat, ref.Step("y", ops.cat(), *(step.name for step in flat))]
    d = rng.normal(size=sum(part.size for part in parts(row.value(*inputs)))).astype(dtype)
    return ref.Problem(ref.Network({}, steps, tuple(given)), given, d, loss="inner_product", reduction="sum")


@pytest.mark.parametrize("make", LAYERS, ids=lambda make: make.__name__)
def test_floats_are_within_the_noise_of_the_certified_gradients(make: Any) -> None:
    rng, row = np.random.default_rng(5), make(bidirectional=True)
    problem = _flat_problem(row, inputs_of(row, rng), rng, np.float32)
    certified, sigma = ref.certified_gradients(problem), ref.rounding_scale(problem, dtype="float32").leaves()
    assert certified.status == "certified"
    found: Any = ref.gradients(problem).leaves()
    for place, leaf in certified.leaves().items():
        assert np.all(np.abs(found[place].astype(float) - leaf.nearest) <= 32 * sigma[place]), place


def test_a_saturated_update_gate_keeps_the_digits_of_one_minus_z() -> None:
    """At z = σ(40) the difference 1 − z is 0 in float64, and with it the gradient of n that torch gives."""
    row = ops.gru_cell()
    w_ih = np.array([[0.0], [40.0], [1.0]])
    inputs = (np.ones((1, 1)), np.full((1, 1), 0.5), w_ih, np.zeros((3, 1)))
    problem = problem_of(row, inputs, np.ones((1, 1)))
    found, exact = ref.gradients(problem)["w_ih_"], ref.certified_gradients(problem).leaves()["w_ih_"].nearest
    assert exact[2, 0] != 0
    np.testing.assert_allclose(found, exact, rtol=8 * np.finfo(float).eps)
    assert 1 - 1 / (1 + np.exp(-40.0)) == 0


def test_the_slope_at_the_kink_of_relu_is_0_and_others_are_conventions() -> None:
    row = ops.rnn_relu_cell()
    inputs = (np.zeros((1, 1)), np.zeros((1, 1)), np.ones((1, 1)), np.ones((1, 1)))
    y, d = row.value(*inputs), np.full((1, 1), 4.0)
    assert row.switches(*inputs)[0] == 0
    assert row.pullback(inputs, y, d)[0] == 0
    assert row.conventions["the slope from the right"](inputs, y, d)[0] == 4
    assert row.conventions["the mean of both slopes"](inputs, y, d)[0] == 2
    assert len(ops.rnn_relu().switches(*inputs_of(ops.rnn_relu(), np.random.default_rng(6)))) == T


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: np.ones((6, I))}, r"lstm: input: expected sequences of one length \(T, N, I\), no PackedSequence, got"),
        ({0: np.ones((0, N, I))}, "lstm: input: expected a step, a sequence and a feature at least"),
        ({1: np.ones((2, N, H))}, r"lstm: hx: expected shape \(1, 2, H\), got \(2, 2, 2\)"),
        ({2: np.ones((1, 3, H))}, r"lstm: cx: expected shape \(1, 2, H\)"),
        ({3: np.ones((8, 2))}, r"lstm: params\[0\]: expected shape \(8, 3\), got \(8, 2\)"),
        ({5: np.ones(7)}, r"lstm: params\[2\]: expected shape \(8,\), got \(7,\)"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[int, Any], message: str) -> None:
    row = ops.lstm()
    inputs = [change.get(k, x) for k, x in enumerate(inputs_of(row, np.random.default_rng(7)))]
    with pytest.raises(ValueError, match=message):
        row.value(*inputs)
    with pytest.raises(ValueError, match=r"lstm: params: expected 4 arrays for each of 1 layers and ways, got 3"):
        row.value(*inputs_of(row, np.random.default_rng(7))[:-1])


def test_a_cell_names_what_does_not_fit_and_layers_need_a_count() -> None:
    x, h = np.ones((2, 3)), np.ones((2, 2))
    with pytest.raises(ValueError, match=r"gru_cell: w_hh: expected shape \(6, 2\), got \(6, 3\)"):
        ops.gru_cell().value(x, h, np.ones((6, 3)), np.ones((6, 3)))
    with pytest.raises(ValueError, match=r"gru: num_layers: expected 1 at least, got 0"):
        ops.gru(num_layers=0)
