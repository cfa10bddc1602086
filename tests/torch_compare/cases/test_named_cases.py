"""The committed cases reach every row, kink and size, and are true."""

import numpy as np
import pytest

import reference as ref
from tests.torch_compare.cases.helpers import of_layers
from torch_compare.cases.draft import FLAGS
from torch_compare.torch_side.deviations import deviations
from torch_compare.torch_side.gradients import torch_gradients
from torch_compare.verdict.checks import check

# ── what the cases are ───────────────────────────────────────────────────────────────────────────────


def test_every_row_kink_and_flag_has_its_case(cases):
    layered = of_layers(cases)
    rows = {layer.activation.name for case in layered for layer in case.problem.mlp.layers}
    assert rows == set(ref.ACTIVATIONS)
    assert {case.problem.loss.name for case in layered} == set(ref.LOSSES)
    hit = {(kink.activation, kink.at) for case in layered for kink in case.certified.kinks}
    assert {(row.name, kink.at) for row in ref.ACTIVATIONS.values() for kink in row.kinks} <= hit
    used = {flag for case in cases for flag in case.flags}
    assert used | {"random"} == set(FLAGS)


def test_every_switch_of_a_loss_is_hit(cases):
    """But that of bce, where log y = −100: e^−100 is no float64."""
    hit = {case.problem.loss.name for case in cases if "loss_switch" in case.flags}
    problems = [case.problem for case in of_layers(cases)]
    switching = {p.loss.name for p in problems if list(p.loss.switches(ref.forward(p.mlp, p.x).output, p.target))}
    assert "bce" in switching
    assert hit == switching - {"bce"}


def test_shapes_and_sizes_are_reached(cases):
    by_flag = {flag: [case for case in cases if flag in case.flags] for flag in FLAGS}
    assert any(len(case.problem.mlp.layers) == 100 for case in by_flag["deep"])
    assert all(case.problem.x.shape[0] == 1 for case in by_flag["batch_1"])
    assert all(any(layer.bias is None for layer in case.problem.mlp.layers) for case in by_flag["no_bias"])
    assert all(case.certified.status == "unresolved" for case in by_flag["unresolved"])
    tiny = {dtype: np.finfo(dtype).tiny for dtype in (np.float64, np.float32)}
    for case in by_flag["subnormal"]:
        leaves = np.concatenate([leaf.nearest.ravel() for leaf in case.certified.leaves().values()])
        assert np.any((leaves != 0) & (np.abs(leaves) < tiny[case.problem.dtype.type]))
    assert {case.problem.dtype.name for case in by_flag["subnormal"]} == {"float64", "float32"}
    for case in by_flag["half_range"]:
        for layer in case.problem.mlp.layers:
            np.testing.assert_array_equal(layer.weight, layer.weight.astype(np.float16))


# ── they are true ────────────────────────────────────────────────────────────────────────────────────


def test_the_oracle_in_floating_point_agrees_with_every_case(cases):
    for case in cases:
        verdict = check(case.problem, ref.gradients(case.problem), certified=case.certified, diagnose=False)
        expected = "unresolved" if "unresolved" in case.flags else "agrees"
        assert (case.name, verdict.status, verdict.scale) == (case.name, expected, "accurate")


def test_torch_agrees_with_every_case_or_a_published_deviation_says_why(cases):
    deviating = {}
    for case in of_layers(cases):
        with np.errstate(all="ignore"):
            given = torch_gradients(case.problem)
        verdict = check(case.problem, given, certified=case.certified, diagnose=False)
        if verdict.status not in ("agrees", "unresolved"):
            rows = deviations(case.problem)
            theirs = case.problem
            for row in rows:
                theirs = row.as_torch(theirs)
            assert rows, f"{case.name}: {verdict}"
            assert check(theirs, given, str(case.problem.dtype), diagnose=False).agrees
            deviating[case.name] = [row.name for row in rows]
    assert deviating == {
        "activation_celu_alpha_0_3": ["celu_float32_alpha"],
        "activation_hardsigmoid": ["hardsigmoid_float32_sixth"],
        "bug_13_bce": ["bce_epsilon"],
    }


@pytest.mark.parametrize("name", ["network_square", "loss_mse_float32", "tails_gelu", "network_subnormal"])
def test_a_planted_error_is_caught(cases, name):
    case = next(case for case in cases if case.name == name)
    found = ref.gradients(case.problem)
    leaves = {place: np.array(leaf) for place, leaf in found.leaves().items()}
    at = np.unravel_index(np.argmax(np.abs(leaves["layers[0].weight"])), leaves["layers[0].weight"].shape)
    leaves["layers[0].weight"][at] *= 1.25
    assert not check(case.problem, leaves, certified=case.certified, diagnose=False).agrees
