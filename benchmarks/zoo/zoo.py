"""The zoo: published architectures and torch.nn's modules, are their gradients judged right, and certified whole?"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import process_time
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

import reference as ref
import torch_compare as tc
from reference.rounding.distance import FACTOR
from torch_compare.torch_side.deviations import deviations
from torch_compare.torch_side.module_problem import Judgement, judgement

from ..harness.report import Report
from ..harness.style import GREY, panels, save_picture
from . import architecture, torch_modules
from .audio import AUDIO
from .language import LANGUAGE
from .vision import VISION

Row = dict[str, Any]
FORMATS: Mapping[str, torch.dtype] = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}
"""The precisions of the parameters; the certificate is that of the float32 module."""
AGREES, CERTIFIED, DEAD = "agrees", "certified", "every gradient is 0"
REFUSED = "torch refuses"
"""Of a precision that torch has no such operation in, so that there is no gradient to judge."""
LEAST_CERTIFIED = 0.9
"""The share of architectures that are to be certified whole."""
SECONDS = 10.0
"""The processor's time that an architecture may take, all three precisions and the certificate; but for `SLOW`."""
ZEROS = "a gradient that is 0 because its parts cancel is told from the least float64 in over 1,000 bits"
TRACED = "torch.export traces hundreds of steps, three times"
ASKED = "in bfloat16 every known mistake of its hundred steps is made, to see whether the errors go its way"
SLOW: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("GPT-2", "DPT", "MobileViT", "MobileViT 2", "CvT", "LeViT", "SwiftFormer"), ZEROS)
    | dict.fromkeys(("Gemma 3", "RWKV", "DAC", "MobileNet 2"), TRACED)
    | dict.fromkeys(("CLIP", "PVT", "SegFormer", "Swin"), ASKED)
)
"""Architectures that take longer, and why."""
QUICK = (
    "GPT-2", "Llama", "DeBERTa 2", "T5", "ViT", "ResNet", "wav2vec 2.0", "CLIP", "LSTM", "Conv2d", "BatchNorm2d",
    "EmbeddingBag",
)  # fmt: skip
"""The rows of a quick run: one of every kind."""
HAS_TRANSFORMERS = find_spec("transformers") is not None
MODULE = "torch.nn"


@dataclass(frozen=True)
class Subject:
    """What is judged.

    Attributes:
        name: of the architecture or of torch's class.
        family: language, vision, audio, or `MODULE`.
        make: a seed ↦ the module and its inputs, float32.
        classes: whether its output is the scores of classes, whose loss is cross-entropy; that of others is the mean
            squared error.
    """

    name: str
    family: str
    make: Callable[[int], tuple[nn.Module, tuple[Tensor, ...]]]
    classes: bool = False


def subjects() -> Iterator[Subject]:
    """The architectures, if `transformers` is installed, and torch.nn's modules."""
    families = {"language": LANGUAGE, "vision": VISION, "audio": AUDIO} if HAS_TRANSFORMERS else {}
    for family, rows in families.items():
        for row in rows:
            scores = row.output == "logits" and not row.parts
            yield Subject(row.name, family, partial(architecture.made, row), scores)
    for name in torch_modules.MODULES:
        yield Subject(name, MODULE, partial(torch_modules.made, name))


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────


def measured(subject: Subject, seed: int) -> Row:
    """Steps, parameters, the verdict in every precision, the certificate, and the time that it took the processor."""
    start = process_time()
    module, inputs = subject.make(seed)
    with torch.no_grad():
        output = module(*inputs)
    loss: nn.Module = nn.CrossEntropyLoss() if subject.classes else nn.MSELoss()
    target = torch.randn_like(output)
    if subject.classes:
        target = torch.randint(output.shape[1], (output.shape[0], *output.shape[2:]))
    row: Row = {"family": subject.family, "name": subject.name, "steps": math.nan}
    row["parameters"] = sum(parameter.numel() for parameter in module.parameters())
    for name, number in FORMATS.items():
        found = _stated(module, inputs, target, loss, number)
        if isinstance(found, RuntimeError):
            row |= {name: REFUSED, f"{name} [σ]": math.nan, f"{name}, why": str(found)}
        elif isinstance(found, Exception):
            row |= {name: "not stated", f"{name} [σ]": math.nan, "why": f"{type(found).__name__}: {found}"}
        else:
            row["steps"] = len(found.problem.graph.steps)
            row |= verdict_on(name, found)
            row |= certificate_of(found.problem) if number == torch.float32 else {}
    row.setdefault(CERTIFIED, "no")
    return row | {"seconds": process_time() - start}


Cast = tuple[nn.Module, tuple[Tensor, ...], Tensor]


def _cast(module: nn.Module, inputs: Sequence[Tensor], target: Tensor, number: torch.dtype) -> Cast:
    """The module, its inputs and the target in a precision; whole numbers stay as they are."""

    def cast(x: Tensor) -> Tensor:
        return x.to(number) if x.is_floating_point() else x

    return copy.deepcopy(module).to(number), tuple(map(cast, inputs)), cast(target)


def _stated(
    module: nn.Module, inputs: Sequence[Tensor], target: Tensor, loss: nn.Module, number: torch.dtype
) -> Judgement | Exception:
    """The problem in a precision with torch's gradients, or why there is none: a RuntimeError where torch refuses."""
    try:
        return judgement(*_cast(module, inputs, target, number), loss)
    except (TypeError, ValueError) as error:
        return error
    except RuntimeError as error:
        if not _refuses(*_cast(module, inputs, target, number), loss):
            raise
        return error


def _refuses(module: nn.Module, inputs: Sequence[Tensor], target: Tensor, loss: nn.Module) -> bool:
    """Whether torch alone cannot run the two passes."""
    try:
        loss(module(*inputs), target).backward()
    except RuntimeError:
        return True
    return False


def verdict_on(name: str, found: Judgement) -> Row:
    """The verdict on torch's gradients in a precision, the largest error, and what deviation of torch's explains it."""
    if not any(bool(d.any()) for place, d in found.given.items() if place != "loss"):
        return {name: DEAD, f"{name} [σ]": math.nan}
    verdict = tc.check(found.problem, found.given, found.base, certified=False)
    row: Row = {name: str(verdict.status), f"{name} [σ]": float(verdict.worst.scales)}
    if verdict.status != AGREES:
        known = ", ".join(deviation.name for deviation in deviations(found.problem))
        row |= {f"{name}, deviation": known, f"{name}, why": str(verdict.diagnosis)}
    return row


def certificate_of(problem: ref.Problem) -> Row:
    """Whether every element of every gradient is certified, and in how many bits, or what is not."""
    found = ref.certified_gradients(problem)
    if found.status == CERTIFIED:
        return {CERTIFIED: "yes", "bits": found.bits}
    left = [place for place, leaf in found.leaves().items() if not leaf.resolved.all()]
    return {CERTIFIED: "no", "bits": found.bits, "why": found.undecided or f"not resolved: {', '.join(left)}"}


# ── the report ───────────────────────────────────────────────────────────────────────────────────────


def unexplained(rows: Sequence[Row]) -> list[str]:
    """The rows and precisions whose verdict is not `agrees`, and that no published deviation of torch explains.

    What torch refuses to compute in a precision is explained by that; in float32 it runs everything that is here.
    One whose gradients are all 0, because a last unit is dead, is among them: it shows nothing.
    """
    return [
        f"{row['name']} in {name}"
        for row in rows
        for name in FORMATS
        if row[name] != AGREES and not row.get(f"{name}, deviation") and (row[name], name) != (REFUSED, "bfloat16")
    ]


def measure(quick: bool, seed: int, chosen: Sequence[str] = ()) -> Report:
    """The verdict on every architecture's and module's gradients in three precisions, and their certificates.

    Raises:
        ValueError: a name that is chosen is in no table of the zoo.
    """
    everything = {subject.name: subject for subject in subjects()}
    unknown = [name for name in chosen if name not in everything]
    if unknown:
        raise ValueError(f"the zoo has no {unknown[0]!r}; it has {', '.join(everything)}")
    names = chosen or (QUICK if quick else everything)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = [measured(subject, seed) for subject in everything.values() if subject.name in names]
    published = [row for row in rows if row["family"] != MODULE]
    certified = [row for row in published if row[CERTIFIED] == "yes"]
    slow = [row["name"] for row in published if row["seconds"] > SECONDS and row["name"] not in SLOW]
    left = unexplained(rows)
    figures: dict[str, Any] = {
        "architectures": len(published),
        "modules of torch.nn": len(rows) - len(published),
        "verdicts that neither agree nor are explained": ", ".join(left) or "none",
        "refused by torch in bfloat16": ", ".join(r["name"] for r in rows if r["bfloat16"] == REFUSED) or "none",
        "slower, and why": "; ".join(f"{row['name']}: {SLOW[row['name']]}" for row in published if row["name"] in SLOW)
        or "none",
        "architectures certified whole": f"{len(certified)} of {len(published)}",
        f"architectures that take more than {SECONDS:g} s of the processor": ", ".join(slow) or "none",
    }
    if not HAS_TRANSFORMERS:
        figures["architectures"] = "transformers is not installed (pip install 'gradient-oracle[zoo]')"
    return Report(
        question="Are the gradients of published architectures, as torch.autograd makes them, judged right and whole?",
        claim=(
            "Every published architecture that is here, small, with random weights, and every module of torch.nn "
            "agrees in float64, float32 and bfloat16, or a published deviation of torch explains why it does not; "
            f"{LEAST_CERTIFIED:.0%} of the architectures are certified whole; each takes the processor less than "
            f"{SECONDS:g} seconds, or the table says why."
        ),
        refuted_by="a verdict that is another one and that nothing explains, fewer certificates, or a longer time.",
        columns={"family": "family", "name": "name", "steps": "steps", "parameters": "parameters"}
        | {key: key for name in FORMATS for key in (name, f"{name} [σ]")}
        | {CERTIFIED: CERTIFIED, "seconds": "time [s]"},
        rows=rows,
        figures=figures,
        holds=not left and not slow and len(certified) >= LEAST_CERTIFIED * len(published),
    )


def draw(report: Report, path: Path) -> None:
    """The largest error of every row in rounding scales, by precision."""
    figure, axes = panels(1)
    figure.set_size_inches(8, 2 + 0.16 * len(report.rows))
    panel = axes[0]
    places = range(len(report.rows))
    for (shade, marker, _), name in zip(GREY, FORMATS, strict=False):
        errors = [row[f"{name} [σ]"] for row in report.rows]
        panel.plot(errors, places, marker, color=shade, label=name, markersize=4)
    panel.axvline(FACTOR, color="0", linewidth=1)
    panel.set_xscale("log")
    panel.set_yticks(places, [row["name"] for row in report.rows], fontsize=6)
    panel.set_ylim(len(report.rows), -1)
    panel.set_xlabel(f"largest error in rounding scales σ; the line: the limit, {FACTOR:g}")
    panel.legend()
    save_picture(figure, path)
