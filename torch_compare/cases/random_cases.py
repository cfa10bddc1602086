"""Random test vectors: small problems of the campaigns' generator, certified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..files.case_file import Case
from ..random_problems.spec import Spec, build, random_spec
from .draft import Draft, certify

WIDTH, BATCH, DEPTH = 4, 3, 12
"""The largest: a case stays below a few hundred numbers."""
_ATTEMPTS = 100


def random_cases(count: int, seed: int, dtype: str | None = None) -> Iterator[Case]:
    """So many cases of a seed; case n is the same however many there are.

    Args:
        count: how many.
        seed: of everything.
        dtype: "float64" or "float32"; both in turn if not given.

    >>> [case.name for case in random_cases(2, seed=0)]
    ['random_000001', 'random_000002']
    """
    for number in range(count):
        yield _random_case(number, seed, dtype or ("float64", "float32")[number % 2])


def _random_case(number: int, seed: int, dtype: str) -> Case:
    rng = np.random.default_rng([seed, number])
    for _ in range(_ATTEMPTS):
        spec = small(random_spec(rng, number, dtype))
        try:
            problem = build(spec)
        except ValueError:
            continue  # overflows
        features = ", ".join(spec.features) or "none"
        made = Draft(f"random_{number + 1:06d}", problem, _flags(spec), f"features of the generator: {features}")
        case = certify(made)
        leaves = case.certified.leaves().values()
        if all(np.all(np.isfinite(leaf.lower) & np.isfinite(leaf.upper)) for leaf in leaves):
            return case
    raise ValueError(f"random case {number} of seed {seed}: no finite problem in {_ATTEMPTS} attempts")


def small(spec: Spec) -> Spec:
    """The spec with few layers, units and examples.

    >>> small(Spec((3, 64, 2), ("tanh", "identity"), "mse", 32, 0)).widths
    (3, 4, 2)
    """
    depth = min(len(spec.activations), DEPTH)
    return replace(
        spec,
        widths=tuple(min(width, WIDTH) for width in spec.widths[-depth - 1 :]),
        activations=spec.activations[-depth:],
        biases=spec.biases[-depth:],
        batch=min(spec.batch, BATCH),
    )


def _flags(spec: Spec) -> tuple[str, ...]:
    return ("random", *(["saturated"] if "saturated" in spec.features else []))
