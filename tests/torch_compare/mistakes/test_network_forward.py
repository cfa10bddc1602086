"""Other functions in the place of an operation: their pullbacks against the complex step."""

import numpy as np
import pytest

import reference as ref
from reference.operations.of_loss import of_loss
from torch_compare.mistakes.network_forward import forward_mistakes_of

ROWS = [
    *(ref.operations.get(name) for name in ("layer_norm", "instance_norm", "linear", "embedding", "swiglu")),
    ref.operations.rms_norm(eps=0.1), ref.operations.group_norm(2), ref.operations.batch_norm(training=True),
    ref.operations.get("rotary_embedding"), ref.operations.get("scaled_dot_product_attention"),
    ref.operations.scaled_dot_product_attention(is_causal=True),
    ref.operations.swiglu("gate_last"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_other_passes_are_a_function_and_its_pullback(row):
    assert row.other_passes
    for what, (value, pullback) in row.other_passes.items():
        if "the rest of the formula as it is" in what:
            continue
        for inputs in row.probes:
            y = value(*inputs)
            d_y = np.sin(1.0 + np.arange(y.size)).reshape(y.shape)
            found = pullback(inputs, y, d_y)
            assert len(found) == len(inputs)
            for k, x in enumerate(inputs):
                if x is None or row.is_data(k) or x.dtype.kind != "f":
                    continue
                dx = np.cos(2.0 + np.arange(x.size)).reshape(x.shape)
                step = [x + 1e-100j * dx if j == k else other for j, other in enumerate(inputs)]
                expected = np.sum(np.imag(value(*step)) / 1e-100 * d_y)
                got = 0.0 if found[k] is None else np.sum(found[k] * dx)
                assert abs(got - expected) <= 1e-12 * (np.sum(np.abs(d_y)) + abs(expected)), (what, k)


def test_every_forward_mistake_can_be_made_and_keeps_every_shape():
    rng = np.random.default_rng(0)
    parameters = {"g": rng.normal(size=4), "b": rng.normal(size=4), "w": rng.normal(size=(4, 4))}
    steps = [ref.Step("n", "layer_norm", "x", "g", "b"), ref.Step("k", "linear", "n", "w"),
             ref.Step("s", "swiglu", "k", "n"), ref.Step("y", "add", "s", "x")]  # fmt: skip
    problem = ref.Problem(ref.Network(parameters, steps), rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), "mse")
    right, kinds = ref.gradients(problem), set()
    for mistake in forward_mistakes_of(problem):
        found = ref.gradients(mistake.problem(problem))
        assert {p: np.shape(d) for p, d in found.leaves().items()} == problem.gradient_shapes(), mistake
        if found.loss != right.loss:
            kinds.add(mistake.name)
    assert {"n minus 1 for n", "bias in the forward pass", "weight in the forward pass", "another activation",
            "branch left out", "weight not transposed", "inputs scaled", "quantised weights", "stale weights",
            "halves exchanged", "another epsilon"} <= kinds  # fmt: skip


def test_a_loss_that_is_a_step_has_no_epsilon_of_an_operations_maker():
    rng = np.random.default_rng(0)
    step = ref.Step("y", of_loss("gaussian_nll"), "x", "t")
    network = ref.Network({}, [step], constants={"t": rng.normal(size=(3, 4))})
    problem = ref.Problem(network, {"x": rng.normal(size=(3, 4))}, np.array(1.0), "inner_product", "sum")
    assert "another epsilon" not in {mistake.name for mistake in forward_mistakes_of(problem)}
