"""The gradients of one operation, as a kernel makes them from a given upstream gradient."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.names import meant
from reference.operations.table import signature

from .checks import check
from .given import as_array
from .verdict import Verdict


def check_operation(
    operation: str | ref.Operation,
    inputs: Mapping[str, Any],
    d_output: Any,
    given: Mapping[str, Any],
    dtype: Any = None,
    *,
    accumulate: str | None = None,
    certified: bool = False,
    strict: bool = False,
    diagnose: bool = True,
    seed: int = 0,
    **parameters: Any,
) -> Verdict:
    """Judge the backward pass of one operation, from the gradient of its output to those of its inputs.

    Args:
        operation: a row of `reference.operations`, or its name.
        inputs: the operation's inputs by the names of its row (``ref.operations.get("embedding").inputs``), arrays of
            any library; a list of arrays where the row takes any number of them. Optional ones may be left out.
        d_output: the gradient with respect to the output, of its shape; a tuple of them for several outputs.
        given: the gradients to be judged, by the names of the inputs; "tensors[1]" of one among any number.
        dtype: the precision that they were computed in; that which they are stored in if not given. A kernel that
            takes and stores bfloat16 and computes in float32 is judged by ``dtype="float32"``: only the rounding to
            bfloat16 in the end is forgiven. Without it bfloat16 may have rounded every step, which hides more.
        accumulate: see `check`; so are certified, strict, diagnose and seed.
        certified: see `check`.
        strict: see `check`.
        diagnose: see `check`.
        seed: see `check`.
        parameters: of the operation, where it is given by its name: ``eps=1e-6``.

    Raises:
        TypeError: an input holds no numbers, none holds floating ones, or the operation has no such parameter.
        ValueError: an input is missing or unknown, the operation needs parameters, or shapes do not fit.

    In the verdict's text "output" is the operation's step, and ``problem`` is what `operation_problem` makes of the
    same arguments.

    >>> x, d_y = np.array([[0.5, -2.0]]), np.array([[1.0, 3.0]])
    >>> check_operation("relu", {"input": x}, d_y, {"input": d_y * (x > 0)}).status
    'agrees'
    >>> check_operation("relu", {"input": x}, d_y, {"input": d_y}).diagnosis.names
    ('activation derivative missing',)
    """
    problem = operation_problem(operation, inputs, d_output, _places(given), **parameters)
    return check(
        problem, given, dtype, accumulate=accumulate, certified=certified, strict=strict, diagnose=diagnose, seed=seed
    )


def operation_problem(
    operation: str | ref.Operation,
    inputs: Mapping[str, Any],
    d_output: Any,
    judged: Collection[str] = (),
    /,
    **parameters: Any,
) -> ref.Problem:
    """One operation as a problem: its output's inner product with d_output; see `check_operation`.

    An input that holds −∞, as a mask does, is a constant unless its gradient is `judged`.

    >>> problem = operation_problem("mul", {"input": [2.0, 3.0], "other": [5.0, 7.0]}, [1.0, 1.0])
    >>> ref.gradients(problem)["other"]
    array([2., 3.])
    """
    row = _row(operation, parameters)
    if not isinstance(inputs, Mapping):
        raise TypeError(
            f"inputs: expected a mapping from {', '.join(row.inputs)} to arrays, got {type(inputs).__name__}"
        )
    if unknown := [name for name in inputs if name not in row.inputs]:
        raise ValueError(
            f"{row.name} has no input {unknown[0]!r}{meant(unknown[0], row.inputs)}; it takes {', '.join(row.inputs)}"
        )
    names: list[str | None] = []
    arrays: dict[str, Any] = {}
    for position, name in enumerate(row.inputs):
        values = inputs.get(name)
        many = row.variadic and position == len(row.inputs) - 1 and values is not None
        if values is None:
            names.append(None)
            continue
        for k, one in enumerate(values if many else [values]):
            label = f"{name}[{k}]" if many else name
            arrays[label] = _numbers(label, one)
            names.append(label)
    while names and names[-1] is None:
        names.pop()
    parts = d_output if isinstance(d_output, tuple) else (d_output,)
    if arrays and all(a.dtype.kind != "f" for a in arrays.values()):
        raise TypeError(f"{row.name}: no input holds floating numbers, so there is no gradient to judge")
    widest = np.result_type(*(a.dtype for a in arrays.values() if a.dtype.kind == "f"), np.float32 if arrays else float)
    wide = {name: a.astype(widest) if a.dtype.kind == "f" else a for name, a in arrays.items()}
    d = [_numbers("d_output", part).astype(widest) for part in parts]
    _check_output(row, [None if name is None else wide[name] for name in names], d, isinstance(d_output, tuple))
    steps = [ref.Step("output", row, *names)]
    if isinstance(d_output, tuple):
        outputs = [f"output[{k}]" for k in range(len(d))]
        flat = ref.operations.reshape(shape=(-1,))
        steps = [ref.Step(outputs, row, *names), *(ref.Step(f"{name} in a row", flat, name) for name in outputs)]
        steps.append(ref.Step("output", "cat", *(f"{name} in a row" for name in outputs)))
        d = [np.concatenate([part.ravel() for part in d])]
    fixed = {name: a for name, a in wide.items() if name not in judged and np.any(a == -np.inf) and np.all(a < np.inf)}
    wide = {name: a for name, a in wide.items() if name not in fixed}
    network = ref.Network({}, steps, inputs=tuple(wide), output="output", constants=fixed)
    return ref.Problem(network, wide, d[0], loss="inner_product")


def _check_output(row: ref.Operation, inputs: list[Any], d: list[Any], several: bool) -> None:
    """Raise ValueError unless d has the output's shape. What the row itself refuses is left to the network to name."""
    try:
        row.check_count(inputs)
        with np.errstate(all="ignore"):
            output = row.value(*inputs)
    except (ValueError, IndexError, TypeError, ZeroDivisionError):
        return
    if several != isinstance(output, tuple) or (several and len(d) != len(output)):
        expected = f"a tuple of {len(output)} arrays" if isinstance(output, tuple) else "one array"
        raise ValueError(f"d_output: expected {expected}, as {row.name} gives, got {len(d) if several else 'one'}")
    for k, (y, d_y) in enumerate(zip(output if several else (output,), d, strict=True)):
        name = f"d_output[{k}]" if several else "d_output"
        if d_y.shape != np.shape(y):
            raise ValueError(f"{name}: expected shape {np.shape(y)}, that of the output, got {d_y.shape}")
        if d_y.size == 0:
            raise ValueError(f"{name}: expected dimensions, none of length 0, got shape {d_y.shape}")


def _places(given: Any) -> tuple[str, ...]:
    return tuple(name for name, d in given.items() if d is not None) if isinstance(given, Mapping) else ()


def _row(operation: str | ref.Operation, parameters: Mapping[str, Any]) -> ref.Operation:
    if not parameters:
        if isinstance(operation, str) and operation in ref.operations.MAKERS and operation not in ref.OPERATIONS:
            raise ValueError(f"{operation} needs parameters, given by name after the gradients: {signature(operation)}")
        return ref.operations.get(operation)
    if isinstance(operation, ref.Operation):
        raise TypeError(f"{operation.name}: a row has its parameters already, got {next(iter(parameters))}")
    if operation not in ref.operations.MAKERS:
        ref.operations.get(operation)  # says which there are
        raise TypeError(f"{operation}: takes no parameters here; give a row")
    try:
        return ref.operations.MAKERS[operation](**parameters)
    except TypeError as error:
        raise TypeError(f"{operation}: {error}; it is {signature(operation)}") from None


def _numbers(name: str, values: Any) -> Any:
    """Integers and truth values as they are, floating numbers of any library as NumPy's."""
    if hasattr(values, "detach") and not (values.dtype.is_floating_point or values.dtype.is_complex):
        return values.detach().cpu().numpy()
    if isinstance(values, np.ndarray | np.generic | list | tuple | int | bool):
        try:
            plain = np.asarray(values)
        except ValueError as error:
            raise TypeError(f"{name}: expected an array of numbers, got ragged input ({error})") from None
        if plain.dtype.kind in "iub":
            return plain
    return as_array(name, values)[0]
