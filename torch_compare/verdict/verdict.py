"""How a verdict is reached, once the right gradients and the two scales are known.

agrees              within the accurate scale; or within the textbook scale, and then it says where
                    and how many digits the customary formulas lose: every element, and every statistic of all
imprecise           the right formula with more rounding than either scale explains: fits a lower precision
another convention  differs only through units that sit exactly on a kink, by a slope between its sides
wrong               none of these
unresolved          the problem overflows in the stated precision, rounding in it reaches the gradients themselves, or
                    no precision tells the exact gradient
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isinf
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.rounding.distance import WorstElement
from reference.rounding.scale import Rounding

from ..diagnosis.wording import Diagnosis, listed
from .by_scale import ByScale
from .conventions import another_convention
from .error_map import ErrorMap
from .overflow import in_range
from .page import part
from .rounded_kinks import rounded_kinks
from .status import Status

NOTHING = "no rounding of a correct formula explains the difference"


@dataclass(frozen=True)
class Verdict:
    """The judgement of `check`.

    Attributes:
        status: one of `Status`, which is its text: "agrees", "wrong", …
        worst: the element whose error is largest in units of the scale that it was judged by.
        scale: "accurate" or "textbook": the scale that it was judged by.
        dtype: the precision that was asked of it.
        diagnosis: one sentence saying what the status means here; of a wrong gradient, the mistake that makes it, if
            it was looked for.
        reproduce: a line that computes the expected number again.
        accurate: the largest error in units of the accurate scale.
        digits: the decimal digits that agree in the worst element of every leaf, −log₁₀ of its relative error, as
            NIST's Statistical Reference Datasets score it; infinite if all are equal.
        places: the worst element of every leaf, by place.
        statistics: the worst element and the worst statistic of every kind, in units of their limits, by kind.
        decided: the statistic that decided, with its size in standard errors; "" if the worst element did.
        coarser: the coarser format whose errors the numbers have, of an imprecise verdict; "" if there is none.
        formats: the steps of a module that compute in another format than its parameters', by that format.
        calls: where a module makes the steps that the diagnosis names, by step.
        untold: the leaves, of those that agree, of which that says nothing: rounding there is as large as the gradient,
            or no number, and zeros would agree too.
        untraced: why the derivative of a loss of one's own is not judged but taken as torch.autograd gives it; "" if it
            is judged.
        maps: the errors of every leaf in rounding scales, several elements a cell where there are many.
    """

    status: Status
    worst: WorstElement
    scale: str
    dtype: str
    diagnosis: Diagnosis
    reproduce: str
    accurate: float
    digits: Mapping[str, float] = field(default_factory=dict, repr=False)
    places: Mapping[str, WorstElement] = field(default_factory=dict, repr=False)
    statistics: Mapping[str, float] = field(default_factory=dict, repr=False)
    decided: str = ""
    coarser: str = ""
    formats: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    calls: Mapping[str, str] = field(default_factory=dict, repr=False)
    untold: tuple[str, ...] = ()
    untraced: str = ""
    maps: Mapping[str, ErrorMap] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "diagnosis", Diagnosis.of(self.diagnosis))

    @property
    def agrees(self) -> bool:
        """Whether the status is "agrees"."""
        return self.status == Status.AGREES

    @property
    def within(self) -> bool:
        """Whether every element and statistic is within its limit: of what agrees, and of what rounding buries."""
        return self.agrees or (
            self.status == Status.UNRESOLVED and all(excess <= 1 for excess in self.statistics.values())
        )

    @property
    def runner_up(self) -> str:
        """Another mistake that explains a wrong gradient as well; "" if there is none."""
        return self.diagnosis.runner_up

    @property
    def fewest_digits(self) -> tuple[str, float]:
        """The leaf with the fewest digits that agree, and how many."""
        return min(self.digits.items(), key=lambda item: item[1])

    def __str__(self) -> str:
        lines = [f"{self.status} ({self.dtype}, {self.scale} scale)", f"worst at {self.worst}"]
        if self.decided:
            lines.append(f"decided by all elements together: {self.decided}")
        lines.append(f"{'diagnosis' if self.diagnosis.sought else 'that is'}: {self.diagnosis}")
        if self.runner_up:
            lines.append(f"or else: {self.runner_up}")
        lines += [f"{step} is made {where}" for step, where in self.calls.items()]
        lines += [f"in {form}, as the module computes them: {listed(steps)}" for form, steps in self.formats.items()]
        if self.untold:
            rounding = "where rounding is as large as the gradient, or no number, and zeros would agree too"
            lines.append(f"nothing is told of {listed(self.untold)}, {rounding}")
        if self.untraced:
            lines.append(f"not judged: the loss's own derivative, taken as torch.autograd gives it: {self.untraced}")
        if self.digits:
            place, fewest = self.fewest_digits
            lines.append("digits that agree: all" if isinf(fewest) else f"digits that agree: {fewest:.1f}, in {place}")
        return "\n  ".join([*lines, f"expected is {self.reproduce}"])

    def _repr_html_(self) -> str | None:
        """What a notebook shows; None, for which it shows the text, where Jinja2 is not installed."""
        try:
            return part(self)
        except ModuleNotFoundError:
            return None


def judge(
    problem: ref.Problem,
    leaves: Mapping[str, Any],
    expected: Mapping[str, Any],
    fmt: Format,
    accurate: Rounding,
    textbook: Callable[[], Rounding],
    *,
    strict: bool = False,
    first: ByScale | None = None,
) -> Verdict:
    """The verdict on given leaves, from the expected ones and the rounding errors of both scales (see `check`).

    `first` is how they stand by the accurate scale, if that is known.
    """
    first = ByScale(problem, leaves, expected, accurate, fmt) if first is None else first
    found = first

    def verdict(status: Status, scale: str, diagnosis: str) -> Verdict:
        place, said = found.worst, Diagnosis(diagnosis, sought=False)
        leaf = f'["{place.leaf}"]' if isinstance(problem.network, ref.Network) else f".{place.leaf}"
        reproduce = f"ref.gradients(problem){leaf}{_at(place)}"
        return Verdict(
            status, place, scale, fmt.name, said, reproduce, first.worst.scales, places=found.places,
            statistics=found.in_limits(), decided=_decided(found), maps=found.maps(),
            untold=found.untold() if status is Status.AGREES else (),
        )  # fmt: skip

    if np.isnan(first.worst.scales):
        return verdict(Status.UNRESOLVED, "accurate", f"the problem's gradients overflow in {fmt.name}")
    held = in_range(problem, leaves, fmt)
    if first.worst.leaf not in held and not np.isfinite(first.worst.given):
        return verdict(Status.UNRESOLVED, "accurate", f"numbers on the way to the gradients overflow in {fmt.name}")
    if first.within:
        kinks = rounded_kinks(problem, fmt)
        if not kinks and not first.tells_zeros():
            return verdict(Status.UNRESOLVED, "accurate", _buried(fmt))
        return verdict(Status.AGREES, "accurate", "every element is within rounding of the oracle's" + kinks)
    found = ByScale(problem, leaves, expected, accurate.wider(textbook()), fmt)
    if found.within:
        kinks = rounded_kinks(problem, fmt)
        if not kinks and not found.tells_zeros():
            return verdict(Status.UNRESOLVED, "textbook", _buried(fmt))
        text = f"within rounding of the customary formulas, which lose {lost_digits(first.worst)} in {first.worst.leaf}"
        if strict:
            return verdict(Status.IMPRECISE, "textbook", f"{text}{_at(first.worst)}, and strict=True forgives none")
        return verdict(Status.AGREES, "textbook", text + kinks)
    if not np.isnan(found.worst.scales):
        slope = another_convention(problem, held, fmt)
        if slope:
            return verdict(Status.ANOTHER_CONVENTION, "textbook", slope)
    return verdict(Status.WRONG, "textbook", NOTHING)


def _decided(found: ByScale) -> str:
    """What decided, if it was not the largest element: the statistic, its size, and that of the largest element."""
    statistic = found.decisive
    return f"{statistic}; largest element {found.worst.scales:.3g} σ" if statistic else ""


def lost_digits(worst: WorstElement) -> str:
    """The decimal digits that errors of so many rounding scales are, in words; all where the scale is 0."""
    lost = np.log10(max(worst.scales, 1.0))
    return f"{lost:.1f} digits" if np.isfinite(lost) else "all digits"


def _buried(fmt: Format) -> str:
    return f"rounding in {fmt.name} reaches the gradients themselves: zeros would agree as well as these"


def _at(place: WorstElement) -> str:
    return f"[{', '.join(map(str, place.index))}]" if place.index else ""


# ── what is compared ─────────────────────────────────────────────────────────────────────────────────


def expected_leaves(problem: ref.Problem) -> dict[str, Any]:
    """The oracle's gradients by place, the loss included, computed in float64."""
    with np.errstate(all="ignore"):
        found = ref.gradients(problem.in_float64())
    return found.leaves()
