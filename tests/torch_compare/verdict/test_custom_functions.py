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
    "residual": ("Residual.add", "the gradient that Embedding.embedding gets from Residual.add (add) is left out"),
    "cast": ("every gradient", "128"),
    "loss": ("cross_entropy", "mean over all for those that count"),
    "convolution": ("conv2d", "the kernel not flipped"),
    "pooling": ("avg_pool2d", "the division by the size of the window left out"),
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


IN_THE_GATE = (("norm", torch.bfloat16), ("convolution", torch.float32), ("loss", torch.float32))
CASES = [
    pytest.param(kind, dtype, marks=() if (kind, dtype) in IN_THE_GATE else pytest.mark.explore)
    for kind in KINDS
    for dtype in (torch.float32, torch.bfloat16)
]


@pytest.mark.parametrize(("kind", "dtype"), CASES)
def test_each_kind_is_caught_and_named_with_its_step(kind, dtype):
    verdict = judged(kind, dtype, kind in OF_IMAGES)
    step, mistake = NAMED[kind]
    assert verdict.status == "wrong"
    assert step in str(verdict.diagnosis)
    assert mistake in str(verdict.diagnosis)


@pytest.mark.parametrize(
    "dtype", [pytest.param(torch.float64, marks=pytest.mark.explore), torch.float32, torch.bfloat16]
)
@pytest.mark.parametrize("of_images", [False, True])
def test_right_backward_passes_agree(of_images, dtype):
    assert judged("", dtype, of_images).agrees
