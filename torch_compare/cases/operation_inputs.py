"""What each operation is shown with in the test vectors: two sets of parameters and inputs a row.

A tuple is the shape of an input whose numbers `numbers` makes; a list holds the input itself, indices or truth values;
None leaves it out. A row that is added to the table of operations needs its entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from .image_inputs import IMAGES, Entry


@dataclass(frozen=True)
class Positive:
    """An input of positive numbers."""

    shape: tuple[int, ...]


def numbers(shape: tuple[int, ...], position: int = 0) -> Any:
    """Odd multiples of 1/16 in another order for each position, and a power of two beside them, so that none ties.

    All of them are numbers of bfloat16, whose significand has 8 bits: multiples of 1/128 below 1.5.

    >>> numbers((3,)).tolist(), numbers((2,), 1).tolist()
    ([-1.4375, -0.5625, 0.3125], [-0.78125, 0.09375])
    """
    places = np.arange(prod(shape))
    steps, apart = (7 * places + 5 * position) % 23, position % 4
    return ((2 * steps - 23) / 16 + (2.0 ** -(4 + apart) if apart else 0.0)).reshape(shape)


def input_at(given: Any, position: int) -> Any:
    """The array of an entry's input, float64 if it holds real numbers; None where it is left out."""
    if given is None or isinstance(given, list):
        return None if given is None else np.array(given)
    if isinstance(given, Positive):
        return np.abs(numbers(given.shape, position)) + 0.25
    return numbers(given, position)


P = Positive
_PLAIN: tuple[Entry, Entry] = (({}, ((2, 3),)), ({}, ((2, 1, 2),)))
_POSITIVE: tuple[Entry, Entry] = (({}, (P((2, 3)),)), ({}, (P((4,)),)))
_BETWEEN: tuple[Entry, Entry] = (
    ({}, ([[0.25, -0.75, 0.0625], [-0.5, 0.875, -0.125]],)),
    ({}, ([0.5, -0.9375, 0.375],)),
)
_DIVIDED: tuple[Entry, Entry] = (
    ({}, ([[2.5, -1.75, 0.625], [4.25, -3.5, 1.375]], [[0.75], [-1.25]])),
    ({}, ([2.125, -0.875], [0.5625])),
)
_PAIR: tuple[Entry, Entry] = (({}, ((2, 3), (2, 3))), ({}, ((2, 1, 2), (3, 1))))
_NORM = ((2, 4), (4,), (4,))
_REDUCED: tuple[Entry, Entry] = (({}, ((2, 3),)), ({"dim": (0, 2), "keepdim": True}, ((2, 3, 2),)))
_ROW: tuple[Entry, Entry] = (({}, ((2, 3),)), ({"dim": 0}, ((3, 2),)))
_GATED: tuple[Entry, Entry] = (({}, ((2, 3), (2, 3))), ({"packed": "gate_first"}, ((1, 2, 4),)))
_LOWER = [[True, False, False], [True, True, False]]


def _both_ways(blocks: int) -> tuple[tuple[int, ...], ...]:
    """The weights of one layer that runs both ways, of one feature."""
    return ((blocks, 1), (blocks, 1), (blocks,), (blocks,)) * 2


ENTRIES: Mapping[str, tuple[Entry, Entry]] = MappingProxyType({
    "abs": _PLAIN,
    "acos": _BETWEEN,
    "acosh": (({}, ([[1.25, 2.5, 1.5], [3.0, 1.0625, 4.0]],)), ({}, ([2.0, 1.125, 8.0],))),
    "add": (_PAIR[0], ({"alpha": 0.5}, ((2, 1, 2), (3, 1)))),
    "addcdiv": (({}, ((2, 3), (2, 3), P((2, 3)))), ({"value": 0.5}, ((2, 1), (3,), P((1, 3))))),
    "addcmul": (({}, ((2, 3), (2, 3), (2, 3))), ({"value": 0.5}, ((2, 1), (3,), (1, 3)))),
    "addmm": (({}, ((2, 2), (2, 3), (3, 2))), ({"beta": 0.5, "alpha": -2.0}, ((2,), (3, 2), (2, 2)))),
    "alibi": (({}, ((2, 2, 3), P((2,)))), ({"symmetric": True}, ((1, 1, 3, 2), P((1,))))),
    "amax": (({}, ((2, 3),)), ({"dim": 1}, ((2, 3, 2),))),
    "amin": (({}, ((2, 3),)), ({"dim": (0, 1), "keepdim": True}, ((2, 3, 2),))),
    "asin": _BETWEEN,
    "asinh": _PLAIN,
    "atan": _PLAIN,
    "atan2": _PAIR,
    "atanh": _BETWEEN,
    "baddbmm": (({}, ((2, 2, 2), (2, 2, 1), (2, 1, 2))), ({"beta": 0.5}, ((2,), (1, 2, 2), (1, 2, 2)))),
    "batch_norm": (({"training": True}, ((3, 2), None, None, (2,), (2,))), ({}, ((2, 2, 2), (2,), P((2,)), (2,)))),
    "bmm": (({}, ((2, 2, 3), (2, 3, 1))), ({}, ((1, 3, 2), (1, 2, 2)))),
    "cat": (({}, ((1, 3), (2, 3))), ({"dim": -1}, ((2, 2), (2, 1), (2, 1)))),
    "cdist": (({}, ((2, 3), (2, 3))), ({"p": 1.0}, ((2, 1, 2), (3, 2)))),
    "ceil": _PLAIN,
    "chunk": (({"chunks": 2}, ((3, 2),)), ({"chunks": 3, "dim": 1}, ((2, 3),))),
    "clamp": (({"min": -0.5, "max": 0.75}, ((2, 3),)), ({"max": 0.25}, ((4,),))),
    "clone": _PLAIN,
    "contiguous": _PLAIN,
    "cos": _PLAIN,
    "cosine_similarity": (({}, ((2, 3), (2, 3))), ({"dim": 0}, ((3, 2), (3, 1)))),
    "cosh": _PLAIN,
    "cross": (({}, ((2, 3), (2, 3))), ({"dim": 0}, ((3, 2), (3, 1)))),
    "cumprod": (({"dim": 1}, ((2, 3),)), ({"dim": 0}, ((3, 2),))),
    "cumsum": (({"dim": 1}, ((2, 3),)), ({"dim": 0}, ((3, 2),))),
    "diag": (({}, ((2, 3),)), ({"diagonal": 1}, ((2,),))),
    "diag_embed": (({}, ((2, 2),)), ({"offset": 1, "dim1": 0, "dim2": 2}, ((1, 3),))),
    "diagonal": (({}, ((2, 3),)), ({"offset": -1, "dim1": -1, "dim2": 0}, ((2, 1, 3),))),
    "diff": (({}, ((2, 3),)), ({"n": 2, "dim": 0}, ((4, 2),))),
    "dist": (({}, ((2, 3), (2, 3))), ({"p": 3.0}, ((2, 2), (2,)))),
    "div": (({}, ((2, 3), P((2, 3)))), ({}, ((2, 1, 2), P((3, 1))))),
    "dot": (({}, ((4,), (4,))), ({}, ((1,), (1,)))),
    "dropout": (
        ({}, ((2, 3), [[True, False, True], [True, True, False]])),
        ({"p": 0.25}, ((4,), [True, True, True, False])),
    ),
    "einsum": (({"equation": "bqd,bkd->bqk"}, ((2, 2, 2), (2, 1, 2))), ({"equation": "ii,ij->j"}, ((2, 2), (2, 3)))),
    "embedding": (({}, ([2, 0, 2], (3, 2))), ({"padding_idx": 1}, ([[0, 1], [1, 3]], (4, 2)))),
    "erf": _PLAIN,
    "erfc": _PLAIN,
    "exp": _PLAIN,
    "exp2": _PLAIN,
    "expand": (({"size": (3, 2)}, ((1, 2),)), ({"size": (2, -1, 3)}, ((2, 1),))),
    "expm1": _PLAIN,
    "flatten": (({}, ((2, 3),)), ({"start_dim": 1}, ((2, 2, 2),))),
    "flip": (({"dims": 1}, ((2, 3),)), ({"dims": (0, 2)}, ((2, 1, 3),))),
    "floor": _PLAIN,
    "fmod": _DIVIDED,
    "gather": (({"dim": 1}, ((2, 3), [[0, 0], [2, 1]])), ({"dim": 0}, ((3, 2), [[2, 1]]))),
    "geglu": (({}, ((2, 3), (2, 3))), ({"approximate": "tanh", "packed": "gate_last"}, ((2, 4),))),
    "glu": (({}, ((2, 4),)), ({"dim": 0}, ((2, 3),))),
    "group_norm": (({"num_groups": 2}, ((1, 4, 3), (4,), (4,))), ({"num_groups": 1}, ((1, 2, 3), (2,)))),
    "gru": (
        ({"has_biases": False}, ((3, 1, 2), (1, 1, 1), (3, 2), (3, 1))),
        ({"bidirectional": True, "batch_first": True}, ((1, 2, 1), (2, 1, 1), *_both_ways(3))),
    ),
    "gru_cell": (({}, ((3, 2), (3, 1), (3, 2), (3, 1), (3,), (3,))), ({}, ((1, 1), (1, 2), (6, 1), (6, 2)))),
    "hypot": _PAIR,
    "index_add": (({"dim": 0}, ((3, 2), [2, 0, 2], (3, 2))), ({"dim": 1, "alpha": 0.5}, ((2, 3), [1], (2, 1)))),
    "index_put": (
        ({"accumulate": True}, ((3, 2), (3, 2), [1, 0, 1])),
        ({}, ((2, 3), (2,), [0, 1], [2, 0])),
    ),
    "index_select": (({"dim": 0}, ((3, 2), [2, 0, 2])), ({"dim": 1}, ((2, 3), [1]))),
    "instance_norm": (({}, ((2, 2, 3), (2,), (2,))), ({"eps": 0.25}, ((1, 2, 3),))),
    "kthvalue": (({"k": 2}, ((2, 3),)), ({"k": 1, "dim": 0, "keepdim": True}, ((3, 2),))),
    "layer_norm": (({}, _NORM), ({"normalized_shape": (2, 2), "eps": 0.25}, ((2, 2, 2), (2, 2)))),
    "lerp": (({"weight": 0.25}, ((2, 3), (2, 3))), ({}, ((2, 1), (3,), (2, 3)))),
    "linear": (({}, ((2, 3), (2, 3), (2,))), ({}, ((1, 2, 2), (3, 2)))),
    "log": _POSITIVE,
    "log10": _POSITIVE,
    "log1p": _POSITIVE,
    "log2": _POSITIVE,
    "log_softmax": _ROW,
    "logaddexp": _PAIR,
    "logcumsumexp": (({"dim": 1}, ((2, 3),)), ({"dim": 0}, ((3, 2),))),
    "logit": (
        ({}, ([[0.25, 0.875, 0.5], [0.75, 0.0625, 0.9375]],)),
        ({"eps": 0.125}, ([0.0625, 0.5625, 0.9375, 0.25],)),
    ),
    "logsumexp": (({"dim": 1}, ((2, 3),)), ({"dim": (0, 2), "keepdim": True}, ((2, 3, 2),))),
    "lstm": (
        ({}, ((2, 1, 1), (1, 1, 1), (1, 1, 1), (4, 1), (4, 1), (4,), (4,))),
        ({"has_biases": False, "batch_first": True}, ((1, 2, 1), (1, 1, 1), (1, 1, 2), (8, 1), (8, 1), (1, 2))),
    ),
    "lstm_cell": (
        ({}, ((2, 2), (2, 1), (2, 1), (4, 2), (4, 1), (4,), (4,))),
        ({}, ((1, 1), (1, 2), (1, 2), (8, 1), (8, 2))),
    ),
    "masked_fill": (({"value": -2.0}, ((2, 3), _LOWER)), ({"value": float("-inf")}, ((2,), [False, False]))),
    "matmul": (({}, ((2, 3), (3, 2))), ({}, ((2, 1, 1, 2), (2, 2, 2)))),
    "max": _PLAIN,
    "maximum": _PAIR,
    "mean": _REDUCED,
    "median": (({}, ((2, 4),)), ({"dim": 0, "keepdim": True}, ((3, 2),))),
    "min": _PLAIN,
    "minimum": _PAIR,
    "mm": (({}, ((2, 3), (3, 2))), ({}, ((1, 2), (2, 3)))),
    "movedim": (
        ({"source": 0, "destination": 1}, ((2, 3),)),
        ({"source": (0, 1), "destination": (2, 0)}, ((2, 3, 1),)),
    ),
    "mul": _PAIR,
    "mv": (({}, ((2, 3), (3,))), ({}, ((3, 1), (1,)))),
    "narrow": (({"dim": 1, "start": 1, "length": 2}, ((2, 3),)), ({"dim": 0, "start": -2, "length": 1}, ((3, 2),))),
    "neg": _PLAIN,
    "normalize": (({}, ((2, 3),)), ({"p": 3.0, "dim": 0}, ((3, 2),))),
    "outer": (({}, ((2,), (3,))), ({}, ((1,), (4,)))),
    "pad": (({"pad": (1, 2)}, ((2, 2),)), ({"pad": (1, 0, 0, 1), "mode": "replicate"}, ((1, 2, 2),))),
    "pairwise_distance": (({}, ((2, 3), (2, 3))), ({"p": 1.0, "eps": 0.0, "keepdim": True}, ((2, 1, 2), (3, 2)))),
    "permute": (({"dims": (1, 0)}, ((2, 3),)), ({"dims": (2, 0, 1)}, ((1, 2, 3),))),
    "pow": (({"exponent": 3.0}, ((2, 3),)), ({}, (P((2, 1)), (3,)))),
    "prelu": (({}, ((2, 3), (3,))), ({}, ((3, 2), (1,)))),
    "prod": (({}, ((2, 3),)), ({"dim": 1}, ((2, 3, 1),))),
    "reciprocal": _POSITIVE,
    "reglu": _GATED,
    "remainder": _DIVIDED,
    "repeat": (({"repeats": (2,)}, ((3,),)), ({"repeats": (2, 1, 2)}, ((2, 2),))),
    "repeat_interleave": (({"repeats": 2}, ((3,),)), ({"repeats": 2, "dim": 1}, ((2, 2),))),
    "reshape": (({"shape": (3, 2)}, ((2, 3),)), ({"shape": (1, -1)}, ((2, 1, 2),))),
    "rms_norm": (({"eps": 1e-6}, _NORM[:2]), ({"normalized_shape": (2, 2), "eps": 0.25}, ((2, 2, 2),))),
    "rnn_relu": (
        ({"bidirectional": True}, ((2, 1, 1), (2, 1, 1), *_both_ways(1))),
        ({"has_biases": False, "num_layers": 2, "batch_first": True}, ((2, 2, 1), (2, 2, 1), *((1, 1),) * 4)),
    ),
    "rnn_relu_cell": (({}, ((2, 2), (2, 1), (1, 2), (1, 1), (1,), (1,))), ({}, ((1, 1), (1, 2), (2, 1), (2, 2)))),
    "rnn_tanh": (
        ({"bidirectional": True}, ((2, 1, 1), (2, 1, 1), *_both_ways(1))),
        ({"has_biases": False, "num_layers": 2, "batch_first": True}, ((2, 2, 1), (2, 2, 1), *((1, 1),) * 4)),
    ),
    "rnn_tanh_cell": (({}, ((2, 2), (2, 1), (1, 2), (1, 1), (1,), (1,))), ({}, ((1, 1), (1, 2), (2, 1), (2, 2)))),
    "roll": (({"shifts": 1}, ((2, 3),)), ({"shifts": (1, -1), "dims": (0, 1)}, ((2, 3),))),
    "rotary_embedding": (({}, ((2, 4), (2, 2), (2, 2))), ({"layout": "interleaved"}, ((1, 2, 2), (2, 1), (2, 1)))),
    "round": _PLAIN,
    "rsqrt": _POSITIVE,
    "scaled_dot_product_attention": (
        ({}, ((2, 2), (3, 2), (3, 2), _LOWER)),
        ({"is_causal": True, "scale": 0.5, "enable_gqa": True}, ((2, 2, 1), (1, 2, 1), (1, 2, 2))),
    ),
    "scatter_add": (({"dim": 1}, ((2, 3), [[0, 0], [2, 1]], (2, 2))), ({"dim": 0}, ((3, 2), [[2, 1]], (1, 2)))),
    "select": (({"dim": 0, "index": 1}, ((2, 3),)), ({"dim": 2, "index": -1}, ((2, 1, 3),))),
    "sign": _PLAIN,
    "sin": _PLAIN,
    "sinh": _PLAIN,
    "slice": (({"start": 1}, ((3, 2),)), ({"dim": 1, "start": 0, "end": 3, "step": 2}, ((2, 4),))),
    "softmax": _ROW,
    "softmin": _ROW,
    "sort": (({}, ((2, 3),)), ({"dim": 0, "descending": True}, ((3, 2),))),
    "split": (({"split_size_or_sections": 2}, ((3, 2),)), ({"split_size_or_sections": (1, 2), "dim": 1}, ((2, 3),))),
    "sqrt": _POSITIVE,
    "squeeze": (({}, ((2, 1, 3),)), ({"dim": 0}, ((1, 2, 1),))),
    "stack": (({}, ((2, 2), (2, 2))), ({"dim": -1}, ((3,), (3,)))),
    "std": (({}, ((2, 3),)), ({"dim": 1, "correction": 0, "keepdim": True}, ((2, 3),))),
    "sub": (_PAIR[0], ({"alpha": 0.5}, ((2, 1, 2), (3, 1)))),
    "sum": _REDUCED,
    "swiglu": _GATED,
    "take_along_dim": (({"dim": 1}, ((2, 3), [[0, 0], [2, 1]])), ({}, ((2, 2), [3, 0, 3]))),
    "topk": (({"k": 2}, ((2, 3),)), ({"k": 1, "dim": 0, "largest": False}, ((3, 2),))),
    "tan": _PLAIN,
    "trace": (({}, ((2, 3),)), ({}, ((3, 1),))),
    "transpose": (({"dim0": 0, "dim1": 1}, ((2, 3),)), ({"dim0": -1, "dim1": 0}, ((2, 1, 3),))),
    "tril": (({}, ((2, 3),)), ({"diagonal": 1}, ((2, 2, 2),))),
    "triu": (({}, ((2, 3),)), ({"diagonal": -1}, ((2, 2, 2),))),
    "trunc": _PLAIN,
    "unbind": (({}, ((2, 3),)), ({"dim": 1}, ((3, 2),))),
    "unflatten": (({"dim": 0, "sizes": (3, 2)}, ((6,),)), ({"dim": 1, "sizes": (2, -1)}, ((2, 4),))),
    "unsqueeze": (({"dim": 0}, ((2, 3),)), ({"dim": -1}, ((4,),))),
    "var": (({}, ((2, 3),)), ({"dim": 1, "correction": 0, "keepdim": True}, ((2, 3),))),
    "vector_norm": (({}, ((2, 3),)), ({"ord": 3, "dim": 1, "keepdim": True}, ((2, 3),))),
    "where": (({}, (_LOWER, (2, 3), (2, 3))), ({}, ([[True], [False]], (3,), (2, 3)))),
    **IMAGES,
})  # fmt: skip
"""Two entries a row, by its name."""
