"""torch's own formulas among the mistakes: where the published list says that they are not the derivative."""

import pytest

import torch_compare as tc
from torch_compare.case_file import read_case
from torch_compare.vectors import COMMITTED


@pytest.mark.parametrize(
    ("case", "row"),
    [
        ("activation_celu_alpha_0_3", "celu_float32_alpha"),
        ("activation_hardsigmoid", "hardsigmoid_float32_sixth"),
        ("bug_13_bce", "bce_epsilon"),
    ],
)
def test_torchs_published_deviations_are_named(case, row):
    found = read_case(COMMITTED / f"{case}.json")
    verdict = tc.check(found.problem, tc.SOURCES["torch"](found.problem), certified=found.certified)
    assert verdict.explanation.names == ("deviation of torch",)
    assert row in verdict.diagnosis
    doubled = {k: 2 * v for k, v in tc.SOURCES["torch"](found.problem).leaves().items()}
    assert "deviation of torch" in tc.check(found.problem, doubled).explanation.names
