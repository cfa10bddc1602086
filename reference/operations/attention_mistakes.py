"""What people get wrong in the passes of attention, as variants of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..arithmetic.array import Array
from .attended import Attended, Options, attended, from_scores, gathered, pullback, through_softmax, value
from .broadcasting import unbroadcast
from .row import Inputs, Passes, Pullback


def attention_mistakes(options: Options) -> dict[str, Pullback]:
    """Every mistake by its name; those that make no difference with these options are left out."""
    found: dict[str, Pullback] = {
        "scale_left_out": _scaled(options, lambda a, query: a.factor * 0 + 1),
        "softmax_taken_as_diagonal": _scores(options, lambda p, d: p * (1 - p) * d),
        "softmax_row_sum_left_out": _scores(options, lambda p, d: p * d),
        "mask_not_applied_in_backward": _backward_of(replace(options, causal=False), masked=False),
        "values_without_the_transpose": _values(options, _without_transpose),
    }
    if options.scale is None:
        found["scale_of_all_heads_width"] = _scaled(
            options, lambda a, query: a.factor / (query.shape[-3] ** 0.5 if query.ndim > 2 else 1)
        )
    if options.causal:
        found["causal_off_by_one"] = _backward_of(replace(options, offset=1))
    if options.grouped:
        found |= {
            "heads_of_a_group_not_added": _of_heads(options, lambda d: d[..., -1, :, :]),
            "first_head_of_a_group_alone": _of_heads(options, lambda d: d[..., 0, :, :]),
            "heads_of_a_group_averaged": _of_heads(options, lambda d: d.sum(axis=-3) / d.shape[-3]),
            "heads_of_a_group_taken_in_turn": _of_heads(options, lambda d: d.sum(axis=-3), in_turn=True),
        }
    return found


def other_attentions(options: Options) -> dict[str, Passes]:
    """Attention with another scale or mask in both passes, by the mistakes' names."""
    found = {
        "scale_left_out": _passes(lambda inputs: replace(options, scale=1.0)),
        "scale_without_the_root": _passes(lambda inputs: replace(options, scale=1 / inputs[0].shape[-1])),
        "mask_not_applied": _passes(lambda inputs: options, masked=False),
    }
    if options.scale is None:
        found["scale_of_all_heads_width"] = _passes(lambda inputs: replace(options, scale=_of_all_heads(inputs[0])))
    else:
        found["scale_of_the_width"] = _passes(lambda inputs: replace(options, scale=None))
    if options.causal:
        found["causal_left_out"] = _passes(lambda inputs: replace(options, causal=False))
        found["causal_off_by_one"] = _passes(lambda inputs: replace(options, offset=1))
        found["causal_without_its_own_place"] = _passes(lambda inputs: replace(options, offset=-1))
    else:
        found["causal_without_being_asked"] = _passes(lambda inputs: replace(options, causal=True))
    return found


def _of_all_heads(query: Array) -> float:
    return float((query.shape[-1] * (query.shape[-3] if query.ndim > 2 else 1)) ** -0.5)


def _passes(options: Callable[[Inputs], Options], *, masked: bool = True) -> Passes:
    """Both passes of attention with other options, or without the mask."""

    def taken(inputs: Inputs) -> Attended:
        return attended(inputs if masked else inputs[:3], options(inputs))

    def back(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
        found = pullback(inputs if masked else inputs[:3], d_y, taken(inputs), options(inputs))
        return (*found, *(None,) * (len(inputs) - len(found)))

    return lambda *inputs: value(taken(inputs)), back


def _without_transpose(weights: Array, d_y: Array) -> Array | None:
    return weights @ d_y if weights.shape[-1] == weights.shape[-2] else None


def _scaled(options: Options, factor: Callable[[Attended, Array], Array]) -> Pullback:
    """Another scale in the gradients of queries and keys."""

    def wrong(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
        a = attended(inputs, options)
        return pullback(inputs, d_y, replace(a, factor=factor(a, inputs[0])), options)

    return wrong


def _scores(options: Options, product: Callable[[Array, Array], Array]) -> Pullback:
    """Another product with softmax's Jacobian, (P, d_P) ↦ d_S."""

    def wrong(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
        a = attended(inputs, options)
        d_value = gathered(a.weights.swapaxes(-1, -2) @ d_y, inputs[2].shape, options)
        return from_scores(inputs, product(a.weights, d_y @ a.value.swapaxes(-1, -2)), d_value, a, options)

    return wrong


def _values(options: Options, product: Callable[[Array, Array], Array | None]) -> Pullback:
    """Another gradient of the values, (P, d_y) ↦ d_V; None for the right one."""

    def wrong(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
        a = attended(inputs, options)
        right = pullback(inputs, d_y, a, options)
        d_value = product(a.weights, d_y)
        return right if d_value is None else (*right[:2], gathered(d_value, inputs[2].shape, options), *right[3:])

    return wrong


def _backward_of(options: Options, *, masked: bool = True) -> Pullback:
    """The backward pass of attention with other options, or without the mask."""

    def wrong(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
        return pullback(inputs, d_y, attended(inputs if masked else inputs[:3], options), options)

    return wrong


def _of_heads(options: Options, joined: Callable[[Array], Array], *, in_turn: bool = False) -> Pullback:
    """Keys and values get another gradient than the sum over the heads of their group.

    Args:
        options: those of attention.
        joined: (…, groups, heads of one, S, E) ↦ (…, groups, S, E).
        in_turn: heads are taken for those of the groups in turn, as torch's `repeat` lays them out, and not
            `repeat_interleave`.
    """

    def of_group(d: Array, shape: tuple[int, ...]) -> Array:
        groups, size = shape[-3], d.shape[-3] // shape[-3]
        if in_turn:
            parts = d.reshape(*d.shape[:-3], size, groups, *d.shape[-2:]).swapaxes(-3, -4)
        else:
            parts = d.reshape(*d.shape[:-3], groups, size, *d.shape[-2:])
        return unbroadcast(joined(parts), shape)

    def wrong(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
        query, key, value, *_ = inputs
        a = attended(inputs, options)
        d_scores = through_softmax(a, d_y @ a.value.swapaxes(-1, -2))
        d_query, _, _, *rest = pullback(inputs, d_y, a, options)
        return (
            d_query,
            of_group(d_scores.swapaxes(-1, -2) @ (query * a.factor), key.shape),
            of_group(a.weights.swapaxes(-1, -2) @ d_y, value.shape),
            *rest,
        )

    return wrong
