"""Arrays as tensors and back: copies, so that nothing is shared with torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = Any

NUMBERS: Mapping[Any, torch.dtype] = MappingProxyType(
    {
        np.dtype(np.float64): torch.float64,
        np.dtype(np.float32): torch.float32,
        np.dtype(np.float16): torch.float16,
    }
)
"""The NumPy types that torch has too."""


def tensor(values: Any, number: torch.dtype | None = None) -> Tensor:
    """A copy in memory that torch accepts; floats in the given type, integers as torch's int64, truth values as bool.

    ml_dtypes' bfloat16 becomes torch's.

    >>> tensor(np.array([1.0, 2.0]), torch.float32), tensor(np.array([2, 0], np.int32)).dtype
    (tensor([1., 2.]), torch.int64)
    """
    array = np.asarray(values)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.astype(np.float32)).to(number or torch.bfloat16)
    kind = array.dtype.newbyteorder("=") if array.dtype.kind in "fb" else np.dtype(np.int64)
    copy = torch.from_numpy(np.array(array, dtype=kind, order="C"))
    return copy.to(number) if number is not None and copy.is_floating_point() else copy


def array(values: Tensor) -> Array:
    """A copy as a NumPy array (a scalar for shape ()); bfloat16, which NumPy lacks, widened to float32.

    >>> array(torch.tensor([0.5], dtype=torch.bfloat16))
    array([0.5], dtype=float32)
    """
    plain = values.detach().cpu()
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy().copy()[()]
