"""Cases written to files are read again, bit for bit."""

import re

import numpy as np
import pytest
from hypothesis import given

import reference as ref
import torch_compare as tc
from reference.network.unchecked import changed
from reference.rounding.certified import CertifiedLeaf
from tests.torch_compare.files.helpers import SMALL
from torch_compare.cases import vectors
from torch_compare.files.case_file import Case, read_case
from torch_compare.files.case_writer import as_json, as_safetensors
from torch_compare.random_problems.strategies import problems


def _leaf(values):
    values = np.asarray(values)
    return CertifiedLeaf(
        np.nextafter(values, -np.inf), np.nextafter(values, np.inf), values, np.ones(values.shape, bool)
    )


def _arrays(problem):
    for layer in problem.mlp.layers:
        yield layer.weight
        if layer.bias is not None:
            yield layer.bias
    yield from (problem.x, problem.target)


@given(problem=problems(max_depth=3, max_width=3, max_batch=2))
def test_every_problem_comes_back_bit_for_bit(tmp_path_factory, problem):
    certified = ref.gradients(problem.in_float64()).map(_leaf)
    certified = ref.CertifiedGradients(certified.layers, certified.input, certified.loss)
    case = Case("a", problem, certified, ("b",), "a note: z², ½", "https://example.org")
    folder = tmp_path_factory.mktemp("case")
    (folder / "a.json").write_text(as_json(case), encoding="utf-8")
    (folder / "a.safetensors").write_bytes(as_safetensors(case))
    for name in ("a.json", "a.safetensors"):
        read = read_case(folder / name)
        assert (read.name, read.flags, read.note, read.link) == (case.name, case.flags, case.note, case.link)
        assert as_json(read) == as_json(case)
        assert read.problem.reduction == problem.reduction
        for got, expected in zip(_arrays(read.problem), _arrays(problem), strict=True):
            assert (got.dtype, got.shape, got.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())
        for place, leaf in certified.leaves().items():
            np.testing.assert_array_equal(read.certified.leaves()[place].nearest, leaf.nearest)
        assert np.shape(read.certified.loss.nearest) == ()
        assert ref.gradients(read.problem).loss.tobytes() == ref.gradients(problem).loss.tobytes()


def test_a_number_that_is_not_finite_is_not_written():
    case = read_case(vectors.COMMITTED / f"{SMALL}.json")
    loss = CertifiedLeaf(np.array(-np.inf), np.array(np.inf), np.array(0.0), np.array(False))
    certified = ref.CertifiedGradients(case.certified.layers, case.certified.input, loss)
    with pytest.raises(ValueError, match=r"gradients: loss: lower\[0\]: expected a finite number"):
        as_json(Case("a", case.problem, certified))


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_problem_of_ones_own_is_written_and_comes_back(tmp_path, suffix, dtype):
    mlp = ref.initialize([3, 4, 2], [ref.activations.leaky_relu(0.2), "identity"], seed=1, dtype=dtype)
    x = np.random.default_rng(1).normal(size=(5, 3)).astype(dtype)
    problem = ref.Problem(mlp, x, np.array([0, 1, 1, 0, 1]), ref.losses.cross_entropy(label_smoothing=0.1), "sum")
    path = tmp_path / f"My network, 2nd{suffix}"
    written = tc.write_case(problem, path, note="mine")
    read = tc.read_case(path)
    assert (read.name, read.note) == (written.name, written.note) == ("my_network_2nd", "mine")
    for got, expected in zip(_arrays(read.problem), _arrays(problem), strict=True):
        assert (got.dtype, got.tobytes()) == (expected.dtype, expected.tobytes())
    assert read.problem.loss.parameters["label_smoothing"] == 0.1
    assert read.problem.mlp.layers[0].activation.parameters == {"negative_slope": 0.2}
    assert tc.check(read.problem, ref.gradients(problem), certified=read.certified).agrees


def test_a_problem_that_no_file_holds_is_refused(tmp_path):
    def problem(row, dtype="float64", loss="mse"):
        mlp = ref.initialize([2, 1], [row], seed=0, dtype=dtype)
        return ref.Problem(mlp, np.ones((1, 2), dtype), np.ones((1, 1), dtype), loss)

    good, relu = problem("relu"), ref.ACTIVATIONS["relu"]
    mine = changed(relu, value=lambda z: 2 * z)
    for refused, name, more, message in (
        (good, "a.txt", {}, "expected a name that ends in .json or .safetensors"),
        (good, "a.json", {"name": "A b"}, "name: expected lower-case letters"),
        (good, "a.json", {"note": "\x1b"}, "note: expected a text"),
        (problem("relu", "float16"), "a.json", {}, "a case holds float64 or float32, not float16"),
        (problem(mine), "a.json", {}, "relu: a row of your own, not that of the tables"),
        (problem(changed(relu, name="swoosh")), "a.json", {}, "no row of the tables is named 'swoosh'"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            tc.write_case(refused, tmp_path / name, **more)
        assert not [*tmp_path.iterdir()]
