"""How a verdict is reached, once the right gradients and the two scales are known.

agrees              within the accurate scale; or within the textbook scale, and then it says where
                    and how many digits the customary formulas lose
imprecise           the right formula with more rounding than either scale explains: fits a lower precision
another convention  differs only through units that sit exactly on a kink, by a slope between its sides
wrong               none of these
unresolved          the problem overflows in the stated precision, or no precision tells the exact gradient
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isinf
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.rounding.distance import FACTOR, WorstElement, worst_of, worst_places

from ..diagnosis.wording import Diagnosis
from .conventions import another_convention
from .lower_precision import lower_precision
from .overflow import in_range
from .status import Status


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "diagnosis", Diagnosis.of(self.diagnosis))

    @property
    def agrees(self) -> bool:
        """Whether the status is "agrees"."""
        return self.status == Status.AGREES

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
        lines.append(f"{'diagnosis' if self.diagnosis.sought else 'that is'}: {self.diagnosis}")
        if self.runner_up:
            lines.append(f"or else: {self.runner_up}")
        if self.digits:
            place, fewest = self.fewest_digits
            lines.append("digits that agree: all" if isinf(fewest) else f"digits that agree: {fewest:.1f}, in {place}")
        return "\n  ".join([*lines, f"expected is {self.reproduce}"])


def judge(
    problem: ref.Problem,
    leaves: Mapping[str, Any],
    expected: Mapping[str, Any],
    fmt: Format,
    accurate: Mapping[str, Any],
    textbook: Callable[[], Mapping[str, Any]],
) -> Verdict:
    """The verdict on given leaves, from the expected ones and the two scales (see `check`)."""
    places = worst_places(leaves, expected, accurate, fmt)
    worst = worst_of(places)

    def verdict(status: Status, places: Mapping[str, WorstElement], scale: str, diagnosis: str) -> Verdict:
        place, said = worst_of(places), Diagnosis(diagnosis, sought=False)
        reproduce = f"ref.gradients(problem).{place.leaf}{_at(place)}"
        return Verdict(status, place, scale, fmt.name, said, reproduce, worst.scales, places=places)

    if np.isnan(worst.scales):
        return verdict(Status.UNRESOLVED, places, "accurate", f"the problem's gradients overflow in {fmt.name}")
    held = in_range(problem, leaves, fmt)
    if worst.leaf not in held and not np.isfinite(worst.given):
        return verdict(
            Status.UNRESOLVED, places, "accurate", f"numbers on the way to the gradients overflow in {fmt.name}"
        )
    if worst.scales <= FACTOR:
        return verdict(Status.AGREES, places, "accurate", "every element is within rounding of the oracle's")
    wider = textbook()
    wider = {leaf: np.maximum(accurate[leaf], wider[leaf]) for leaf in leaves}
    places = worst_places(leaves, expected, wider, fmt)
    scales = worst_of(places).scales
    if scales <= FACTOR:
        lost = np.log10(worst.scales)
        text = f"within rounding of the customary formulas, which lose {lost:.1f} digits in {worst.leaf}"
        return verdict(Status.AGREES, places, "textbook", text)
    if not np.isnan(scales):
        slope = another_convention(problem, held, fmt)
        if slope:
            return verdict(Status.ANOTHER_CONVENTION, places, "textbook", slope)
        lower = lower_precision(leaves, expected, wider, fmt)
        if lower:
            text = f"the errors are those of {lower}, not of {fmt.name}"
            return verdict(Status.IMPRECISE, places, "textbook", text)
    return verdict(Status.WRONG, places, "textbook", "no rounding of a correct formula explains the difference")


def _at(place: WorstElement) -> str:
    return f"[{', '.join(map(str, place.index))}]" if place.index else ""


# ── what is compared ─────────────────────────────────────────────────────────────────────────────────


def expected_leaves(problem: ref.Problem) -> dict[str, Any]:
    """The oracle's gradients by place, the loss included, computed in float64."""
    with np.errstate(all="ignore"):
        found = ref.gradients(problem.in_float64())
    return found.leaves()
