"""What the noisy runs of a step measure."""

from __future__ import annotations

import numpy as np
import pytest

from reference import optimizers as o
from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from torch_compare.steps import scales
from torch_compare.steps.anchored import Anchored
from torch_compare.steps.step import read_step

BF16, F32 = get_format("bfloat16"), get_format("float32")


def test_anchored_counts_its_own_roundings_and_goes_on_with_their_noise():
    source = NoiseSource(BF16, 64, np.random.default_rng(0))
    p = Anchored(np.array([[1.0]]), source)
    moved = p * 0.99 - 0.001
    assert (moved.stored, moved.scalars, len(moved.data)) == (2, 1, 1)
    for other in (0.1 * p, p + p, moved - moved, np.sqrt(p), p / 3.0):
        assert type(other) is Noisy
    assert (0.0 + moved * 1.0).spread() > 1e-3


@pytest.mark.parametrize("fmt", [F32, get_format("float64")])
def test_the_scale_of_parameters_is_that_of_the_step_alone(fmt):
    lr = 0.1  # far below, long double cannot hold the noise of a step in float64 beside θ
    step = read_step(o.sgd(lr=lr), [np.full(50, 1.25)], [np.linspace(0.1, 0.99, 50)], None)
    found = scales.measured(step, fmt, scales.exact(step))
    change = lr * step.grads[0]
    assert np.all(found.sigma["params[0]"] < 4 * fmt.unit_roundoff * change)
    assert np.all(found.sigma["params[0]"] > 0.2 * fmt.unit_roundoff * change)
    assert found.slack["params[0]"] == pytest.approx(np.full(50, fmt.unit_roundoff))


@pytest.mark.parametrize("name", ["adam", "asgd", "nadam"])
def test_pieces_of_a_large_array_are_measured_like_the_whole(name, monkeypatch):
    rng = np.random.default_rng(3)
    opt, params, grads = o.OPTIMIZERS[name](), [rng.normal(size=(40, 30))], [rng.normal(size=(40, 30))]
    step = read_step(opt, params, grads, None)
    expected = scales.exact(step)
    whole = scales.measured(step, F32, expected)
    monkeypatch.setattr(scales, "LARGEST", 500)
    parts = scales.measured(step, F32, expected)
    for place in expected:
        assert np.shape(parts.sigma[place]) == np.shape(whole.sigma[place])
        assert np.mean(parts.sigma[place]) == pytest.approx(np.mean(whole.sigma[place]), rel=0.3, abs=1e-12)
        assert np.allclose(parts.slack[place], whole.slack[place])


def test_float32_scalars_widen_the_scale_where_they_cancel():
    step = read_step(o.adam(lr=0.01), [np.ones(20)], [np.linspace(1, 2, 20)], {
        "step": 5, "exp_avg": (np.full(20, 0.3),), "exp_avg_sq": (np.full(20, 1e-3),),
    })  # fmt: skip
    expected = scales.exact(step)
    narrow = scales.measured(step, F32, expected)
    wide = scales.with_coarse_scalars(step, narrow, F32)
    assert np.all(wide.sigma["params[0]"] > 5 * narrow.sigma["params[0]"])


def test_squares_beyond_float16_leave_nothing_to_judge_by():
    step = read_step(o.adam(), [np.ones(3)], [np.array([1.0, 1e-4, 300.0])], None)
    found = scales.measured(step, get_format("float16"), scales.exact(step))
    assert np.isnan(found.sigma["params[0]"]).tolist() == [False, True, True] or np.all(
        np.isnan(found.sigma["params[0]"][1:])
    )
