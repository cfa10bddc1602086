"""Gradients against certified ones: which number is expected, and what a wide interval leaves open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.rounding.distance import FACTOR

from ..diagnosis.wording import Diagnosis
from .given import Given
from .status import Status
from .verdict import Verdict


def certificate_of(problem: ref.Problem, asked: bool | ref.CertifiedGradients) -> ref.CertifiedGradients | None:
    """The certified gradients that were asked for, or that were given, if they are of this problem's shapes."""
    if not isinstance(asked, ref.CertifiedGradients):
        return ref.certified_gradients(problem) if asked else None
    shapes = {place: np.shape(leaf.nearest) for place, leaf in asked.leaves().items()}
    for place, shape in problem.gradient_shapes().items():
        if shapes.get(place) != shape:
            raise ValueError(f"certified: expected a gradient of {place} of shape {shape}, got {shapes.get(place)}")
    return asked


def nearest_certified(certificate: ref.CertifiedGradients, given: Given) -> dict[str, Any]:
    """The certified gradients; if an interval stays wide, the number in it that is nearest to what was given."""
    expected = {}
    for place, leaf in certificate.leaves().items():
        near = leaf.nearest
        if place in given.leaves:
            values = np.asarray(given.leaves[place], dtype=float)
            values = np.where(np.isnan(values), np.nan_to_num(near), values)
            lower = np.where(np.isnan(leaf.lower), -np.inf, leaf.lower)
            upper = np.where(np.isnan(leaf.upper), np.inf, leaf.upper)
            near = np.where(leaf.resolved, near, np.clip(values, lower, upper))
        expected[place] = np.asarray(near)
    return expected


def reproducible(verdict: Verdict) -> Verdict:
    """The verdict whose line computes the certified number again."""
    place = verdict.worst
    at = f"[{', '.join(map(str, place.index))}]" if place.index else ""
    return replace(verdict, reproduce=f"ref.certified_gradients(problem).{place.leaf}.nearest{at}")


def doubted(verdict: Verdict, certificate: ref.CertifiedGradients, given: Given, fmt: Format) -> Verdict:
    """The verdict, unresolved if the certificate leaves more open than one rounding of the format, 32 times over.

    σ says nothing here: behind a kink that no precision decides the noise takes both slopes, and explains any width.
    """
    if verdict.status not in (Status.AGREES, Status.UNRESOLVED):
        return verdict
    for place, leaf in certificate.leaves().items():
        if place not in given.leaves or np.all(leaf.resolved):
            continue
        with np.errstate(invalid="ignore"):
            size = np.maximum(np.abs(leaf.lower), np.abs(leaf.upper))
            narrow = np.isfinite(size) & (leaf.upper - leaf.lower <= FACTOR * fmt.unit_roundoff * size)
        wide = np.argwhere(np.atleast_1d(~np.asarray(leaf.resolved | narrow)))
        if len(wide):
            index = tuple(int(i) for i in wide[0])[: np.ndim(leaf.nearest)]
            lower, upper, yours = (float(a[index]) for a in (leaf.lower, leaf.upper, given.leaves[place]))
            text = f"{place}{list(index) if index else ''}: the exact gradient lies between {lower!r} and {upper!r}, "
            text += f"and no precision says where; yours is {yours!r}"
            text += f" ({certificate.undecided})" if certificate.undecided else ""
            return replace(verdict, status=Status.UNRESOLVED, diagnosis=Diagnosis(text, sought=False))
    return verdict
