"""A GPT-2 and a Llama, built by hand of operations: certified, held against torch, and their mistakes named."""

import inspect

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.implementations import transformers
from benchmarks.implementations.transformers import gpt2, llama, next_tokens
from torch_compare.mistakes.mistake import leaves_with
from torch_compare.mistakes.single import single_mistakes
from torch_compare.torch_side.gradients import torch_gradients

MODELS = {"gpt2": next_tokens(gpt2()), "llama": next_tokens(llama())}


@pytest.mark.parametrize("name", MODELS)
def test_it_is_short_and_has_some_thousand_parameters(name):
    assert len(inspect.getsource(getattr(transformers, name)).splitlines()) < 60
    assert 7000 <= sum(values.size for values in MODELS[name].graph.parameters.values()) <= 9000


@pytest.mark.parametrize("name", MODELS)
def test_it_is_certified_and_the_reference_is_within_rounding(name):
    problem = MODELS[name]
    certified = ref.certified_gradients(problem)
    assert certified.status == "certified"
    verdict = tc.check(problem, ref.gradients(problem), certified=certified)
    assert verdict.status == "agrees"
    assert verdict.worst.scales <= 8


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_torch_agrees(name, dtype):
    found = torch_gradients(MODELS[name], dtype).leaves()
    assert tc.check(MODELS[name], found, dtype=dtype).status == "agrees"


def test_keys_biases_have_gradients_that_are_exactly_0():
    """A softmax does not change if all its numbers grow alike: so the key's bias has no effect."""
    certified = ref.certified_gradients(MODELS["gpt2"])
    key = certified["h.0.attn.c_attn.bias"]
    assert np.all(key.nearest[16:32] == 0)
    assert np.all(key.resolved)


@pytest.mark.parametrize(("name", "where"), [("gpt2", "h.0.ln_2"), ("gpt2", "h.1.attn"), ("llama", "layers.0.gated"),
                                             ("llama", "layers.1.q.rotated")])  # fmt: skip
def test_a_mistake_in_a_step_is_caught_and_named_with_its_step(name, where):
    problem = MODELS[name]
    right = ref.gradients(problem).leaves()
    mistakes = [m for m in single_mistakes(problem) if m.where == where][:1]
    assert mistakes
    for mistake in mistakes:
        made = {place: leaf.astype(np.float32) for place, leaf in leaves_with((mistake,), problem).items()}
        if max(np.abs(made[p] - right[p]).max() / np.abs(right[p]).max() for p in right if np.any(right[p])) < 1e-4:
            continue
        verdict = tc.check(problem, made)
        assert verdict.status == "wrong"
        assert (mistake.name,) in (verdict.diagnosis.names, *verdict.diagnosis.others)
        assert verdict.diagnosis.startswith(f"{where}: ")
