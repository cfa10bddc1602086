"""ResNet-18 at its published size, 11.7 million parameters: judged whole on a picture, certified on a smaller one."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

import reference as ref
import torch_compare as tc
from torch_compare.torch_side.module_problem import judgement

from ..harness.memory import memory_of, peak
from ..harness.report import Report
from ..harness.style import GREY, panels, save_picture
from ..harness.timing import interleaved_medians, on_one_core
from .zoo import AGREES, CERTIFIED, HAS_TRANSFORMERS

T = TypeVar("T")
PICTURE, SMALL, CLASSES = 224, 32, 1000
"""The side of the picture that is judged (of `SMALL` in a quick run) and of the one that is certified."""
SECONDS, CERTIFICATE_SECONDS, MEMORY = 180.0, 60.0, 6.0
"""The processor's time for the verdict and for the certificate, and the most memory in GB."""
TIMES = 1.5
"""What all gradients may take, times torch's, at the published size."""


def resnet18(seed: int) -> nn.Module:
    """The architecture of He et al. 2016, table 1, 18 layers, with the weights of a seed, in evaluation mode."""
    import transformers  # noqa: PLC0415  the extra `zoo`, and seconds

    from .architecture import Whole  # noqa: PLC0415

    torch.manual_seed(seed)
    config = transformers.ResNetConfig(
        layer_type="basic", hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], num_labels=CLASSES
    )
    return Whole(transformers.ResNetForImageClassification(config).eval(), ("pixel_values",), "logits")


def work(seed: int, side: int) -> tuple[nn.Module, Tensor, Tensor, nn.Module]:
    """The module, one random picture, its class and the loss."""
    picture = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(seed))
    return resnet18(seed), picture, torch.tensor([seed % CLASSES]), nn.CrossEntropyLoss()


def ours(seed: int, side: int) -> Callable[[], Any]:
    """All gradients by this project."""
    return partial(ref.gradients, judgement(*work(seed, side)).problem)


def by_torch(seed: int, side: int) -> Callable[[], Any]:
    """The same by torch, eagerly."""
    module, picture, target, loss = work(seed, side)
    leaves = [picture.requires_grad_(), *module.parameters()]
    return lambda: torch.autograd.grad(loss(module(picture), target), leaves)


def over_torch(seed: int, repetitions: int) -> tuple[float, float]:
    """Time and memory of all gradients at the published size, ours over torch's, on one core."""
    rivals = {how.__name__: how for how in (ours, by_torch)}
    with on_one_core():
        seconds = interleaved_medians({k: how(seed, PICTURE) for k, how in rivals.items()}, repetitions=repetitions)
        held = [memory_of(how, seed, PICTURE) for how in rivals.values()]
    mine, theirs = (m.most - m.before for m in held)
    return seconds["ours"] / seconds["by_torch"], mine / theirs


def timed(f: Callable[[], T]) -> tuple[T, float]:
    """What a function gives, and the processor's time that it took."""
    start = process_time()
    made = f()
    return made, process_time() - start


def measure(quick: bool, seed: int) -> Report:
    """The verdict on torch's float32 gradients of all parameters, and the certificate, with time and memory."""
    if not HAS_TRANSFORMERS:
        raise ModuleNotFoundError("transformers is not installed (pip install -c constraints.txt '.[zoo]')")
    rows: list[dict[str, Any]] = []
    side = SMALL if quick else PICTURE
    given = work(seed, side)
    verdict, seconds = timed(lambda: tc.check_module(*given))
    judged = {"status": str(verdict.status), "error [σ]": float(verdict.worst.scales)}
    rows.append({"what": "verdict in float32", "side": side, **judged, "seconds": seconds, "memory": peak()})
    problem = judgement(*work(seed, SMALL)).problem
    certificate, seconds = timed(lambda: ref.certified_gradients(problem))
    row = {"what": "certificate", "side": SMALL, "status": certificate.status, "error [σ]": math.nan}
    rows.append({**row, "seconds": seconds, "memory": peak()})
    first, second = rows
    slower, larger = over_torch(seed, 5 if quick else 15)
    figures: dict[str, Any] = {
        "parameters": sum(p.numel() for p in given[0].parameters()),
        "verdict": f"{first['status']}, {first['seconds']:.0f} s, {first['memory']:.1f} GB",
        "certificate": f"{second['status']}, {second['seconds']:.0f} s, {certificate.bits} bits",
        f"all gradients at {PICTURE} × {PICTURE}, time / torch eager, one core": slower,
        f"all gradients at {PICTURE} × {PICTURE}, memory / torch's": larger,
    }
    return Report(
        question="Can all gradients of a network of 11.7 million parameters be judged and certified?",
        claim=(
            f"torch's float32 gradients of ResNet-18 on one picture of {side} × {side} agree, element by element, in "
            f"less than {SECONDS:g} s and {MEMORY:g} GB, and those on one of {SMALL} × {SMALL} are certified in less "
            f"than {CERTIFICATE_SECONDS:g} s. All gradients at {PICTURE} × {PICTURE} take at most {TIMES:g} times what "
            "torch eager takes."
        ),
        refuted_by="another verdict, an element without a certificate, more time or more memory.",
        columns={
            "what": "what",
            "side": "side",
            "status": "status",
            "error [σ]": "largest error [σ]",
            "seconds": "time [s]",
            "memory": "memory so far [GB]",
        },
        rows=rows,
        figures=figures,
        holds=first["status"] == AGREES
        and second["status"] == CERTIFIED
        and first["seconds"] < SECONDS
        and second["seconds"] < CERTIFICATE_SECONDS
        and first["memory"] < MEMORY
        and slower <= TIMES,
    )


def draw(report: Report, path: Path) -> None:
    """The time of the two, beside what they may take."""
    figure, axes = panels(1)
    panel = axes[0]
    places = range(len(report.rows))
    panel.barh(places, [row["seconds"] for row in report.rows], color=GREY[0][0])
    for place, limit in zip(places, (SECONDS, CERTIFICATE_SECONDS), strict=True):
        panel.plot([limit, limit], [place - 0.4, place + 0.4], color="0", linewidth=1)
    panel.set_yticks(places, [row["what"] for row in report.rows])
    panel.set_xlabel("processor time [s]; the lines: what it may take")
    save_picture(figure, path)
