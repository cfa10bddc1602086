"""The formulas whose parts may go wrong are the reference's if every part is right."""

from __future__ import annotations

import numpy as np
import pytest

from torch_compare.steps.candidates import decoupled, in_ways
from torch_compare.steps.formulas import FORMULAS, RIGHT
from torch_compare.steps.step import leaves, read_step
from torch_compare.trajectories.matrix import matrix_trajectory
from torch_compare.trajectories.random_trajectories import random_trajectory


@pytest.mark.parametrize("name", FORMULAS)
def test_done_rightly_they_are_the_references(name):
    draw = matrix_trajectory if name == "adafactor" else random_trajectory
    for seed in range(20):
        found = draw(name, seed, 4)
        params, state = [p.astype(float) for p in found.params], None
        with np.errstate(all="ignore"):
            for g in found.grads:
                step = read_step(found.optimizer, params, [a.astype(float) for a in g], state)
                expected, made = step.take(), leaves(step.labels, *in_ways(step, RIGHT))
                for place, value in leaves(step.labels, *expected).items():
                    origin = step.start[place] if place.startswith("params[") else 0.0
                    reach = 1e-9 * np.abs(np.asarray(value) - origin) + 1e-14 * np.abs(np.asarray(value) + 0 * origin)
                    apart = np.abs(np.asarray(value) - made[place])
                    assert np.all(
                        (apart <= reach + 1e-30 + 1e-15 * np.abs(origin)) | ~np.isfinite(np.asarray(value))
                    ), place
                params, state = expected
    assert decoupled(step) in (True, False)
