"""The findings of a campaign, counted: the same whatever pieces it was run in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import reference as ref

from ..files.untrusted import short
from ..random_problems.networks import NetworkSpec
from ..random_problems.spec import Spec
from ..torch_side.deviation_row import Deviation
from ..torch_side.deviations import DEVIATIONS
from ..torch_side.operation_deviations import OPERATION_DEVIATIONS
from .outcome import PAIRS, PairOutcome, PairVerdict
from .pieces import Piece, once, plain


@dataclass(frozen=True)
class CampaignCase:
    """A problem of a campaign, and how every pair of sources compares on it.

    Attributes:
        spec: the problem.
        outcomes: every pair's.
        place: the campaign's seed, and the number of the case in it.
        rows: the names of the activations and operations that the network consists of.
    """

    spec: Spec | NetworkSpec
    outcomes: tuple[PairOutcome, ...]
    place: tuple[int, int] = (0, 0)
    rows: tuple[str, ...] = ()

    @property
    def disagrees(self) -> bool:
        """Whether some pair does."""
        return any(outcome.verdict is PairVerdict.DISAGREES for outcome in self.outcomes)

    @property
    def text(self) -> str:
        """What disagrees; "" if nothing does."""
        return next((o.text for o in self.outcomes if o.verdict is PairVerdict.DISAGREES), "")

    def as_data(self) -> dict[str, Any]:
        """The case as plain data, for JSON."""
        outcomes = [outcome.as_data() for outcome in self.outcomes]
        return {"case": list(self.place), "spec": asdict(self.spec), "outcomes": outcomes}


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

    def merge(self, other: PairTally) -> None:
        """Count another tally in: counts add up, the worst is the worse."""
        for entry in fields(self):
            mine, theirs = getattr(self, entry.name), getattr(other, entry.name)
            setattr(self, entry.name, max(mine, theirs) if entry.type == "float" else mine + theirs)


@dataclass
class CampaignReport:
    """The findings of a campaign.

    Attributes:
        dtype: "float64", "float32" or "both".
        certify_all: whether every small problem was certified, not one in `CERTIFY_EVERY`.
        only: the kind that all problems were of; None where both were drawn.
        problems: how many were run.
        pairs: a tally by pair of sources.
        networks: how many of them were networks of operations.
        activations: problems that each activation occurred in.
        operations: problems that each other operation occurred in, losses within a network among them.
        losses: problems of each loss.
        deviations: problems by the row of the published list of torch's deviations.
        disagreements: every case in which some pair disagrees.
        ran: the cases that were run, as [first, end) by seed; the same seed makes the same cases.
        asked: the cases that were asked for, if it ended before it had run them.
        versions: of what it was run with, by package.
    """

    dtype: str
    certify_all: bool = False
    only: str | None = None
    problems: int = 0
    networks: int = 0
    pairs: dict[str, PairTally] = field(default_factory=lambda: {pair: PairTally() for pair in PAIRS})
    activations: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ref.ACTIVATIONS, 0))
    operations: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*ref.operations.MAKERS, *ref.LOSSES), 0))
    losses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ref.LOSSES, 0))
    deviations: dict[str, int] = field(default_factory=dict)
    disagreements: list[CampaignCase] = field(default_factory=list)
    ran: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    asked: int | None = None
    versions: dict[str, str] = field(default_factory=dict)

    def add(self, case: CampaignCase) -> None:
        """Count one case."""
        self.problems += 1
        self.networks += isinstance(case.spec, NetworkSpec)
        for name in set(case.rows):
            (self.activations if name in self.activations else self.operations)[name] += 1
        self.losses[case.spec.loss] += 1
        for outcome in case.outcomes:
            self.pairs[outcome.pair].add(outcome)
            for name in outcome.deviations:
                self.deviations[name] = self.deviations.get(name, 0) + 1
        if case.disagrees:
            self.disagreements.append(case)

    def explaining_deviations(self) -> list[tuple[Deviation, int]]:
        """The rows of the published list that explain a difference, by name, and in how many problems each does."""
        rows = {row.name: row for row in (*DEVIATIONS, *OPERATION_DEVIATIONS)}
        return [(rows[name], count) for name, count in sorted(self.deviations.items())]

    def merge(self, other: CampaignReport) -> None:
        """Count another report in.

        Raises:
            ValueError: it is of other types or kinds, certifies another share, or has run a case that this one has.
        """
        for name in ("dtype", "certify_all", "only"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise ValueError(f"{name} is {mine} in one piece and {theirs} in another")
        for seed, ranges in other.ran.items():
            self.ran[seed] = _joined([*self.ran.get(seed, []), *ranges], f"seed {seed}")
        self.problems += other.problems
        self.networks += other.networks
        for pair, tally in other.pairs.items():
            self.pairs[pair].merge(tally)
        for counts in ("activations", "operations", "losses", "deviations"):
            mine, theirs = getattr(self, counts), getattr(other, counts)
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        self.disagreements = sorted([*self.disagreements, *other.disagreements], key=lambda case: case.place)

    def as_data(self) -> dict[str, Any]:
        """The report as plain data, for JSON."""
        data = asdict(self) | {"disagreements": [case.as_data() for case in self.disagreements]}
        data["deviations"] = dict(sorted(self.deviations.items()))
        data["ran"] = {str(seed): [list(cases) for cases in ranges] for seed, ranges in sorted(self.ran.items())}
        return plain(data if self.asked is not None else {k: v for k, v in data.items() if k != "asked"})


def _joined(ranges: Iterable[tuple[int, int]], where: str) -> list[tuple[int, int]]:
    """The same cases in as few ranges as can be; ValueError if one is there twice."""
    once([Piece(first, end, {}) for first, end in ranges], where)
    found: list[tuple[int, int]] = []
    for first, end in sorted(ranges):
        joins = bool(found) and found[-1][1] == first
        found[-1:] = [(found[-1][0], end)] if joins else [*found[-1:], (first, end)]
    return found


# ── a piece of it, as data ───────────────────────────────────────────────────────────────────────────


def as_piece(report: CampaignReport) -> dict[str, Any]:
    """A report as short data: what was counted, without zeros."""

    def seen(counts: Mapping[str, Any]) -> dict[str, Any]:
        return {name: count for name, count in counts.items() if count}

    return {
        "pairs": {pair: kept for pair, tally in report.pairs.items() if (kept := seen(asdict(tally)))},
        "networks": report.networks,
        "activations": seen(report.activations),
        "operations": seen(report.operations),
        "losses": seen(report.losses),
        "deviations": seen(report.deviations),
        "disagreements": [
            {
                "place": case.place[1],
                "spec": asdict(case.spec),
                "rows": case.rows,
                "outcomes": [asdict(o) for o in case.outcomes],
            }
            for case in report.disagreements
        ],
    }


def of_piece(piece: Piece, seed: int, dtype: str, certify_all: bool, only: str | None = None) -> CampaignReport:
    """The report that `as_piece` made the data of.

    Raises:
        ValueError: they are not of that form, or do not count the piece's cases.
    """
    where, count = f"cases {piece.first} to {piece.end}", piece.end - piece.first
    report = CampaignReport(dtype, certify_all, only, count, ran={seed: [(piece.first, piece.end)]})
    try:
        for pair, tally in piece.found["pairs"].items():
            report.pairs[pair].merge(PairTally(**{k: _number(k, v) for k, v in tally.items()}))
        report.networks = _number("networks", piece.found["networks"])
        counted = (report.activations, "activations"), (report.operations, "operations"), (report.losses, "losses")
        for counts, names in counted:
            counts.update({name: _number(name, n) for name, n in piece.found[names].items() if name in counts})
        report.deviations = {name: _number(name, n) for name, n in piece.found["deviations"].items()}
        report.disagreements = [_case(data, seed) for data in piece.found["disagreements"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{where}: not what a campaign finds: {short(str(error))}") from None
    if sum(report.losses.values()) != count:
        raise ValueError(f"{where}: {sum(report.losses.values())} losses are counted, not {count}")
    return report


def _number(name: str, value: Any) -> Any:
    """A count, or one of the worst errors, infinity among them."""
    if name in ("scales", "textbook_scales", "ulps"):
        return float(value)
    if type(value) is not int or value < 0:
        raise TypeError(f"{name}: expected a count, got {short(value)}")
    return value


def _case(data: Mapping[str, Any], seed: int) -> CampaignCase:
    entries: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in data["spec"].items()}
    spec = (NetworkSpec if "parts" in entries else Spec)(**entries)
    outcomes = tuple(
        PairOutcome(
            o["pair"], PairVerdict(o["verdict"]), float(o["scales"]), float(o["ulps"]), o["text"],
            tuple(o["deviations"]),
        )
        for o in data["outcomes"]
    )  # fmt: skip
    return CampaignCase(spec, outcomes, (seed, data["place"]), tuple(data["rows"]))
