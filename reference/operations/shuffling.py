"""Channels and places exchanged: pixel_shuffle and its inverse, channel_shuffle."""

from __future__ import annotations

from collections.abc import Callable

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .arguments import expect, whole
from .moving import moving
from .probe import probe
from .row import Operation

_SHI = "Shi et al. 2016, Real-time super-resolution, arXiv:1609.05158, eq. 4, with torch's order of channels"


def _to_places(x: Array, r: int) -> Array:
    """(…, C·r², H, W) to (…, C, H·r, W·r)."""
    *leading, channels, high, wide = x.shape
    y = x.reshape(-1, r, r, high, wide).transpose(0, 3, 1, 4, 2)
    return y.reshape(*leading, channels // (r * r), high * r, wide * r)


def _to_channels(x: Array, r: int) -> Array:
    """(…, C, H·r, W·r) to (…, C·r², H, W)."""
    *leading, channels, high, wide = x.shape
    y = x.reshape(-1, high // r, r, wide // r, r).transpose(0, 2, 4, 1, 3)
    return y.reshape(*leading, channels * r * r, high // r, wide // r)


def _exchanged(x: Array, r: int) -> Array:
    """The two factors of r² channels taken in the other order, (…, C·r², H, W)."""
    *leading, channels, high, wide = x.shape
    return x.reshape(-1, r, r, high, wide).swapaxes(1, 2).reshape(*leading, channels, high, wide)


_ORDER = "the two factors of the channels exchanged"


@recorded
def pixel_shuffle(upscale_factor: int) -> Operation:
    """y[c, h·r + i, w·r + j] = x[c·r² + i·r + j, h, w], r the factor: (…, C·r², H, W) to (…, C, H·r, W·r).

    >>> import numpy as np
    >>> pixel_shuffle(2).value(np.arange(4.0).reshape(4, 1, 1))
    array([[[0., 1.],
            [2., 3.]]])
    """
    r = whole("pixel_shuffle", "upscale_factor", upscale_factor, 1)

    def value(x: Array) -> Array:
        fits = x.ndim >= 3 and x.shape[-3] % (r * r) == 0
        expect("pixel_shuffle", fits, "input", f"shape (…, C·{r * r}, H, W)", f"shape {x.shape}")
        return _to_places(x, r)

    return moving(
        "pixel_shuffle",
        "y[c, h·r + i, w·r + j] = x[c·r² + i·r + j, h, w]",
        value,
        lambda shape, d: _to_channels(d, r),
        (probe(2, r * r, 2, 1), probe(2 * r * r, 1, 2)),
        {"upscale_factor": r},
        {_ORDER: lambda shape, d: _exchanged(_to_channels(d, r), r)} if r > 1 else {},
        source=_SHI,
    )


@recorded
def pixel_unshuffle(downscale_factor: int) -> Operation:
    """The inverse of `pixel_shuffle`: (…, C, H·r, W·r) to (…, C·r², H, W).

    >>> import numpy as np
    >>> pixel_unshuffle(2).value(np.arange(4.0).reshape(1, 2, 2)).ravel()
    array([0., 1., 2., 3.])
    """
    r = whole("pixel_unshuffle", "downscale_factor", downscale_factor, 1)

    def value(x: Array) -> Array:
        fits = x.ndim >= 3 and x.shape[-2] % r == 0 and x.shape[-1] % r == 0
        expect("pixel_unshuffle", fits, "input", f"shape (…, C, H·{r}, W·{r})", f"shape {x.shape}")
        return _to_channels(x, r)

    return moving(
        "pixel_unshuffle",
        "y[c·r² + i·r + j, h, w] = x[c, h·r + i, w·r + j]",
        value,
        lambda shape, d: _to_places(d, r),
        (probe(2, 1, 2 * r, r), probe(2, r, 2 * r)),
        {"downscale_factor": r},
        {_ORDER: lambda shape, d: _to_places(_exchanged(d, r), r)} if r > 1 else {},
        source=_SHI,
    )


@recorded
def channel_shuffle(groups: int) -> Operation:
    """y[n, j·G + g] = x[n, g·C/G + j]: the channels of G groups dealt out in turn, (N, C, …).

    >>> import numpy as np
    >>> channel_shuffle(2).value(np.arange(4.0).reshape(1, 4, 1)).ravel()
    array([0., 2., 1., 3.])
    """
    g = whole("channel_shuffle", "groups", groups, 1)

    def dealt(x: Array, rows: int) -> Array:
        return x.reshape(x.shape[0], rows, x.shape[1] // rows, -1).swapaxes(1, 2).reshape(*x.shape)

    def value(x: Array) -> Array:
        fits = x.ndim >= 3 and x.shape[1] % g == 0
        expect("channel_shuffle", fits, "input", f"shape (N, C, …), C a multiple of {g}", f"shape {x.shape}")
        return dealt(x, g)

    return moving(
        "channel_shuffle",
        "y[n, j·G + g] = x[n, g·C/G + j]",
        value,
        lambda shape, d: dealt(d, shape[1] // g),
        (probe(2, 2 * g, 1), probe(1, 3 * g, 2)),
        {"groups": g},
        {"shuffled again, not back": lambda shape, d: dealt(d, g)} if g > 1 else {},
        source="Zhang et al. 2018, ShuffleNet, arXiv:1707.01083, §3.1",
    )


MAKERS: tuple[Callable[..., Operation], ...] = (pixel_shuffle, pixel_unshuffle, channel_shuffle)
