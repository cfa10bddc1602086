"""Every known mistake in a two-layer GPT-2 and a two-layer Llama: is it caught, and named with its step?

A mistake is one in a step's backward pass, in all steps of an operation, at one of several uses of a value, or at the
loss. Its gradients are computed in float32 (or float64) from numbers that the type holds, and stored in the type.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

import torch_compare as tc
from torch_compare.mistakes.mistake import Mistake
from torch_compare.mistakes.of_network import network_mistakes

from ..wrong_gradients.operation_bank import TRANSFORMERS, Kernel, leaves_of
from .checkers import PASSED, relative_error
from .operation_checkers import COMPUTED_IN, Subject, stored
from .power import GOALS

Row = Mapping[str, Any]
WIDTH = 16
NAMED = 0.95
"""The share of the mistakes that are to be named with their step."""
TORCH_ERRS = MappingProxyType({"float64": 5.3e-16, "float32": 3.2e-7, "bfloat16": 6.5e-3})
"""The error of the worst array of torch's correct gradients on 64-64-64-10, the network that `GOALS` are for: the
largest of seeds 0, 1 and 2. A deep network errs more, and shows as much less."""
QUICK, FULL = 96, 4
"""Of so many mistakes one is planted. Which, the seed says."""


def shown_from(subject: Subject) -> float:
    """The relative error from which on a network shows a mistake: the goal, in units of what torch errs by.

    Args:
        subject: the problem and the type.
    """
    errs = relative_error(subject.eager, leaves_of(subject.problem))
    return GOALS[subject.name] * max(1.0, errs / TORCH_ERRS[subject.name])


def of_network(kernel: Kernel, name: str, seed: int, every: int, first: int = 0) -> list[Row]:
    """One of so many mistakes in a network, from the first on, before this project's check in a type."""
    subject = Subject(kernel.problem(seed, WIDTH, name), name)
    problem = kernel.problem(seed, WIDTH, name, COMPUTED_IN[name])
    right, least = leaves_of(problem), shown_from(subject)
    rows: list[Row] = []
    unique = {(m.name, m.where, m.what): m for m in network_mistakes(problem)}
    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a wrong gradient may overflow on its way
        for mistake in list(unique.values())[first::every]:
            given = leaves_of(mistake.problem(problem))
            planted = relative_error(given, right)
            if planted >= least:
                verdict = tc.check(subject.problem, stored(given, name), name)
                rows.append({
                    "kernel": kernel.name, "format": name, "seed": seed, "what": f"{mistake.name}, {mistake.where}",
                    "planted": planted, "from": least, "caught": verdict.status not in PASSED,
                    "named": is_named(mistake, verdict), "status": str(verdict.status), "said": str(verdict.diagnosis),
                })  # fmt: skip
    return rows


def is_named(mistake: Mistake, verdict: tc.Verdict) -> bool:
    """Whether the diagnosis says the mistake and its step, or says them of what gives the same numbers.

    Args:
        mistake: what was planted.
        verdict: on the gradients that it makes.
    """
    found = verdict.diagnosis
    said = (str(found), *found.runner_up.split(" or "))
    kinds = (found.names, *found.others)
    return (mistake.name,) in kinds and any(text.startswith(f"{mistake.where}: ") for text in said)


def run(kernels: Sequence[Kernel], formats: Sequence[str], seed: int, every: int, jobs: int) -> list[Row]:
    """Every network and type."""
    work = [(TRANSFORMERS.index(kernel), name) for kernel in kernels for name in formats]
    done = Parallel(n_jobs=jobs)(delayed(_piece)(index, name, seed, every) for index, name in work)
    return [row for rows in done for row in rows]


def _piece(index: int, name: str, seed: int, every: int) -> list[Row]:
    return of_network(TRANSFORMERS[index], name, seed, every, seed % every)


def figures_of(rows: Sequence[Row]) -> dict[str, str]:
    """How many were caught and named of each network and type, and what was not."""
    figures = {}
    for kernel, name in dict.fromkeys((row["kernel"], row["format"]) for row in rows):
        mine = [row for row in rows if (row["kernel"], row["format"]) == (kernel, name)]
        of = f"of {len(mine)} mistakes, from a relative error of {mine[0]['from']:.2g} on"
        figures[f"{kernel}, {name}, caught, goal all"] = f"{sum(row['caught'] for row in mine)} {of}"
        figures[f"{kernel}, {name}, named with their step, goal {NAMED:.0%}"] = f"{share_named(mine):.1%}"
    for row in rows:
        if not row["caught"] or not row["named"]:
            what = f"{row['kernel']}, {row['format']}: {row['what']}"
            figures[f"{'not named' if row['caught'] else 'let through'}: {what}"] = f"{row['status']}: {row['said']}"
    return figures


def share_named(rows: Sequence[Row]) -> float:
    """The share that was named; 1 of none."""
    return sum(row["named"] for row in rows) / len(rows) if rows else 1.0


def holds(rows: Sequence[Row]) -> bool:
    """Whether all were caught, and enough were named, of every network in every type."""
    of = dict.fromkeys((row["kernel"], row["format"]) for row in rows)
    enough = all(share_named([row for row in rows if (row["kernel"], row["format"]) == key]) >= NAMED for key in of)
    return enough and all(row["caught"] for row in rows)
