"""Many random problems, each held by every source against the others, in parallel."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

import reference as ref

from ..files import problem_file
from ..random_problems.spec import Spec, build, random_spec
from ..torch_side.deviations import DEVIATIONS, Deviation
from .comparison import compare
from .outcome import PAIRS, PairOutcome, PairVerdict

CHUNK = 25
"""Cases that a process takes at a time."""
CERTIFY_EVERY = 3
"""Of the problems that are small enough, one in so many is certified."""


@dataclass(frozen=True)
class CampaignCase:
    """A problem of a campaign, and how every pair of sources compares on it."""

    spec: Spec
    outcomes: tuple[PairOutcome, ...]

    @property
    def disagrees(self) -> bool:
        """Whether some pair does."""
        return any(outcome.verdict is PairVerdict.DISAGREES for outcome in self.outcomes)

    def as_data(self) -> dict[str, Any]:
        """The case as plain data, for JSON."""
        return {"spec": asdict(self.spec), "outcomes": [outcome.as_data() for outcome in self.outcomes]}


@dataclass
class PairTally:
    """A pair's outcomes over a campaign."""

    cases: int = 0
    scales: float = 0.0
    textbook_scales: float = 0.0
    ulps: float = 0.0
    textbook: int = 0
    not_judged: int = 0
    unresolved: int = 0
    deviations: int = 0
    disagreements: int = 0

    def add(self, outcome: PairOutcome) -> None:
        """Count one outcome."""
        match outcome.verdict:
            case PairVerdict.UNRESOLVED:
                self.unresolved += 1
            case PairVerdict.NOT_JUDGED:
                self.not_judged += 1
            case PairVerdict.DEVIATION:
                self.deviations += 1
            case _:
                self._add_judged(outcome)

    def _add_judged(self, outcome: PairOutcome) -> None:
        self.cases += 1
        self.ulps = max(self.ulps, outcome.ulps)
        self.disagreements += outcome.verdict is PairVerdict.DISAGREES
        if outcome.verdict is PairVerdict.TEXTBOOK:
            self.textbook += 1
            self.textbook_scales = max(self.textbook_scales, outcome.scales)
        else:
            self.scales = max(self.scales, outcome.scales)


@dataclass
class CampaignReport:
    """The findings of a campaign.

    Attributes:
        seed: that it began from; the same seed makes the same campaign.
        dtype: "float64", "float32" or "both".
        certify_all: whether every small problem was certified, not one in `CERTIFY_EVERY`.
        problems: how many were run.
        pairs: a tally by pair of sources.
        activations: problems that each activation occurred in.
        losses: problems of each loss.
        deviations: problems by the row of the published list of torch's deviations.
        disagreements: every case in which some pair disagrees.
    """

    seed: int
    dtype: str
    certify_all: bool = False
    problems: int = 0
    pairs: dict[str, PairTally] = field(default_factory=lambda: {pair: PairTally() for pair in PAIRS})
    activations: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ref.ACTIVATIONS, 0))
    losses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ref.LOSSES, 0))
    deviations: dict[str, int] = field(default_factory=dict)
    disagreements: list[CampaignCase] = field(default_factory=list)

    def add(self, case: CampaignCase) -> None:
        """Count one case."""
        self.problems += 1
        for name in set(case.spec.activations):
            self.activations[name] += 1
        self.losses[case.spec.loss] += 1
        for outcome in case.outcomes:
            self.pairs[outcome.pair].add(outcome)
            for name in outcome.deviations:
                self.deviations[name] = self.deviations.get(name, 0) + 1
        if case.disagrees:
            self.disagreements.append(case)

    def explaining_deviations(self) -> list[tuple[Deviation, int]]:
        """The rows of the published list that explain a difference, by name, and in how many problems each does."""
        rows = {row.name: row for row in DEVIATIONS}
        return [(rows[name], count) for name, count in sorted(self.deviations.items())]

    def as_data(self) -> dict[str, Any]:
        """The report as plain data, for JSON."""
        return plain(asdict(self) | {"disagreements": [case.as_data() for case in self.disagreements]})


def spec_of(seed: int, case: int, dtype: str) -> Spec:
    """The spec of case number `case` of the campaign with that seed."""
    chosen = ("float64", "float32")[case % 2] if dtype == "both" else dtype
    return random_spec(np.random.default_rng([seed, case]), case // 2 if dtype == "both" else case, chosen)


def run_case(spec: Spec, certify: bool | None = None) -> CampaignCase:
    """Build a problem and compare every pair of sources; certify one in `CERTIFY_EVERY` small ones by default."""
    if certify is None:
        certify = spec.seed % CERTIFY_EVERY == 0
    return CampaignCase(spec, compare(build(spec), spec.seed, certify=certify))


def _chunk(seed: int, cases: range, dtype: str, certify: bool | None) -> list[CampaignCase]:
    with threadpool_limits(1):
        return [run_case(spec_of(seed, case, dtype), certify) for case in cases]


def run(
    cases: int,
    seed: int,
    dtype: str = "both",
    jobs: int = 2,
    progress: Callable[[int], None] | None = None,
    *,
    certify_all: bool = False,
) -> CampaignReport:
    """Run a campaign of so many problems.

    Args:
        cases: how many problems.
        seed: where they come from.
        dtype: "float64", "float32" or "both" in turn.
        jobs: processes.
        progress: called with the number of cases that have just ended.
        certify_all: certify every problem that is small enough, not one in `CERTIFY_EVERY`.
    """
    report = CampaignReport(seed, dtype, certify_all)
    chunks = [range(start, min(start + CHUNK, cases)) for start in range(0, cases, CHUNK)]
    work = (delayed(_chunk)(seed, chunk, dtype, True if certify_all else None) for chunk in chunks)
    for done in Parallel(n_jobs=jobs, return_as="generator")(work):
        for case in done:
            report.add(case)
        if progress is not None:
            progress(len(done))
    return report


def plain(data: Any) -> Any:
    """The data with infinities and NaN, for which JSON has no number, as words.

    >>> plain({"scales": [1.0, float("inf")]})
    {'scales': [1.0, 'inf']}
    """
    if isinstance(data, dict):
        return {key: plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    return str(data) if isinstance(data, float) and not np.isfinite(data) else data


def write_disagreement(case: CampaignCase, directory: Path, number: int) -> Path:
    """Write a case as a file that `replay` runs again, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"disagreement-{number:04d}.json"
    data = problem_file.encode(build(case.spec)) | {"seed": case.spec.seed} | plain(case.as_data())
    path.write_text(json.dumps(data, allow_nan=False), encoding="utf-8")
    return path


def replay(path: str | Path) -> tuple[PairOutcome, ...]:
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
