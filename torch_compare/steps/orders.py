"""Customary orders of an update in which θ is rounded in the middle, besides the one of a single subtraction.

Momentum is often subtracted in two parts: θ − a − b, the first difference rounded to where it is stored or computed.
That errs by up to an ulp of θ, where a single subtraction errs by half. Twice the slack for everyone would hide a wrong
rate; so each order is followed, its first rounding made as the format makes it, and the step is held against that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from reference.arithmetic.formats import STORED, Format

from .distance import LIMIT
from .scales import Scales
from .step import Flat, Leaves, Step


def halfway(step: Step, expected: Leaves, scales: Scales, fmt: Format) -> Iterator[tuple[Leaves, Scales]]:
    """What each order expects, and in which scales.

    >>> import reference as ref
    >>> from .scales import exact, measured
    >>> from .step import read_step
    >>> opt, state = ref.optimizers.sgd(lr=0.5, momentum=0.5), {"step": 1, "momentum_buffer": [np.ones(1)]}
    >>> step, fmt = read_step(opt, [np.ones(1)], [np.full(1, 2.0**-54)], state), STORED["float64"]
    >>> right = exact(step)
    >>> made = [expected["params[0]"][0] for expected, _ in halfway(step, right, measured(step, fmt, right), fmt)]
    >>> made == [0.75, 0.75 - np.longdouble(2.0**-55)]  # 1 − η·2⁻⁵⁴ is rounded first, or last
    True
    """
    names = {step.formats.get(f"params[{label}]", fmt.name) for label in step.labels}
    grids = [fmt, *(STORED[name] for name in names if name in STORED and STORED[name].bits < fmt.bits)]
    for parts in _parts(step, expected):
        for first, second in (parts, parts[::-1]):
            for grid in grids:
                yield _stopped(step, first, second, expected, scales, fmt, grid)


def _parts(step: Step, expected: Leaves) -> Iterator[tuple[Flat, Flat]]:
    """The two parts that are subtracted from θ, in every customary division of the update."""
    h, first = step.optimizer.hyperparameters, step.state["step"] == 0
    if step.optimizer.name not in ("sgd", "rmsprop") or not h["momentum"] or (first and not h.get("nesterov")):
        return
    lr, mu = np.longdouble(h["lr"]), np.longdouble(h["momentum"])
    before = tuple(0.0 * m if first else np.longdouble(m) for m in step.state["momentum_buffer"])
    after = tuple(np.longdouble(expected[f"momentum_buffer[{label}]"]) for label in step.labels)
    added = tuple(m - mu * b for m, b in zip(after, before, strict=True))
    if not h.get("nesterov"):
        yield _times(lr, added), _times(lr * mu, before)
        return
    yield _times(lr, added), _times(lr * mu, after)  # Keras: θ + μv − ηg
    yield _times(lr * (1 + mu), added), _times(lr * mu * mu, before)  # Bengio, Boulanger-Lewandowski & Pascanu 2013
    yield _times(-lr * mu, before), _times(lr * (1 + mu), after)  # θ − μv + (1 + μ)v′, as in CS231n


def _times(factor: np.longdouble, arrays: Flat) -> Flat:
    return tuple(factor * a for a in arrays)


def _stopped(
    step: Step, first: Flat, second: Flat, expected: Leaves, scales: Scales, fmt: Format, grid: Format
) -> tuple[Leaves, Scales]:
    """(θ − a, rounded) − b. Where the noise of a decides how that rounds, either way is right."""
    made, sigma, slack = dict(expected), dict(scales.sigma), dict(scales.slack)
    for label, p, a, b in zip(step.labels, step.params, first, second, strict=True):
        place = f"params[{label}]"
        between = np.longdouble(p) - a
        stored = STORED.get(step.formats.get(place, fmt.name), fmt)
        ulp = (stored if grid.bits < fmt.bits and stored.bits < fmt.bits else fmt).ulp(np.float64(between))
        held = np.rint(between / ulp) * ulp
        noise = fmt.unit_roundoff * np.float64(np.abs(a) + np.abs(b))  # a product each, at the least
        sigma[place] = np.hypot(sigma[place], noise)
        undecided = np.abs(np.abs(between - held) - ulp / 2) <= LIMIT * noise
        made[place], slack[place] = held - b, slack[place] + np.where(undecided, ulp, 0.0)
    return made, replace(scales, sigma=sigma, slack=slack)
