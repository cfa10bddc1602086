"""Modules that tests judge."""

import torch
import torch.nn.functional as F  # noqa: N812  torch's own documentation spells it so
from torch import nn


class Calls(nn.Module):
    """One linear layer `l`, and a function f(module, …) as its forward pass."""

    def __init__(self, f, width=4):
        super().__init__()
        torch.manual_seed(0)
        self.l = nn.Linear(width, width)
        self.f = f

    def forward(self, x, *rest, **named):
        return self.f(self, x, *rest, **named)


class Doubled(torch.autograd.Function):
    """2x, its forward pass with the switch that needs none."""

    @staticmethod
    def forward(ctx, x):
        ctx.factor = 2
        with torch.no_grad():
            return x * ctx.factor

    @staticmethod
    def backward(ctx, d_y):
        return d_y * ctx.factor


class WrongSiLU(torch.autograd.Function):
    """SiLU whose backward pass forgets that σ depends on x."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, d_y):
        (x,) = ctx.saved_tensors
        return d_y * torch.sigmoid(x)


class Block(nn.Module):
    """A small transformer block with its embedding, which the last layer shares."""

    def __init__(self, activation=F.silu, width=4, heads=2):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.norm = nn.Embedding(7, width), nn.LayerNorm(width)
        self.qkv, self.out, self.head = nn.Linear(width, 3 * width), nn.Linear(width, width), nn.Linear(width, 7, False)
        self.head.weight = self.embed.weight
        self.drop = nn.Dropout(0.1)
        self.register_buffer("positions", torch.randn(8, width))
        self.heads, self.activation = heads, activation

    def forward(self, ids):
        n, l = ids.shape
        h = self.embed(ids) + self.positions[:l]
        q, k, v = self.qkv(self.norm(h)).view(n, l, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.drop(self.out(a.transpose(1, 2).reshape(n, l, -1)))
        return self.head(self.activation(h))
