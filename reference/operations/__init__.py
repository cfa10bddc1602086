"""Operations: value and pullback side by side, a table of rows with torch's names, parameters and defaults."""

from .elementwise import add, mul
from .of_activation import of_activation
from .products import linear, matmul
from .row import Operation
from .shape import cat, reshape
from .table import MAKERS, OPERATIONS, get

__all__ = [
    "MAKERS", "OPERATIONS", "Operation", "add", "cat", "get", "linear", "matmul", "mul", "of_activation", "reshape",
]  # fmt: skip
