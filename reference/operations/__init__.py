"""Operations: value and pullback side by side, a table of rows with torch's names, parameters and defaults."""

from .added_products import addmm, baddbmm
from .attention import scaled_dot_product_attention
from .batch_statistics import batch_norm
from .choices import abs, clamp, masked_fill, maximum, minimum, prelu, where
from .convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .copies import expand, repeat, repeat_interleave
from .cumulative import cumprod, cumsum, logcumsumexp
from .distances import cdist, cosine_similarity, pairwise_distance
from .einstein import einsum
from .elementwise import add, addcdiv, addcmul, div, dropout, lerp, mul, neg, sub
from .folding import fold, unfold
from .functions_of_one import cos, erf, exp, expm1, log, log1p, pow, reciprocal, rsqrt, sin, sqrt
from .gated import geglu, reglu, swiglu
from .interpolation import interpolate
from .joining import cat, chunk, split, stack, unbind
from .local_response import local_response_norm
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
from .reductions import amax, amin, logsumexp, max, mean, min, prod, sum
from .row import Operation
from .shape import clone, contiguous, flatten, movedim, permute, reshape, squeeze, transpose, unflatten, unsqueeze
from .shuffling import channel_shuffle, pixel_shuffle, pixel_unshuffle
from .table import MAKERS, OPERATIONS, get
from .taking import embedding, gather, index_select, take_along_dim
from .unit_vectors import normalize

__all__ = [
    "MAKERS", "OPERATIONS", "Operation", "abs", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "add", "addcdiv", "addcmul", "addmm", "alibi",
    "amax", "amin", "avg_pool1d", "avg_pool2d", "avg_pool3d", "baddbmm", "batch_norm", "bmm", "cat", "cdist",
    "channel_shuffle", "chunk", "clamp", "clone", "contiguous", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "cos", "cosine_similarity", "cumprod", "cumsum", "div", "dot", "dropout",
    "einsum", "embedding", "erf", "exp", "expand", "expm1", "flatten", "flip", "fold", "gather", "geglu", "get", "glu",
    "group_norm", "index_add", "index_put", "index_select", "instance_norm", "interpolate", "kthvalue", "layer_norm",
    "lerp", "linear", "local_response_norm", "log", "log1p", "log_softmax", "logcumsumexp", "logsumexp", "lp_pool1d",
    "lp_pool2d", "masked_fill", "matmul", "max", "max_pool1d", "max_pool2d", "max_pool3d", "maximum", "mean", "median",
    "min", "minimum", "mm", "movedim", "mul", "mv", "narrow", "neg", "normalize", "of_activation", "of_loss", "outer",
    "pad", "pairwise_distance", "permute", "pixel_shuffle", "pixel_unshuffle", "pow", "prelu", "prod", "reciprocal",
    "reglu", "repeat", "repeat_interleave", "reshape", "rms_norm", "roll", "rotary_embedding", "rsqrt",
    "scaled_dot_product_attention", "scatter_add", "select", "sin", "slice", "softmax", "softmin", "sort", "split",
    "sqrt", "squeeze", "stack", "std", "sub", "sum", "swiglu", "take_along_dim", "topk", "transpose", "tril", "triu",
    "unbind", "unflatten", "unfold", "unsqueeze", "var", "vector_norm", "where",
]  # fmt: skip
