"""False alarms: correct gradients of several implementations in several formats, judged by every checker.

What is no false alarm is counted apart, with its reason: another slope at an exact kink; a number that overflows in the
format; rounding as large as the gradients; a published deviation of the implementation from the derivative of its own
function; sums in the format itself, where that is what is said.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

import reference as ref
import torch_compare as tc
from torch_compare.torch_side.deviations import deviations
from torch_compare.verdict.given import as_array

from ..implementations.correct_gradients import (
    FORMATS_OF,
    IMPLEMENTATIONS,
    NUMBERS,
    by_jax,
    family,
    forget_compilations,
    random_problem,
    takes_a_maximum,
)
from ..implementations.jax_deviations import COMPILED_MAXIMUM, GELU_TANH_OVERFLOW
from ..implementations.naive import Leaves
from .checkers import CHECKERS

OUTCOMES = (
    "agrees", "textbook", "another convention", "unresolved", "buried", "deviation", "coarse sums", "refused",
    "false alarm",
)  # fmt: skip
"""agrees: on the accurate scale; textbook: on the other one; buried: within rounding that is as large as the gradients,
so that zeros would be too, and *unresolved* is the honest answer in any format; coarse sums: *imprecise*, for the sums
are the format's own, of an implementation of which that is true; refused: the library has no such function in that
format, or (torch's bce) will not take its own output, which has overflown, into the loss."""
COARSE_SUMS = frozenset({("reference", "float16"), ("JAX", "float16"), ("JAX", "bfloat16")})
"""Who adds up in the format itself: NumPy one row after the other, XLA short sums (five terms of a bias's gradient)."""
JAX_DEPTH = 10
"""Layers that JAX compiles in reasonable time."""
PEERS_LARGEST = 250
"""Numbers in x and the parameters of a problem that the peers are given too, and the largest number of outputs."""
CHUNK = 20


@dataclass
class ImplementationTally:
    """The outcome of an implementation's gradients in a format.

    Attributes:
        outcomes: gradients by outcome.
        deviations: gradients by the published deviation that explains them.
        arrays: how many arrays were judged.
        worst: the largest error of the gradients that agree on the textbook scale, in its units. On the accurate scale
            it says nothing: whatever exceeds the limit there goes on to this one.
        alarms: a line for each false alarm.
        peers: gradients that a peer was given, and those that it called wrong, by its name.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    deviations: Counter[str] = field(default_factory=Counter)
    arrays: int = 0
    worst: float = 0.0
    alarms: list[str] = field(default_factory=list)
    peers: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def judged(self) -> int:
        """Gradients that were computed."""
        return sum(self.outcomes.values()) - self.outcomes["refused"]

    def add(self, other: ImplementationTally) -> None:
        """Count another tally in."""
        self.outcomes += other.outcomes
        self.deviations += other.deviations
        self.arrays += other.arrays
        self.worst = max(self.worst, other.worst)
        self.alarms += other.alarms
        for name, counted in other.peers.items():
            self.peers[name] = self.peers.get(name, Counter()) + counted


# ── published deviations ─────────────────────────────────────────────────────────────────────────────


def explained(problem: ref.Problem, leaves: Leaves, implementation: str, name: str) -> str:
    """The published deviation that explains gradients which do not agree; "" if none does.

    torch's are those of `torch_compare.torch_side.deviations`: it must have left no number there, or agree with its
    own formula. JAX's are the rows of `jax_deviations` that random problems reach; autograd, which differentiates the
    same customary formula, has the first of them.
    """
    narrow = problem.in_dtype(np.float32 if name == "bfloat16" else NUMBERS[name])
    finite = all(np.all(np.isfinite(np.asarray(as_array(k, v)[0]))) for k, v in leaves.items())
    if implementation == "torch":
        rows = deviations(narrow)
        if not finite:
            bce = "bce_epsilon_is_0_in_float16" if name == "float16" and _bce_divides_by_zero(narrow) else ""
            return next((row.name for row in rows if row.as_torch is None), bce)
        theirs = problem
        names: list[str] = []
        for row in rows:
            if row.as_torch is not None:
                theirs, names = row.as_torch(theirs), [*names, row.name]
        within = bool(names) and tc.check(theirs, leaves, name, diagnose=False).within
        return " + ".join(names) if within else ""
    if implementation == "JAX" and name == "bfloat16" and finite and _lost_by_compilation(problem):
        return COMPILED_MAXIMUM.name
    lost = implementation in ("JAX", "autograd") and not finite and _cubes_slope_overflows(narrow)
    return GELU_TANH_OVERFLOW.name if lost else ""


def _bce_divides_by_zero(problem: ref.Problem) -> bool:
    """Whether y(1 − y) is 0: torch's max(y(1 − y), ε) is then 0 too, for float16 has no 1e−12, and its quotient 0/0."""
    with np.errstate(all="ignore"):
        y = ref.forward(problem.mlp, problem.x).output
        return problem.loss.name == "bce" and bool(np.any(y * (1 - y) == 0))


def _lost_by_compilation(problem: ref.Problem) -> bool:
    """Whether a maximum is taken, and JAX's gradients agree that it computes without compiling the same lines."""
    if not takes_a_maximum(problem):
        return False
    return tc.check(problem, by_jax(problem, "bfloat16", jit=False)(problem), "bfloat16", diagnose=False).agrees


def _cubes_slope_overflows(problem: ref.Problem) -> bool:
    """Whether 3z², the derivative of z³ in the customary formula of gelu_tanh, overflows: the product is then 0·∞."""
    with np.errstate(all="ignore"):
        trace = ref.forward(problem.mlp, problem.x)
        return any(
            layer.activation.name == "gelu_tanh" and bool(np.any(np.isinf(3 * (z * z))))
            for layer, z in zip(problem.mlp.layers, trace.preactivations, strict=True)
        )


# ── judging ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Judgement:
    """What is said about one correct gradient: one of `OUTCOMES`, the deviation that explains it, and the verdict."""

    outcome: str
    deviation: str
    verdict: tc.Verdict


def judgement(problem: ref.Problem, leaves: Leaves, implementation: str, name: str) -> Judgement:
    """The verdict of this project's checker on one correct gradient, and whether it is a false alarm."""
    verdict = tc.check(problem, leaves, name, diagnose=False)
    outcome, deviation = str(verdict.status), ""
    if verdict.agrees:
        outcome = "textbook" if verdict.scale == "textbook" else "agrees"
    elif verdict.within:
        outcome = "buried"
    elif (implementation, name) in COARSE_SUMS and verdict.diagnosis == f"sums accumulated in {name}, not in float32":
        outcome = "coarse sums"
    elif outcome in ("wrong", "imprecise") or implementation in ("torch", "reference"):
        ordinary = outcome == "unresolved" and name not in ("float64", "float32")
        deviation = "" if ordinary else explained(problem, leaves, implementation, name)
        if not ordinary:
            outcome = "deviation" if deviation else "false alarm"
    return Judgement(outcome, deviation, verdict)


def judged(
    tally: ImplementationTally, problem: ref.Problem, leaves: Leaves, implementation: str, name: str, title: str
) -> None:
    """Count what this project's checker says about one gradient."""
    found = judgement(problem, leaves, implementation, name)
    tally.arrays += len(leaves)
    if found.outcome == "textbook":
        tally.worst = max(tally.worst, found.verdict.worst.scales)
    if found.deviation:
        tally.deviations[found.deviation] += 1
    if found.outcome == "false alarm":
        rows = "-".join(layer.activation.name for layer in problem.mlp.layers)
        status, worst = found.verdict.status, found.verdict.worst
        tally.alarms.append(f"{title}: {status}; {rows}; {problem.loss.name}; {worst}")
    tally.outcomes[found.outcome] += 1


def by_peers(tally: ImplementationTally, problem: ref.Problem, leaves: Leaves, name: str) -> None:
    """Count what the peers say about one correct gradient."""
    for checker in CHECKERS:
        if checker is not CHECKERS[0] and name in checker.formats:
            passes = checker.passes(problem, leaves, name)
            tally.peers.setdefault(checker.name, Counter()).update(given=1, alarms=int(not passes))


def chunk(
    implementation: str, name: str, cases: range, seed: int, peers_every: int, family_size: int
) -> ImplementationTally:
    """Judge the gradients of some problems; of small ones, one in `peers_every` by the peers too (0: none)."""
    tally = ImplementationTally()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries warn of overflow and of new behaviour; what counts is the gradient
        for case in cases:
            one(tally, implementation, name, case, seed, family_size, peers_every > 0 and case % peers_every == 0)
    forget_compilations()
    return tally


def one(
    tally: ImplementationTally, implementation: str, name: str, case: int, seed: int, family_size: int, peers: bool
) -> None:
    """Judge the gradients of one problem, or of a family where JAX compiles it."""
    by_jax = implementation == "JAX"
    problem = random_problem(
        seed, case, name, naive=implementation.startswith("NumPy"), depth=JAX_DEPTH if by_jax else 100
    )
    rng = np.random.default_rng([seed, case])
    gradients = IMPLEMENTATIONS[implementation](problem, name, rng)
    for index, member in enumerate(family(problem, family_size if by_jax else 1, rng)):
        try:
            leaves = gradients(member)
        except RuntimeError as error:
            if not isinstance(error, NotImplementedError) and "between 0 and 1" not in str(error):
                raise
            tally.outcomes["refused"] += 1
            continue
        before = tally.outcomes["agrees"] + tally.outcomes["textbook"]
        judged(tally, member, leaves, implementation, name, f"{implementation}, {name}, case {case}.{index}")
        agrees = tally.outcomes["agrees"] + tally.outcomes["textbook"] > before
        if peers and index == 0 and agrees and _size(member) <= PEERS_LARGEST:
            by_peers(tally, member, {k: as_array(k, v)[0] for k, v in leaves.items()}, name)


def _size(problem: ref.Problem) -> int:
    return problem.mlp.parameters + int(problem.x.size)


def campaign(
    count: int, seed: int, peers_every: int, family_size: int, jobs: int
) -> dict[tuple[str, str], ImplementationTally]:
    """So many gradients of every implementation in every format that it has.

    Args:
        count: gradients per implementation and format.
        seed: of the problems.
        peers_every: of the problems that are small enough, one in so many goes to the peers (0: none).
        family_size: problems that one compilation by JAX serves.
        jobs: processes.
    """
    work = []
    for implementation in IMPLEMENTATIONS:
        structures = -(-count // family_size) if implementation == "JAX" else count
        size = max(1, CHUNK // family_size) if implementation == "JAX" else CHUNK
        for name in FORMATS_OF[implementation]:
            work += [(implementation, name, range(s, min(s + size, structures))) for s in range(0, structures, size)]
    found: Iterable[ImplementationTally] = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(chunk)(*piece, seed, peers_every, family_size) for piece in work
    )
    tallies: dict[tuple[str, str], ImplementationTally] = {}
    for (implementation, name, _), tally in zip(work, found, strict=True):
        tallies.setdefault((implementation, name), ImplementationTally()).add(tally)
    return tallies


def rows_of(tallies: Mapping[tuple[str, str], ImplementationTally]) -> list[dict[str, Any]]:
    """A row of the table for every implementation and format."""
    return [
        {
            "what": implementation,
            "format": name,
            "gradients": tally.judged,
            "arrays": tally.arrays,
            "worst": tally.worst,
            "alarms": tally.alarms,
            "deviations": dict(tally.deviations),
            "peers": {peer: dict(counted) for peer, counted in tally.peers.items()},
            **{outcome: tally.outcomes[outcome] for outcome in OUTCOMES},
        }
        for (implementation, name), tally in tallies.items()
    ]
