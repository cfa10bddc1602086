"""Random problems for property tests: hypothesis draws and shrinks a specification, which is then built."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

import reference as ref

from ..torch_side.extras import named
from .networks import LOSSES, MAX_PARTS, NETWORK_FEATURES, NetworkSpec, build_network
from .operations import names
from .spec import FEATURES, MAX_BATCH, MAX_DEPTH, MAX_WIDTH, OUTPUTS, Spec, build

if TYPE_CHECKING:
    from ..torch_side.random_modules import ModuleCase


@st.composite
def specs(
    draw: st.DrawFn,
    *,
    dtypes: Iterable[str] = ("float64", "float32"),
    activations: Iterable[str] = tuple(ref.ACTIVATIONS),
    losses: Iterable[str] = tuple(ref.LOSSES),
    reductions: Iterable[str] = ("mean", "sum"),
    biases: Iterable[bool] = (True, False),
    max_depth: int = MAX_DEPTH,
    max_width: int = MAX_WIDTH,
    max_batch: int = MAX_BATCH,
    features: Iterable[str] = FEATURES,
) -> Spec:
    """Hypothesis strategy of specs; narrow it with the arguments. It shrinks to a small, plain network.

    Args:
        draw: given by hypothesis.
        dtypes: "float64", "float32".
        activations: names of rows that layers may have.
        losses: names of losses.
        reductions: "mean", "sum".
        biases: whether layers may have a bias, and may have none.
        max_depth: at most this many layers.
        max_width: at most this many features; 12 in networks of more than 10 layers.
        max_batch: at most this many examples.
        features: which of `FEATURES` may occur.
    """
    loss = draw(st.sampled_from(tuple(losses)))
    depth = draw(st.integers(1, min(5, max_depth)) | st.integers(1, max_depth))
    most = max_width if depth <= 10 else min(max_width, 12)
    width = st.integers(1, most)
    rows = draw(st.lists(st.sampled_from(tuple(activations)), min_size=depth, max_size=depth))
    if loss in OUTPUTS:
        rows[-1] = draw(st.sampled_from(OUTPUTS[loss]))
    return Spec(
        widths=tuple(draw(st.lists(width, min_size=depth + 1, max_size=depth + 1))),
        activations=tuple(rows),
        loss=loss,
        batch=draw(st.integers(1, max_batch)),
        seed=draw(st.integers(0, 2**32)),
        biases=tuple(draw(st.lists(st.sampled_from(tuple(biases)), min_size=depth, max_size=depth))),
        reduction=draw(st.sampled_from(tuple(reductions))),
        dtype=draw(st.sampled_from(tuple(dtypes))),
        features=tuple(draw(st.sets(st.sampled_from(tuple(features))))) if tuple(features) else (),
    )


def problems(**constraints: Any) -> st.SearchStrategy[ref.Problem]:
    """Hypothesis strategy of problems; the arguments are those of `specs`.

    Examples:
        ``@given(problems(dtypes=("float64",), max_depth=3))``
    """
    return specs(**constraints).map(build)


@st.composite
def network_specs(
    draw: st.DrawFn,
    *,
    dtypes: Iterable[str] = ("float64", "float32"),
    operations: Iterable[str] | None = None,
    losses: Iterable[str] = LOSSES,
    reductions: Iterable[str] = ("mean", "sum"),
    max_parts: int = MAX_PARTS,
    features: Iterable[str] = NETWORK_FEATURES,
) -> NetworkSpec:
    """Hypothesis strategy of specs of networks of operations. It shrinks to a network of one part.

    Args:
        draw: given by hypothesis.
        dtypes: "float64", "float32".
        operations: names of rows, for problems of one operation each, and its vector-Jacobian product; networks and
            single operations of every row in turn if not given; networks alone if empty.
        losses: names of losses that networks may have.
        reductions: "mean", "sum".
        max_parts: at most this many parts.
        features: which of `NETWORK_FEATURES` may occur.
    """
    rows = ("", *names()) if operations is None else tuple(operations) or ("",)
    networks = st.just("") if operations is None else st.nothing()
    operation = draw(networks | st.sampled_from(rows))
    return NetworkSpec(
        seed=draw(st.integers(0, 2**32)),
        operation=operation,
        parts=draw(st.integers(1, max_parts)),
        loss="inner_product" if operation else draw(st.sampled_from(tuple(losses))),
        reduction=draw(st.sampled_from(tuple(reductions))),
        dtype=draw(st.sampled_from(tuple(dtypes))),
        features=tuple(draw(st.sets(st.sampled_from(tuple(features))))) if tuple(features) else (),
    )


def networks(**constraints: Any) -> st.SearchStrategy[ref.Problem]:
    """Hypothesis strategy of problems on random networks of operations; the arguments are those of `network_specs`.

    Examples:
        ``@given(networks(operations=("layer_norm",), dtypes=("float32",)))``
    """
    return network_specs(**constraints).map(build_network)


def modules(
    *, kinds: Iterable[str] = (), dtypes: Iterable[str] = ("float32", "bfloat16"), max_parts: int = 5
) -> st.SearchStrategy[ModuleCase]:
    """Hypothesis strategy of random modules of torch.nn's layers, with inputs, a target and a loss.

    Args:
        kinds: what they take: "tokens", "sequence", "image"; any of them if not given.
        dtypes: "float64", "float32", "bfloat16", "float16".
        max_parts: at most this many parts, one after the other.

    Raises:
        ModuleNotFoundError: torch is not installed.

    Examples:
        ``@given(modules(kinds=("image",)))``
    """
    with named("torch"):
        from ..torch_side.random_modules import KINDS, ModuleSpec, build_module  # noqa: PLC0415  (seconds)

    found = st.builds(
        ModuleSpec,
        seed=st.integers(0, 2**32 - 1),
        kind=st.sampled_from(tuple(kinds) or tuple(KINDS)),
        parts=st.integers(1, max_parts),
        dtype=st.sampled_from(tuple(dtypes)),
    )
    return found.map(build_module)
