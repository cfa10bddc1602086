"""Every operation has its vectors, at two shapes and in three types, and other sources than the oracle find them."""

import hashlib

import numpy as np
import pytest

import reference as ref
from reference.operations import MAKERS
from tests.torch_compare.cases.helpers import of_layers, of_steps
from torch_compare.cases import operation_cases, vectors
from torch_compare.cases.operation_inputs import ENTRIES
from torch_compare.files.case_writer import as_json, as_safetensors
from torch_compare.verdict.checks import check

LAYERS = "fbfbeafbae75693d2fac766ee7e10319b3256f7717ee416ec001bc5e574f393c"
"""SHA-256 of the files of generator version 2, JSON and safetensors in turn, in the order of their names."""

STEP = 2.0**-330
"""A power of two: what is divided by it is not rounded."""


def named(cases, prefix):
    return [case for case in cases if case.name.startswith(prefix)]


def test_every_operation_has_its_entry_and_no_other():
    assert set(ENTRIES) == set(MAKERS), "add what it is shown with to cases/operation_inputs.py, and run make vectors"


def test_every_operation_at_two_shapes_and_in_three_types(cases):
    found = {case.name: case for case in named(cases, "operation_")}
    assert set(found) == {f"operation_{n}_{t}" for n in MAKERS for t in ("float64", "float32", "bfloat16")}
    for name in MAKERS:
        first, second, coarse = (found[f"operation_{name}_{t}"] for t in ("float64", "float32", "bfloat16"))
        shapes = [{key: np.shape(v) for key, v in c.problem.x.items()} for c in (first, second, coarse)]
        rows = [c.problem.graph.steps[0].operation for c in (first, second, coarse)]
        assert shapes[0] == shapes[2]
        assert (shapes[0], rows[0]) != (shapes[1], rows[1])
        assert rows[0].name == name
        assert [str(c.problem.dtype) for c in (first, second, coarse)] == ["float64", "float32", "float32"]


def test_the_numbers_of_bfloat16_cases_are_bfloat16(cases):
    coarse = [case for case in cases if "bfloat16" in case.flags]
    assert len(coarse) == len(MAKERS) + 2
    for case in coarse:
        for name, values in {**case.problem.arrays(), **case.problem.graph.constants}.items():
            if np.asarray(values).dtype.kind == "f":
                bits = np.asarray(values, np.float32).view(np.uint32)
                assert not np.any(bits & 0xFFFF), f"{case.name}: {name}: the upper half of a float32 is a bfloat16"


def test_all_of_them_are_certified_and_small(cases):
    for case in of_steps(cases):
        assert case.certified.status == "certified", case.name
        if "operation" in case.flags:
            assert sum(np.size(v) for v in case.problem.arrays().values()) < 40, case.name


def test_the_complex_step_finds_the_same(cases):
    """Of every operation in float64, element by element: the derivative is Im L(x + iε)/ε, and no subtraction."""
    exact = [case for case in named(cases, "operation_") if case.problem.dtype == np.float64]
    assert len(exact) == len(MAKERS)
    for case in exact:
        found = {}
        for place, values in case.problem.leaves().items():
            found[place] = np.empty(values.shape)
            for at in np.ndindex(values.shape):
                stepped = np.array(values, complex)
                stepped[at] += STEP * 1j
                moved = case.problem.replace(x={**case.problem.x, place: stepped})
                found[place][at] = np.imag(ref.loss_value(moved)) / STEP
        verdict = check(case.problem, found, certified=case.certified, diagnose=False)
        assert verdict.agrees, f"{case.name}: {verdict}"


def test_a_planted_error_is_caught(cases):
    """The largest element of the first gradient doubled, in the coarsest type of the case; each row in one type."""
    unseen = []
    for case in (case for index, case in enumerate(of_steps(cases)) if (index + index // 3) % 3 == 0):
        dtype = "bfloat16" if "bfloat16" in case.flags else str(case.problem.dtype)
        leaves = {place: np.array(leaf, float) for place, leaf in ref.gradients(case.problem).leaves().items()}
        place = next(iter(leaves))
        at = np.unravel_index(np.argmax(np.abs(leaves[place])), leaves[place].shape)
        leaves[place][at] = 2 * leaves[place][at] or 1.0
        if check(case.problem, leaves, dtype, certified=case.certified, diagnose=False).agrees:
            unseen.append(case.name)
    assert not unseen


def test_the_cases_of_layers_are_what_they_were(cases):
    """Byte for byte, as generator version 2 wrote them, but for the loss that has come since."""
    found = hashlib.sha256()
    for case in sorted(of_layers(cases), key=lambda case: case.name):
        if case.name != "loss_inner_product":
            found.update(as_json(case).encode())
            found.update(as_safetensors(case))
    assert found.hexdigest() == LAYERS


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_ties_are_found_and_said(cases, name):
    case = next(case for case in cases if case.name == f"kink_operation_{name}")
    assert [(k.step, k.operation, k.index) for k in case.certified.kinks] == [("output", name, (0,))]
    assert "kink" in case.flags
    one_sided = {
        "input": case.problem.target * [1, name == "maximum"],
        "other": case.problem.target * [0, name == "minimum"],
    }
    assert check(case.problem, one_sided, certified=case.certified).status == "another convention"


def test_a_missing_entry_would_leave_an_operation_out():
    assert {made.name for made in operation_cases.drafts()} >= {f"operation_{n}_float32" for n in MAKERS}
    assert vectors.GENERATOR_VERSION == "4"
