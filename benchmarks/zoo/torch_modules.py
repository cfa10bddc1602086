"""torch.nn's own modules, their parameters the defaults but for the sizes, in evaluation mode where they are random."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from .architecture import randomise

Made: TypeAlias = tuple[nn.Module, tuple[Tensor, ...]]
Entry: TypeAlias = tuple[str, Callable[[], Made]]


class First(nn.Module):
    """The first of several outputs: a recurrence's sequence, an attention's output without its weights."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Any:
        """What the module gives first."""
        return self.module(*inputs)[0]


def of(kind: type[nn.Module], *sizes: Any, on: Any, first: bool = False, **named: Any) -> Entry:
    """A module of one kind, and random inputs of the shapes `on`: one shape, or a list of several."""

    def made() -> Made:
        module = kind(*sizes, **named)
        inputs = tuple(torch.randn(*shape) for shape in (on if isinstance(on, list) else [on]))
        return (First(module) if first else module), inputs

    return kind.__name__, made


def looked_up(kind: type[nn.Module], *sizes: Any, **named: Any) -> Entry:
    """A module that looks its inputs up in a table."""
    return kind.__name__, lambda: (kind(*sizes, **named), (torch.randint(sizes[0], (3, 4)),))


TEXT, SIGNAL, PICTURE, SOLID = (2, 4, 8), (2, 4, 9), (2, 4, 7, 6), (1, 2, 5, 4, 5)
MODULES: Mapping[str, Callable[[], Made]] = MappingProxyType(
    dict(
        (
            of(nn.Transformer, 8, 2, 1, 1, 12, on=[(5, 2, 8), (4, 2, 8)]),
            of(nn.TransformerEncoderLayer, 8, 2, 12, on=TEXT),
            of(nn.TransformerDecoderLayer, 8, 2, 12, on=[TEXT, (2, 4, 8)]),
            of(nn.MultiheadAttention, 8, 2, on=[TEXT, TEXT, TEXT], first=True),
            of(nn.RNN, 3, 4, on=(5, 2, 3), first=True),
            of(nn.LSTM, 3, 4, on=(5, 2, 3), first=True),
            of(nn.GRU, 3, 4, on=(5, 2, 3), first=True),
            of(nn.RNNCell, 3, 4, on=(2, 3)),
            of(nn.LSTMCell, 3, 4, on=(2, 3), first=True),
            of(nn.GRUCell, 3, 4, on=(2, 3)),
            of(nn.Linear, 8, 3, on=TEXT),
            of(nn.Bilinear, 3, 4, 5, on=[(2, 3), (2, 4)]),
            looked_up(nn.Embedding, 11, 4),
            looked_up(nn.EmbeddingBag, 11, 4),
            of(nn.Conv1d, 4, 6, 3, on=SIGNAL),
            of(nn.Conv2d, 4, 6, 3, on=PICTURE),
            of(nn.Conv3d, 2, 3, 2, on=SOLID),
            of(nn.ConvTranspose1d, 4, 3, 3, on=SIGNAL),
            of(nn.ConvTranspose2d, 4, 3, 3, on=PICTURE),
            of(nn.ConvTranspose3d, 2, 2, 2, on=SOLID),
            of(nn.BatchNorm1d, 4, on=(5, 4)),
            of(nn.BatchNorm2d, 4, on=PICTURE),
            of(nn.BatchNorm3d, 2, on=SOLID),
            of(nn.LayerNorm, 8, on=TEXT),
            of(nn.RMSNorm, 8, eps=1e-6, on=TEXT),
            of(nn.GroupNorm, 2, 4, on=PICTURE),
            of(nn.InstanceNorm1d, 4, on=SIGNAL),
            of(nn.InstanceNorm2d, 4, on=PICTURE),
            of(nn.InstanceNorm3d, 2, on=SOLID),
            of(nn.LocalResponseNorm, 3, on=PICTURE),
            of(nn.MaxPool1d, 2, on=SIGNAL),
            of(nn.MaxPool2d, 2, on=PICTURE),
            of(nn.MaxPool3d, 2, on=SOLID),
            of(nn.AvgPool1d, 2, on=SIGNAL),
            of(nn.AvgPool2d, 2, on=PICTURE),
            of(nn.AvgPool3d, 2, on=SOLID),
            of(nn.LPPool1d, 2, 3, on=SIGNAL),
            of(nn.LPPool2d, 2, 3, on=PICTURE),
            of(nn.AdaptiveAvgPool1d, 4, on=SIGNAL),
            of(nn.AdaptiveAvgPool2d, 3, on=PICTURE),
            of(nn.AdaptiveAvgPool3d, 2, on=SOLID),
            of(nn.AdaptiveMaxPool1d, 4, on=SIGNAL),
            of(nn.AdaptiveMaxPool2d, 3, on=PICTURE),
            of(nn.AdaptiveMaxPool3d, 2, on=SOLID),
            of(nn.Upsample, scale_factor=2, on=PICTURE),
            of(nn.UpsamplingBilinear2d, scale_factor=2, on=PICTURE),
            of(nn.PixelShuffle, 2, on=PICTURE),
            of(nn.PixelUnshuffle, 2, on=(2, 3, 4, 6)),
            of(nn.ChannelShuffle, 2, on=PICTURE),
            of(nn.Unfold, 3, on=PICTURE),
            of(nn.Fold, (5, 4), 2, on=(2, 8, 12)),
            of(nn.ReflectionPad2d, 2, on=PICTURE),
            of(nn.ReplicationPad2d, 2, on=PICTURE),
            of(nn.CircularPad2d, 2, on=PICTURE),
            of(nn.ZeroPad2d, 2, on=PICTURE),
            of(nn.ConstantPad1d, 2, 0.5, on=SIGNAL),
            of(nn.Flatten, on=PICTURE),
            of(nn.Unflatten, 2, (2, 4), on=TEXT),
            of(nn.CosineSimilarity, on=[TEXT, TEXT]),
            of(nn.PairwiseDistance, on=[(3, 5), (3, 5)]),
            of(nn.PReLU, on=TEXT),
            of(nn.GLU, on=TEXT),
            of(nn.GELU, on=TEXT),
            of(nn.SiLU, on=TEXT),
            of(nn.Softmax, -1, on=TEXT),
            of(nn.LogSoftmax, -1, on=TEXT),
            of(nn.Softmax2d, on=PICTURE),
        )
    )
)
"""By the class's name: a module and its inputs."""
NOT_RANDOM = (nn.Dropout, nn.Transformer, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)


def made(name: str, seed: int) -> Made:
    """The module and its inputs, float32, all numbers from a seed."""
    torch.manual_seed(seed)
    module, inputs = MODULES[name]()
    randomise(module)
    return (module.eval() if isinstance(module, NOT_RANDOM) else module), inputs
