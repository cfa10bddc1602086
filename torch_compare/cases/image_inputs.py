"""What the operations of images are shown with in the test vectors: convolutions, pooling, interpolation, windows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Entry = tuple[Mapping[str, Any], tuple[Any, ...]]
"""Parameters, and inputs as `operation_inputs` states them."""

IMAGES: Mapping[str, tuple[Entry, Entry]] = MappingProxyType({
    "adaptive_avg_pool1d": (({"output_size": 2}, ((1, 5),)), ({"output_size": 4}, ((2, 1, 3),))),
    "adaptive_avg_pool2d": (({"output_size": 1}, ((1, 2, 3),)), ({"output_size": (2, None)}, ((1, 1, 3, 2),))),
    "adaptive_avg_pool3d": (({"output_size": 1}, ((1, 2, 1, 3),)), ({"output_size": (1, 2, 2)}, ((1, 1, 2, 3, 2),))),
    "adaptive_max_pool1d": (({"output_size": 2}, ((1, 5),)), ({"output_size": 4}, ((2, 1, 3),))),
    "adaptive_max_pool2d": (({"output_size": 1}, ((1, 2, 3),)), ({"output_size": (2, None)}, ((1, 1, 3, 2),))),
    "adaptive_max_pool3d": (({"output_size": 1}, ((1, 2, 1, 3),)), ({"output_size": (1, 2, 2)}, ((1, 1, 2, 3, 2),))),
    "avg_pool1d": (
        ({"kernel_size": 2}, ((2, 4),)),
        ({"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}, ((1, 1, 5),)),
    ),
    "avg_pool2d": (
        ({"kernel_size": 2, "stride": 1}, ((1, 3, 3),)),
        ({"kernel_size": (2, 3),
         "stride": 2, "padding": (1, 0), "ceil_mode": True, "divisor_override": 4}, ((1, 1, 3, 4),)),
    ),
    "avg_pool3d": (
        ({"kernel_size": 2, "stride": 1}, ((1, 2, 3, 2),)),
        ({"kernel_size": (1, 2, 2), "padding": (0, 1, 0), "count_include_pad": False}, ((1, 1, 2, 2, 2),)),
    ),
    "channel_shuffle": (({"groups": 2}, ((1, 6, 1),)), ({"groups": 3}, ((2, 6, 1),))),
    "conv1d": (
        ({"padding": 1}, ((2, 2, 3), (2, 2, 2), (2,))),
        ({"stride": 2, "dilation": 2, "groups": 2}, ((4, 5), (2, 2, 2))),
    ),
    "conv2d": (
        ({"padding": 1}, ((2, 2, 2, 1), (1, 2, 2, 2), (1,))),
        ({"stride": (1, 2), "dilation": (2, 1), "groups": 2, "padding": (1, 0)}, ((2, 2, 4), (2, 1, 2, 2))),
    ),
    "conv3d": (
        ({"padding": "same"}, ((2, 1, 1, 2, 2), (2, 1, 2, 2, 1), (2,))),
        ({"stride": 2, "groups": 2}, ((2, 1, 2, 3), (2, 1, 1, 2, 2))),
    ),
    "conv_transpose1d": (
        ({"stride": 2, "padding": 1}, ((2, 2, 3), (2, 2, 2), (2,))),
        ({"stride": 2, "output_padding": 1, "groups": 2}, ((4, 2), (4, 1, 3))),
    ),
    "conv_transpose2d": (
        ({"stride": 2, "padding": 1}, ((2, 2, 2, 2), (2, 1, 2, 2), (1,))),
        ({"dilation": (2, 1), "output_padding": (1, 0), "groups": 2}, ((2, 2, 1), (2, 1, 2, 2))),
    ),
    "conv_transpose3d": (
        ({"stride": 2}, ((2, 1, 1, 1, 2), (1, 2, 2, 1, 1), (2,))),
        ({"padding": (0, 1, 0), "groups": 2}, ((2, 2, 3, 1), (2, 1, 1, 2, 2))),
    ),
    "fold": (
        ({"output_size": (3, 3), "kernel_size": 2}, ((1, 4, 4),)),
        ({"output_size": (2, 4), "kernel_size": (1, 2), "padding": (0, 1), "stride": (1, 2)}, ((2, 6),)),
    ),
    "interpolate": (
        ({"scale_factor": 2}, ((1, 1, 3),)),
        ({"size": (3, 4), "mode": "bilinear", "align_corners": True}, ((1, 1, 2, 3),)),
    ),
    "local_response_norm": (
        ({"size": 2, "alpha": 0.5}, ((2, 3, 2),)),
        ({"size": 3, "alpha": 2.0, "beta": 0.5, "k": 0.25}, ((1, 4, 1, 2),)),
    ),
    "lp_pool1d": (
        ({"norm_type": 2, "kernel_size": 2}, ((2, 4),)),
        ({"norm_type": 4, "kernel_size": 3, "stride": 2, "ceil_mode": True}, ((1, 1, 4),)),
    ),
    "lp_pool2d": (
        ({"norm_type": 2, "kernel_size": 2, "stride": 1}, ((1, 3, 3),)),
        ({"norm_type": 2, "kernel_size": (1, 2)}, ((1, 1, 2, 4),)),
    ),
    "max_pool1d": (({"kernel_size": 2}, ((2, 4),)), ({"kernel_size": 3, "stride": 2, "padding": 1}, ((1, 1, 5),))),
    "max_pool2d": (
        ({"kernel_size": 2, "stride": 1}, ((1, 3, 3),)),
        ({"kernel_size": (3, 2), "stride": 2, "padding": 1, "dilation": (1, 2), "ceil_mode": True}, ((1, 1, 3, 4),)),
    ),
    "max_pool3d": (
        ({"kernel_size": 2, "stride": 1}, ((1, 2, 3, 2),)),
        ({"kernel_size": (1, 2, 2), "padding": (0, 1, 0)}, ((1, 1, 2, 2, 2),)),
    ),
    "pixel_shuffle": (({"upscale_factor": 2}, ((1, 4, 2, 1),)), ({"upscale_factor": 3}, ((9, 1, 1),))),
    "pixel_unshuffle": (({"downscale_factor": 2}, ((1, 1, 2, 4),)), ({"downscale_factor": 3}, ((1, 3, 3),))),
    "unfold": (
        ({"kernel_size": 2}, ((1, 1, 3, 3),)),
        ({"kernel_size": (1, 2), "padding": (0, 1), "stride": (1, 2), "dilation": 2}, ((2, 2, 4),)),
    ),
})  # fmt: skip
"""Two entries a row, by its name."""
