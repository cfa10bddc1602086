"""torch.optim.Muon without its cast to bfloat16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch


@contextmanager
def without_bfloat16() -> Iterator[None]:
    """In this block `Tensor.bfloat16` copies and does not round: torch's Muon computes in its parameters' type.

    It copies because Muon then divides its result in place, and what it has cast is the momentum.

    >>> third = torch.tensor(1 / 3, dtype=torch.float64)
    >>> with without_bfloat16():
    ...     bool(third.bfloat16() == third)
    True
    >>> bool(third.bfloat16() == third)
    False
    """
    with patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone):
        yield
