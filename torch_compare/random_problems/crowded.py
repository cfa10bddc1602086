"""Large batches in narrow networks, where the order of a sum over the examples tells: a share of a campaign.

>>> crowd(np.random.default_rng(1), Spec((9, 9), ("tanh",), "mse", 5, 0)).batch
6172
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .spec import MAX_BATCH, TERMS, Spec

LARGEST_BATCH, WIDEST, DEEPEST = 8192, 4, 3
SHARE = 0.02
"""Of a campaign's problems. A batch of 8,192 takes as long as a dozen ordinary problems; few are that large."""
_CHANCE = 0.25
"""Of each feature of `TERMS`."""


def crowd(rng: np.random.Generator, spec: Spec) -> Spec:
    """The spec with its last layers alone, narrow, a batch of 33 to 8,192 examples, and features of `TERMS`."""
    depth = min(len(spec.activations), int(rng.integers(1, DEEPEST + 1)))
    largest, smallest = np.log(LARGEST_BATCH + 1), np.log(MAX_BATCH + 1)
    return replace(
        spec,
        widths=tuple(int(np.exp(rng.uniform(0, np.log(WIDEST + 1)))) for _ in range(depth + 1)),
        activations=spec.activations[-depth:],
        biases=spec.biases[-depth:],
        batch=int(np.exp(rng.uniform(smallest, largest))),
        features=(*spec.features, *(feature for feature in TERMS if rng.random() < _CHANCE)),
    )


def sometimes_crowded(rng: np.random.Generator, spec: Spec) -> Spec:
    """The spec, or in `SHARE` of the cases a crowded one; what is drawn before this stays as it was."""
    return crowd(rng, spec) if rng.random() < SHARE else spec
