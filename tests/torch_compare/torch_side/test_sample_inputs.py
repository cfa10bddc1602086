"""The sample inputs that torch tests its own loss modules with: what torch takes is taken, with the same gradients."""

import sys
import types
import unittest

import numpy as np
import pytest
import torch
from torch import nn

import reference as ref
import torch_compare as tc
from torch_compare.torch_side.modules import _LOSS_MODULES, module_gradients, problem_from_module


@pytest.fixture(scope="module")
def samples():
    """(loss module, output (N, K), target) of every sample whose output has two dimensions, with its name."""
    if "expecttest" not in sys.modules:  # of which torch's tools for tests use the class alone that they derive from
        stand_in = types.ModuleType("expecttest")
        stand_in.TestCase = unittest.TestCase
        sys.modules["expecttest"] = stand_in
    from torch.testing._internal.common_modules import module_db

    torch.manual_seed(0)
    found = []
    for info in module_db:
        if info.module_cls not in _LOSS_MODULES:
            continue
        for sample in info.module_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=False, training=True
        ):
            made, (y, *rest) = sample.constructor_input, sample.forward_input.args
            if y.ndim == 2 and made.kwargs.get("reduction") != "none":
                loss = info.module_cls(*made.args, **made.kwargs)
                title = f"{info.name} {sorted(made.kwargs)} {made.kwargs.get('reduction')}"
                found.append((title, loss, y.detach(), rest))
    return found


@pytest.mark.filterwarnings("ignore:reduction.*batchmean")
def test_every_sample_is_taken_and_gives_the_gradients_of_autograd(samples):
    """N (0, 1) numbers: class weights of either sign, one weight for all, integers, labels listed again."""
    assert {type(loss) for _, loss, _, _ in samples} == set(_LOSS_MODULES) - {nn.L1Loss, nn.MSELoss, nn.PoissonNLLLoss,
                                                                             nn.HingeEmbeddingLoss}  # fmt: skip
    assert len(samples) > 40
    for title, loss, y, (target, *variance) in samples:
        module = nn.Sequential(nn.Linear(y.shape[1], y.shape[1], bias=False, dtype=torch.float64))
        with torch.no_grad():
            module[0].weight.copy_(torch.eye(y.shape[1]))
        loss_fn = (lambda o, t, f=loss, v=variance: f(o, t, *v)) if variance else loss
        given = module_gradients(module, y, target, loss_fn)
        if not all(np.all(np.isfinite(leaf)) for leaf in given.leaves().values()):
            # logarithms of negative numbers in some samples of kl_div; all classes ignored, and divided by their number
            with pytest.raises(
                ValueError, match=r"(x|target)\[\d+, \d+\]: .*expect.* got nan|target: every index is ig"
            ):
                tc.check_module(module, y, target, loss_fn)
            continue
        problem = problem_from_module(module, y, target, loss_fn)
        found = ref.gradients(problem)
        for place, leaf in given.derivatives().items():
            np.testing.assert_allclose(found[place], leaf, rtol=1e-12, atol=1e-13, err_msg=f"{title} {place}")
        verdict = tc.check_module(module, y, target, loss_fn)
        assert verdict.agrees, f"{title}: {verdict}"


def test_an_unreduced_loss_has_no_gradient_and_is_refused():
    module = nn.Linear(3, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"loss_fn \(CrossEntropyLoss\): reduction must be"):
        problem_from_module(module, torch.zeros(2, 3, dtype=torch.float64), torch.tensor([0, 1]),
                            nn.CrossEntropyLoss(reduction="none"))  # fmt: skip
