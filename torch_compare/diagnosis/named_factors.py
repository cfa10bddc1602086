"""The factors that have a name on a problem: 2, −1, the batch size, what the loss's mean divides by, a loss scale.

Those of a network's steps are in `network_factors`. N examples, K the network's outputs, D what the mean divides by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

import reference as ref
from reference.arithmetic.array import NumPyArray
from reference.losses.reduced import in_rows
from reference.network import passes
from reference.network.problem import loss_divisor

from .network_factors import batch_size, of_steps

UNNAMED = ("constant factor",)
"""What a factor is called that means nothing: a mistake with a name says more, if it explains the numbers too."""
UNKNOWN = "is no constant known here"
"""What is said of a factor without a name."""
FEW = {"loss scale", "logarithm base", "scale of attention", "scale of dropout"}
"""Kinds of the rare numbers of which there are few: loss scales are octaves apart, others belong to one operation."""
FAR_FETCHED = FEW | {"accumulated", "padding", "divided by n − 1"}
"""Kinds that another factor besides a sign hardly goes with."""
CALLS = range(2, 9)
"""Over so many calls gradients may have been accumulated."""
LOSS_SCALES = range(7, 25)
"""Exponents of the powers of two by which a loss is scaled before the backward pass in half precision: torch's
GradScaler begins with 2^16 and doubles or halves it, 2^7 to 2^24 are what people choose."""
PADDED = (4, 8, 16, 32, 64, 128)
"""Batches are padded to a multiple of one of these."""
LOGARITHMS = ("cross_entropy", "bce", "bce_with_logits", "multilabel_soft_margin", "soft_margin")
"""Losses that are a logarithm."""


@dataclass(frozen=True)
class Named:
    """A factor and what it may mean.

    Attributes:
        value: the factor.
        kinds: the mistakes that make it, the likeliest first.
        text: what it is, and what was done: one clause for each kind.
        rare: whether it is one of the many that a network has, so that chance may meet one, and no other goes with it.
    """

    value: float
    kinds: tuple[str, ...]
    text: str
    rare: bool = False

    @property
    def alone(self) -> bool:
        """Whether it is far-fetched that another factor besides a sign goes with it."""
        return self.rare or set(self.kinds) <= FAR_FETCHED


def constants(problem: ref.Problem) -> tuple[Named, ...]:
    """Every factor that has a name on this problem, each value once, with all that it may mean.

    >>> import numpy as np
    >>> mlp = ref.initialize([3, 2], ["identity"], seed=0)
    >>> problem = ref.Problem(mlp, np.ones((32, 3)), np.ones((32, 2)), "half_squared_error")
    >>> next(c.text for c in constants(problem) if c.value == 32)
    '32 is the batch size: a sum where the loss takes the mean'
    """
    meanings: dict[float, list[tuple[str, str, str]]] = {}
    sizes = list(_sizes(problem))
    for value, kind, number, done in (*sizes[:2], *_plain(), *sizes[2:]):
        if value != 1:
            meanings.setdefault(value, []).append((kind, number, done))
    usual = set(meanings)
    steps = tuple(of_steps(problem)) if isinstance(problem.network, ref.Network) else ()
    second = [m for m in steps if m[0] not in usual]
    for value, kind, number, done in (*second, *_calls(), *_rarer(problem)):
        if value != 1 and not (kind in RARER and value in meanings):
            meanings.setdefault(value, []).append((kind, number, done))
    return tuple(
        _named(value, found, rare=bool(steps) and value not in usual and not {kind for kind, _, _ in found} <= FEW)
        for value, found in meanings.items()
    )


def _named(value: float, meanings: list[tuple[str, str, str]], *, rare: bool) -> Named:
    """One constant: meanings that name the same number share the clause that says which."""
    clauses: dict[str, list[str]] = {}
    for _, number, done in meanings:
        clauses.setdefault(number, []).append(done)
    texts = [(f"{number}: " if number else "") + ", or ".join(dict.fromkeys(done)) for number, done in clauses.items()]
    return Named(value, tuple(dict.fromkeys(kind for kind, _, _ in meanings)), "; or ".join(texts), rare)


def _plain() -> Iterator[tuple[float, str, str, str]]:
    """(value, kind, what number it is, what was done)."""
    yield -1.0, "sign", "", "the sign is wrong"
    yield 2.0, "factor 2", "", "a square that is differentiated without its ½"
    yield 0.5, "factor 1/2", "", "a ½ too many"


def _calls() -> Iterator[tuple[float, str, str, str]]:
    for calls in CALLS:
        yield float(calls), "accumulated", "", f"the gradients of {calls} calls are added up"


RARER = ("loss scale", "logarithm base", "padding", "divided by n − 1")
"""Kinds that are no second meaning of a number which has one already."""


def _rarer(problem: ref.Problem) -> Iterator[tuple[float, str, str, str]]:
    n = _examples(problem)
    for power in LOSS_SCALES:
        size = 2.0**power
        done = "a loss scale (of mixed precision) that is not divided out"
        yield size, "loss scale", f"{size:g} = 2^{power}", done
        done = "a loss scale (of mixed precision) that is divided out of what was not scaled"
        yield 1 / size, "loss scale", f"1/{size:g} = 2^−{power}", done
    if problem.loss.name in LOGARITHMS:
        for base in (2, 10):
            log = float(np.log(base))
            yield 1 / log, "logarithm base", f"1/ln {base}", f"the loss takes the logarithm to base {base}"
            yield log, "logarithm base", f"ln {base}", f"divided by a logarithm to base {base} too many"
    if n > 2:
        done = f"the mean divides by {n} − 1, not by {n}"
        yield n / (n - 1), "divided by n − 1", f"{n}/{n - 1}, and {n} is the batch size", done
    for multiple in PADDED if n > 1 else ():
        whole = -(-n // multiple) * multiple
        done = f"a mean over a batch that is padded to {whole}"
        yield n / whole, "padding", f"{n}/{whole}, and {n} is the batch size", done


def _examples(problem: ref.Problem) -> int:
    """The batch size."""
    return batch_size(problem) if isinstance(problem.network, ref.Network) else len(problem.x)


def _sizes(problem: ref.Problem) -> Iterator[tuple[float, str, str, str]]:
    output = passes.forward(problem.network, problem.x).output
    n, k = map(float, in_rows(output).shape)
    numbers = {n * k: "the number of output elements", k: "the number of outputs"}
    rows = "the batch size" if n == _examples(problem) else "the number of rows of the output"
    numbers[n] = f"{rows} and the number of outputs" if n == k else rows
    d = float(np.asarray(loss_divisor(problem, output))) if problem.reduction == "mean" else 1.0
    if d != 1:
        title = numbers.get(d, "what the loss's mean divides by")
        yield d, "sum for mean", f"{d:g} is {title}", "a sum where the loss takes the mean"
        yield 1 / d, "mean for sum", f"1/{d:g}, and {d:g} is {title}", "the mean is taken twice"
        over_elements = d == n * k
        if n != d:
            done = "a sum over the examples where the loss takes the mean"
            yield n, "sum for mean", f"{n:g} is {rows}", done
            yield 1 / n, "mean for sum", f"1/{n:g}, and {n:g} is {rows}", "divided by it once too often"
        if k != d:
            more = "a sum over the outputs where the loss takes the mean over all elements"
            more = more if over_elements else "multiplied by it"
            less = "divided by it once too often" if over_elements else "a mean over all elements, not the examples"
            yield k, "sum for mean", f"{k:g} is the number of outputs", more
            yield 1 / k, "mean for sum", f"1/{k:g}, and {k:g} is the number of outputs", less
        return
    for value, title in numbers.items():
        yield 1 / value, "mean for sum", f"1/{value:g}, and {value:g} is {title}", "a mean where the loss takes the sum"
        yield value, "sum for mean", f"{value:g} is {title}", "multiplied by it"


CHANCE = 2.0**-6
"""A rare number is named if one in so many factors at the most would meet a named one by chance, within their noise."""
COARSE = 2.0**-16
"""Noise with which a product of two constants is near any number: then only a sign may go with a constant."""


def nearest(table: tuple[Named, ...], value: float, noise: float) -> tuple[Named, ...]:
    """The constant, or else the two whose product it is, that lie nearest to a factor.

    Args:
        table: the constants.
        value: the factor.
        noise: the relative uncertainty of the factor; within twice of it a constant is preferred to a product.
    """
    if _met_by_chance(table, value, noise) > CHANCE:
        table = tuple(c for c in table if not c.rare)
    one = min(table, key=lambda c: abs(c.value - value))
    if abs(one.value - value) <= 2 * noise * abs(value):
        return (one,)
    pairs, products = _pairs(table, noise > COARSE)
    if not pairs:
        return (one,)
    k = int(np.argmin(np.abs(products - value)))
    return pairs[k] if abs(products[k] - value) < abs(one.value - value) else (one,)


@lru_cache(64)
def _pairs(table: tuple[Named, ...], coarse: bool) -> tuple[tuple[tuple[Named, Named], ...], NumPyArray]:
    """The pairs of constants that may go together, in coarse noise those with a sign alone, and their products."""
    pairs = tuple(
        (a, b)
        for i, a in enumerate(table)
        for b in table[i + 1 :]
        if a.value * b.value != 1 and (-1 in (a.value, b.value) or not (coarse or a.alone or b.alone))
    )
    return pairs, np.array([product(pair) for pair in pairs])


def _met_by_chance(table: tuple[Named, ...], value: float, noise: float) -> float:
    """The share of factors like one that lie within twice the noise of a named one, from those within half an octave.

    >>> table = tuple(Named(float(n), ("accumulated",), "", rare=True) for n in (2, 3, 4, 5))
    >>> _met_by_chance(table, 2.83, 2.0**-9) > CHANCE > _met_by_chance(table, 2.83, 2.0**-12)
    True
    """
    near = sum(0.5 <= (named.value / value) ** 2 <= 2 for named in table if named.value * value > 0)
    return near * 4 * noise / float(np.log(2))


def product(choice: tuple[Named, ...]) -> float:
    """Of the constants' values."""
    value = 1.0
    for named in choice:
        value *= named.value
    return value
