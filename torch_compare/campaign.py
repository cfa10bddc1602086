"""Many random problems, each held by every source against the others, in parallel."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

import reference as ref
from reference import differences
from reference.noise import FORMATS, Format, rounding_scale

from . import problem_file
from .deviations import DEVIATIONS
from .strategies import Spec, build, random_spec
from .torch_source import torch_gradients
from .verdict import FACTOR, check, expected_leaves, in_float64, judge, worst_place

ENTRIES = 24
"""Differences and complex steps judge this many seeded random elements of each problem."""
CHUNK = 25

PAIRS = {
    "reference ~ torch": "σ",
    "reference ~ central_difference": "bar",
    "torch ~ central_difference": "bar",
    "reference ~ complex_step": "σ",
    "float32 ~ float64 reference": "σ",
}
"""Which sources are compared, and in what: rounding scales σ, or the error bars that differences bring."""


@dataclass(frozen=True)
class Outcome:
    """One pair of sources on one problem.

    Attributes:
        pair: a key of `PAIRS`.
        verdict: "accurate", "textbook", "bar", "not judged", "deviation: NAME" or "disagrees".
        scales: the largest error in the pair's unit.
        ulps: the largest error in ulps of the expected number, among the elements judged.
        text: what disagrees, if it does.
    """

    pair: str
    verdict: str
    scales: float = 0.0
    ulps: float = 0.0
    text: str = ""


@dataclass(frozen=True)
class Case:
    """A problem of a campaign and what came of it."""

    spec: Spec
    outcomes: tuple[Outcome, ...]


@dataclass
class Tally:
    """A pair's outcomes over a campaign."""

    cases: int = 0
    scales: float = 0.0
    textbook_scales: float = 0.0
    ulps: float = 0.0
    textbook: int = 0
    not_judged: int = 0
    deviations: int = 0
    disagreements: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        if outcome.verdict == "not judged":
            self.not_judged += 1
            return
        if outcome.verdict.startswith("deviation"):
            self.deviations += 1
            return
        self.cases += 1
        if outcome.verdict == "textbook":
            self.textbook_scales = max(self.textbook_scales, outcome.scales)
        else:
            self.scales = max(self.scales, outcome.scales)
        self.ulps = max(self.ulps, outcome.ulps)
        self.textbook += outcome.verdict == "textbook"
        self.disagreements += outcome.verdict == "disagrees"


@dataclass
class Report:
    """What a campaign found.

    Attributes:
        seed: it began from; the same seed makes the same campaign.
        dtype: "float64", "float32" or "both".
        problems: how many were run.
        pairs: a tally by pair of sources.
        activations: problems that each activation occurred in.
        losses: problems of each loss.
        deviations: problems by the row of the published list of torch's deviations.
        disagreements: every case in which some pair disagrees.
    """

    seed: int
    dtype: str
    problems: int = 0
    pairs: dict[str, Tally] = field(default_factory=lambda: {pair: Tally() for pair in PAIRS})
    activations: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ref.ACTIVATIONS, 0))
    losses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ref.LOSSES, 0))
    deviations: dict[str, int] = field(default_factory=dict)
    disagreements: list[Case] = field(default_factory=list)

    def add(self, case: Case) -> None:
        """Count one case."""
        self.problems += 1
        for name in set(case.spec.activations):
            self.activations[name] += 1
        self.losses[case.spec.loss] += 1
        for outcome in case.outcomes:
            self.pairs[outcome.pair].add(outcome)
            if outcome.verdict.startswith("deviation: ") and outcome.pair == "reference ~ torch":
                for name in outcome.verdict.removeprefix("deviation: ").split(" + "):
                    self.deviations[name] = self.deviations.get(name, 0) + 1
        if any(outcome.verdict == "disagrees" for outcome in case.outcomes):
            self.disagreements.append(case)

    def as_data(self) -> dict[str, Any]:
        """The report as plain data, for JSON."""
        return asdict(self)


def spec_of(seed: int, case: int, dtype: str) -> Spec:
    """The spec of case number `case` of the campaign with that seed."""
    chosen = ("float64", "float32")[case % 2] if dtype == "both" else dtype
    return random_spec(np.random.default_rng([seed, case]), case // 2 if dtype == "both" else case, chosen)


def run_case(spec: Spec) -> Case:
    """Build a problem and compare every pair of sources on it."""
    return Case(spec, compare(build(spec), spec.seed))


def compare(problem: ref.Problem, seed: int = 0) -> tuple[Outcome, ...]:
    """Compare every pair of sources on a problem."""
    seed %= 2**63
    fmt = FORMATS[str(problem.dtype)]
    expected = expected_leaves(problem)

    def scale(textbook: bool, name: str = fmt.name) -> dict[str, Any]:
        found = rounding_scale(problem, name, textbook=textbook, seed=seed)
        return found.leaves() | {"loss": np.asarray(found.loss)}

    accurate = scale(False)
    torch_leaves = _torch_leaves(problem, expected)
    outcomes = [_torch(problem, torch_leaves, expected, fmt, accurate, lambda: scale(True))]
    deviates = outcomes[0].verdict.startswith("deviation")
    accurate64 = accurate
    if fmt.name != "float64":
        own = ref.gradients(problem)
        place = worst_place(own.leaves() | {"loss": np.asarray(own.loss)}, expected, accurate, fmt)
        outcomes.append(_measured("float32 ~ float64 reference", place.scales, place.ulps, str(place)))
        accurate64 = scale(False, "float64")
    double = in_float64(problem)
    outcomes += _differences(double, expected, accurate64, torch_leaves, accurate, scale, deviates, seed)
    return tuple(outcomes)


def _torch_leaves(problem: ref.Problem, expected: dict[str, Any]) -> dict[str, Any]:
    """torch's gradients by place; NaN throughout where torch refuses to compute them (bce of a NaN, say)."""
    try:
        with np.errstate(all="ignore"):
            given = torch_gradients(problem)
    except RuntimeError:
        return {place: np.full(np.shape(leaf), np.nan) for place, leaf in expected.items()}
    return given.leaves() | {"loss": np.asarray(given.loss)}


def _measured(pair: str, scales: float, ulps: float, text: str, unit: str = "accurate") -> Outcome:
    if np.isnan(scales):
        return Outcome(pair, "not judged")
    good = scales <= FACTOR
    return Outcome(pair, unit if good else "disagrees", scales, ulps, "" if good else text)


def _torch(
    problem: ref.Problem,
    leaves: dict[str, Any],
    expected: dict[str, Any],
    fmt: Format,
    accurate: Any,
    textbook: Callable[[], Any],
) -> Outcome:
    pair = "reference ~ torch"
    verdict = judge(problem, leaves, expected, fmt, accurate, textbook)
    if verdict.status == "unresolved":
        return Outcome(pair, "not judged")
    if verdict.agrees:
        return Outcome(pair, verdict.scale, verdict.worst.scales, verdict.worst.ulps)
    rows = _explaining(problem, leaves, fmt)
    if rows:
        return Outcome(pair, f"deviation: {' + '.join(rows)}")
    return Outcome(pair, "disagrees", verdict.worst.scales, verdict.worst.ulps, str(verdict))


def _explaining(problem: ref.Problem, leaves: dict[str, Any], fmt: Format) -> list[str]:
    """The names of the published deviations that explain torch's gradients; none if they do not.

    They must say that torch leaves no number there, or torch must agree with the problem in which torch's own
    formulas stand for those of the oracle.
    """
    with np.errstate(all="ignore"):
        trace = ref.forward(problem.mlp, problem.x)
        rows = [row for row in DEVIATIONS if row.applies(problem, trace)]
    if not all(np.all(np.isfinite(leaf)) for leaf in leaves.values()):
        return [row.name for row in rows if row.as_torch is None]
    theirs, names = problem, []
    for row in rows:
        if row.as_torch is not None:
            theirs = row.as_torch(theirs)
            names.append(row.name)
    return names if names and check(theirs, leaves, fmt.name).agrees else []


def _differences(
    problem: ref.Problem,
    expected: dict[str, Any],
    accurate: dict[str, Any],
    torch_leaves: dict[str, Any],
    torch_accurate: dict[str, Any],
    scale: Callable[[bool], dict[str, Any]],
    deviates: bool,
    seed: int,
) -> Iterator[Outcome]:
    with np.errstate(all="ignore"):
        central = differences.central_difference(problem, entries=ENTRIES, seed=seed)
        stepped = differences.complex_step(problem, entries=ENTRIES, seed=seed)
    value, bar = central.value.leaves(), central.error.leaves()
    fmt = FORMATS["float64"]
    for pair, leaves, rounding in (
        ("reference ~ central_difference", expected, accurate),
        ("torch ~ central_difference", torch_leaves, None),
    ):
        if rounding is None:
            if deviates:
                yield Outcome(pair, "deviation")
                continue
            wider = scale(True)
            rounding = {k: np.maximum(torch_accurate[k], wider[k]) for k in torch_accurate}
        worst = (-1.0, 0.0, "")
        for leaf, found in value.items():
            allowed = bar[leaf] + FACTOR * rounding[leaf]
            with np.errstate(all="ignore"):
                error = np.abs(leaves[leaf] - found)
                ratio = np.where(np.isfinite(found) & np.isfinite(allowed), error / allowed, np.nan)
                ratio = np.where((error == 0) & np.isfinite(allowed), 0.0, ratio)
            if np.all(np.isnan(ratio)):
                continue
            at = np.unravel_index(np.nanargmax(ratio), ratio.shape)
            if ratio[at] > worst[0]:
                ulps = float(error[at] / fmt.ulp(leaves[leaf][at]))
                text = f"{leaf}{[int(i) for i in at]}: {leaves[leaf][at]!r}, difference {found[at]!r} ± {allowed[at]!r}"
                worst = (float(ratio[at]), ulps, text)
        if worst[0] < 0:
            yield Outcome(pair, "not judged")
        else:
            yield Outcome(pair, "bar" if worst[0] <= 1 else "disagrees", *worst[:2], worst[2] if worst[0] > 1 else "")
    yield _complex_step(stepped.leaves(), expected, accurate, lambda: scale(True))


def _complex_step(
    stepped: dict[str, Any], expected: dict[str, Any], accurate: dict[str, Any], textbook: Callable[[], dict[str, Any]]
) -> Outcome:
    pair, fmt = "reference ~ complex_step", FORMATS["float64"]
    judged = {}
    for leaf, found in stepped.items():
        judged[leaf] = np.where(np.isnan(found), expected[leaf], found)
    if all(np.all(np.isnan(found)) for found in stepped.values()):
        return Outcome(pair, "not judged")
    place = worst_place(judged, expected, accurate, fmt)
    if place.scales <= FACTOR:
        return Outcome(pair, "accurate", place.scales, place.ulps)
    wider = textbook()
    place = worst_place(judged, expected, {k: np.maximum(accurate[k], wider[k]) for k in judged}, fmt)
    return _measured(pair, place.scales, place.ulps, str(place), "textbook")


def _chunk(seed: int, cases: range, dtype: str) -> list[Case]:
    with threadpool_limits(1):
        return [run_case(spec_of(seed, case, dtype)) for case in cases]


def run(
    cases: int, seed: int, dtype: str = "both", jobs: int = 2, progress: Callable[[int], None] | None = None
) -> Report:
    """Run a campaign of so many problems.

    Args:
        cases: how many problems.
        seed: where they come from.
        dtype: "float64", "float32" or "both" in turn.
        jobs: processes.
        progress: called with the number of cases that have just ended.
    """
    report = Report(seed, dtype)
    chunks = [range(start, min(start + CHUNK, cases)) for start in range(0, cases, CHUNK)]
    work = (delayed(_chunk)(seed, chunk, dtype) for chunk in chunks)
    for done in Parallel(n_jobs=jobs, return_as="generator")(work):
        for case in done:
            report.add(case)
        if progress is not None:
            progress(len(done))
    return report


def write_disagreement(case: Case, directory: Path, number: int) -> Path:
    """Write a case as a file that `replay` runs again, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"disagreement-{number:04d}.json"
    data = problem_file.encode(build(case.spec)) | {
        "seed": case.spec.seed,
        "spec": asdict(case.spec),
        "outcomes": [asdict(outcome) for outcome in case.outcomes],
    }
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def replay(path: str | Path) -> tuple[Outcome, ...]:
    """Compare every pair of sources again on a problem that was written to a file.

    Raises:
        ValueError: the file holds no problem; the message names it and says why.
        OSError: it cannot be read.
    """
    data = problem_file.load(path)
    seed = data.get("seed", 0)
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"{path}: seed: expected an integer of at least 0, got {seed!r}")
    try:
        problem = problem_file.decode(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return compare(problem, seed)
