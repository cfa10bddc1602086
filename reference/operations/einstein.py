"""Einstein's sums: products of any number of arrays, each axis named by a letter.

The gradient of an operand is a sum of the same kind: d_A of "ab,bc->ac" is "ac,bc->ab" of d_Y and B, for the sum is
linear in each operand. A letter that only the operand itself has was summed away: its gradient is copied along it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from string import ascii_letters
from typing import TypeAlias

import numpy as np

from ..arithmetic.array import Array
from ..arithmetic.dispatch import added_at
from ..functions.recipe import recorded
from .arguments import expect
from .broadcasting import unbroadcast
from .probe import probe
from .products import sum_of
from .row import Inputs, Operation

Labels: TypeAlias = "tuple[str | int, ...]"
"""One for each axis: a letter, or the number of an axis that "..." stands for, counted from the last: −1, −2, …"""


@dataclass(frozen=True)
class _Equation:
    """An equation as it was given: the labels of each operand and of the output, "..." among them."""

    operands: tuple[str, ...]
    output: str


def _parsed(equation: str) -> _Equation:
    if not isinstance(equation, str):
        raise TypeError(f"einsum: equation: expected a text, got {equation!r}")
    left, arrow, output = equation.replace(" ", "").partition("->")
    operands = tuple(left.split(","))
    for term in (*operands, output):
        letters = term.replace("...", "", 1)
        if bad := [c for c in letters if c not in ascii_letters]:
            raise ValueError(f"einsum: equation {equation!r}: expected letters and at most one '...', got {bad[0]!r}")
    if not arrow:
        every = left.replace("...", "").replace(",", "")
        once = sorted(c for c in set(every) if every.count(c) == 1)
        output = "..." * ("..." in left) + "".join(once)
    letters = output.replace("...", "")
    for c in letters:
        if c not in left:
            raise ValueError(f"einsum: equation {equation!r}: no operand has the letter {c!r} of the output")
        if letters.count(c) > 1:
            raise ValueError(f"einsum: equation {equation!r}: the output has the letter {c!r} twice")
    if "..." in output and "..." not in left:
        raise ValueError(f"einsum: equation {equation!r}: no operand has the '...' of the output")
    return _Equation(operands, output)


def _labels(term: str, hidden: int) -> Labels:
    """The labels of a term whose "..." stands for so many axes."""
    before, dots, after = term.partition("...")
    return (*before, *(range(-hidden, 0) if dots else ()), *after)


def _labelled(equation: _Equation, operands: Sequence[Array]) -> tuple[list[Labels], Labels]:
    """The labels of every axis of the operands, and of the output.

    Raises:
        ValueError: another number of operands or of axes, or two sizes of one letter; 1 goes with any.
    """
    count = len(equation.operands)
    expect("einsum", len(operands) == count, "operands", f"{count} of them", len(operands))
    found, sizes, most = [], dict[str | int, int](), 0
    for k, (term, x) in enumerate(zip(equation.operands, operands, strict=True)):
        hidden = x.ndim - len(term.replace("...", ""))
        fits = hidden >= 0 if "..." in term else hidden == 0
        expect("einsum", fits, f"operands[{k}]", f"an axis for each letter of {term!r}", f"shape {x.shape}")
        labels = _labels(term, hidden)
        most = max(most, hidden)
        for label, n in zip(labels, x.shape, strict=True):
            known = sizes.get(label, 1)
            good = n == known or 1 in (n, known)
            expect("einsum", good, f"operands[{k}]", f"length {known} of {label!r}", f"shape {x.shape}")
            sizes[label] = max(n, known)
        for label in set(labels):
            own = {n for other, n in zip(labels, x.shape, strict=True) if other == label}
            expect("einsum", len(own) == 1, f"operands[{k}]", f"one length of {label!r}", f"shape {x.shape}")
        found.append(labels)
    return found, _labels(equation.output, most)


# ── repeated letters ─────────────────────────────────────────────────────────────────────────────────


def _distinct(labels: Labels) -> Labels:
    return tuple(dict.fromkeys(labels))


def _diagonal_index(shape: tuple[int, ...], labels: Labels) -> tuple[np.ndarray, ...]:
    """The index of the elements whose places agree wherever a label is repeated, one axis a label."""
    distinct = _distinct(labels)
    size = dict(zip(labels, shape, strict=True))
    grid = np.ix_(*(np.arange(size[label]) for label in distinct))
    return tuple(grid[distinct.index(label)] for label in labels)


def _diagonal(x: Array, labels: Labels) -> Array:
    return x if len(_distinct(labels)) == len(labels) else x[_diagonal_index(x.shape, labels)]


def _on_diagonal(d: Array, shape: tuple[int, ...], labels: Labels) -> Array:
    """The adjoint: zeros but on the diagonal."""
    return d if len(_distinct(labels)) == len(labels) else added_at(shape, _diagonal_index(shape, labels), d)


# ── the sum ──────────────────────────────────────────────────────────────────────────────────────────

_Term: TypeAlias = "tuple[Array, Labels]"


def _summed(term: _Term, keep: set[str | int]) -> _Term:
    """The term with all labels summed away that nobody wants."""
    x, labels = term
    axes = tuple(k for k, label in enumerate(labels) if label not in keep)
    return (x.sum(axis=axes) if axes else x), tuple(label for label in labels if label in keep)


def _ordered(term: _Term, order: Labels) -> Array:
    x, labels = term
    return x if labels == order else x.transpose(*(labels.index(label) for label in order))


def _contracted(one: _Term, two: _Term, keep: set[str | int]) -> _Term:
    """Two terms as one: a batched product of matrices, of what both have and is kept, and of what is summed."""
    one, two = _summed(one, keep | set(two[1])), _summed(two, keep | set(one[1]))
    (a, left), (b, right) = one, two
    batch = tuple(label for label in left if label in right and label in keep)
    inner = tuple(label for label in left if label in right and label not in keep)
    rows = tuple(label for label in left if label not in right)
    columns = tuple(label for label in right if label not in left)
    a, b = _ordered(one, (*batch, *rows, *inner)), _ordered(two, (*batch, *inner, *columns))
    m, r = len(batch), len(rows)
    lengths = np.broadcast_shapes(a.shape[m + r :], b.shape[m : m + len(inner)])
    a = _of_length(a, (*a.shape[: m + r], *lengths))
    b = _of_length(b, (*b.shape[:m], *lengths, *b.shape[m + len(inner) :]))
    n, k, p = (int(np.prod(s)) for s in (a.shape[m : m + r], lengths, b.shape[m + len(inner) :]))
    lead = np.broadcast_shapes(a.shape[:m], b.shape[:m])
    first, second = a.reshape((*a.shape[:m], n, k)), b.reshape((*b.shape[:m], k, p))
    y = first @ second if inner else first * second
    return y.reshape((*lead, *a.shape[m : m + r], *b.shape[m + len(inner) :])), (*batch, *rows, *columns)


def _of_length(x: Array, shape: tuple[int, ...]) -> Array:
    return x if x.shape == shape else np.broadcast_to(x, shape)


def _einsum(terms: Sequence[_Term], output: Labels) -> _Term:
    """The sum over all labels but the output's, from the first operand on; a label that none has is left out."""
    after = [set(output).union(*(labels for _, labels in terms[k:])) for k in range(1, len(terms) + 1)]
    done = reduce(
        lambda so_far, k: _contracted(so_far, terms[k], after[k]), range(1, len(terms)), _summed(terms[0], after[0])
    )
    order = tuple(label for label in output if label in done[1])
    return _ordered(done, order), order


def _pulled(k: int, terms: Sequence[_Term], output: Labels, d_y: Array) -> Array:
    """The gradient of operand k: the sum of d_Y with all others, copied along what only the operand has."""
    x, labels = terms[k]
    others = [term for j, term in enumerate(terms) if j != k]
    d, found = _einsum([(d_y, output), *others], labels)
    full = dict(zip(found, d.shape, strict=True))
    lengths = tuple(full.get(label, 1) for label in labels)
    wide = tuple(map(max, lengths, x.shape))
    return unbroadcast(_of_length(d.reshape(lengths), wide), x.shape)


@recorded
def einsum(equation: str) -> Operation:
    """Σ over the letters that the output lacks of the product of the operands, as torch.einsum.

    A letter that an operand has twice takes its diagonal; "..." stands for leading axes, which are broadcast; without
    "->" the output has "..." and then the letters that occur once, in alphabetical order.

    Raises:
        ValueError: letters that do not fit together.

    >>> einsum("bqd,bkd->bqk").value(np.ones((1, 2, 3)), np.ones((1, 1, 3)))
    array([[[3.],
            [3.]]])
    """
    parsed = _parsed(equation)

    def labelled(operands: Sequence[Array]) -> tuple[list[Labels], Labels]:
        return _labelled(parsed, operands)

    def terms(operands: Sequence[Array], labels: list[Labels]) -> list[_Term]:
        return [(_diagonal(x, own), _distinct(own)) for x, own in zip(operands, labels, strict=True)]

    def value(*operands: Array) -> Array:
        labels, output = labelled(operands)
        return _einsum(terms(operands, labels), output)[0]

    def pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array, ...]:
        labels, output = labelled(inputs)
        known = terms(inputs, labels)
        return tuple(_on_diagonal(_pulled(k, known, output, d_y), x.shape, labels[k]) for k, x in enumerate(inputs))

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        return sum_of([
            None if dx is None else value(*inputs[:k], dx, *inputs[k + 1 :]) for k, dx in enumerate(changes)
        ], y)  # fmt: skip

    return Operation(
        "einsum",
        equation,
        "Einstein 1916, Die Grundlage der allgemeinen Relativitätstheorie, §5; torch.einsum",
        ("operands",),
        value,
        pullback,
        pushforward,
        probes=(_probes(parsed),),
        variadic=True,
        parameters={"equation": equation},
    )


def _probes(equation: _Equation) -> tuple[Array, ...]:
    """Operands of small lengths that differ from letter to letter."""
    letters = dict.fromkeys("".join(equation.operands).replace(".", ""))
    size: dict[str | int, int] = {c: 2 + k % 2 if k < 5 else 1 + (k % 5 == 0) for k, c in enumerate(letters)}
    shapes = [tuple(size.get(label, 2) for label in _labels(term, 1)) for term in equation.operands]
    starts = np.cumsum([0, *(int(np.prod(s)) for s in shapes)]).tolist()
    return tuple(probe(*shape, start=start) for shape, (start, _) in zip(shapes, pairwise(starts), strict=True))


MAKERS: tuple[Callable[..., Operation], ...] = (einsum,)
