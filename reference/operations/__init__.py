"""Operations: value and pullback side by side, a table of rows with torch's names, parameters and defaults."""

from .attention import scaled_dot_product_attention
from .batch_statistics import batch_norm
from .elementwise import add, mul
from .gated import geglu, reglu, swiglu
from .normalization import group_norm, instance_norm, layer_norm, rms_norm
from .of_activation import of_activation
from .positions import alibi, rotary_embedding
from .products import linear, matmul
from .row import Operation
from .shape import cat, reshape
from .table import MAKERS, OPERATIONS, get
from .unit_vectors import normalize

__all__ = [
    "MAKERS", "OPERATIONS", "Operation", "add", "alibi", "batch_norm", "cat", "geglu", "get", "group_norm",
    "instance_norm", "layer_norm", "linear", "matmul", "mul", "normalize", "of_activation", "reglu",
    "reshape", "rms_norm", "rotary_embedding", "scaled_dot_product_attention", "swiglu",
]  # fmt: skip
