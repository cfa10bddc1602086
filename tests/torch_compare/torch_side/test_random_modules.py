"""Random modules: the same from the same specification, and no correct gradient of theirs is called wrong."""

import hypothesis
import numpy as np
import pytest
import torch

import torch_compare as tc
from torch_compare.torch_side.random_modules import KINDS, ModuleSpec, build_module, module_spec


def judged(case):
    return tc.check_module(case.module, case.inputs, case.target, case.loss_fn, diagnose=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_specification_makes_the_same_module_always_and_leaves_torchs_random_state(kind):
    spec = ModuleSpec(seed=7, kind=kind, parts=3, dtype="bfloat16")
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, second = build_module(spec), build_module(spec)
    assert torch.equal(torch.get_rng_state(), state)
    for a, b in zip(first.module.parameters(), second.module.parameters(), strict=True):
        assert a.dtype == torch.bfloat16
        assert torch.equal(a, b)
    assert all(torch.equal(a, b) for a, b in zip(first.inputs, second.inputs, strict=True))


def test_there_is_no_other_kind():
    with pytest.raises(ValueError, match="kind: expected one of tokens, sequence, image, got 'graph'"):
        build_module(ModuleSpec(seed=0, kind="graph"))


def test_a_campaign_has_every_kind_and_type_in_turn():
    rng = np.random.default_rng(0)
    specs = [module_spec(rng, case) for case in range(6)]
    assert {(spec.kind, spec.dtype) for spec in specs} == {(k, d) for k in KINDS for d in ("float32", "bfloat16")}


@pytest.mark.parametrize("kind", KINDS)
def test_one_of_each_kind_agrees(kind):
    assert judged(build_module(ModuleSpec(seed=11, kind=kind, parts=2))).agrees


@pytest.mark.explore
@hypothesis.given(tc.modules())
@hypothesis.settings(max_examples=50)
def test_no_correct_gradient_is_called_wrong(case):
    assert judged(case).status in ("agrees", "unresolved")
