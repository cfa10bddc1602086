"""torch's own formulas among the mistakes: where the published list says that they are not the derivative."""

import pytest

import torch_compare as tc
from torch_compare.cases.vectors import COMMITTED
from torch_compare.files.case_file import read_case


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
    assert verdict.diagnosis.names == ("deviation of torch",)
    assert row in verdict.diagnosis


@pytest.mark.parametrize("case", ["activation_celu_alpha_0_3", "activation_hardsigmoid"])
def test_a_published_deviation_is_named_beside_another_mistake(case):
    """Not of bug_13_bce, whose gradient is two numbers: one constant explains any two that keep their ratio."""
    found = read_case(COMMITTED / f"{case}.json")
    doubled = {k: 2 * v for k, v in tc.SOURCES["torch"](found.problem).leaves().items()}
    assert "deviation of torch" in tc.check(found.problem, doubled).diagnosis.names
