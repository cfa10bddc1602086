"""Operations: value and pullback side by side, a table of rows with torch's names, parameters and defaults."""

from .choices import abs, clamp, masked_fill, maximum, minimum, prelu, where
from .elementwise import add, addcdiv, addcmul, div, dropout, lerp, mul, neg, sub
from .functions_of_one import cos, erf, exp, expm1, log, log1p, pow, reciprocal, rsqrt, sin, sqrt
from .of_activation import of_activation
from .products import linear, matmul
from .row import Operation
from .shape import cat, reshape
from .table import MAKERS, OPERATIONS, get

__all__ = [
    "MAKERS", "OPERATIONS", "Operation", "abs", "add", "addcdiv", "addcmul", "cat", "clamp", "cos", "div", "dropout",
    "erf", "exp", "expm1", "get", "lerp", "linear", "log", "log1p", "masked_fill", "matmul", "maximum", "minimum",
    "mul", "neg", "of_activation", "pow", "prelu", "reciprocal", "reshape", "rsqrt", "sin", "sqrt", "sub", "where",
]  # fmt: skip
