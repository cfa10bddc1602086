"""Operations: value and pullback side by side, a table of rows with torch's names, parameters and defaults."""

from .batch_statistics import batch_norm
from .elementwise import add, mul
from .normalization import group_norm, instance_norm, layer_norm, rms_norm
from .of_activation import of_activation
from .products import linear, matmul
from .row import Operation
from .shape import cat, reshape
from .table import MAKERS, OPERATIONS, get
from .unit_vectors import normalize

__all__ = [
    "MAKERS", "OPERATIONS", "Operation", "add", "batch_norm", "cat", "get", "group_norm",
    "instance_norm", "layer_norm", "linear", "matmul", "mul", "normalize", "of_activation", "reshape", "rms_norm",
]  # fmt: skip
