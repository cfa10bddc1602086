"""Operations: value and pullback side by side, a table of rows with torch's names, parameters and defaults."""

from .added_products import addmm, baddbmm
from .attention import scaled_dot_product_attention
from .batch_statistics import batch_norm
from .choices import abs, clamp, masked_fill, maximum, minimum, prelu, where
from .convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .copies import expand, repeat, repeat_interleave
from .cumulative import cumprod, cumsum, logcumsumexp
from .diagonals import diag, diag_embed, diagonal, diff, trace
from .distances import cdist, cosine_similarity, pairwise_distance
from .einstein import einsum
from .elementwise import add, addcdiv, addcmul, div, dropout, lerp, mul, neg, sub
from .folding import fold, unfold
from .functions_of_one import cos, erf, erfc, exp, expm1, log, log1p, pow, reciprocal, rsqrt, sin, sqrt
from .gated import geglu, reglu, swiglu
from .hyperbolic import acos, acosh, asin, asinh, atan, atan2, atanh, cosh, hypot, sinh, tan
from .interpolation import interpolate
from .joining import cat, chunk, split, stack, unbind
from .local_response import local_response_norm
from .logarithms import exp2, log2, log10, logaddexp, logit
from .moments import std, var, vector_norm
from .normalization import group_norm, instance_norm, layer_norm, rms_norm
from .of_activation import glu, log_softmax, of_activation, softmax, softmin
from .of_loss import of_loss
from .ordered import kthvalue, median, sort, topk
from .padding import pad
from .parts import flip, narrow, roll, select, slice, tril, triu
from .pooled_maxima import (
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from .pooled_means import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
)
from .positions import alibi, rotary_embedding
from .products import bmm, dot, linear, matmul, mm, mv, outer
from .putting import index_add, index_put, scatter_add
from .recurrence import gru, lstm, rnn_relu, rnn_tanh
from .recurrent_cells import gru_cell, lstm_cell, rnn_relu_cell, rnn_tanh_cell
from .reductions import amax, amin, logsumexp, max, mean, min, prod, sum
from .row import Operation
from .shape import clone, contiguous, flatten, movedim, permute, reshape, squeeze, transpose, unflatten, unsqueeze
from .shuffling import channel_shuffle, pixel_shuffle, pixel_unshuffle
from .stepwise import ceil, floor, fmod, remainder, round, sign, trunc
from .table import MAKERS, OPERATIONS, get
from .taking import embedding, gather, index_select, take_along_dim
from .unit_vectors import normalize
from .vectors import cross, dist

__all__ = [
    "MAKERS",
    "OPERATIONS",
    "Operation",
    "abs",
    "acos",
    "acosh",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "add",
    "addcdiv",
    "addcmul",
    "addmm",
    "alibi",
    "amax",
    "amin",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "baddbmm",
    "batch_norm",
    "bmm",
    "cat",
    "cdist",
    "ceil",
    "channel_shuffle",
    "chunk",
    "clamp",
    "clone",
    "contiguous",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cos",
    "cosh",
    "cosine_similarity",
    "cross",
    "cumprod",
    "cumsum",
    "diag",
    "diag_embed",
    "diagonal",
    "diff",
    "dist",
    "div",
    "dot",
    "dropout",
    "einsum",
    "embedding",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expand",
    "expm1",
    "flatten",
    "flip",
    "floor",
    "fmod",
    "fold",
    "gather",
    "geglu",
    "get",
    "glu",
    "group_norm",
    "gru",
    "gru_cell",
    "hypot",
    "index_add",
    "index_put",
    "index_select",
    "instance_norm",
    "interpolate",
    "kthvalue",
    "layer_norm",
    "lerp",
    "linear",
    "local_response_norm",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logaddexp",
    "logcumsumexp",
    "logit",
    "logsumexp",
    "lp_pool1d",
    "lp_pool2d",
    "lstm",
    "lstm_cell",
    "masked_fill",
    "matmul",
    "max",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "maximum",
    "mean",
    "median",
    "min",
    "minimum",
    "mm",
    "movedim",
    "mul",
    "mv",
    "narrow",
    "neg",
    "normalize",
    "of_activation",
    "of_loss",
    "outer",
    "pad",
    "pairwise_distance",
    "permute",
    "pixel_shuffle",
    "pixel_unshuffle",
    "pow",
    "prelu",
    "prod",
    "reciprocal",
    "reglu",
    "remainder",
    "repeat",
    "repeat_interleave",
    "reshape",
    "rms_norm",
    "rnn_relu",
    "rnn_relu_cell",
    "rnn_tanh",
    "rnn_tanh_cell",
    "roll",
    "rotary_embedding",
    "round",
    "rsqrt",
    "scaled_dot_product_attention",
    "scatter_add",
    "select",
    "sign",
    "sin",
    "sinh",
    "slice",
    "softmax",
    "softmin",
    "sort",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "sub",
    "sum",
    "swiglu",
    "take_along_dim",
    "tan",
    "topk",
    "trace",
    "transpose",
    "tril",
    "triu",
    "trunc",
    "unbind",
    "unflatten",
    "unfold",
    "unsqueeze",
    "var",
    "vector_norm",
    "where",
]  # fmt: skip
