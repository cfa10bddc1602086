"""Problems of one loss, and agreement with torch up to the published list of its deviations."""

from __future__ import annotations

from typing import Any

import numpy as np

import reference as ref
from torch_compare.torch_side.deviations import deviation
from torch_compare.verdict.checks import check

Array = Any

WEIGHT = np.array([0.3, 1.7, 0.1, 2.0])


def named(row: Any) -> str:
    return f"{row.name}({', '.join(row.parameters)})"


def agrees(problem: ref.Problem, found: ref.Gradients) -> bool:
    """Within the rounding scale of the oracle, or of torch's own formula where that is on the published list."""
    row = deviation(problem)
    judged = row.as_torch(problem) if row is not None and row.as_torch else problem
    return check(judged, found, diagnose=False).agrees


def loss_problem(loss: ref.Loss, dtype: Any, reduction: str = "mean", seed: int = 0) -> ref.Problem:
    """One layer whose output lies in every loss's domain, and a random target of the loss's kind."""
    rng = np.random.default_rng(seed)
    k = 3 if loss.name == "gaussian_nll" else 4
    targets = {
        "real": rng.normal(size=(5, k)),
        "probabilities": rng.choice([0.0, 0.25, 0.7, 1.0], size=(5, k)),
        "nonnegative": rng.choice([0.0, 0.5, 1.0, 3.0], size=(5, k)),
        "classes": np.array([0, 3, 1, 2, 3]),
        "indices": np.array([0, 3, 1, 2, 3]),
        "signs": rng.choice([-1.0, 1.0], size=(5, k)),
        "labels": np.array([rng.permutation(k) - 1 for _ in range(5)]),
    }
    t = targets[loss.target]
    bounded = loss.domain_text != "any real number"
    weight, bias = rng.normal(size=(k, 3)).astype(dtype), rng.normal(size=k).astype(dtype)
    layer = ref.Layer(weight, bias, "sigmoid" if bounded else "identity")
    x = rng.normal(size=(5, 3)).astype(dtype)
    return ref.Problem(ref.MLP((layer,)), x, t.astype(dtype) if t.dtype.kind == "f" else t, loss, reduction)
