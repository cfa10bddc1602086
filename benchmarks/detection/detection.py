"""Which checker catches which wrong gradients, calls which right ones wrong, and how long does it take?

Claim: this checker catches every mistake of the bank from a relative error of 1e-13 in float64 (1e-5 in float32) on,
names at least 98% of those that have a name (95% in half precision; of those that move an array by the goal of `power`
or more), and raises no alarm over correct gradients from torch, JAX, autograd and NumPy in float64, float32, float16
and bfloat16. On 64-64-64-10 it catches every error from the goals of `power` on. The peers, by their defaults, stop at
1e-2 to 1e-6.
Measurement: mistakes × places × sizes on the same networks before every checker; random problems, the hard ones too,
through every implementation in every format; interleaved medians of the time.
Refuted by: one such wrong gradient that passes, one false alarm, or fewer names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan
from pathlib import Path
from typing import Any

from reference.rounding.distance import FACTOR

from ..harness.report import Report
from . import caught, false_alarms, planted, power, speed
from .checkers import CHECKERS
from .picture import picture

Row = Mapping[str, Any]
OURS = tuple(checker.name for checker in CHECKERS if checker.name.startswith("gradient-oracle"))
NAMED = {"float64": 0.98, "float32": 0.98, "float16": 0.95, "bfloat16": 0.95}
"""The share of mistakes with a name that have to be caught, and called by it, by format."""
HEADINGS = ("this", "certified", "gradcheck", "fast", "JAX", "autograd", "SciPy")


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        whole_bank: whether every wrong gradient is taken, or the first of each kind and place.
        seeds: problems that each wrong gradient is made on.
        gradients: correct gradients per implementation and format.
        peers_every: of the small problems, one in so many goes to the peers too.
        family: problems that one compilation by JAX serves.
        turns: of the interleaved timing, before and after the slow mode.
        slow_turns: of gradcheck's slow mode.
        large: turns of the network of a million parameters.
    """

    whole_bank: bool
    seeds: int
    gradients: int
    peers_every: int
    family: int
    turns: int
    slow_turns: int
    large: int


QUICK = Sizes(whole_bank=False, seeds=1, gradients=64, peers_every=8, family=16, turns=5, slow_turns=1, large=1)
FULL = Sizes(whole_bank=True, seeds=5, gradients=1360, peers_every=5, family=8, turns=15, slow_turns=3, large=5)


def measure(
    quick: bool, seed: int, sizes: Sizes | None = None, jobs: int = 2, chosen: Sequence[int] | None = None
) -> Report:
    """Detection, false alarms, names and time of this checker, gradcheck, JAX, autograd and SciPy.

    Args:
        quick: small sizes: a minute instead of many.
        seed: of every problem.
        sizes: other sizes than these two.
        jobs: processes.
        chosen: indices into the bank; those of the sizes if not given.
    """
    sizes = sizes or (QUICK if quick else FULL)
    indices = caught.selected(not sizes.whole_bank) if chosen is None else chosen
    seeds = range(seed, seed + sizes.seeds)
    seconds = speed.seconds(sizes.turns, sizes.slow_turns, seed)
    large = speed.large_seconds(sizes.large, seed)
    rows = caught.run("checked", indices, seeds, jobs)
    names = [*caught.run("named", caught.nameable(indices), seeds[:1], jobs), *planted.run(seed, jobs)]
    sizes_caught = power.power(quick, seeds, jobs)
    tallies = false_alarms.campaign(sizes.gradients, seed, sizes.peers_every, sizes.family, jobs)
    implementations = false_alarms.rows_of(tallies)
    return Report(
        question="Which checker catches which wrong gradients, and which right ones does it call wrong?",
        claim=(
            "This checker catches every mistake of the bank from a relative error of 1e-13 in float64 and 1e-5 in "
            "float32 on, names at least 98% of those that have a name (95% in half precision, of those that move an "
            "array by the errors below or more), and calls no correct gradient of torch, JAX, autograd and NumPy "
            "wrong, from float64 down to bfloat16. On 64-64-64-10 with 32 examples it catches every error in a layer's "
            "derivative or a common factor from 1e-14 (float64), 1e-6 (float32), 3e-3 (float16), 2e-2 (bfloat16) on."
        ),
        refuted_by=(
            "a wrong gradient at or above these errors (by norm, of the array furthest off) that passes; a false "
            "alarm; fewer names. Times have goals, shown as such: another load of the machine must not refute a claim. "
            "Cells: wrong gradients caught / given, by each checker's defaults (SciPy's has none: see SCIPY_LIMIT); "
            "the smallest relative error from which on all are caught; false alarms / correct gradients; ms a check "
            "that finds nothing, the median. Not counted as false alarms, but apart: another slope at an exact kink; "
            "overflow in the format; rounding as large as the gradients; published deviations."
        ),
        columns={"what": "mistake", **{c.name: h for c, h in zip(CHECKERS, HEADINGS, strict=True)}},
        rows=[*rows, *names, *implementations, *sizes_caught],
        figures=power.figures_of(sizes_caught) | figures_of(rows, names, implementations, seconds, large),
        holds=holds(rows, names, implementations) and power.reached(sizes_caught),
        digest=table(rows, tallies),
    )


def holds(rows: Sequence[Row], names: Sequence[Row], implementations: Sequence[Row]) -> bool:
    """Whether nothing at or above the claim's errors passed, nothing right was called wrong, and enough was named."""
    complete = all(caught.of_checker(rows, name) and not caught.missed(caught.of_checker(rows, name)) for name in OURS)
    judged = all(row["gradients"] > 0 for row in implementations) and bool(implementations)
    alarms = sum(row["false alarm"] + row["peers"].get(OURS[1], {}).get("alarms", 0) for row in implementations)
    enough = all(share_named(names, number) >= goal for number, goal in NAMED.items())
    return complete and judged and not alarms and enough


def telling(names: Sequence[Row], number: str) -> list[Row]:
    """A format's mistakes that move an array at least as far as every error of that format has to be caught."""
    return [row for row in names if row["format"] == number and row["planted"] >= power.GOALS[number]]


def share_named(names: Sequence[Row], number: str) -> float:
    """The share of a format's mistakes that are caught and called by a name of theirs; 0 if there are none."""
    mine = telling(names, number)
    return sum(row["caught"] and row["right"] for row in mine) / max(1, len(mine))


# ── the table ────────────────────────────────────────────────────────────────────────────────────────


def table(rows: Sequence[Row], tallies: Mapping[tuple[str, str], false_alarms.ImplementationTally]) -> list[Row]:
    """Kind by checker; then the smallest error that each catches, its false alarms and its time."""
    kinds = dict.fromkeys((row["kind"], row["format"]) for row in rows)
    found = [
        {"what": kind if number == "float64" else f"{kind}, {number}"}
        | {c.name: _share_caught([r for r in rows if (r["kind"], r["format"], r["checker"]) == (kind, number, c.name)])
           for c in CHECKERS}
        for kind, number in kinds
    ]  # fmt: skip
    for number in caught.LEAST:
        least = {c.name: _size(caught.smallest_caught(caught.of_checker(rows, c.name), number)) for c in CHECKERS}
        found += [{"what": f"all relative errors from, {number}"} | least]
    found.append({"what": "false alarms"} | {c.name: "–" for c in CHECKERS} | alarms_by_checker(tallies))
    times = {c.name: f"{1e3 * caught.typical_seconds(caught.of_checker(rows, c.name)):.3g}" for c in CHECKERS}
    return [*found, {"what": "time [ms]"} | times]


def _share_caught(rows: Sequence[Row]) -> str:
    return f"{sum(row['caught'] for row in rows)}/{len(rows)}" if rows else "–"


def _size(size: float) -> str:
    return "none" if isnan(size) else f"{size:.0e}".replace("e-0", "e-")


def alarms_by_checker(tallies: Mapping[tuple[str, str], false_alarms.ImplementationTally]) -> dict[str, str]:
    """Alarms / correct gradients, by checker."""
    together = false_alarms.ImplementationTally()
    for tally in tallies.values():
        together.add(tally)
    given = together.judged - together.outcomes["deviation"]
    counts = {name: f"{c['alarms']}/{c['given']}" for name, c in together.peers.items()}
    return {OURS[0]: f"{together.outcomes['false alarm']}/{given}"} | counts


# ── the figures ──────────────────────────────────────────────────────────────────────────────────────


def figures_of(
    rows: Sequence[Row],
    names: Sequence[Row],
    implementations: Sequence[Row],
    seconds: Mapping[str, float],
    large: float,
) -> dict[str, Any]:
    """The numbers that decide, and the times against their goals."""
    figures: dict[str, Any] = {}
    for name in OURS:
        mine = caught.of_checker(rows, name)
        figures[f"{name}: wrong gradients"] = len(mine)
        figures[f"{name}: missed at or above 1e-13 (float32: 1e-5)"] = len(caught.missed(mine))
        below = [row for row in mine if not row["caught"] and row["planted"] < caught.LEAST.get(row["format"], inf)]
        figures[f"{name}: missed below, or in half precision, by planted size"] = _sizes(below)
    for number, goal in NAMED.items():
        mine = telling(names, number)
        figures[f"mistakes with a name from {power.GOALS[number]:g} on, {number}"] = len(mine)
        figures[f"caught, {number}, goal all"] = sum(row["caught"] for row in mine)
        figures[f"called by their name, {number}, goal {goal:.0%}"] = share_named(names, number)
        figures[f"not called by it, {number}"] = ", ".join(row["name"] for row in mine if not row["right"]) or "none"
        below = [row for row in names if row["format"] == number and row["planted"] < power.GOALS[number]]
        figures[f"smaller ones, caught of all, {number}"] = f"{sum(row['caught'] for row in below)} of {len(below)}"
    total: Counter[str] = Counter()
    for row in implementations:
        total.update({outcome: row[outcome] for outcome in false_alarms.OUTCOMES})
        total.update(gradients=row["gradients"], arrays=row["arrays"])
        figures[f"{row['what']}, {row['format']}"] = _said(row)
    figures["correct gradients"] = total["gradients"]
    figures["arrays in them"] = total["arrays"]
    figures["false alarms"] = total["false alarm"]
    for row in implementations:
        for line in row["alarms"][:3]:
            figures[f"false alarm: {line}"] = ""
    figures |= {
        "8,970 parameters: check [ms]": 1e3 * seconds["check"],
        "check / gradcheck fast, goal 4": seconds["check"] / seconds["fast"],
        "check / gradcheck slow, goal 0.01": seconds["check"] / seconds["slow"],
        "certified check [ms]": 1e3 * seconds["certified"],
        "certified check / gradcheck slow, goal 0.05": seconds["certified"] / seconds["slow"],
        "a million parameters: check [s], goal 20": large,
    }
    return figures


def _sizes(rows: Sequence[Row]) -> str:
    counted = Counter((row["format"], row["size"] or row["planted"]) for row in rows)
    return ", ".join(f"{number} {_size(size)}: {n}" for (number, size), n in sorted(counted.items())) or "none"


def _said(row: Row) -> str:
    """A row of the false alarms in words."""
    parts = [f"{row['gradients']:,} gradients", f"{row['agrees']:,} on the accurate scale"]
    parts += [f"{row[outcome]:,} {outcome}" for outcome in false_alarms.OUTCOMES[1:] if row[outcome]]
    if row["worst"]:
        parts.append(f"worst {row['worst']:.3g} of {FACTOR:g} σ on the textbook scale")
    if row["deviations"]:
        parts.append("deviations: " + ", ".join(f"{name} {n}" for name, n in row["deviations"].items()))
    return "; ".join(parts)


def draw(report: Report, path: Path) -> None:
    """The share of relative errors that each checker catches; its time and its false alarms."""
    picture(report, path)
