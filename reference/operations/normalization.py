"""Layer, RMS, batch, group and instance norm: the same calculus (`norm`) on other rows.

    y = (x − mean)/√(var + ε) ∘ weight + bias

N examples, C channels, … any further axes. Derived in the README of this room, "Norms".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from . import norm as n_
from .batch_statistics import batch_norm
from .norm import Norm, Triple, norm
from .norm_mistakes import losing_norms, norm_mistakes, other_norms
from .probe import probe
from .row import Inputs, Kept, Operation, Passes, Unread

Size = int | tuple[int, ...] | None


def _over_last(name: str, size: Size, eps: float, *, centre: bool) -> Norm:
    """The norm over the last axes, whose lengths `size` states; None for the last one, whatever its length."""
    lengths = None if size is None else (size,) if isinstance(size, int) else tuple(size)
    if lengths is not None and (not lengths or min(lengths) < 1):
        raise ValueError(f"{name}: expected normalized_shape of lengths ≥ 1, got {lengths}")
    axes = 1 if lengths is None else len(lengths)

    def check(x: Array, weight: Array | None, bias: Array | None) -> None:
        own = tuple(x.shape[max(x.ndim - axes, 0) :])
        if len(own) < axes or 0 in own or (lengths is not None and own != lengths):
            last = "one axis that is not empty" if lengths is None else f"the last axes {lengths}"
            raise ValueError(f"{name}: x: expected {last}, got shape {x.shape}")
        _require(name, own, weight, bias)

    return norm(
        name,
        lambda x: x.reshape(-1, prod(x.shape[x.ndim - axes :])),
        lambda rows, shape: rows.reshape(*shape),
        lambda weight, ndim: weight,
        check,
        eps,
        centre=centre,
    )


def _over_groups(name: str, groups: int | None, eps: float) -> Norm:
    """The norm of each example (N, C, …) over groups of channels; None for each channel by itself."""

    def check(x: Array, weight: Array | None, bias: Array | None) -> None:
        if x.ndim < 2 or 0 in x.shape[1:]:
            raise ValueError(f"{name}: x: expected shape (N, C, …), got {x.shape}")
        if groups is not None and x.shape[1] % groups:
            raise ValueError(f"{name}: x: expected a multiple of {groups} channels, got shape {x.shape}")
        _require(name, (x.shape[1],), weight, bias)

    return norm(
        name,
        lambda x: x.reshape(x.shape[0] * (groups or x.shape[1]), -1),
        lambda rows, shape: rows.reshape(*shape),
        lambda weight, ndim: weight.reshape(-1, *(1,) * (ndim - 2)),
        check,
        eps,
    )


def _require(name: str, shape: tuple[int, ...], weight: Array | None, bias: Array | None) -> None:
    for what, w in (("weight", weight), ("bias", bias)):
        if w is not None and tuple(w.shape) != shape:
            raise ValueError(f"{name}: {what}: expected shape {shape}, got {w.shape}")


def _row(n: Norm, formula: str, source: str, probes: tuple[Inputs, ...], parameters: Mapping[str, object]) -> Operation:
    """The row of a norm whose inputs are x, weight and, if it takes a mean away, bias."""
    count = 3 if n.centre else 2
    one_weight = n.name == "instance_norm"

    def three(inputs: Inputs) -> Triple:
        return (*inputs, None, None)[:3]

    def cut(found: Triple, inputs: Inputs) -> tuple[Array | None, ...]:
        return found[: len(inputs)]

    def variant(wrong: Callable[..., Triple]) -> Callable[..., tuple[Array | None, ...]]:
        return lambda inputs, y, d_y: cut(wrong(*three(inputs), d_y), inputs)

    def passes(found: Mapping[str, tuple[Callable[..., Array], Callable[..., Triple]]]) -> dict[str, Passes]:
        return {
            name: (lambda *inputs, value=value: value(*three(inputs)), variant(back))
            for name, (value, back) in found.items()
        }

    return Operation(
        n.name,
        formula,
        source,
        ("x", "weight", "bias")[:count],
        lambda *inputs: n_.value(n, *three(inputs)),  # type: ignore[arg-type]
        lambda inputs, y, d_y: cut(n_.pullback(n, *three(inputs), d_y), inputs),  # type: ignore[arg-type]
        lambda inputs, y, changes: n_.pushforward(n, *three(inputs)[:2], three(changes)),  # type: ignore[arg-type]
        probes=probes,
        optional=("weight", "bias")[: count - 1],
        mistakes={name: variant(wrong) for name, wrong in norm_mistakes(n, one_weight=one_weight).items()},
        other_passes=passes(other_norms(n)),
        losing=passes(losing_norms(n)),
        parameters=parameters,
        textbook_value=lambda inputs, y: n_.textbook_value(n, *three(inputs)),  # type: ignore[arg-type]
        textbook_pullback=lambda inputs, y, d_y: tuple(
            0.0 if size is None else size
            for size in cut(n_.textbook_pullback(n, *three(inputs), d_y), inputs)  # type: ignore[arg-type]
        ),
        unread=Unread(("x", "output")),
        kept=Kept(
            lambda *inputs: n_.forward(n, *three(inputs)),  # type: ignore[arg-type]
            lambda inputs, s, d_y: cut(n_.backward(n, s, *three(inputs), d_y), inputs),  # type: ignore[arg-type]
        ),
    )


@recorded
def layer_norm(normalized_shape: Size = None, eps: float = 1e-5) -> Operation:
    """(x − mean)/√(var + ε) ∘ weight + bias, over the last axes.

    Args:
        normalized_shape: the lengths of these axes, which weight and bias have too; None for the last one.
        eps: ε.

    >>> import numpy as np
    >>> layer_norm(eps=0.0).value(np.array([[1e200, 3e200]]))
    array([[-1.,  1.]])
    """
    shape = (2, 3) if normalized_shape is None else _lengths(normalized_shape)
    own = shape[1:] if normalized_shape is None else shape
    return _row(
        _over_last("layer_norm", normalized_shape, eps, centre=True),
        "(x − mean x)/√(var x + ε) ∘ weight + bias",
        "Ba, Kiros & Hinton 2016, arXiv:1607.06450, eq. 4",
        ((probe(2, *shape), probe(*own, start=5), probe(*own, start=9)),),
        {"normalized_shape": normalized_shape, "eps": eps},
    )


@recorded
def rms_norm(normalized_shape: Size = None, *, eps: float) -> Operation:
    """x/√(mean x² + ε) ∘ weight, over the last axes.

    ε has no default. Torch's is that of the number type, so that in another type it would be another function; and for
    bfloat16 and float16 torch takes float32's, whatever its documentation says.

    Args:
        normalized_shape: the lengths of these axes, which the weight has too; None for the last one.
        eps: ε.

    >>> import numpy as np
    >>> rms_norm(eps=0.0).value(np.array([[3e-200, 4e-200]])) ** 2
    array([[0.72, 1.28]])
    """
    if eps is None:
        raise ValueError("rms_norm: expected eps ≥ 0, got None; torch's is np.finfo(dtype).eps, float32's at least")
    shape = (2, 3) if normalized_shape is None else _lengths(normalized_shape)
    own = shape[1:] if normalized_shape is None else shape
    return _row(
        _over_last("rms_norm", normalized_shape, eps, centre=False),
        "x/√(mean x² + ε) ∘ weight",
        "Zhang & Sennrich 2019, arXiv:1910.07467, eq. 4",
        ((probe(2, *shape), probe(*own, start=5)),),
        {"normalized_shape": normalized_shape, "eps": eps},
    )


def _lengths(size: int | tuple[int, ...]) -> tuple[int, ...]:
    """A normalised shape as a tuple, for probes."""
    return (size,) if isinstance(size, int) else tuple(size)


@recorded
def group_norm(num_groups: int, eps: float = 1e-5) -> Operation:
    """Layer norm of each example over each of so many groups of channels, x (N, C, …); weight and bias (C,).

    Args:
        num_groups: divides C.
        eps: ε.

    >>> import numpy as np
    >>> group_norm(1, eps=0.0).value(np.array([[1.0, 3.0]]))
    array([[-1.,  1.]])
    """
    if num_groups < 1:
        raise ValueError(f"group_norm: expected num_groups ≥ 1, got {num_groups}")
    channels = 2 * num_groups
    return _row(
        _over_groups("group_norm", num_groups, eps),
        "layer norm of groups of channels",
        "Wu & He 2018, arXiv:1803.08494, eq. 1–7",
        ((probe(2, channels, 3), probe(channels, start=5), probe(channels, start=9)),),
        {"num_groups": num_groups, "eps": eps},
    )


@recorded
def instance_norm(eps: float = 1e-5) -> Operation:
    """Layer norm of each channel of each example over all further axes, x (N, C, …); weight and bias (C,).

    >>> import numpy as np
    >>> instance_norm(eps=0.0).value(np.array([[[1.0, 3.0], [5.0, 5.5]]]))
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    return _row(
        _over_groups("instance_norm", None, eps),
        "layer norm of each channel by itself",
        "Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022, eq. 4",
        ((probe(2, 2, 3), probe(2, start=5), probe(2, start=9)),),
        {"eps": eps},
    )


MAKERS: tuple[Callable[..., Operation], ...] = (layer_norm, rms_norm, batch_norm, group_norm, instance_norm)
