"""Random modules of torch.nn's layers, with inputs, a target and a loss, each from a short specification.

>>> case = build_module(ModuleSpec(seed=3, kind="tokens"))
>>> case.module(*case.inputs).shape[:2] == case.inputs[0].shape
True
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class ModuleSpec:
    """What a random module is made of.

    Attributes:
        seed: of its structure, its weights and its numbers.
        kind: what it takes: "tokens" (B, T), "sequence" (B, T, E) or "image" (B, C, H, W).
        parts: how many parts stand one after the other.
        dtype: "float32", "bfloat16" or any other floating type of torch's.
    """

    seed: int
    kind: str = "sequence"
    parts: int = 3
    dtype: str = "float32"


@dataclass(frozen=True)
class ModuleCase:
    """A module and what it is called with.

    Attributes:
        module: the module; in training mode, where batch norm is what it says and nothing is random.
        inputs: its positional arguments.
        target: what the loss compares its output with.
        loss_fn: a loss module of torch.nn, or a function.
    """

    module: nn.Module
    inputs: tuple[Tensor, ...]
    target: Tensor
    loss_fn: Callable[[Any, Any], Tensor]


def module_spec(rng: Generator, case: int) -> ModuleSpec:
    """The specification of a campaign's case: kinds and types in turn, all else at random."""
    kind = tuple(KINDS)[case % len(KINDS)]
    dtype = DTYPES[case // len(KINDS) % len(DTYPES)]
    return ModuleSpec(int(rng.integers(2**31)), kind, int(rng.integers(1, 6)), dtype)


def build_module(spec: ModuleSpec) -> ModuleCase:
    """The module of a specification, always the same one; torch's own random state stays as it is.

    Raises:
        ValueError: there is no such kind.
    """
    if spec.kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {spec.kind!r}")
    rng = np.random.default_rng(spec.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        case = KINDS[spec.kind](rng, spec.parts)
        number = getattr(torch, spec.dtype)
        return ModuleCase(
            case.module.to(number),
            tuple(x.to(number) if x.is_floating_point() else x for x in case.inputs),
            case.target.to(number) if case.target.is_floating_point() else case.target,
            case.loss_fn,
        )


# ── parts that a module is made of ───────────────────────────────────────────────────────────────────


class Residual(nn.Module):
    """x + branch(x)."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        """The sum, of the shape of x."""
        return x + self.branch(x)


class SelfAttention(nn.Module):
    """`nn.MultiheadAttention` of a sequence (B, T, E) with itself, causal or not."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.attention, self.causal = nn.MultiheadAttention(width, heads, batch_first=True), causal

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, E)."""
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1) if self.causal else None
        return self.attention(x, x, x, attn_mask=mask, need_weights=False)[0]


class Recurrent(nn.Module):
    """The outputs of a recurrent layer, without its last state."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, E)."""
        return self.layer(x)[0]


class AlongTime(nn.Module):
    """A convolution along the sequence, whose length stays."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, E)."""
        return self.layer(x.mT).mT


class Gated(nn.Module):
    """silu(gate)·up, and back to the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(width, 6), nn.Linear(width, 6), nn.Linear(6, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, E)."""
        return self.down(nn.functional.silu(self.gate(x)) * self.up(x))


ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Mish, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Hardswish,
    lambda: nn.GELU(approximate="tanh"), lambda: nn.Softmax(-1),
)  # fmt: skip


def _activation(rng: Generator) -> nn.Module:
    return ACTIVATIONS[int(rng.integers(len(ACTIVATIONS)))]()


def _of_sequence(rng: Generator, width: int) -> nn.Module:
    """A part that takes (B, T, E) to (B, T, E)."""
    heads = int(rng.choice([n for n in (1, 2, 4) if width % n == 0]))
    recurrent: Any = (nn.RNN, nn.GRU, nn.LSTM)[int(rng.integers(3))]
    parts: tuple[Callable[[], nn.Module], ...] = (
        lambda: nn.Sequential(nn.Linear(width, width), _activation(rng)),
        lambda: nn.LayerNorm(width, elementwise_affine=bool(rng.random() < 0.8)),
        lambda: nn.RMSNorm(width, eps=1e-6),
        lambda: Residual(SelfAttention(width, heads, bool(rng.random() < 0.5))),
        lambda: nn.TransformerEncoderLayer(width, heads, 8, 0.0, batch_first=True, norm_first=bool(rng.random() < 0.5)),
        lambda: Recurrent(recurrent(width, width, batch_first=True)),
        lambda: AlongTime(nn.Conv1d(width, width, 3, padding=1, groups=heads)),
        lambda: Residual(Gated(width)),
        lambda: Residual(nn.Sequential(nn.Linear(width, 8), _activation(rng), nn.Linear(8, width))),
        lambda: nn.Sequential(nn.Linear(width, 2 * width), nn.GLU()),
    )
    return parts[int(rng.integers(len(parts)))]()


def _of_image(rng: Generator, channels: int, size: int) -> tuple[nn.Module, int, int]:
    """A part that takes (B, C, H, H) to as many axes, with the channels and the size that it makes."""
    groups = int(rng.choice([n for n in (1, 2) if channels % n == 0]))
    smaller = size // 2
    parts: list[tuple[Callable[[], nn.Module], int, int]] = [
        (lambda: nn.Conv2d(channels, 4, 3, padding=1, groups=groups), 4, size),
        (lambda: nn.Conv2d(channels, channels, 3, padding=2, dilation=2, padding_mode="circular"), channels, size),
        (lambda: nn.BatchNorm2d(channels), channels, size),
        (lambda: nn.GroupNorm(groups, channels), channels, size),
        (lambda: nn.InstanceNorm2d(channels, affine=True), channels, size),
        (lambda: _activation(rng), channels, size),
        (lambda: Residual(nn.Sequential(nn.Conv2d(channels, channels, 1), _activation(rng))), channels, size),
    ]
    if size >= 4:
        parts += [
            (lambda: nn.MaxPool2d(2), channels, smaller),
            (lambda: nn.AvgPool2d(3, 2, 1), channels, (size - 1) // 2 + 1),
            (lambda: nn.Conv2d(channels, 6, 2, stride=2), 6, smaller),
            (lambda: nn.AdaptiveAvgPool2d(2), channels, 2),
        ]
    else:
        parts += [
            (lambda: nn.ConvTranspose2d(channels, 4, 2, stride=2), 4, 2 * size),
            (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), channels, 2 * size),
        ]
    if channels % 4 == 0:
        parts.append((lambda: nn.PixelShuffle(2), channels // 4, 2 * size))
    make, made, height = parts[int(rng.integers(len(parts)))]
    return make(), made, height


# ── the kinds ────────────────────────────────────────────────────────────────────────────────────────


class TokenLoss(nn.Module):
    """Cross-entropy over all tokens of logits (B, T, K) and classes (B, T)."""

    def forward(self, y: Tensor, target: Tensor) -> Tensor:
        """A number."""
        return nn.functional.cross_entropy(y.flatten(0, 1), target.flatten())


def _sequence(rng: Generator, parts: int) -> ModuleCase:
    width, shape = int(rng.choice([4, 6, 8])), (int(rng.integers(1, 4)), int(rng.integers(1, 6)))
    module = nn.Sequential(*(_of_sequence(rng, width) for _ in range(parts)), nn.Linear(width, 3))
    losses: tuple[Callable[[], nn.Module], ...] = (nn.MSELoss, nn.SmoothL1Loss, nn.BCEWithLogitsLoss)
    target = torch.rand(*shape, 3)
    return ModuleCase(module, (torch.randn(*shape, width),), target, losses[int(rng.integers(len(losses)))]())


def _tokens(rng: Generator, parts: int) -> ModuleCase:
    width, shape, words = int(rng.choice([4, 8])), (int(rng.integers(1, 4)), int(rng.integers(1, 6))), 7
    body = (_of_sequence(rng, width) for _ in range(parts))
    module = nn.Sequential(nn.Embedding(words, width), *body, nn.Linear(width, words))
    ids, target = torch.randint(words, shape), torch.randint(words, shape)
    return ModuleCase(module, (ids,), target, TokenLoss())


def _image(rng: Generator, parts: int) -> ModuleCase:
    channels, size, batch, layers = 3, int(rng.choice([4, 6])), int(rng.integers(2, 4)), list[nn.Module]()
    x = torch.randn(batch, channels, size, size)
    for _ in range(parts):
        layer, channels, size = _of_image(rng, channels, size)
        layers.append(layer)
    module = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * size * size, 4))
    return ModuleCase(module, (x,), torch.randint(4, (batch,)), nn.CrossEntropyLoss())


KINDS: Mapping[str, Callable[[Generator, int], ModuleCase]] = MappingProxyType(
    {"tokens": _tokens, "sequence": _sequence, "image": _image}
)
"""By the name of the kind: (generator, parts) ↦ case."""
