"""ATen's bags of embeddings, windows and distances, and empty tensors, as the steps that they are made of."""

import pytest
import torch
from torch import nn

import torch_compare as tc

NUMBERS = torch.arange(24.0).reshape(4, 6).sin()


class Bags(nn.Module):
    """Rows of a table, put together by bags of different lengths."""

    def __init__(self, **settings):
        super().__init__()
        self.table = nn.EmbeddingBag(7, 3, **settings)
        self.weighted = settings.get("mode") == "sum"

    def forward(self, weights):
        chosen, starts = torch.tensor([4, 0, 4, 6, 1]), torch.tensor([0, 2])
        return self.table(chosen, starts, weights if self.weighted else None)


class Rotated(nn.Module):
    """A rotation of all features: what it leaves alone is empty."""

    def forward(self, x):
        turned, rest = x[..., :6], x[..., 6:]
        return torch.cat([turned.cos() * turned, rest * 2], dim=-1)


class Windows(nn.Module):
    """Windows of a picture, and the picture of them."""

    def forward(self, x):
        columns = nn.functional.unfold(x.reshape(1, 1, 4, 6), (2, 3), padding=1)
        return nn.functional.fold(columns.square(), (4, 6), (2, 3), padding=1)


CASES = {
    "mean of bags": (Bags(), torch.ones(5)),
    "sum of weighted bags": (Bags(mode="sum"), torch.linspace(-1, 1, 5)),
    "largest of bags": (Bags(mode="max"), torch.ones(5)),
    "bags without a row": (Bags(padding_idx=4), torch.ones(5)),
    "an empty rest": (Rotated(), NUMBERS),
    "windows": (Windows(), NUMBERS),
    "similarity": (nn.CosineSimilarity(), (NUMBERS, NUMBERS.cos())),
    "distance": (nn.PairwiseDistance(p=3.0), (NUMBERS, NUMBERS.cos())),
}


@pytest.mark.parametrize("case", CASES)
def test_they_agree_with_torch(case):
    module, inputs = CASES[case]
    target = torch.zeros_like(module(*inputs) if isinstance(inputs, tuple) else module(inputs))
    verdict = tc.check_module(module, inputs, target, nn.MSELoss())
    assert verdict.status == "agrees", verdict


def test_what_is_the_gradient_of_no_function_is_refused():
    module = Bags(scale_grad_by_freq=True)
    with pytest.raises(ValueError, match="scale_grad_by_freq=True divides the gradient"):
        tc.network_from_module(module, torch.ones(5))
