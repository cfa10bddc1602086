"""The published list of torch's deviations, each shown to be real, and to excuse nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import reference as ref
from reference import activations as act
from tests.helpers import DTYPES, gamma
from tests.torch_compare.torch_side.helpers import Array
from torch_compare.torch_side.deviations import DEVIATIONS, Deviation, deviation, deviations
from torch_compare.torch_side.gradients import torch_gradients, torch_loss
from torch_compare.verdict.checks import check


def single(row: ref.Activation | str, z: Array, dtype: Any, behind: float | None = None) -> ref.Problem:
    """One example whose pre-activation is z, and a random cotangent or, with a layer ×behind, ½y²."""
    z = np.atleast_2d(np.asarray(z, dtype))
    layers = [ref.Layer(np.eye(z.shape[1], dtype=dtype), None, row)]
    if behind is not None:
        layers.append(ref.Layer(np.array([[behind]], dtype), None, "identity"))
        return ref.Problem(ref.MLP(tuple(layers)), z, np.zeros((1, 1), dtype), "half_squared_error")
    c = np.random.default_rng(3).uniform(1, 2, size=(1, layers[0].width)).astype(dtype)
    return ref.Problem(ref.MLP(tuple(layers)), z, c, "inner_product")


def output(loss: ref.Loss | str, y: float, t: float, dtype: Any) -> ref.Problem:
    mlp = ref.MLP((ref.Layer(np.ones((1, 1), dtype), None, "identity"),))
    return ref.Problem(mlp, np.array([[y]], dtype), np.array([[t]], dtype), loss)


def last(inside: Callable[[Array], bool], bad: float, good: float, dtype: Any) -> float:
    """The number next to the region, found by bisection between one inside it and one outside."""
    low, high = dtype(bad), dtype(good)
    with np.errstate(all="ignore"):
        assert inside(low)
        assert not inside(high)
        while True:
            middle = dtype(low + (high - low) / 2)
            if middle in (low, high):
                return float(high)
            low, high = (middle, high) if inside(middle) else (low, middle)


@dataclasses.dataclass(frozen=True)
class Case:
    """A problem in the region of a deviation and one just outside it; how its loss may be differenced.

    third: a bound of |∂³L/∂x³| on [x − step, x + step], for the central difference's error step²/6·third.
    forward: torch's own forward pass, or the reference's where torch's is not the function (it overflows).
    """

    name: str
    inside: ref.Problem
    outside: ref.Problem
    step: float
    third: float = 0.0
    forward: Callable[[ref.Problem], Array] = torch_loss


def cases(dtype: Any) -> list[Case]:
    info = np.finfo(dtype)
    double = dtype is np.float64
    overflow = last(lambda z: np.isinf(np.exp(z)), 800.0, 80.0, dtype)
    beyond = float(np.nextafter(dtype(overflow), dtype(np.inf)))
    root = last(lambda z: np.isinf(z * z), float(info.max), 1.0, dtype)
    sixth = last(lambda z: np.isinf(z * 6), float(info.max), 1.0, dtype)
    epsilon = last(lambda y: (1 - y) * y < np.float32(1e-12), 1e-13, 1e-11, dtype)
    soft = act.softplus(threshold=1e4)
    cotangent = single(soft, 0.0, dtype).target
    times_c = last(lambda z: np.isinf(cotangent * np.exp(z)), 800.0, 80.0, dtype)
    huge, small = float(info.max) / 2, 2.0 / float(info.max)
    found = [
        Case("soft_margin_overflow", output("soft_margin", -900.0, 1.0, dtype),
             output("soft_margin", -overflow, 1.0, dtype), 1.0, forward=ref.loss_value),
        Case("soft_margin_overflow", output("soft_margin", beyond, -1.0, dtype),
             output("soft_margin", overflow, -1.0, dtype), 1.0, forward=ref.loss_value),
        Case("softplus_overflow", single(soft, 900.0, dtype), single(soft, times_c, dtype), 1.0,
             forward=ref.loss_value),
        Case("softplus_overflow", single(soft, overflow, dtype), single(act.softplus(), overflow, dtype), 1.0,
             forward=ref.loss_value),
        Case("gelu_tanh_overflow", single("gelu_tanh", 4 * root, dtype), single("gelu_tanh", root, dtype), root),
        Case("gelu_tanh_overflow", single("gelu_tanh", -4 * root, dtype), single("gelu_tanh", -root, dtype), root),
        Case("hardswish_overflow", single("hardswish", huge, dtype, small), single("hardswish", sixth, dtype, small),
             huge / 4, forward=ref.loss_value),
        Case("bce_epsilon", output("bce", 1e-13, 0.5, dtype), output("bce", epsilon, 0.5, dtype),
             1e-13 / 1024, 1.01e39),
    ]  # fmt: skip
    if double:
        tiny = float(np.nextafter(0.0, 1.0))
        found += [
            Case("hardsigmoid_float32_sixth", single("hardsigmoid", 1.0, dtype), single("hardsigmoid", 3.0, dtype),
                 1.0),
            Case("celu_float32_alpha", single(act.celu(0.3), -0.03, dtype), single(act.celu(0.3), tiny, dtype),
                 2.0**-18, 2.0 / 0.3**2),
            Case("celu_float32_alpha", single(act.celu(0.3), -0.03, dtype), single(act.celu(0.5), -0.03, dtype),
                 2.0**-18, 2.0 / 0.3**2),
        ]  # fmt: skip
    return found


CASES = [pytest.param(case, dtype, id=f"{case.name}-{dtype.__name__}") for dtype in DTYPES for case in cases(dtype)]


def row_of(case: Case) -> Deviation:
    return next(row for row in DEVIATIONS if row.name == case.name)


def test_every_deviation_has_a_case():
    assert {case.name for case in cases(np.float64)} == {row.name for row in DEVIATIONS}
    assert len({row.name for row in DEVIATIONS}) == len(DEVIATIONS)


@pytest.mark.parametrize(("case", "dtype"), CASES)
def test_the_reference_has_the_derivative_and_torch_has_not(case, dtype):
    """A central difference of the forward pass, within its own error bar: truncation and 16 roundings a value."""
    problem, h = case.inside, case.step
    shift = np.zeros_like(problem.x)
    shift[0, 0] = h
    values = [float(case.forward(problem.replace(x=problem.x + side * shift))) for side in (1, -1)]
    info = np.finfo(dtype)
    width = float((problem.x + shift)[0, 0]) - float((problem.x - shift)[0, 0])
    found = (values[0] - values[1]) / width
    rounding = 2 * (gamma(16, dtype) * max(map(abs, values)) + 16 * float(info.smallest_subnormal)) / width
    bar = case.third * h * h / 6 + rounding
    with np.errstate(all="ignore"):
        mine, torchs = (float(g.input[0, 0]) for g in (ref.gradients(problem), torch_gradients(problem)))
    own = gamma(16, dtype) * abs(mine) + 16 * float(info.smallest_subnormal)
    assert abs(mine - found) <= bar + own
    assert not abs(torchs - found) <= bar + own


@pytest.mark.parametrize(("case", "dtype"), CASES)
def test_a_deviation_applies_inside_its_region_only(case, dtype):
    row = deviation(case.inside)
    assert row is not None
    assert row.name == case.name
    assert not check(case.inside, torch_gradients(case.inside), diagnose=False).agrees
    assert deviation(case.outside) is None
    assert check(case.outside, torch_gradients(case.outside)).agrees


@pytest.mark.parametrize(("case", "dtype"), [p for p in CASES if row_of(p.values[0]).as_torch is not None])
def test_torchs_own_formula_is_what_torch_computes(case, dtype):
    """So a deviation excuses this error and no other: one more in 2²⁰ is caught, in float32 2¹² ulps."""
    as_torch = row_of(case).as_torch
    assert as_torch is not None
    found = torch_gradients(case.inside)
    assert check(as_torch(case.inside), {"input": found.input}).agrees
    assert not check(as_torch(case.inside), {"input": found.input * dtype(1 + 2.0**-12)}, diagnose=False).agrees


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sigmoid", "silu", "mish", "glu"])
def test_underflow_is_rounding_and_no_deviation(name, dtype):
    """Torch has 0 for σ(z) where e^−z overflows, though the type has smaller numbers."""
    z = -1 - np.log(np.finfo(dtype).max)
    problem = single(name, [1e9, z] if name == "glu" else z, dtype)
    assert not np.array_equal(torch_gradients(problem).input, ref.gradients(problem).input)
    assert deviation(problem) is None
    verdict = check(problem, torch_gradients(problem))
    assert verdict.scale == "textbook"
    assert verdict.status in ("agrees", "unresolved"), "of a lone number that is flushed to 0 nothing can be said"


def test_bce_at_the_very_ends():
    """At y = t = 0 the loss is −log(1 − y): slope 1, torch 0; at y = 0, t = 1 it is the constant 100, torch −1e12."""
    for y, t, slope, torchs in (
        (0.0, 0.0, 1.0, 0.0),
        (0.0, 1.0, 0.0, -1e12),
        (1.0, 1.0, -1.0, 0.0),
        (1.0, 0.0, 0.0, 1e12),
    ):
        problem = output("bce", y, t, np.float64)
        assert ref.gradients(problem).input == slope
        assert torch_gradients(problem).input == pytest.approx(torchs, rel=2.0**-24)
        row = deviation(problem)
        assert row is not None
        assert row.name == "bce_epsilon"


def test_a_deviation_inside_a_network_is_found():
    rng = np.random.default_rng(0)
    mlp = ref.initialize([3, 4, 4, 2], ["tanh", act.softplus(threshold=1e4), "identity"], seed=0)
    problem = ref.Problem(mlp, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "mse")
    assert deviation(problem) is None
    first, second, third = mlp.layers
    steep = ref.MLP((first, dataclasses.replace(second, weight=second.weight * 1e5), third))
    found = deviation(problem.replace(network=steep))
    assert found is not None
    assert found.name == "softplus_overflow"
    assert np.isnan(torch_gradients(problem.replace(network=steep)).input).any()


# ── where regions end ────────────────────────────────────────────────────────────────────────────────


def names_of(problem: ref.Problem) -> list[str]:
    return [row.name for row in deviations(problem)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_softplus_deviates_where_a_large_gradient_from_behind_overflows(sign, dtype):
    """e^z is finite, and d_h·e^z is not, whichever sign d_h has; a d_h of 1 and one smaller leave it finite."""
    z = last(lambda z: np.isinf(np.exp(z)), 800.0, 80.0, dtype) - 5
    problem = single(act.softplus(threshold=1e4), z, dtype)
    for size, deviates in ((1e4, True), (1.0, False), (1e-3, False)):
        behind = problem.replace(target=np.full((1, 1), sign * size, dtype))
        assert names_of(behind) == ["softplus_overflow"] * deviates
        with np.errstate(all="ignore"):
            found = torch_gradients(behind)
        assert np.isfinite(found.input[0, 0]) != deviates
        assert check(behind, found, diagnose=False).agrees != deviates


@pytest.mark.parametrize("dtype", DTYPES)
def test_softplus_is_linear_beyond_its_threshold_and_not_at_it(dtype):
    at = dtype(1000.0)
    row = act.softplus(threshold=1000.0)
    assert names_of(single(row, at, dtype)) == ["softplus_overflow"]
    assert not np.isfinite(torch_gradients(single(row, at, dtype)).input[0, 0])
    beyond = single(row, np.nextafter(at, dtype(np.inf)), dtype)
    assert names_of(beyond) == []
    assert check(beyond, torch_gradients(beyond)).agrees


@pytest.mark.parametrize("dtype", DTYPES)
def test_hardswish_deviates_on_the_positive_side_alone(dtype):
    huge = float(np.finfo(dtype).max) / 2
    problem = single("hardswish", -huge, dtype, 2.0 / huge)
    assert names_of(problem) == []
    assert check(problem, torch_gradients(problem)).agrees


@pytest.mark.parametrize(("row", "inside", "outside", "name"), [
    (act.get("hardsigmoid"), -2.9, -3.0, "hardsigmoid_float32_sixth"),
    (act.get("hardsigmoid"), 1.0, 3.0, "hardsigmoid_float32_sixth"),
    (act.celu(0.3), -0.03, 0.03, "celu_float32_alpha"),
    (act.celu(0.3), 0.0, 5e-324, "celu_float32_alpha"),
])  # fmt: skip
def test_constants_of_float32_deviate_in_float64_alone(row, inside, outside, name):
    assert names_of(single(row, inside, np.float64)) == [name]
    for problem in (single(row, inside, np.float32), single(row, outside, np.float64)):
        assert names_of(problem) == []
        assert check(problem, torch_gradients(problem)).agrees


def test_a_step_that_is_a_loss_deviates_where_that_loss_does():
    network = ref.Network({}, [ref.Step("y", "soft_margin", "input", "expected")], inputs=("input", "expected"))
    for y, names in ((-142.0, ["soft_margin_overflow"]), (-80.0, [])):
        x = {"input": np.array([[y]], np.float32), "expected": np.ones((1, 1), np.int64)}
        problem = ref.Problem(network, x, np.ones((), np.float32), "inner_product")
        assert [row.name for row in deviations(problem)] == names


@pytest.mark.parametrize("weight", [None, [0.5]])
def test_a_step_that_is_bce_has_torchs_epsilon_as_the_loss_has(weight):
    row = ref.operations.of_loss(ref.losses.bce(weight), "sum")
    network = ref.Network({}, [ref.Step("y", row, "x", "expected")], constants={"expected": np.array([[0.5]])})
    for y, names in ((1e-13, ["bce_epsilon"]), (1e-3, [])):
        problem = ref.Problem(network, {"x": np.array([[y]])}, np.array(3.0), "inner_product")
        assert [row.name for row in deviations(problem)] == names
        theirs = torch_gradients(problem)
        assert check(problem, theirs).agrees == (not names)
        for found in deviations(problem):
            assert check(found.as_torch(problem), theirs).agrees
