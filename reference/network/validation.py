"""Checks of a problem's arrays: every error names the array, the place and what was expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from ..arithmetic.array import Array, DType, NumPyArray, is_numpy, kept, refuse_masked, widened
from ..losses.row import Loss


def check_array(name: str, values: object, ndim: int | None) -> Array:
    """The values as a floating array of `ndim` dimensions (any if None), none of length 0: a read-only copy.

    ml_dtypes' bfloat16 comes back as float32. An array type of another arithmetic passes as it is.

    Raises:
        TypeError: not floating numbers (integers, strings, objects, ragged lists), or a masked array.
        ValueError: another number of dimensions, or an empty one.
    """
    refuse_masked(name, values)
    array: Array
    if hasattr(values, "shape") and hasattr(values, "dtype") and not is_numpy(values):
        if not hasattr(values, "__array_ufunc__"):
            raise TypeError(f"{name}: expected a NumPy array, got {type(values).__module__}.{type(values).__name__}")
        array = cast(Array, values)
    else:
        try:
            numbers = widened(np.asarray(values))
        except ValueError as error:
            raise TypeError(f"{name}: expected an array of floating numbers, got ragged input ({error})") from None
        if numbers.dtype.kind not in "fc":
            raise TypeError(f"{name}: expected an array of floating numbers, got {_kind(numbers)}")
        array = numbers
    if ndim not in (None, array.ndim) or 0 in array.shape:
        count = "dimensions" if ndim is None else f"{ndim} dimension{'s' * (ndim > 1)}"
        raise ValueError(f"{name}: expected {count}, none of length 0, got shape {array.shape}")
    return cast(Array, kept(array))


def _kind(array: NumPyArray) -> str:
    hint = {"i": "; convert it with .astype(float)", "u": "; convert it with .astype(float)"}
    return f"{array.dtype}{hint.get(array.dtype.kind, '')}"


def first_place(bad: NumPyArray) -> str:
    """The index of the first True, as one would write it: "[3, 1]"."""
    return str([int(i) for i in np.argwhere(bad)[0]])


def require_finite(arrays: Mapping[str, Array]) -> None:
    """Raise ValueError naming the first array element of the problem that is NaN or infinite."""
    for name, values in arrays.items():
        bad = ~np.isfinite(values)
        if np.any(bad):
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(f"{name}{list(at)}: expected a finite number, got {values[at]}")


def check_target(loss: Loss, values: object, shape: tuple[int, ...], dtype: DType, reduction: str) -> NumPyArray:
    """The target as the loss wants it, for an output of the given shape and type: a read-only copy.

    The last axis of the output holds its features; all axes before it number the examples.

    Raises:
        TypeError: the wrong kind of number, or a masked array.
        ValueError: the wrong shape, or a value that the loss cannot take (the first one is named).
    """
    features = shape[-1] if shape else 1
    if loss.outputs not in (None, features):
        raise ValueError(f"loss: {loss.name} has weights for {loss.outputs} outputs, the network has {features}")
    refuse_masked("target", values)
    try:
        t: NumPyArray = kept(widened(np.asarray(values)))
    except ValueError as error:
        raise TypeError(f"target: expected an array for {loss.name}, got ragged input ({error})") from None
    if loss.target in ("classes", "indices"):
        if loss.target == "classes" and t.dtype.kind == "f":
            return _check_numbers(loss, t, shape, dtype, "probabilities")
        return _check_indices(loss, t, shape, reduction)
    if loss.target == "labels":
        return _check_labels(loss, t, shape)
    return _check_numbers(loss, t, shape, dtype, loss.target)


def _require(loss: Loss, good: NumPyArray, t: NumPyArray, expected: str) -> None:
    if not np.all(good):
        place = first_place(~good)
        raise ValueError(f"target{place}: {loss.name} expects {expected}, got {t[tuple(np.argwhere(~good)[0])]}")


def _check_numbers(loss: Loss, t: NumPyArray, shape: tuple[int, ...], dtype: DType, kind: str) -> NumPyArray:
    integers = loss.integers and t.dtype.kind in "iu"
    if t.dtype.kind != "f" and not integers:
        raise TypeError(f"target: {loss.name} expects floating numbers of shape {shape}, got {_kind(t)}")
    if t.shape != shape:
        raise ValueError(f"target: {loss.name} expects shape {shape}, that of the output, got {t.shape}")
    if integers:
        number = dtype if isinstance(dtype, np.dtype) else np.dtype(np.float64)
        converted = t.astype(number)
        _require(loss, converted.astype(t.dtype) == t, t, f"integers that {number} holds exactly")
        t = converted
    if isinstance(dtype, np.dtype) and t.dtype != dtype:
        raise TypeError(f"target: expected {dtype} like x, got {t.dtype}")
    if kind == "probabilities":
        _require(loss, (t >= 0) & (t <= 1), t, "numbers between 0 and 1")
    elif kind == "nonnegative":
        _require(loss, t >= 0, t, "numbers of at least 0")
    elif kind == "signs":
        _require(loss, (t == 1) | (t == -1), t, "-1 or 1")
    return t


def _check_indices(loss: Loss, t: NumPyArray, shape: tuple[int, ...], reduction: str) -> NumPyArray:
    if not shape:
        raise ValueError(f"output: {loss.name} expects an axis of classes, the network gives a single number")
    expected = f"class indices of shape {shape[:-1]}"
    if t.dtype.kind not in "iu":
        raise TypeError(f"target: {loss.name} expects {expected}, integers, got {t.dtype}")
    if t.shape != shape[:-1]:
        raise ValueError(f"target: {loss.name} expects {expected}, got shape {t.shape}")
    ignored = np.zeros(t.shape, dtype=bool) if loss.ignore_index is None else t == loss.ignore_index
    _require(loss, ((t >= 0) & (t < shape[-1])) | ignored, t, f"class indices from 0 to {shape[-1] - 1}")
    if reduction == "mean" and np.all(ignored):
        raise ValueError(f"target: every index is ignore_index ({loss.ignore_index}), so {loss.name} has no mean")
    weight = loss.parameters.get("weight")
    if reduction == "mean" and not np.any(loss.divisor(np.zeros((t.size, shape[-1])), t.reshape(-1))):
        first = (
            ""
            if weight is None or np.ndim(weight) == 0 or not np.any(~ignored)
            else (f" (the first is weight[{t[~ignored][0]}], of target{first_place(~ignored)})")
        )
        raise ValueError(f"target: the weights of its classes{first} add up to 0, so {loss.name} has no mean")
    return t


def _check_labels(loss: Loss, t: NumPyArray, shape: tuple[int, ...]) -> NumPyArray:
    if t.dtype.kind not in "iu":
        raise TypeError(f"target: {loss.name} expects label indices of shape {shape}, integers, got {t.dtype}")
    if t.shape != shape:
        raise ValueError(f"target: {loss.name} expects label indices of shape {shape}, got {t.shape}")
    classes = shape[-1] if shape else 1
    _require(loss, (t >= -1) & (t < classes), t, f"label indices from 0 to {classes - 1}, or -1 for none")
    return t


def check_output(loss: Loss, output: Callable[[], Array]) -> None:
    """Raise ValueError if the network's output is outside the loss's domain.

    The output is computed only for a loss whose domain is not every real number.
    """
    if loss.domain_text == "any real number":
        return
    y = output()
    outside = ~(np.asarray(loss.domain(y)) | np.isnan(y))
    if np.any(outside):
        place = first_place(outside)
        got = y[tuple(np.argwhere(outside)[0])]
        raise ValueError(
            f"output{place}: {loss.name} is defined for an output {loss.domain_text}, the network gives {got}"
        )
