"""Networks of operations as files: they come back bit for bit, and what is no such network is refused."""

import json
import tracemalloc

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.implementations.transformers import gpt2, llama, next_tokens
from reference import operations as ops
from reference.network.unchecked import changed
from tests.torch_compare.files.helpers import refused
from torch_compare.cases import vectors
from torch_compare.files import problem_file
from torch_compare.files.case_file import read_case
from torch_compare.files.case_writer import as_json, as_safetensors
from torch_compare.files.untrusted import MEMORY

MISSING = object()
PATHS = [path for path in vectors.case_paths(vectors.COMMITTED) if path.name.startswith(("operation", "network"))]


def same(one, two):
    """Whether two problems hold the same arrays, bit for bit, and the same rows."""
    arrays = [{**p.arrays(), **p.graph.constants} for p in (one, two)]
    assert arrays[0].keys() == arrays[1].keys()
    for name, values in arrays[0].items():
        got = arrays[1][name]
        assert (got.dtype, got.shape, got.tobytes()) == (values.dtype, values.shape, values.tobytes()), name
    for a, b in zip(one.graph.steps, two.graph.steps, strict=True):
        assert (a.output, a.operation, a.inputs, a.compute, a.store) == (
            b.output,
            b.operation,
            b.inputs,
            b.compute,
            b.store,
        )
    assert (one.loss, one.reduction, one.graph.output) == (two.loss, two.reduction, two.graph.output)


# ── there and back ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", ["json", "safetensors"])
def test_every_committed_case_comes_back(end):
    for path in PATHS:
        case = read_case(path.with_suffix(f".{end}"))
        assert as_json(case) == path.read_text("utf-8")
        assert as_safetensors(case) == path.with_suffix(".safetensors").read_bytes()


@pytest.mark.parametrize("make", [gpt2, llama])
def test_a_transformer_comes_back(tmp_path, make):
    problem = next_tokens(make(layers=1, width=8, heads=2, vocabulary=12))
    for end in ("json", "safetensors"):
        case = tc.write_case(problem, tmp_path / f"case.{end}")
        read = tc.read_case(tmp_path / f"case.{end}")
        same(problem, read.problem)
        assert read.certified.status == case.certified.status == "certified"
        for place, leaf in case.certified.leaves().items():
            np.testing.assert_array_equal(read.certified[place].nearest, leaf.nearest)
        assert tc.check(read.problem, ref.gradients(problem), certified=read.certified).agrees
    same(problem, problem_file.decode(json.loads(json.dumps(problem_file.encode(problem)))))


def _odd():
    """Every kind of thing that a network may hold."""
    x = {
        "ids": np.array([[0, 2]], np.int32),
        "keep": np.array([[[True], [False]]]),
        "näme ½": np.ones((1, 2, 3), np.float32),
    }
    steps = [
        ref.Step("e", "embedding", "ids", "table", compute="bfloat16", store="float16"),
        ref.Step("w", "where", "keep", "e", "näme ½"),
        ref.Step(("a", "b"), ops.split((1, 2), dim=-1), "w"),
        ref.Step("both", ops.cat(-1), "a", "b", "w"),
        ref.Step("m", "add", "both", "mask"),
        ref.Step("y", ops.of_activation("softmax", 2), "m"),
    ]  # fmt: skip
    constants = {"mask": np.array([0.0, 0.0, -np.inf, 1.0, 0.5, 0.0], np.float32)}
    table = {"table": np.arange(9, dtype=np.float32).reshape(3, 3)}
    network = ref.Network(table, steps, tuple(x), "y", constants)
    return ref.Problem(network, x, np.full((1, 2, 6), 0.3, np.float32), "mse", "sum")


def test_formats_masks_indices_constants_and_several_outputs_come_back(tmp_path):
    problem = _odd()
    wide = problem.replace(x={**problem.x, "ids": problem.x["ids"].astype(np.int64)})
    for end in ("json", "safetensors"):
        (tmp_path / f"odd.{end}").write_bytes(b"")
        tc.write_case(problem, tmp_path / f"odd.{end}", note="½")
        same(wide, tc.read_case(tmp_path / f"odd.{end}").problem)


# ── what no file can hold ────────────────────────────────────────────────────────────────────────────


def _of(row, x=None, **arrays):
    x = np.ones((2, 2)) if x is None else x
    network = ref.Network({}, [ref.Step("y", row, "x")])
    return ref.Problem(network, x, np.ones((2, 2)), "inner_product")


def test_a_row_of_ones_own_is_refused(tmp_path):
    own = ref.Operation(
        "squared", "x²", "", ("x",), lambda x: x * x, lambda i, y, d: (2 * i[0] * d,), lambda i, y, c: 2 * i[0] * c[0],
        ((np.array([1.5]),),),
    )  # fmt: skip
    renamed = changed(ops.get("exp"), value=lambda x: x * 1.0, _call=None)
    for row in (own, renamed, ops.of_activation(changed(ref.ACTIVATIONS["tanh"], name="mine"))):
        with pytest.raises(ValueError, match=r"row of your own|no row of the tables"):
            tc.write_case(_of(row), tmp_path / "case.json")
    assert not (tmp_path / "case.json").exists()


def test_names_that_a_file_cannot_hold_are_refused(tmp_path):
    for name in ("gradients.x", "__metadata__", "a" * 201, "a\nb"):
        network = ref.Network({}, [ref.Step("y", "exp", name)], (name,))
        problem = ref.Problem(network, np.ones((1, 1)), np.ones((1, 1)), "inner_product")
        with pytest.raises(ValueError, match="name"):
            tc.write_case(problem, tmp_path / "case.json")


# ── a stranger's file ────────────────────────────────────────────────────────────────────────────────

A = "architecture"
S = (A, "steps", 0)


@pytest.mark.parametrize(("place", "value", "message"), [
    ((A, "steps"), {}, "steps: expected a list of at most 2000"),
    ((A, "steps"), [], "output: 'output' is not there"),
    ((A, "steps"), [1], r"steps\[0\]: expected an object of output, operation and inputs, got 1"),
    ((A, "output"), MISSING, "architecture: 'output': missing"),
    ((A, "extra"), 1, "architecture: 'extra': unknown"),
    ((A, "dtype"), "bfloat16", "dtype: expected float64 or float32"),
    ((A, "dtype"), "float32", "arrays: target: expected float32 or int64, got float64"),
    ((A, "reduction"), "none", 'reduction: expected "mean" or "sum"'),
    ((A, "inputs"), "x", "inputs: expected a list of names"),
    ((A, "inputs"), ["x", "x"], "arrays: x: missing, or named twice"),
    ((A, "inputs"), [["x"]], r"inputs\[0\]: expected a name"),
    ((A, "inputs"), ["x", "weight"], "arrays: 'bias': no array of this architecture"),
    ((A, "parameters"), ["x"], "arrays: x: missing, or named twice"),
    ((A, "loss", "name"), "get", "loss: name: no row is named"),
    ((*S, "output"), ["a", "b"], "output: 'output' is not there"),
    ((*S, "output"), [], "output: expected a name or a list of 1 to 200"),
    ((*S, "output"), "loss", "no value may have the name of 'loss'"),
    ((*S, "output"), "\x1b[2J", "output: expected a name"),
    ((*S, "output"), "gradients.x", 'no name may begin with "gradients."'),
    ((*S, "inputs"), ["x", "other", None], "'other' is not there"),
    ((*S, "inputs"), "x", "inputs: expected a list of at most 200 names"),
    ((*S, "inputs"), [{}], "inputs: expected a name"),
    ((*S, "inputs"), [None], "layer_norm needs its input 'x'"),
    ((*S, "inputs"), ["weight", "x", "bias"], r"steps\[0\] \('output', layer_norm\)"),
    ((*S, "compute"), "float13", "compute: expected one of float64"),
    ((*S, "store"), ["float32"], "store: expected one of float64"),
    ((*S, "code"), "import os", "'code': unknown"),
    ((*S, "operation"), "layer_norm", "operation: expected an object of name and parameters"),
    ((*S, "operation", "name"), "__class__", "name: no row is named '__class__'"),
    ((*S, "operation", "name"), "of_activation", "name: no row is named"),
    ((*S, "operation", "name"), "exp", "unexpected keyword argument"),
    ((*S, "operation", "parameters"), [], "parameters: expected an object"),
    ((*S, "operation", "parameters"), {"axis": 1}, "unexpected keyword argument 'axis'"),
    ((*S, "operation", "parameters", "eps"), "1e-5", "layer_norm|must be real number|operation"),
    ((*S, "operation", "parameters", "eps"), "a" * 101, "at most 100 printable letters"),
    ((*S, "operation", "parameters", "normalized_shape"), [[4]], "expected a list of at most 16 numbers"),
    ((*S, "operation", "parameters", "normalized_shape"), [1] * 17, "expected a list of at most 16 numbers"),
    ((*S, "operation", "parameters", "normalized_shape"), [2**22, 2], "parameters that ask for about"),
    ((*S, "operation", "parameters", "normalized_shape"), [3], "layer_norm"),
    (("arrays", "target"), MISSING, "arrays: target: missing"),
    (("arrays", "x", "shape"), [1] * 9, "x: shape: expected at most 8 integers"),
    (("arrays", "x", "shape"), [4, 2], "layer_norm"),
    (("arrays", "x", "dtype"), "bool", "x: bits"),
    (("gradients", "x"), MISSING, "gradients: x: missing"),
    (("gradients", "x", "shape"), [4, 2], r"gradients: x: expected shape \(2, 4\), got \(4, 2\)"),
    (("gradients", "y"), {}, "gradients: y: 'lower|gradients: y: lower: missing"),
    (("kinks_hit",), [{"step": "y", "operation": "relu", "index": [-1]}], r"kinks_hit\[0\]: index: expected at most 8"),
    (("kinks_hit",), [{"layer": 0}], r"kinks_hit\[0\]: expected an object of step, operation and index"),
    (("kinks_hit",), [{"step": 1, "operation": "relu", "index": []}], r"kinks_hit\[0\]: step: expected a name"),
])  # fmt: skip
def test_a_wrong_member_is_named(tmp_path, place, value, message):
    data = json.loads((vectors.COMMITTED / "operation_layer_norm_float64.json").read_text("utf-8"))
    node = data
    for key in place[:-1]:
        node = node[key]
    if value is MISSING:
        del node[place[-1]]
    else:
        node[place[-1]] = value
    refused(tmp_path, data, message)


def test_truth_values_are_0_or_1(tmp_path):
    data = json.loads((vectors.COMMITTED / "operation_dropout_float64.json").read_text("utf-8"))
    mask = data["arrays"]["mask"]
    for key, value in (("bits", "0x02"), ("decimal", 2), ("decimal", True), ("decimal", -1)):
        kept, mask[key][0] = mask[key][0], value
        refused(tmp_path, data, "expected 0 or 1|expected an integer|its bits say")
        mask[key][0] = kept


# ── small files that ask for much ────────────────────────────────────────────────────────────────────

LARGE = [
    [("outer", {}, ["x", "x"])] * 2,
    [("repeat", {"repeats": [2**11, 2**11]}, ["x"])],
    [("repeat", {"repeats": [2048]}, ["x"]), ("repeat", {"repeats": [2048]}, ["h0"])],
    [("repeat_interleave", {"repeats": 2**20, "dim": None}, ["x"])],
    [("expand", {"size": [2**12, 2**12, 3000]}, ["x"])],
    [("pad", {"pad": [2**20, 2**20], "mode": "constant"}, ["x"]), ("outer", {}, ["h0", "h0"])],
    [("pad", {"pad": [2000] * 16, "mode": "constant"}, ["x"])],
    [("reshape", {"shape": [2**30]}, ["x"])],
    [("reshape", {"shape": [2**15, 2**15]}, ["x"])],
    [("select", {"dim": 2**30, "index": 0}, ["x"])],
    [("select", {"dim": 7, "index": 2**20}, ["x"])],
    [("narrow", {"dim": 0, "start": 2**30, "length": 2**30}, ["x"])],
    [("unsqueeze", {"dim": 30}, ["x"])],
    [("split", {"split_size_or_sections": [2**30, 2**30], "dim": 0}, ["x"])],
    [("einsum", {"equation": "aaaaaaaaaaaaaaaaaaaaaaaaaa,b->ab"}, ["x", "x"])],
    [("einsum", {"equation": "a,b->ab"}, ["x", "x"]), ("einsum", {"equation": "ab,cd->abcd"}, ["h0", "h0"])],
    [("group_norm", {"num_groups": 2**30}, ["x"])],
    [("layer_norm", {"normalized_shape": [2**24]}, ["x"])],
    [("conv2d", {"padding": 2**20}, ["x", "x"])],
    [("conv1d", {"groups": 2**22}, ["x", "x"])],
    [("reshape", {"shape": [1, 3000]}, ["x"]), ("reshape", {"shape": [1, 1, 3000]}, ["x"]),
     ("conv1d", {"padding": 1500}, ["h0", "h1"])],
    [("reshape", {"shape": [3000, 1, 1]}, ["x"]), ("reshape", {"shape": [3000, 1, 1, 1]}, ["x"]),
     ("conv_transpose2d", {"stride": 500, "output_padding": 499}, ["h0", "h1"])],
    [("unfold", {"kernel_size": 2**11}, ["x"])],
    [("reshape", {"shape": [1, 30, 100]}, ["x"]), ("unfold", {"kernel_size": 30, "padding": 30}, ["h0"])],
    [("fold", {"output_size": 2**11, "kernel_size": 2}, ["x"])],
    [("pixel_shuffle", {"upscale_factor": 2**11}, ["x"])],
    [("local_response_norm", {"size": 2**11}, ["x"])],
    [("add", {}, ["x", "x"])] * 5000,
]  # fmt: skip


@pytest.mark.parametrize("program", LARGE, ids=[program[0][0] for program in LARGE])
def test_a_small_file_that_asks_for_much_is_refused_before_it_gets_it(tmp_path, program):
    """3,000 numbers, and steps that multiply them."""
    x = np.linspace(0, 1, 3000)
    network = ref.Network({}, [ref.Step("y", "exp", "x")])
    problem = ref.Problem(network, x, np.ones(3000), "inner_product")
    data = problem_file.encode(problem)
    last = len(program) - 1
    data["network"]["steps"] = [
        {
            "output": "y" if k == last else f"h{k}",
            "operation": {"name": name, "parameters": parameters},
            "inputs": inputs,
        }
        for k, (name, parameters, inputs) in enumerate(program)
    ]
    if program[0][0] == "outer":
        data["network"]["steps"][1]["inputs"] = ["h0", "h0"]
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"more than|expected|at most|about"):
            problem_file.decode(json.loads(json.dumps(data)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEMORY
