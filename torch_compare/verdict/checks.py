"""Gradients that were computed elsewhere, against the oracle's, in units of the rounding scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import reference as ref
from reference.arithmetic.formats import FORMATS, STORED, Format, get_format
from reference.network.in_arithmetic import require_exact
from reference.rounding.distance import FACTOR, digits
from reference.rounding.statistics import LIMITS, SIZE

from ..diagnosis import diagnosis
from ..diagnosis.named_factors import UNNAMED
from ..diagnosis.small_mistake import small_mistake
from ..diagnosis.wording import Diagnosis
from ..torch_side import extras
from .arithmetics import Judged, arithmetic_of, coarser_precision, judge_with, more_rounding
from .by_scale import ByScale
from .certified import certificate_of, doubted, nearest_certified, reproducible
from .given import Given, read_given
from .lower_precision import TYPICAL, holds_coarser
from .overflow import hangs_on_rounding, in_range
from .printed import as_printed, settled
from .status import Status
from .verdict import NOTHING, Verdict, expected_leaves, judge

__all__ = ["Verdict", "assert_gradients", "check", "check_module", "expected_leaves", "judge"]

COARSE = TYPICAL[1] / LIMITS[SIZE]
"""Numbers that a coarser format holds, and errors larger than rounding makes as a rule, may be of that format."""


def check(
    problem: ref.Problem,
    given: Any,
    dtype: Any = None,
    *,
    accumulate: str | None = None,
    certified: bool | ref.CertifiedGradients = False,
    strict: bool = False,
    diagnose: bool = True,
    seed: int = 0,
) -> Verdict:
    """Judge gradients of a problem that were computed elsewhere, in any way.

    Args:
        problem: the problem that they are gradients of.
        given: a `ref.Gradients`; or a mapping from places ("layers[0].weight", "layers[0].bias", "input",
            "loss") to arrays; or a sequence of (weight, bias) pairs, one per layer; or the `Given` of a result file.
            The places of a network of operations are the names of its parameters and inputs, and "loss". What is None
            or missing is not judged. Arrays may be NumPy's, torch's, JAX's, or of anything with ``__dlpack__``.
        dtype: the precision that they were computed in: "float64", "float32", "tf32", "float16", "bfloat16",
            "float8_e4m3", "float8_e5m2"; that which they are stored in if not given.
        accumulate: what products and sums of a precision coarser than float32 accumulate in: "float32" or "same". If
            not given it is float32, as on tensor cores and CPUs, and what only "same" explains is imprecise.
        certified: whether to judge against the certified gradients rather than the oracle's in float64; or
            certified gradients that are at hand already.
        strict: whether the accurate scale is demanded: digits that the customary formulas lose are then imprecise.
        diagnose: whether to look for the mistake behind a gradient that is wrong, which takes a second or a few. The
            status does not depend on it.
        seed: of the noise that measures the rounding scale.

    Raises:
        TypeError: a leaf is no floating array or a masked one, leaves of several types are given without `dtype`, or
            the problem is of a type that float64 does not hold.
        ValueError: a place or a shape does not fit the problem, nothing is given, the problem holds a number that
            is not finite (named), or there is no such precision.

    >>> import numpy as np
    >>> mlp = ref.initialize([3, 4, 2], activations=["tanh", "identity"], seed=0)
    >>> problem = ref.Problem(mlp, np.array([[0.5, -1.0, 2.0]]), np.array([[1.0, 0.0]]), loss="mse")
    >>> check(problem, ref.gradients(problem)).status
    'agrees'
    >>> check(problem, {"layers[0].weight": 1.0001 * ref.gradients(problem).layers[0].weight}).status
    'wrong'
    """
    require_exact(problem, "check")
    read = read_given(problem, given)
    fmt = read.common_format() if dtype is None else get_format(dtype)
    certificate = certificate_of(problem, certified)
    expected = expected_leaves(problem) if certificate is None else nearest_certified(certificate, read)
    arithmetic = arithmetic_of(fmt, accumulate)

    def by(attempt: Format) -> Judged:
        return judge_with(problem, read, expected, attempt, seed, strict)

    verdict, wider = by(arithmetic)
    if verdict.status is Status.WRONG:
        formats = (fmt, arithmetic, accumulate is None and fmt is not arithmetic)
        more = more_rounding(problem, read, expected, verdict, wider, (by, formats, seed))
        verdict = verdict if more is None else more
    elif verdict.agrees and verdict.statistics.get(SIZE, 0.0) > COARSE and holds_coarser(read, arithmetic):
        verdict = coarser_precision(problem, read, expected, verdict, wider(), arithmetic, seed) or verdict
    if read.prints:
        verdict = settled(verdict, problem, read, expected, wider().sigma, arithmetic)
    agreeing = {place: digits(values, expected[place]) for place, values in read.leaves.items()}
    verdict = replace(_in_stored_ulps(verdict, read, arithmetic), digits=agreeing)
    if certificate is not None:
        verdict = doubted(reproducible(verdict), certificate, read, arithmetic)
    accurate = verdict.agrees and verdict.scale == "accurate"
    if not accurate and hangs_on_rounding(problem, arithmetic, verdict.agrees, verdict.worst.given):
        text = f"bce takes the logarithm of 1 − y at a y that {arithmetic.name} rounds to 1: use bce_with_logits"
        return replace(verdict, status=Status.UNRESOLVED, diagnosis=Diagnosis(text, sought=False))
    if verdict.status is Status.IMPRECISE and not verdict.decided and verdict.coarser:
        held, sigma = in_range(problem, read.leaves, arithmetic), wider().sigma
        behind = diagnosis.diagnose(problem, held, expected, sigma, arithmetic, seed, read.stored_coarser(arithmetic))
        # A small mistake looks like a low precision. It is one if it leaves no more of the error than rounding leaves.
        if behind.scales * FACTOR <= verdict.worst.scales:
            said = behind if diagnose else Diagnosis(NOTHING, sought=False)
            return replace(verdict, status=Status.WRONG, diagnosis=said, coarser="")
    if not diagnose or verdict.status is not Status.WRONG:
        return verdict
    if read.prints:
        coarse = as_printed(arithmetic, read)
        by_digits, wide = by(coarse)
        if by_digits.status is Status.WRONG:
            arithmetic, wider = coarse, wide
    held = in_range(problem, read.leaves, arithmetic)
    rounding = wider()
    small = verdict.worst.scales <= FACTOR or arithmetic.bits < FORMATS["float32"].bits
    found = small_mistake(problem, held, expected, rounding, arithmetic) if small else None
    if found is None or found.names == UNNAMED:
        stored = read.stored_coarser(arithmetic)
        beyond = ByScale(problem, held, expected, rounding, arithmetic).beyond() if small else set()
        searched = diagnosis.diagnose(problem, held, expected, rounding.sigma, arithmetic, seed, stored, beyond)
        found = searched if found is None or (searched.names and searched.names != UNNAMED) else found
    return replace(verdict, diagnosis=found)


def _in_stored_ulps(verdict: Verdict, given: Given, fmt: Format) -> Verdict:
    """The verdict with its errors in ulps of what the numbers are stored in, where that is coarser than the format."""
    kept = {place: min(STORED[name], fmt, key=lambda f: f.bits) for place, name in given.formats.items()}
    places = {place: worst.in_ulps_of(kept[place]) for place, worst in verdict.places.items()}
    return replace(verdict, places=places, worst=verdict.worst.in_ulps_of(kept[verdict.worst.leaf]))


def assert_gradients(
    problem: ref.Problem,
    given: Any,
    dtype: Any = None,
    *,
    accumulate: str | None = None,
    certified: bool | ref.CertifiedGradients = False,
    strict: bool = False,
    diagnose: bool = True,
    seed: int = 0,
) -> None:
    """Raise AssertionError with the verdict's text unless the gradients agree. Arguments and errors as for `check`.

    >>> import numpy as np
    >>> mlp = ref.initialize([3, 2], activations=["tanh"], seed=0)
    >>> problem = ref.Problem(mlp, np.ones((1, 3)), np.zeros((1, 2)), loss="mse")
    >>> assert_gradients(problem, ref.gradients(problem))
    """
    __tracebackhide__ = True  # pytest shows the line of the test that failed
    verdict = check(
        problem, given, dtype, accumulate=accumulate, certified=certified, strict=strict, diagnose=diagnose, seed=seed
    )
    if not verdict.agrees:
        raise AssertionError(str(verdict))


def check_module(
    module: Any,
    inputs: Any,
    target: Any,
    loss_fn: Any,
    dtype: Any = None,
    *,
    accumulate: str | None = None,
    certified: bool = False,
    strict: bool = False,
    diagnose: bool = True,
    seed: int = 0,
    as_: Mapping[Any, Any] | None = None,
    operations: Mapping[str, Any] | None = None,
) -> Verdict:
    """Judge the gradients that torch.autograd makes of a user's own module and loss, its backward passes included.

    The module's forward pass is traced by torch.export, and the traced program differentiated by the oracle; a custom
    autograd.Function is seen by what its forward pass computes. The gradients that are judged are those of the module
    as it was given, compiled or checkpointed ones too. It stays as it was: buffers, `.grad` and random state.

    Args:
        module: any torch.nn.Module, in training mode too if nothing in it is random.
        inputs: its arguments: a tuple of positional ones, a mapping of keyword ones, or the only one. Gradients of the
            floating ones are judged too.
        target: what loss_fn compares the output with.
        loss_fn: a loss module, a function of torch.nn.functional, or any callable (output, target) ↦ loss that takes
            whatever the module gives. The last kind is traced and judged like the module; if that cannot be done, its
            derivative is taken as given, and the verdict says so and why.
        dtype: as for `check`; so are accumulate, certified, diagnose and seed. That of the parameters if not given:
            what the module computes in another one is judged in that.
        accumulate: see `check`.
        certified: see `check`.
        strict: see `check`.
        diagnose: see `check`.
        seed: see `check`.
        as_: of a `torch.nn.Sequential` of Linear layers and activations, which is taken as an MLP: the row that a
            module of your own computes, by its type or name, as ``{MyGELU: "gelu"}``; see `problem_from_module`.
        operations: rows for operations of ATen that the oracle does not know; see `network_from_module`.

    Raises:
        ModuleNotFoundError: torch is not installed; the message names the extra that brings it.
        TypeError: the module calls an operation that the oracle lacks, or cannot be traced; the message names the
            operation, the submodule and the line, and says what to do.
        ValueError: shapes or targets do not fit, or the module is random in training mode.
    """
    with extras.named():
        from ..torch_side import module_layers, module_problem, modules  # noqa: PLC0415  (torch loads for seconds)

    options: dict[str, Any] = {
        "accumulate": accumulate, "certified": certified, "strict": strict, "diagnose": diagnose, "seed": seed
    }  # fmt: skip
    known = modules.known_loss(loss_fn) is not None
    if as_ is not None or (known and operations is None and module_layers.is_chain(module, inputs)):
        problem = modules.problem_from_module(module, inputs, target, loss_fn, as_)
        given: Any = modules.module_gradients(module, inputs, target, loss_fn, as_)
        verdict = check(problem, given, modules.number_type(module) if dtype is None else dtype, **options)
        return verdict if known else replace(verdict, untraced="as_ says what layers compute, not what the loss does")
    found = module_problem.judgement(module, inputs, target, loss_fn, operations)
    verdict = check(found.problem, found.given, found.base if dtype is None else dtype, **options)
    named = verdict.diagnosis.steps(found.places) if verdict.diagnosis.sought else ()
    calls = {step: str(found.places[step]) for step in named}
    return replace(verdict, formats=found.islands, calls=calls, untraced=found.untraced)
