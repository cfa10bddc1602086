"""Frozen records made without their checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def unchecked(kind: type[T], **fields: Any) -> T:
    """A frozen record made without its checks, from parts that have passed them already."""
    record = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(record, name, value)
    return record


def restore(record: object, state: Mapping[str, Any]) -> None:
    """Fill a record from the copies of its fields that pickle or deepcopy made; the arrays in them become read-only.

    A record's ``__setstate__``. Its ``__copy__`` must give the record itself: a shallow copy's arrays are not its own.
    """
    for name, value in state.items():
        for part in value.values() if isinstance(value, Mapping) else (value,):
            if isinstance(part, np.ndarray):
                part.flags.writeable = False
        object.__setattr__(record, name, value)


def changed(record: T, **changes: Any) -> T:
    """The record with some of its fields replaced, without its checks; it is no longer what its maker made.

    >>> from reference import ACTIVATIONS
    >>> changed(ACTIVATIONS["tanh"], name="other").name
    'other'
    """
    parts = {field.name: getattr(record, field.name) for field in fields(record)}  # type: ignore[arg-type]
    return unchecked(type(record), **(parts | changes))
