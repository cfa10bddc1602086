"""Is an optimiser's step right, and if not, what was done wrong?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from reference.arithmetic.formats import FORMATS, Format, get_format
from reference.arithmetic.noise_source import representable
from reference.optimizers import Optimizer
from reference.rounding.distance import digits, worst_of

from ..diagnosis.wording import Diagnosis, amount
from ..torch_side.optimizer_deviations import OPTIMIZER_DEVIATIONS
from ..verdict.status import Status
from ..verdict.verdict import Verdict
from .distance import LIMIT
from .judged import Judged, judged
from .scales import Scales, exact, measured, with_coarse_scalars
from .search import Search, share, unexplained
from .step import Leaves, Step, arrays, leaves, read_state, read_step

ONE_NUMBER = ("mu_product", "eta", "mu")
COARSER = ("float32", "tf32", "float16", "bfloat16")
_SIZES = ("sigma", "slack")


@dataclass(frozen=True)
class StepVerdict(Verdict):
    """The judgement of `check_step`: a `Verdict`, its places "params[0]", "exp_avg[0]", "step".

    Attributes:
        way: how far the parameters are off, as a share of the way that the right step moves them.
    """

    way: float = 0.0

    def __str__(self) -> str:
        text = super().__str__()
        if self.agrees or self.status == Status.UNRESOLVED or not self.worst.leaf.startswith("params["):
            return text
        head, first, rest = text.partition("\n  worst at ")
        moved = f"{100 * self.way:.2g}% of the way moved" if isfinite(self.way) else "what should not have moved"
        return f"{head}{first}{rest}".replace("\n  digits that", f"\n  off by {moved}\n  digits that", 1)


def check_step(
    optimizer: Optimizer,
    params: Any,
    gradients: Any,
    state: Any,
    given: Any,
    dtype: DTypeLike | Format | None = None,
    *,
    diagnose: bool = True,
    seed: int = 0,
) -> StepVerdict:
    """Judge an optimiser's step: new parameters, and the new state if it is given.

    Args:
        optimizer: one of `reference.optimizers`, with the hyperparameters of the step.
        params: before the step: an MLP, a sequence (None for an absent bias) or a mapping of arrays of any library.
        gradients: of the same shapes: a Gradients, a sequence or a mapping.
        state: before the step, as `optimizer.init` and `update` give it: "step" and a slot an array; None if there
            was no step before.
        given: the new parameters as `params` are given, or (parameters, state). Slots may be left out of the state:
            what is missing is not judged.
        dtype: the precision that the step is computed in; if not given, the finest that an array is stored in. What
            is stored in a coarser one is rounded to it besides.
        diagnose: whether to look for the mistake behind a wrong step; the status does not depend on it.
        seed: of the noise that measures the rounding scale.

    Raises:
        TypeError: something is no array of floating numbers, or of another kind than the parameters.
        ValueError: a shape, key or count does not fit, the dtype is unknown, or the optimiser evaluates the loss at
            several points a step; the message names what and where.

    >>> import reference as ref
    >>> opt, w, g = ref.optimizers.adam(lr=0.1), [np.array([1.0, -2.0])], [np.array([0.5, 4.0])]
    >>> new, after = opt.update(w, g, opt.init(w))
    >>> check_step(opt, w, g, opt.init(w), (new, after)).status
    'agrees'
    >>> m, v = after["exp_avg"][0], after["exp_avg_sq"][0]
    >>> verdict = check_step(opt, w, g, None, [w[0] - 0.1 * m / (np.sqrt(v) + 1e-8)])
    >>> verdict.status, str(verdict.diagnosis)[:36]
    ('wrong', 'the bias corrections left out; with ')
    """
    step = read_step(optimizer, params, gradients, state)
    step, made = _read_given(step, given)
    with np.errstate(all="ignore"):
        return _verdict(step, made, get_format(_finest(step) if dtype is None else dtype), diagnose=diagnose, seed=seed)


def _verdict(step: Step, made: Leaves, fmt: Format, *, diagnose: bool, seed: int) -> StepVerdict:
    expected = exact(step)
    narrow = measured(step, fmt, expected, seed=seed)
    found = judged(made, expected, step, narrow, fmt)
    if found.within:
        return _verdict_of(found, Status.AGREES, "accurate", _said("every element is within rounding of the oracle's"))
    if step.optimizer.name == "muon" and not found.undecided and Search(step, made, expected, narrow, fmt).named():
        return _off(found, diagnose=diagnose, seed=seed)  # the wider scale, of bfloat16, would excuse the mistake
    wide = with_coarse_scalars(step, narrow, fmt, seed=seed)
    wider = judged(made, expected, step, wide, fmt)
    if wider.within:
        return _verdict_of(wider, Status.AGREES, "textbook", _said(_lost(step, fmt)))
    if wider.undecided:
        return _verdict_of(
            wider, Status.UNRESOLVED, "textbook", _said(f"numbers of the step overflow or cancel in {fmt.name}")
        )
    return _off(wider, diagnose=diagnose, seed=seed)


def _off(found: Judged, *, diagnose: bool, seed: int) -> StepVerdict:
    """The verdict on a step that rounding in its own precision does not explain."""
    step, fmt = found.step, found.fmt
    search = Search(step, found.given, found.expected, found.scales, fmt)
    own = _torchs_own(found, seed)
    fits = [] if own else search.named() or search.factors()
    if fits and fits[0].candidate.convention:
        return _verdict_of(found, Status.ANOTHER_CONVENTION, "textbook", _said(fits[0].candidate.what))
    said = "" if fits else own or _coarser(found, seed)
    if said:
        return _verdict_of(found, Status.IMPRECISE, "textbook", _said(said))
    if not diagnose:
        return _verdict_of(
            found, Status.WRONG, "textbook", _said("no rounding of a correct step explains the difference")
        )
    if not fits:
        return _verdict_of(found, Status.WRONG, "textbook", Diagnosis(unexplained(search) + _tendency(found)))
    best, others = fits[0], [fit for fit in fits[1:] if fit.candidate.name != fits[0].candidate.name]
    text = f"{best.candidate.what}; with that, the oracle's formulas give your numbers {_to(best.scales)}"
    names = (best.candidate.name,)
    runner_up = others[0].candidate.what if others else ""
    explained = Diagnosis(text, names, best.scales, runner_up, tuple((fit.candidate.name,) for fit in others))
    return _verdict_of(found, Status.WRONG, "textbook", explained)


def _to(scales: float) -> str:
    return amount(scales) if scales <= 1 else f"to {amount(scales)}"


def _said(text: str) -> Diagnosis:
    return Diagnosis(text, sought=False)


def _lost(step: Step, fmt: Format) -> str:
    if step.optimizer.name == "muon":
        return "within rounding of a Newton–Schulz iteration in bfloat16, as torch computes it"
    coarse = "float32" if fmt.bits <= 24 else fmt.name
    return f"within rounding of a step whose hyperparameters and powers βᵗ are {coarse} numbers"


def _tendency(found: Judged) -> str:
    place, part, _ = found.lean
    return f"; in {place} it is {100 * part:+.2g}% along the right one" if place and found.worst.scales <= LIMIT else ""


# ── other arithmetics that explain a step ────────────────────────────────────────────────────────────


def _torchs_own(found: Judged, seed: int) -> str:
    """What torch is known to compute otherwise, if that is what is given."""
    step = found.step
    kinds = {"float64": np.dtype(np.float64), "bfloat16": "bfloat16"}
    if found.fmt.name not in kinds:
        return ""
    for row in OPTIMIZER_DEVIATIONS:
        if row.as_torch is None or not row.applies(step.optimizer, kinds[found.fmt.name], step.state["step"]):
            continue
        optimizer, scales = row.as_torch(step.optimizer), found.scales
        expected = leaves(step.labels, *step.take(optimizer))
        if row.slots:
            own = measured(replace(step, optimizer=optimizer), found.fmt, expected, seed=seed)
            scales = replace(
                scales, **{name: _in_slots(getattr(scales, name), getattr(own, name), row.slots) for name in _SIZES}
            )
        if judged(found.given, expected, step, scales, found.fmt).within:
            return f"torch's own arithmetic: {row.what}"
    return ""


def _in_slots(one: Leaves, other: Leaves, slots: tuple[str, ...]) -> Leaves:
    """The leaves of one, those of these slots of the other."""
    return {place: other[place] if place.partition("[")[0] in slots else leaf for place, leaf in one.items()}


def _coarser(found: Judged, seed: int) -> str:
    """The precision whose errors these are, or the rounding that is none to nearest; "" if neither."""
    step, fmt = found.step, found.fmt
    params = [place for place in found.given if place.startswith("params[")]
    for name in COARSER:
        other = FORMATS[name]
        if other.coarsest_bits >= fmt.coarsest_bits or (name == "tf32" and step.optimizer.name != "muon"):
            continue
        scales = measured(step, other, found.expected, seed=seed)
        kept = all(np.all(representable(found.given[p], other.bits)) for p in params)
        scales = scales if kept else Scales(scales.sigma, found.scales.slack, scales.runs)
        sure = all(_smaller(scales, found, place) for place in params)
        if sure and judged(found.given, found.expected, step, scales, other if kept else fmt).within:
            return f"the errors are those of {name}, not of {fmt.name}"
    doubled = Scales(found.scales.sigma, {p: 2 * s for p, s in found.scales.slack.items()}, {})
    if judged(found.given, found.expected, step, doubled, fmt).within and not _leans(found):
        return "rounded to where it is stored another way than to nearest, at random or by cutting"
    return ""


def _smaller(scales: Scales, found: Judged, place: str) -> bool:
    """Whether the scale is small beside the way moved: else it would excuse anything."""
    way = np.abs(np.float64(found.expected[place] - found.step.start[place]))
    reach = LIMIT * scales.sigma[place] + scales.slack[place]
    return bool(np.all(np.median(reach[way > 0]) < 0.5 * np.median(way[way > 0]))) if np.any(way > 0) else True


def _leans(found: Judged) -> bool:
    """Whether the errors of storing lean along the step, which those of random rounding do not."""
    above = below = 0.0
    for place, value in found.given.items():
        if place.startswith("params["):
            way = np.float64(found.expected[place] - found.step.start[place])
            error = np.float64(np.longdouble(value) - found.expected[place])
            above += float(np.sum(np.sign(way) * error))
            below += float(np.sum(np.square(error)))
    return bool(below > 0 and abs(above) > 5 * np.sqrt(below))


# ── judging ──────────────────────────────────────────────────────────────────────────────────────────


def _verdict_of(found: Judged, status: Status, scale: str, diagnosis: Diagnosis) -> StepVerdict:
    params, slots = ({p: w for p, w in found.places.items() if p.startswith("params[") == one} for one in (True, False))
    worst = worst_of(params)
    if slots and worst.scales <= LIMIT < worst_of(slots).scales:
        worst = worst_of(slots)
    at = f"[{', '.join(map(str, worst.index))}]" if worst.index else ""
    return StepVerdict(
        status=status,
        worst=worst,
        scale=scale,
        dtype=found.fmt.name,
        diagnosis=diagnosis,
        reproduce=f"{worst.leaf}{at} after optimizer.update(params, gradients, state)",
        accurate=worst.scales,
        digits={p: digits(v, np.float64(found.expected[p])) for p, v in found.given.items() if p in found.places},
        places=found.places,
        way=share(Search(found.step, found.given, found.expected, found.scales, found.fmt)),
    )


def _read_given(step: Step, given: Any) -> tuple[Step, Leaves]:
    """What is to be judged by place, and the step with the formats that it is stored in."""
    formats: dict[str, str] = {}
    new, after = given, None
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping):
        new, after = given
    flat = arrays("given", new, step.labels, formats, step.params)
    formats = {place.replace("given[", "params[", 1): name for place, name in formats.items()}
    state = {} if after is None else read_state(step.state, after, step.labels, formats, whole=False)
    return replace(step, formats={**step.formats, **formats}), leaves(step.labels, flat, state)


def _finest(step: Step) -> str:
    """The finest format that an array is stored in; one number that counts along for an array does not matter."""
    arrays = (name for place, name in step.formats.items() if place.partition("[")[0] not in ONE_NUMBER)
    return max(arrays, key=lambda name: FORMATS[name].bits)
