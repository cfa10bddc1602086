"""A published architecture, small: a class of the package `transformers`, a configuration, weights from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

VOCABULARY, LENGTH, SIDE, SAMPLES, FRAMES, BANDS = 19, 5, 32, 400, 12, 8
"""Tokens that there are, tokens of a text, pixels of a picture's side, samples of a sound, lengths of a spectrogram."""
INPUTS: Mapping[str, Callable[[], Tensor]] = MappingProxyType(
    {
        "tokens": lambda: torch.randint(3, VOCABULARY, (2, LENGTH)),
        "picture": lambda: torch.randn(2, 3, SIDE, SIDE),
        "sound": lambda: torch.randn(1, SAMPLES),
        "channel": lambda: torch.randn(1, 1, SAMPLES),
        "spectrogram": lambda: torch.randn(1, BANDS, FRAMES),
        "frames": lambda: torch.randn(1, FRAMES, BANDS),
    }
)
"""What rows call an input, to how it is drawn."""


@dataclass(frozen=True)
class Architecture:
    """A row of the zoo.

    Attributes:
        name: as it is published.
        model: the class in `transformers`.
        inputs: its arguments by name, each a key of `INPUTS`.
        settings: what its configuration is given; the rest is the package's default.
        output: the field of its output that is judged.
        parts: its parts by name, one after the other, in place of the whole.
    """

    name: str
    model: str
    inputs: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    output: str = "logits"
    parts: tuple[str, ...] = ()


class Whole(nn.Module):
    """A model that takes its inputs in order, and whose output is one tensor; of logits of a text, a row a token."""

    def __init__(self, model: nn.Module, names: tuple[str, ...], output: str) -> None:
        super().__init__()
        self.model, self.names, self.output = model, names, output

    def forward(self, *inputs: Tensor) -> Any:
        """The field of the output that is judged."""
        made: Tensor = getattr(self.model(**dict(zip(self.names, inputs, strict=True))), self.output)
        return made.flatten(0, 1) if self.output == "logits" and made.ndim == 3 else made


def made(row: Architecture, seed: int) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The module in evaluation mode and its inputs, float32, all numbers from a seed.

    A configuration's own weights are small, and its norms' all 1: what is drawn is added to them, such that every
    gradient says something.
    """
    import transformers  # noqa: PLC0415  the extra `zoo`, and seconds

    transformers.logging.set_verbosity_error()  # it tells of kernels that are not installed
    torch.manual_seed(seed)
    kind = getattr(transformers, row.model)
    model = kind(kind.config_class(**row.settings)).float().eval()
    parts = [getattr(model, part) for part in row.parts]
    module: nn.Module = nn.Sequential(*parts) if parts else Whole(model, tuple(row.inputs), row.output)
    randomise(module)
    return module, tuple(INPUTS[word]() for word in row.inputs.values())


def randomise(module: nn.Module) -> None:
    """Add random numbers to every parameter: half as large as keeps the size of what a matrix is applied to."""
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 and parameter.numel() else 25
            parameter.add_(torch.randn_like(parameter), alpha=0.5 / fan_in**0.5)
