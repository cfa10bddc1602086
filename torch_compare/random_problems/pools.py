"""Random inputs of pooling, interpolation, sorting and distances: windows that overlap, overhang or leave gaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from numpy.random import Generator

from .drawn import Draw, Drawn, row_of
from .numbers import away_from_zero, real
from .shapes import Shape, axis_of, broadcast_pair, length, shape


def _each(rng: Generator, axes: int, make: Callable[[], int]) -> int | Shape:
    """One number for all axes, or one for each."""
    return make() if axes == 1 or rng.random() < 0.5 else tuple(make() for _ in range(axes))


def _of(given: int | Shape, axis: int) -> int:
    return given if isinstance(given, int) else given[axis]


def _leading(rng: Generator) -> Shape:
    """Channels, or examples of channels."""
    return (length(rng),) if rng.random() < 0.3 else (int(rng.integers(1, 3)), int(rng.integers(1, 3)))


def _pooled(rng: Generator, name: str) -> Drawn:
    axes, kind = int(name[-2]), name[:3]
    kernel = _each(rng, axes, lambda: int(rng.integers(1, 4)))
    stride = None if rng.random() < 0.4 else _each(rng, axes, lambda: int(rng.integers(1, 4)))
    dilation = int(rng.integers(1, 3)) if kind == "max" else 1
    found: dict[str, Any] = {"kernel_size": kernel, "stride": stride, "ceil_mode": bool(rng.integers(2))}
    if kind != "lp_":
        found["padding"] = tuple(int(rng.integers(_of(kernel, k) // 2 + 1)) for k in range(axes))
    if kind == "max":
        found["dilation"] = dilation
    elif kind == "avg":
        found["count_include_pad"] = bool(rng.integers(2))
        if axes > 1 and rng.random() < 0.3:
            found["divisor_override"] = int(rng.integers(1, 6))
    else:
        found["norm_type"] = int(rng.choice([2, 4]))
    size = tuple(dilation * (_of(kernel, k) - 1) + 1 + int(rng.integers(4)) for k in range(axes))
    values = away_from_zero if kind == "lp_" else real
    return row_of(name, **found), (values(rng, (*_leading(rng), *size)),)


def _adaptive(rng: Generator, name: str) -> Drawn:
    axes = int(name[-2])
    size = tuple(int(rng.integers(1, 6)) for _ in range(axes))
    return row_of(name, _each(rng, axes, lambda: int(rng.integers(1, 5)))), (real(rng, (*_leading(rng), *size)),)


_MODES = {1: ("nearest", "nearest-exact", "linear"), 2: ("nearest", "nearest-exact", "bilinear", "bicubic"),
          3: ("nearest", "nearest-exact", "trilinear")}  # fmt: skip


def _interpolated(rng: Generator, name: str) -> Drawn:
    """Of two elements at least, and by no factor near 1: at the old length torch copies, whatever the factor says."""
    axes = int(rng.integers(1, 4))
    mode = str(rng.choice(_MODES[axes]))
    found: dict[str, Any] = {"mode": mode}
    if rng.random() < 0.5:
        found["size"] = _each(rng, axes, lambda: int(rng.integers(1, 7)))
    else:
        found["scale_factor"] = float(rng.choice([0.5, 1.5, 2.0, 2.5, 3.0]))
        found["recompute_scale_factor"] = bool(rng.integers(2)) or None
    if not mode.startswith("nearest"):
        found["align_corners"] = bool(rng.integers(2))
    size = tuple(int(rng.integers(2, 5)) for _ in range(axes))
    return row_of(name, **found), (real(rng, (int(rng.integers(1, 3)), 1, *size)),)


def _sorted(rng: Generator, name: str) -> Drawn:
    size = shape(rng, least=1)
    found = {"dim": axis_of(rng, size), "descending": bool(rng.integers(2)), "stable": True}
    return row_of(name, **found), (real(rng, size),)


def _ranked(rng: Generator, name: str) -> Drawn:
    """Without equal elements: which of them topk, kthvalue and median choose, torch leaves open."""
    size = shape(rng, least=1)
    dim = axis_of(rng, size)
    found: dict[str, Any] = {"dim": dim}
    if name != "median":
        found["k"] = int(rng.integers(1, size[dim] + 1))
    found["largest" if name == "topk" else "keepdim"] = bool(rng.integers(2))
    return row_of(name, **found), (rng.normal(size=size),)


def _similar(rng: Generator, name: str) -> Drawn:
    """Vectors of two numbers at least: those of one are all alike, and of their gradient rounding errors are left."""
    a, b = ((*s[:-1], int(rng.integers(2, 5))) for s in _nonempty_pair(rng))
    last = max(a[-1], b[-1])
    return row_of(name, dim=-1), (away_from_zero(rng, (*a[:-1], last)), away_from_zero(rng, (*b[:-1], last)))


def _nonempty_pair(rng: Generator) -> tuple[Shape, Shape]:
    a, b = broadcast_pair(rng)
    return a or (1,), b or (1,)


def _pairwise(rng: Generator, name: str) -> Drawn:
    a, b = _nonempty_pair(rng)
    found = {"p": float(rng.choice([1.0, 2.0, 3.0])), "keepdim": bool(rng.integers(2))}
    return row_of(name, **found), (rng.normal(size=a), rng.normal(size=b))


def _all_pairs(rng: Generator, name: str) -> Drawn:
    leading, m = shape(rng, most=1), length(rng)
    first, second = ((*leading, length(rng), m) for _ in range(2))
    return row_of(name, p=float(rng.choice([1.0, 2.0, 3.0]))), (rng.normal(size=first), rng.normal(size=second))


_SLIDING = ("lp_pool1d", "lp_pool2d", *(f"{kind}_pool{axes}d" for kind in ("max", "avg") for axes in (1, 2, 3)))
POOLS: Mapping[str, Draw] = MappingProxyType({
    **dict.fromkeys(_SLIDING, _pooled),
    **{f"adaptive_{kind}_pool{axes}d": _adaptive for kind in ("avg", "max") for axes in (1, 2, 3)},
    "interpolate": _interpolated, "sort": _sorted, "topk": _ranked, "kthvalue": _ranked, "median": _ranked,
    "cosine_similarity": _similar, "pairwise_distance": _pairwise, "cdist": _all_pairs,
})  # fmt: skip
