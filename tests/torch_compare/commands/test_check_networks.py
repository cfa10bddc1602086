"""The check on cases of networks of operations: results by name, in every layout and precision, and what is named."""

import json

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import reference as ref
from reference.network.unchecked import changed
from tests.torch_compare.commands.helpers import computed_in, run
from torch_compare.cases.vectors import COMMITTED
from torch_compare.files.case_file import read_case

BLOCK = "network_transformer_block_{}"


def case(name):
    path = COMMITTED / f"{name}.json"
    return path, read_case(path).problem


def written(path, leaves, form="{:.17g}", **stated):
    numbers = {k: [form.format(float(x)) for x in np.ravel(v)] for k, v in leaves.items()}
    text = ", ".join(f'"{place}": [{", ".join(values)}]' for place, values in numbers.items())
    path.write_text(f'{json.dumps(stated)[:-1]}{", " if stated else ""}"gradients": {{{text}}}}}', encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["transformer_block", "language_model"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_a_network_agrees_in_its_own_precision(tmp_path, capsys, name, dtype):
    path, problem = case(f"network_{name}_{dtype}")
    leaves = computed_in(dtype, problem)
    assert set(leaves) == {*problem.leaves(), "loss"}
    result = written(tmp_path / "r.json", leaves, case=path.stem, dtype=dtype)
    assert run(path, result) == 0
    out = capsys.readouterr().out
    assert out.rstrip().endswith("AGREES")
    assert all(leaf in out for leaf in leaves)


def test_nested_lists_bits_and_tensors_say_the_same(tmp_path):
    path, problem = case("operation_matmul_float32")
    leaves = {place: np.asarray(v, np.float32) for place, v in ref.gradients(problem).leaves().items()}
    assert max(np.ndim(v) for v in leaves.values()) == 4
    result = tmp_path / "r.json"
    for spelled in (
        lambda v: v.astype(float).tolist(),
        lambda v: [f"0x{n:08x}" for n in v.ravel().view(np.uint32)],
        lambda v: np.char.mod("0x%08x", v.reshape(v.shape or (1,)).view(np.uint32)).tolist(),
    ):
        result.write_text(json.dumps({"dtype": "float32", "gradients": {k: spelled(v) for k, v in leaves.items()}}))
        assert run(path, result) == 0
    save_file(leaves, tmp_path / "r.safetensors", {"dtype": "float32"})
    assert run(path.with_suffix(".safetensors"), tmp_path / "r.safetensors") == 0
    wrong = {k: v.swapaxes(0, 1) if v.ndim == 4 else v for k, v in leaves.items()}
    result.write_text(json.dumps({k: v.tolist() for k, v in wrong.items()}))
    assert run(path, result) == 2, "the shape is not that of the input"


def test_halves_of_bfloat16(tmp_path):
    path, problem = case("operation_layer_norm_bfloat16")
    leaves = {k: np.asarray(v).astype(ml_dtypes.bfloat16) for k, v in computed_in("bfloat16", problem).items()}
    halves = {k: [f"0x{n:04x}" for n in v.ravel().view(np.uint16)] for k, v in leaves.items()}
    result = tmp_path / "r.json"
    result.write_text(json.dumps({"dtype": "bfloat16", "gradients": halves}))
    assert run(path, result) == 0


def test_few_printed_digits_are_taken_into_account(tmp_path, capsys):
    path, problem = case("operation_layer_norm_float64")
    result = written(tmp_path / "r.json", ref.gradients(problem).leaves(), "{:.9g}")
    assert run(path, result) == 0
    assert "printed with 9 digits" in capsys.readouterr().out
    off = {k: v + 1e-6 for k, v in ref.gradients(problem).leaves().items()}
    assert run(path, written(tmp_path / "r.json", off, "{:.9g}"), "--no-diagnose") == 1


def test_a_part_of_the_gradients_will_do_and_a_foreign_one_will_not(tmp_path, capsys):
    path, problem = case("operation_layer_norm_float64")
    leaves = ref.gradients(problem).leaves()
    assert run(path, written(tmp_path / "r.json", {"x": leaves["x"]})) == 0
    assert run(path, written(tmp_path / "r.json", {"layers[0].weight": leaves["x"]})) == 2
    out = capsys.readouterr()
    assert "the problem has no such gradient; it has x, weight, bias, loss" in " ".join((out.out + out.err).split())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_mistake_in_one_step_is_named_with_the_step(tmp_path, dtype):
    path, problem = case(BLOCK.format(dtype))
    (norm,) = (step for step in problem.graph.steps if step.name == "norm_2")
    wrong = next(iter(norm.operation.mistakes))
    row = changed(norm.operation, pullback=norm.operation.mistakes[wrong])
    steps = [changed(step, operation=row) if step is norm else step for step in problem.graph.steps]
    network = ref.Network(problem.graph.parameters, steps)
    planted = ref.gradients(ref.Problem(network, problem.x, problem.target, problem.loss))
    report = tmp_path / "report.json"
    assert run(path, written(tmp_path / "r.json", planted.leaves(), dtype=dtype), "--json", report) == 1
    found = json.loads(report.read_text(encoding="utf-8"))["cases"][0]
    assert found["status"] == "wrong"
    assert "norm_2" in found["diagnosis"]


def test_a_tie_another_way_is_another_convention(tmp_path):
    path, problem = case("kink_operation_maximum")
    target = problem.target
    result = written(tmp_path / "r.json", {"input": target, "other": 0 * target})
    assert run(path, result) == 1
    assert run(path, result, "--accept-conventions") == 0
