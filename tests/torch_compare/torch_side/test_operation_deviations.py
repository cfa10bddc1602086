"""Torch's deviations in operations: each is real, and reached by nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import reference as ref
from torch_compare.torch_side.deviations import deviations
from torch_compare.torch_side.gradients import torch_gradients, torch_loss


def normed(*inputs: str | None) -> ref.Problem:
    rng = np.random.default_rng(0)
    parameters = {name: rng.normal(size=4) for name in inputs if name is not None}
    row = ref.operations.MAKERS["group_norm"](2)
    network = ref.Network(parameters, [ref.Step("y", row, "x", *inputs)])
    return ref.Problem(network, rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 3)), "inner_product")


@pytest.mark.parametrize("number", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_group_norm_with_a_bias_alone_has_no_backward_pass_in_torch(number):
    x, bias = torch.ones(2, 4, 3, dtype=number, requires_grad=True), torch.ones(4, dtype=number, requires_grad=True)
    loss = torch.nn.functional.group_norm(x, 2, None, bias).sum()
    with pytest.raises(RuntimeError, match="tensor does not have a device"):
        loss.backward()


def test_the_region_is_that_of_a_bias_alone():
    alone = normed(None, "bias")
    assert [row.name for row in deviations(alone)] == ["group_norm_bias_alone"]
    assert np.isfinite(torch_loss(alone))
    for other in (normed(), normed("weight"), normed("weight", "bias")):
        assert deviations(other) == ()
        torch_gradients(other)
