"""A small transformer and a small ResNet with backward passes of their own, ten of which can be got wrong one by one.

Every `torch.autograd.Function` below has a right backward pass and, where its name is among the `wrong` ones, the
mistake that its docstring names.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.autograd import Function

KINDS = ("norm", "attention", "activation", "embedding", "gate", "residual", "cast", "loss", "convolution", "pooling")
OF_IMAGES = ("convolution", "pooling")
"""The kinds that the ResNet holds; the transformer holds the others."""


class LayerNorm(Function):
    """Layer norm; wrong: the mean's term is left out of the backward pass."""

    @staticmethod
    def forward(ctx, x, weight, bias, wrong):
        deviation = x - x.mean(-1, keepdim=True)
        r = torch.rsqrt((deviation * deviation).mean(-1, keepdim=True) + 1e-5)
        ctx.save_for_backward(deviation * r, r, weight)
        ctx.wrong = wrong
        return F.layer_norm(x, x.shape[-1:], weight, bias, 1e-5)

    @staticmethod
    def backward(ctx, d_y):
        s, r, weight = ctx.saved_tensors
        d_s = d_y * weight
        mean = 0 if ctx.wrong else d_s.mean(-1, keepdim=True)
        d_x = r * (d_s - mean - s * (d_s * s).mean(-1, keepdim=True))
        axes = tuple(range(d_y.ndim - 1))
        return d_x, (d_y * s).sum(axes), d_y.sum(axes), None


class Attention(Function):
    """Causal attention; wrong: the scale is left out of the backward pass."""

    @staticmethod
    def forward(ctx, q, k, v, wrong):
        ctx.save_for_backward(q, k, v)
        ctx.wrong = wrong
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    @staticmethod
    def backward(ctx, d_y):
        q, k, v = ctx.saved_tensors
        scale = 1 / math.sqrt(q.shape[-1])
        mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
        p = ((q @ k.mT) * scale).masked_fill(~mask, -math.inf).softmax(-1)
        d_p = d_y @ v.mT
        d_s = p * (d_p - (d_p * p).sum(-1, keepdim=True)) * (1 if ctx.wrong else scale)
        return d_s @ k, d_s.mT @ q, p.mT @ d_y, None


class Gelu(Function):
    """GELU; wrong: the derivative lacks z·φ(z)."""

    @staticmethod
    def forward(ctx, z, wrong):
        ctx.save_for_backward(z)
        ctx.wrong = wrong
        return F.gelu(z)

    @staticmethod
    def backward(ctx, d_y):
        (z,) = ctx.saved_tensors
        cdf = 0.5 * torch.erfc(-z / math.sqrt(2))
        density = torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return d_y * (cdf if ctx.wrong else cdf + z * density), None


class Embedding(Function):
    """Rows of a table; wrong: a row that is read twice gets the last gradient, not the sum."""

    @staticmethod
    def forward(ctx, ids, weight, wrong):
        ctx.save_for_backward(ids, weight)
        ctx.wrong = wrong
        return F.embedding(ids, weight)

    @staticmethod
    def backward(ctx, d_y):
        ids, weight = ctx.saved_tensors
        rows, index = d_y.reshape(-1, d_y.shape[-1]), ids.reshape(-1)
        d_weight = torch.zeros_like(weight)
        if ctx.wrong:
            d_weight[index] = rows
            return None, d_weight, None
        return None, d_weight.index_add(0, index, rows), None


class SwiGLU(Function):
    """silu(gate)·x; wrong: the derivative of the gate is σ(gate) alone."""

    @staticmethod
    def forward(ctx, gate, x, wrong):
        ctx.save_for_backward(gate, x)
        ctx.wrong = wrong
        return F.silu(gate) * x

    @staticmethod
    def backward(ctx, d_y):
        gate, x = ctx.saved_tensors
        s = torch.sigmoid(gate)
        slope = s if ctx.wrong else s * (1 + gate * (1 - s))
        return d_y * x * slope, d_y * gate * s, None


class Residual(Function):
    """x + branch; wrong: the gradient goes through the branch alone."""

    @staticmethod
    def forward(ctx, x, branch, wrong):
        ctx.wrong = wrong
        return x + branch

    @staticmethod
    def backward(ctx, d_y):
        return torch.zeros_like(d_y) if ctx.wrong else d_y, d_y, None


class Cast(Function):
    """The numbers in float32; wrong: the gradient is multiplied by a loss scale that is never divided out."""

    @staticmethod
    def forward(ctx, x, wrong):
        ctx.wrong, ctx.number = wrong, x.dtype
        return x.to(torch.float32)

    @staticmethod
    def backward(ctx, d_y):
        return (d_y * 128 if ctx.wrong else d_y).to(ctx.number), None


class CrossEntropy(Function):
    """Mean over the tokens that count; wrong: the mean over all of them."""

    @staticmethod
    def forward(ctx, logits, labels, wrong):
        ctx.save_for_backward(logits, labels)
        ctx.wrong = wrong
        return F.cross_entropy(logits, labels, ignore_index=-100)

    @staticmethod
    def backward(ctx, d_loss):
        logits, labels = ctx.saved_tensors
        counts = labels != -100
        d = logits.softmax(-1) - F.one_hot(labels.clamp(min=0), logits.shape[-1]).to(logits.dtype)
        divisor = labels.numel() if ctx.wrong else counts.sum()
        return d_loss * d * counts[:, None] / divisor, None, None


class Convolution(Function):
    """3×3 convolution, padded by 1; wrong: the kernel is not turned around on the way to the input."""

    @staticmethod
    def forward(ctx, x, weight, wrong):
        ctx.save_for_backward(x, weight)
        ctx.wrong = wrong
        return F.conv2d(x, weight, padding=1)

    @staticmethod
    def backward(ctx, d_y):
        x, weight = ctx.saved_tensors
        if ctx.wrong:
            d_x = F.conv2d(d_y, weight.transpose(0, 1), padding=1)
        else:
            d_x = torch.nn.grad.conv2d_input(x.shape, weight, d_y, padding=1)
        return d_x, torch.nn.grad.conv2d_weight(x, weight.shape, d_y, padding=1), None


class AveragePool(Function):
    """The mean of windows of 2×2; wrong: their number is not divided by on the way back."""

    @staticmethod
    def forward(ctx, x, wrong):
        ctx.wrong = wrong
        return F.avg_pool2d(x, 2)

    @staticmethod
    def backward(ctx, d_y):
        spread = d_y.repeat_interleave(2, -1).repeat_interleave(2, -2)
        return spread if ctx.wrong else spread / 4, None


class Transformer(nn.Module):
    """Tokens (B, T) and labels (B, T) to the loss: one block of attention and a gated unit, its head in float32."""

    def __init__(self, wrong: str = "", width: int = 16, vocabulary: int = 24, heads: int = 2) -> None:
        super().__init__()
        self.wrong, self.heads = wrong, heads
        self.tokens = nn.Embedding(vocabulary, width)
        self.norm_1, self.norm_2, self.norm_f = (nn.LayerNorm(width) for _ in range(3))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.gate, self.up, self.down = nn.Linear(width, 32), nn.Linear(width, 32), nn.Linear(32, width)
        self.dense, self.head = nn.Linear(width, width), nn.Linear(width, vocabulary)

    def forward(self, ids: Tensor, labels: Tensor) -> Tensor:
        """The mean cross-entropy of the labels."""
        wrong = self.wrong
        h = Embedding.apply(ids, self.tokens.weight, wrong == "embedding")
        n = LayerNorm.apply(h, self.norm_1.weight, self.norm_1.bias, wrong == "norm")
        q, k, v = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in self.qkv(n).chunk(3, -1))
        attended = Attention.apply(q, k, v, wrong == "attention").transpose(1, 2).flatten(2)
        h = Residual.apply(h, self.out(attended), wrong == "residual")
        n = self.norm_2(h)
        h = h + self.down(SwiGLU.apply(self.gate(n), self.up(n), wrong == "gate"))
        h = h + Gelu.apply(self.dense(self.norm_f(h)), wrong == "activation")
        logits = Cast.apply(self.head(h), wrong == "cast")
        return CrossEntropy.apply(logits.flatten(0, 1), labels.flatten(), wrong == "loss")


class ResNet(nn.Module):
    """Pictures (B, 3, 8, 8) to logits (B, 5): two convolutions with batch norm, a residual, two poolings."""

    def __init__(self, wrong: str = "") -> None:
        super().__init__()
        self.wrong = wrong
        self.first, self.second = (nn.Conv2d(i, 6, 3, padding=1, bias=False) for i in (3, 6))
        self.norm_1, self.norm_2, self.head = nn.BatchNorm2d(6), nn.BatchNorm2d(6), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        h = F.relu(self.norm_1(self.first(x)))
        h = AveragePool.apply(h, self.wrong == "pooling")
        h = F.relu(h + self.norm_2(Convolution.apply(h, self.second.weight, self.wrong == "convolution")))
        return self.head(F.adaptive_avg_pool2d(h, 1).flatten(1))
