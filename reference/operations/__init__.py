"""Operations: value and pullback side by side, a table of rows with torch's names, parameters and defaults."""

from .added_products import addmm, baddbmm
from .attention import scaled_dot_product_attention
from .batch_statistics import batch_norm
from .choices import abs, clamp, masked_fill, maximum, minimum, prelu, where
from .copies import expand, repeat, repeat_interleave
from .cumulative import cumprod, cumsum, logcumsumexp
from .einstein import einsum
from .elementwise import add, addcdiv, addcmul, div, dropout, lerp, mul, neg, sub
from .functions_of_one import cos, erf, exp, expm1, log, log1p, pow, reciprocal, rsqrt, sin, sqrt
from .gated import geglu, reglu, swiglu
from .joining import cat, chunk, split, stack, unbind
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
from .table import MAKERS, OPERATIONS, get
from .taking import embedding, gather, index_select, take_along_dim
from .unit_vectors import normalize

__all__ = [
    "MAKERS", "OPERATIONS", "Operation", "abs", "add", "addcdiv", "addcmul", "addmm", "alibi", "amax", "amin",
    "baddbmm", "batch_norm", "bmm", "cat", "chunk", "clamp", "clone", "contiguous", "cos", "cumprod", "cumsum", "div",
    "dot", "dropout", "einsum", "embedding", "erf", "exp", "expand", "expm1", "flatten", "flip", "gather", "geglu",
    "get", "glu", "group_norm", "gru", "gru_cell", "index_add", "index_put", "index_select", "instance_norm",
    "layer_norm", "lerp", "linear", "log", "log1p", "log_softmax", "logcumsumexp", "logsumexp", "lstm", "lstm_cell",
    "masked_fill", "matmul", "max", "maximum", "mean", "min", "minimum", "mm", "movedim", "mul", "mv", "narrow", "neg",
    "normalize", "of_activation", "outer", "pad", "permute", "pow", "prelu", "prod", "reciprocal", "reglu", "repeat",
    "repeat_interleave", "reshape", "rms_norm", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell", "roll",
    "rotary_embedding", "rsqrt", "scaled_dot_product_attention", "scatter_add", "select", "sin", "slice", "softmax",
    "softmin", "split", "sqrt", "squeeze", "stack", "std", "sub", "sum", "swiglu", "take_along_dim", "transpose",
    "tril", "triu", "unbind", "unflatten", "unsqueeze", "var", "vector_norm", "where",
]  # fmt: skip
