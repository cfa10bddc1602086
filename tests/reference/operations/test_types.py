"""Every operation keeps the number type of its inputs, forward and backward."""

import numpy as np
import pytest

import reference as ref
from torch_compare.cases.operation_inputs import ENTRIES, input_at

ROWS = [
    *((row, row.probes[0]) for row in ref.OPERATIONS.values()),
    *((ref.operations.MAKERS[name](**entry[0]), [input_at(x, k) for k, x in enumerate(entry[1])])
      for name, entries in ENTRIES.items() if name in ref.operations.MAKERS for entry in entries),
]  # fmt: skip


@pytest.mark.parametrize(("row", "inputs"), ROWS, ids=lambda value: getattr(value, "name", ""))
def test_numbers_stay_of_their_type(row, inputs):
    given = tuple(x if x is None or x.dtype.kind != "f" else x.astype(np.float32) for x in inputs)
    with np.errstate(all="ignore"):
        made = row.value(*given)
        parts = made if isinstance(made, tuple) else (made,)
        found = row.pullback(given, made, made)
    assert {np.asarray(part).dtype for part in parts} <= {np.dtype(np.float32)}
    assert {np.asarray(d).dtype for d in found if d is not None} <= {np.dtype(np.float32)}
