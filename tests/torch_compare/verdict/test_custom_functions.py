"""A wrong backward pass planted in a custom Function of each of ten kinds: caught, and named with its step."""

import pytest
import torch
from torch import nn

import torch_compare as tc
from tests.helpers.custom_functions import KINDS, OF_IMAGES, ResNet, Transformer

NAMED = {
    "norm": ("layer_norm", "mean term left out"),
    "attention": ("scaled_dot_product_attention", "scale left out"),
    "activation": ("gelu", "the term z·φ(z) of the derivative of gelu is missing"),
    "embedding": ("embedding", "repeated rows overwritten"),
    "gate": ("silu", "the term z·σ(z)(1 − σ(z)) of the derivative of silu is missing"),
    "residual": ("embedding", "the gradient that embedding gets from add (add) is left out"),
    "cast": ("every gradient", "128"),
    "loss": ("cross_entropy", "mean over all for those that count"),
    "convolution": ("conv2d", "kernel not flipped"),
    "pooling": ("avg_pool2d", ""),
}
"""The step that the diagnosis names, and the mistake."""


def judged(kind: str, dtype: torch.dtype, of_images: bool) -> tc.Verdict:
    torch.manual_seed(0)
    if of_images:
        module, x, target = ResNet(kind).to(dtype), torch.randn(4, 3, 8, 8).to(dtype), torch.randint(0, 5, (4,))
        return tc.check_module(module, x, target, nn.CrossEntropyLoss())
    module, ids, labels = Transformer(kind).to(dtype), torch.randint(0, 24, (2, 6)), torch.randint(0, 24, (2, 6))
    labels[0, :2] = -100
    return tc.check_module(module, (ids, labels), None, lambda loss, _: loss)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_caught_and_named_with_its_step(kind, dtype):
    verdict = judged(kind, dtype, kind in OF_IMAGES)
    step, mistake = NAMED[kind]
    assert verdict.status == "wrong"
    assert step in str(verdict.diagnosis)
    assert mistake in str(verdict.diagnosis)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("of_images", [False, True])
def test_right_backward_passes_agree(of_images, dtype):
    assert judged("", dtype, of_images).agrees
