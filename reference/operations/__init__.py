"""Operations: value and pullback side by side, a table of rows with torch's names, parameters and defaults."""

from .choices import abs, clamp, masked_fill, maximum, minimum, prelu, where
from .cumulative import cumprod, cumsum, logcumsumexp
from .elementwise import add, addcdiv, addcmul, div, dropout, lerp, mul, neg, sub
from .functions_of_one import cos, erf, exp, expm1, log, log1p, pow, reciprocal, rsqrt, sin, sqrt
from .moments import std, var, vector_norm
from .of_activation import glu, log_softmax, of_activation, softmax, softmin
from .products import linear, matmul
from .reductions import amax, amin, logsumexp, max, mean, min, prod, sum
from .row import Operation
from .shape import cat, reshape
from .table import MAKERS, OPERATIONS, get

__all__ = [
    "MAKERS", "OPERATIONS", "Operation", "abs", "add", "addcdiv", "addcmul", "amax", "amin", "cat", "clamp", "cos",
    "cumprod", "cumsum", "div", "dropout", "erf", "exp", "expm1", "get", "glu", "lerp", "linear", "log", "log1p",
    "log_softmax", "logcumsumexp", "logsumexp", "masked_fill", "matmul", "max", "maximum", "mean", "min", "minimum",
    "mul", "neg", "of_activation", "pow", "prelu", "prod", "reciprocal", "reshape", "rsqrt", "sin", "softmax",
    "softmin", "sqrt", "std", "sub", "sum", "var", "vector_norm", "where",
]  # fmt: skip
