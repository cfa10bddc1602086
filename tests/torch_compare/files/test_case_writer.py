"""Cases written to files are read again, bit for bit."""

import numpy as np
import pytest
from hypothesis import given

import reference as ref
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
