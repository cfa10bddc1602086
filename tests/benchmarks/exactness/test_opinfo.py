"""torch's own samples: translated by name, judged, a wrong backward pass seen; in an exploration all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own documentation spells it so

from benchmarks.exactness import opinfo
from benchmarks.implementations.torch_samples import NoCounterpartError, Sample, row_name, translated

X = torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], dtype=torch.float64, requires_grad=True)
W = torch.tensor([[1.0, 0.5, -0.5], [0.25, 2.0, 1.0]], dtype=torch.float64, requires_grad=True)


def sample(row: str, function: Any, *arguments: Any, **options: Any) -> Sample:
    return Sample(row, "", row, function, arguments, options)


def compared(*given: Any, **options: Any) -> opinfo.Outcome:
    return opinfo.compared(sample(*given, **options), np.random.default_rng(1))


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (("linear", F.linear, X, W), {}),
        (("sum", torch.sum, X), {"dim": 1, "keepdim": True}),
        (("add", torch.add, X, 2.5), {"alpha": 0.5}),
        (("gather", torch.gather, X, 1, torch.tensor([[0, 0], [2, 1]])), {}),
        (("cat", torch.cat, [X, W]), {"dim": 1}),
        (("where", lambda x, c, y: torch.where(c, x, y), X, X > 0, W), {}),
        (("layer_norm", F.layer_norm, X, (3,)), {"eps": 0.25}),
        (("rms_norm", F.rms_norm, X, (3,)), {}),
        (("var", torch.var, X, 1, False), {}),
        (("std", torch.std, X, True), {}),
        (("unbind", torch.unbind, X), {}),
        (("gelu", F.gelu, X), {"approximate": "tanh"}),
        (("softmax", torch.softmax, X, 0), {}),
        (("embedding", lambda w, i: F.embedding(i, w), W, torch.tensor([1, 0, 1])), {}),
        (("split", torch.split, X, [1, 2], 1), {}),
    ],
    ids=lambda case: case[0] if isinstance(case, tuple) else "",
)
def test_a_sample_is_the_row_that_it_names(given: tuple[Any, ...], options: dict[str, Any]) -> None:
    outcome = compared(*given, **options)
    assert outcome.kind == opinfo.AGREES, outcome.why
    assert outcome.scales <= 32


class Doubled(torch.autograd.Function):
    """sin with a backward pass that is twice what it should be."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return torch.sin(x)

    @staticmethod
    def backward(ctx: Any, *d: torch.Tensor) -> torch.Tensor:
        return 2 * torch.cos(ctx.saved_tensors[0]) * d[0]


def test_a_wrong_backward_pass_deviates_and_the_report_says_that_the_claim_is_false(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    given = [sample("sin", torch.sin, X), sample("sin", Doubled.apply, X), sample("sin", torch.sin, X[:0])]
    monkeypatch.setattr(opinfo, "samples", lambda: iter(given))
    report = opinfo.measure(quick=False, seed=0)
    (row,) = report.rows
    assert [row[kind] for kind in opinfo.KINDS] == [1, 0, 1, 1]
    assert not report.holds
    assert "2" in row["why"]
    opinfo.draw(report, tmp_path / "picture.png")
    monkeypatch.setattr(opinfo, "samples", lambda: iter(given[:1]))
    assert opinfo.measure(quick=True, seed=0).holds


def test_what_no_row_states_is_refused_with_its_reason() -> None:
    outcome = compared("div", torch.div, X, W, rounding_mode="floor")
    assert (outcome.kind, outcome.why) == (opinfo.REFUSED, "NoCounterpartError: rounding_mode=floor")
    with pytest.raises(NoCounterpartError, match="training=True"):
        translated(sample("rrelu", F.rrelu, X, training=True))
    assert compared("sin", torch.sin, X.detach()).why == "NoCounterpartError: no input that takes a gradient"
    assert row_name("linalg.svd") is None


@pytest.mark.explore
def test_every_sample_of_torch_agrees_or_deviates_as_published() -> None:
    """torch's tools for tests load for seconds, so this is not in the gate."""
    report = opinfo.measure(quick=False, seed=0)
    assert report.figures["samples"] > 1500
    assert report.figures[opinfo.AGREES] > 1100
    assert report.holds, [row for row in report.rows if row[opinfo.DEVIATES]]


@pytest.mark.parametrize(
    ("row", "function", "rest", "options"),
    [
        ("local_response_norm", F.local_response_norm, (2,), {}),
        ("adaptive_max_pool1d", F.adaptive_max_pool1d, (2, False), {}),
        ("max_pool1d", F.max_pool1d, (2,), {"return_indices": True}),
        ("cdist", torch.cdist, (W[None], 2.0, "donot_use_mm_for_euclid_dist"), {}),
    ],
)
def test_a_row_that_is_known_by_its_parameters_gets_its_own_inputs(
    row: str, function: Any, rest: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """Pools were refused for indices that nobody differentiates; a norm had its input by another name, and none."""
    assert compared(row, function, X[None], *rest, **options).kind == opinfo.AGREES
