"""Every operation of the table at two shapes, from the gradient of its output: the loss is their inner product.

The first shape comes in float64 and in bfloat16, the second in float32. bfloat16's numbers are held in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import reference as ref
from reference.operations import MAKERS

from .draft import Draft
from .image_inputs import Entry
from .operation_inputs import ENTRIES, input_at, numbers

TYPES = (("float64", 0), ("float32", 1), ("bfloat16", 0))
"""Each with the number of the entry that it shows."""


def drafts() -> Iterator[Draft]:
    """Every operation of `MAKERS` that has its entry, and the kinks of some."""
    for name, entries in ENTRIES.items():
        if name in MAKERS:
            for dtype, which in TYPES:
                yield _operation(name, entries[which], dtype)
    yield from _kinks()


def _operation(name: str, entry: Entry, dtype: str) -> Draft:
    parameters, given = entry
    row = MAKERS[name](**parameters)
    arrays = [input_at(one, position) for position, one in enumerate(given)]
    problem = of_operation(row, arrays, np.float64 if dtype == "float64" else np.float32)
    flags = ("operation", "bfloat16") if dtype == "bfloat16" else ("operation",)
    return Draft(f"operation_{name}_{dtype}", problem, flags, f"{name}: {row.formula}")


def of_operation(row: ref.Operation, arrays: list[Any], dtype: Any) -> ref.Problem:
    """One operation as a problem: its inputs by the names of the row, the target the gradient of its output.

    Truth values and indices are inputs, too; other numbers that the row takes no derivative of are constants. Several
    outputs are joined in a row, one behind the other.
    """
    inputs: dict[str, Any] = {}
    constants: dict[str, Any] = {}
    names: list[str | None] = []
    for position, array in enumerate(arrays):
        if array is None:
            names.append(None)
            continue
        names.append(row.name_of(position))
        real = array.dtype.kind == "f"
        kind = constants if real and row.is_data(position) else inputs
        kind[row.name_of(position)] = array.astype(dtype) if real else array
    with np.errstate(all="ignore"):
        made = row.value(*(None if n is None else {**inputs, **constants}[n] for n in names))
    steps, shape = [ref.Step("output", row, *names)], np.shape(made) if not isinstance(made, tuple) else ()
    if isinstance(made, tuple):
        parts = [f"output[{k}]" for k in range(len(made))]
        rows = [ref.Step(f"row[{k}]", ref.operations.reshape((-1,)), part) for k, part in enumerate(parts)]
        joined = ref.Step("output", "cat", *(step.name for step in rows))
        steps, shape = [ref.Step(parts, row, *names), *rows, joined], (sum(map(np.size, made)),)
    network = ref.Network({}, steps, inputs=tuple(inputs), output="output", constants=constants)
    target = numbers(shape, 3).astype(dtype)
    return ref.Problem(network, inputs, target, loss="inner_product")


# ── kinks, ties and bounds ───────────────────────────────────────────────────────────────────────────


def _kinks() -> Iterator[Draft]:
    def at(name: str, row: Any, note: str, **arrays: Any) -> Draft:
        given = [np.array(values) for values in arrays.values()]
        return Draft(f"kink_operation_{name}", of_operation(ref.operations.get(row), given, np.float64), (), note)

    made: Mapping[str, Any] = ref.operations.MAKERS
    yield at("relu", "relu", "relu at 0 and −0: 0", input=[[0.0, -0.0], [1.0, -1.0]])
    for name, note in (("abs", "|x| at 0: 0"), ("max", "a maximum that is reached twice")):
        if name in made:
            yield at(name, name, note, input=[0.0, -0.5, 0.0])
    for name in ("maximum", "minimum"):
        if name in made:
            yield at(name, name, "a tie: half to each input", input=[1.0, 0.5], other=[1.0, -0.5])
    if "max_pool1d" in made:
        yield at("max_pool1d", made["max_pool1d"](2), "a tie: all to the first", input=[[0.5, 0.5, -1.0, 1.0]])
    if "clamp" in made:
        yield at("clamp", made["clamp"](-0.5, 1.0), "x at both bounds: 1", input=[-0.5, 1.0, 0.25, 2.0])
