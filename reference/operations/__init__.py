"""Operations: value and pullback side by side, a table of rows with torch's names, parameters and defaults."""

from .added_products import addmm, baddbmm
from .attention import scaled_dot_product_attention
from .copies import expand, repeat, repeat_interleave
from .einstein import einsum
from .elementwise import add, mul
from .gated import geglu, reglu, swiglu
from .joining import cat, chunk, split, stack, unbind
from .normalization import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from .of_activation import of_activation
from .padding import pad
from .parts import flip, narrow, roll, select, slice, tril, triu
from .positions import alibi, rotary_embedding
from .products import bmm, dot, linear, matmul, mm, mv, outer
from .putting import index_add, index_put, scatter_add
from .row import Operation
from .shape import clone, contiguous, flatten, movedim, permute, reshape, squeeze, transpose, unflatten, unsqueeze
from .table import MAKERS, OPERATIONS, get
from .taking import embedding, gather, index_select, take_along_dim
from .unit_vectors import normalize

__all__ = [
    "MAKERS", "OPERATIONS", "Operation", "add", "addmm", "alibi", "baddbmm", "batch_norm", "bmm", "cat", "chunk",
    "clone", "contiguous", "dot", "einsum", "embedding", "expand", "flatten", "flip", "gather", "geglu", "get",
    "group_norm", "index_add", "index_put", "index_select", "instance_norm", "layer_norm", "linear", "matmul", "mm",
    "movedim", "mul", "mv", "narrow", "normalize", "of_activation", "outer", "pad", "permute", "reglu", "repeat",
    "repeat_interleave", "reshape", "rms_norm", "roll", "rotary_embedding", "scaled_dot_product_attention",
    "scatter_add", "select", "slice", "split", "squeeze", "stack", "swiglu", "take_along_dim", "transpose", "tril",
    "triu", "unbind", "unflatten", "unsqueeze",
]  # fmt: skip
