"""Operations: value and pullback side by side, a table of rows with torch's names, parameters and defaults."""

from .added_products import addmm, baddbmm
from .attention import scaled_dot_product_attention
from .batch_statistics import batch_norm
from .choices import abs, clamp, masked_fill, maximum, minimum, prelu, where
from .copies import expand, repeat, repeat_interleave
from .cumulative import cumprod, cumsum, logcumsumexp
from .diagonals import diag, diag_embed, diagonal, diff, trace
from .einstein import einsum
from .elementwise import add, addcdiv, addcmul, div, dropout, lerp, mul, neg, sub
from .functions_of_one import cos, erf, erfc, exp, expm1, log, log1p, pow, reciprocal, rsqrt, sin, sqrt
from .gated import geglu, reglu, swiglu
from .hyperbolic import acos, acosh, asin, asinh, atan, atan2, atanh, cosh, hypot, sinh, tan
from .joining import cat, chunk, split, stack, unbind
from .logarithms import exp2, log2, log10, logaddexp, logit
from .moments import std, var, vector_norm
from .normalization import group_norm, instance_norm, layer_norm, rms_norm
from .of_activation import glu, log_softmax, of_activation, softmax, softmin
from .padding import pad
from .parts import flip, narrow, roll, select, slice, tril, triu
from .positions import alibi, rotary_embedding
from .products import bmm, dot, linear, matmul, mm, mv, outer
from .putting import index_add, index_put, scatter_add
from .recurrence import gru, lstm, rnn_relu, rnn_tanh
from .recurrent_cells import gru_cell, lstm_cell, rnn_relu_cell, rnn_tanh_cell
from .reductions import amax, amin, logsumexp, max, mean, min, prod, sum
from .row import Operation
from .shape import clone, contiguous, flatten, movedim, permute, reshape, squeeze, transpose, unflatten, unsqueeze
from .sorting import sort
from .stepwise import ceil, floor, fmod, remainder, round, sign, trunc
from .table import MAKERS, OPERATIONS, get
from .taking import embedding, gather, index_select, take_along_dim
from .unit_vectors import normalize
from .vectors import cross, dist

__all__ = [
    "MAKERS", "OPERATIONS", "Operation", "abs", "acos", "acosh", "add", "addcdiv", "addcmul", "addmm", "alibi", "amax",
    "amin", "asin", "asinh", "atan", "atan2", "atanh", "baddbmm", "batch_norm", "bmm", "cat", "ceil", "chunk", "clamp",
    "clone", "contiguous", "cos", "cosh", "cross", "cumprod", "cumsum", "diag", "diag_embed", "diagonal", "diff",
    "dist", "div", "dot", "dropout", "einsum", "embedding", "erf", "erfc", "exp", "exp2", "expand", "expm1", "flatten",
    "flip", "floor", "fmod", "gather", "geglu", "get", "glu", "group_norm", "gru", "gru_cell", "hypot", "index_add",
    "index_put", "index_select", "instance_norm", "layer_norm", "lerp", "linear", "log", "log1p", "log2", "log10",
    "log_softmax", "logaddexp", "logcumsumexp", "logit", "logsumexp", "lstm", "lstm_cell", "masked_fill", "matmul",
    "max", "maximum", "mean", "min", "minimum", "mm", "movedim", "mul", "mv", "narrow", "neg", "normalize",
    "of_activation", "outer", "pad", "permute", "pow", "prelu", "prod", "reciprocal", "reglu", "remainder", "repeat",
    "repeat_interleave", "reshape", "rms_norm", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell", "roll",
    "rotary_embedding", "round", "rsqrt", "scaled_dot_product_attention", "scatter_add", "select", "sign", "sin",
    "sinh", "slice", "softmax", "softmin", "sort", "split", "sqrt", "squeeze", "stack", "std", "sub", "sum", "swiglu",
    "take_along_dim", "tan", "trace", "transpose", "tril", "triu", "trunc", "unbind", "unflatten", "unsqueeze", "var",
    "vector_norm", "where",
]  # fmt: skip
