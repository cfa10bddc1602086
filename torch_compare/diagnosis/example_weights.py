"""How many times each example counts in gradients that were given: they are a sum over the examples, and so tell it.

g = Σ_n w_n·g_n, with g_n the right gradient of one example: linear equations for w, as many as there are elements.
N examples, E equations, O a layer's fan-out, I its fan-in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import Any

import numpy as np

import reference as ref
from reference.network.gradients import is_parameter, kind_of, layer_of

from ..mistakes.example_weights import counts_of, cut_at, micro_batch_weights, micro_batches, weighed
from ..mistakes.mistake import Mistake
from ..mistakes.rules import RIGHT
from .evidence import BY_NORM, Evidence, norm
from .wording import listed, number

MOST = 512
"""Examples, of more of which the equations are not solved."""
SURE = 8.0
"""Standard errors by which two weights must differ to be two."""
LARGEST_PARTITION, PARTITIONS = 4, 40_000
"""Micro-batches of unlike sizes that are tried, and the ways of cutting the batch into so many (tens of ms)."""
NEAR = 0.02
"""How near to a whole number, relative to it, a number of micro-batches or of repetitions must lie."""


@dataclass(frozen=True)
class _Equations:
    """a w = b, each equation divided by the rounding of its element.

    Attributes:
        a: (E, N).
        b: (E,).
        top: how many of the first equations are of the uppermost layer that a gradient was given of.
    """

    a: Any
    b: Any
    top: int

    @property
    def tell(self) -> bool:
        """Whether the uppermost gradients are wrong: if they are right, no example counts wrong."""
        off = self.a[: self.top].sum(axis=1) - self.b[: self.top]
        return bool(np.sqrt(np.mean(off * off)) > BY_NORM)

    def away(self, weights: Any) -> Any:
        """The root mean square of what weights (N,) or (N, H) leave, in rounding scales: one number, or H."""
        left = self.a @ weights - (self.b if np.ndim(weights) == 1 else self.b[:, None])
        return np.sqrt(np.mean(left * left, axis=0))


def _equations(evidence: Evidence) -> _Equations | None:
    """Of some elements of every gradient of a parameter, of an unlike number in each; None if there are too few."""
    problem, trace, n = evidence.problem, evidence.trace, evidence.problem.x.shape[0]
    places = [place for place in evidence.given if is_parameter(place)]
    if not places:
        return None
    each = max(16, -(-4 * n // len(places)))
    rng = np.random.default_rng(0)
    d_h = ref.loss_gradient(problem, trace.output)
    rows: list[Any] = []
    right: list[Any] = []
    top = 0
    for l in reversed(range(len(problem.mlp.layers))):
        d_z = RIGHT.slope(problem, trace, l, d_h)
        for place in (p for p in places if layer_of(p) == l):
            given = np.ravel(evidence.given[place])
            chosen = rng.permutation(given.size)[:each]
            if kind_of(place) == "weight":
                o, i = np.unravel_index(chosen, evidence.given[place].shape)
                made = d_z[:, o] * trace.inputs[l][:, i]
            else:
                made = d_z[:, chosen]
            size = max(norm(given), norm(made.sum(axis=0)))
            sigma = np.broadcast_to(np.ravel(evidence.sigma[place]), given.shape)[chosen] * size
            known = np.isfinite(sigma) & (sigma > 0)
            rows.append((made / np.where(known, sigma, 1.0)).T[known])
            right.append((given[chosen] / np.where(known, sigma, 1.0))[known])
        top = top or sum(len(b) for b in right)
        d_h = RIGHT.downward(problem, trace, l, d_z)
    a, b = np.concatenate(rows), np.concatenate(right)
    return _Equations(a, b, top) if top and np.all(np.isfinite(a)) and np.all(np.isfinite(b)) else None


def example_weight_mistakes(evidence: Evidence) -> Iterator[Mistake]:
    """Mistakes in how many times each example counts that come near to what was given: the nearest first."""
    problem = evidence.problem
    if not 2 < problem.x.shape[0] <= MOST or problem.mlp.layers[-1].fan_in * problem.x.shape[0] == 0:
        return
    equations = _equations(evidence)
    if equations is None or not equations.tell:
        return
    counts = counts_of(problem)
    if problem.reduction == "mean" and counts.sum() > 0:
        yield from _of_one_size(equations, counts)
    yield from _solved(equations, counts, problem.reduction == "mean")


def _of_one_size(equations: _Equations, counts: Any) -> Iterator[Mistake]:
    """The micro-batches of equal sizes, but for the last, or of sizes that differ by 1, that come nearest."""
    n = len(counts)
    cuts = {(*range(size, n, size), n) for size in range(2, n)}
    cuts |= {tuple(int(e) for e in np.cumsum([n // m + (k < n % m) for k in range(m)])) for m in range(2, n // 2 + 1)}
    tried = [(ends, averaged) for ends in sorted(cuts, key=lambda c: (len(c), c)) for averaged in (True, False)]
    weights = np.stack([micro_batch_weights(counts, ends, averaged) for ends, averaged in tried], axis=1)
    uneven = np.ptp(weights[counts > 0], axis=0) > NEAR * np.max(weights, axis=0)  # the others are plain factors
    if not np.any(uneven):
        return
    tried, weights = [t for t, kept in zip(tried, uneven, strict=True) if kept], weights[:, uneven]
    away = equations.away(weights)
    for which in np.argsort(away, kind="stable")[:1]:
        if away[which] <= BY_NORM:
            yield cut_at(counts, *tried[which])


# ── weights solved for ───────────────────────────────────────────────────────────────────────────────


def _solved(equations: _Equations, counts: Any, mean: bool) -> Iterator[Mistake]:
    """Micro-batches of any sizes, examples left out or repeated, from the weights that solve the equations."""
    used = np.any(equations.a != 0, axis=0)
    if len(equations.b) < 2 * np.sum(used) or not np.any(used):
        yield from _of_a_few_sizes(equations, counts) if mean and np.any(used) else ()
        return
    a = equations.a[:, used]
    left, singular, right = np.linalg.svd(a, full_matrices=False)
    if not singular[-1] > singular[0] * 1e-10:
        return
    solution = right.T @ ((left.T @ equations.b) / singular)
    error = np.sqrt(np.sum((right.T / singular) ** 2, axis=1))
    weights, errors = np.ones(len(counts)), np.zeros(len(counts))
    weights[used], errors[used] = solution, error
    if equations.away(weights) > BY_NORM:
        return
    if np.any(SURE * errors > np.maximum(NEAR, NEAR * np.abs(weights))):
        if mean:
            yield from _of_a_few_sizes(equations, counts)
        return
    if mean:
        yield from _of_any_sizes(equations, counts, np.where(used, weights, np.nan), errors)
    yield from _repeated(equations, weights, used)


def _of_a_few_sizes(equations: _Equations, counts: Any) -> Iterator[Mistake]:
    """The two to four micro-batches of any sizes that come nearest: where rounding leaves no weight by itself certain.

    With C and h the sums of aᵀa and aᵀb over the examples of each run, weights w of the runs leave wᵀCw − 2wᵀh + bᵀb.
    """
    n = len(counts)
    gram = np.zeros((n + 1, n + 1))
    gram[1:, 1:] = np.cumsum(np.cumsum(equations.a.T @ equations.a, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(equations.a.T @ equations.b)])
    total = np.concatenate([[0.0], np.cumsum(counts)])
    found: list[tuple[float, tuple[int, ...], bool]] = []
    for batches in range(2, min(LARGEST_PARTITION, n) + 1):
        if comb(n - 1, batches - 1) > PARTITIONS:
            break
        inner = np.array(list(combinations(range(1, n), batches - 1)))
        ends = np.concatenate([np.zeros((len(inner), 1), int), inner, np.full((len(inner), 1), n)], axis=1)
        sums = np.diff(total[ends], axis=1)
        each = np.where(sums > 0, total[-1] / np.where(sums > 0, sums, 1.0), 0.0)
        uneven = np.ptp(each, axis=1) > NEAR * each.max(axis=1)  # the others are plain factors
        ends, each = ends[uneven], each[uneven]
        blocks = np.diff(np.diff(gram[ends[:, :, None], ends[:, None, :]], axis=1), axis=2)
        quadratic = np.einsum("pi,pij,pj->p", each, blocks, each)
        linear = (each * np.diff(along[ends], axis=1)).sum(axis=1)
        for averaged, c in ((True, 1 / batches), (False, 1.0)):
            left = c * c * quadratic - 2 * c * linear
            found += [(float(left[p]), tuple(map(int, ends[p, 1:])), averaged) for p in np.argsort(left)[:2]]
    found.sort()
    if not found:
        return
    least, nearest, averaged = found[0]
    made = micro_batch_weights(counts, nearest, averaged)
    size = equations.away(made)
    if size > BY_NORM:
        return
    alike = len(found) > 1 and found[1][0] - least <= SURE**2 * max(size * size, 1.0)
    batch_sums = np.diff(total[[0, *nearest]])
    yield replace(micro_batches(counts, made, batch_sums, averaged, about=alike), vague=True)


def _of_any_sizes(equations: _Equations, counts: Any, weights: Any, errors: Any) -> Iterator[Mistake]:
    """Runs of examples of one weight, each k micro-batches of L/k: w = k·D/L, over their number if averaged."""
    runs: list[list[int]] = []
    for n in range(len(counts)):
        if np.isnan(weights[n]):
            if runs:
                runs[-1].append(n)
            continue
        known = [m for m in (runs[-1] if runs else []) if not np.isnan(weights[m])]
        if runs and (not known or abs(weights[n] - weights[known[0]]) <= SURE * (errors[n] + errors[known[0]]) + 1e-9):
            runs[-1].append(n)
        else:
            runs.append([*range(n + 1)] if not runs else [n])
    if len(runs) < 2:
        return
    sums = np.array([counts[run].sum() for run in runs])
    share = sums * np.array([np.nanmean(weights[run]) for run in runs]) / counts.sum()
    averaged = abs(share.sum() - 1) <= NEAR
    for batches in range(len(runs), len(counts) + 1) if averaged else (1,):
        k = share * batches
        if k.sum() > np.sum(counts > 0) - 0.5:  # each example by itself: then its weight is what is left out
            return
        if np.all(np.rint(k) >= 1) and np.all(np.abs(k - np.rint(k)) <= NEAR * np.rint(k)):
            of_run = np.rint(k)
            values = of_run * counts.sum() / sums / (of_run.sum() if averaged else 1)
            made = np.concatenate([np.full(len(run), value) for run, value in zip(runs, values, strict=True)])
            if equations.away(made) <= BY_NORM:
                sizes = np.concatenate([np.full(int(m), s / m) for m, s in zip(of_run, sums, strict=True)])
                yield replace(micro_batches(counts, made, sizes, averaged), vague=True)
            return


def _repeated(equations: _Equations, weights: Any, used: Any) -> Iterator[Mistake]:
    """Whole numbers of times, up to a common factor: N over the number that is left, if the mean is over them."""
    whole = np.rint(weights[used])
    total = float(np.sum(used))
    for factor, words in ((1.0, ""), (total / max(1.0, float(np.sum(weights[used] > 0.5))), " of the rest")):
        whole = np.rint(weights / factor)
        if np.any(whole[used] != 1) and np.all(np.abs(weights / factor - whole)[used] <= NEAR):
            made = np.where(used, whole, 1.0) * factor
            if np.any(whole[used] < 0) or equations.away(made) > BY_NORM:
                continue
            out, often = np.flatnonzero(used & (whole == 0)), np.flatnonzero(used & (whole > 1))
            clauses = [f"example{'s' if len(out) > 1 else ''} {listed([*map(str, out)])} left out"] if len(out) else []
            clauses += [f"example {n} counted {number(whole[n])} times" for n in often[:4]]
            name = "examples left out" if len(out) else "examples counted more than once"
            ends = f", and the mean is that{words}" if words else ""
            yield weighed(name, listed(clauses) + ends, made, vague=True)
            return
