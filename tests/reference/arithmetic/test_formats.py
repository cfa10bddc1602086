"""The formats are those that torch documents, and accumulate in wider ones only."""

import pytest
import torch

from reference.arithmetic.formats import STORED, get_format

TORCH = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def test_the_formats_are_those_that_torch_documents():
    for name, kind in {**TORCH, "float8_e4m3": torch.float8_e4m3fn, "float8_e5m2": torch.float8_e5m2}.items():
        info, fmt = torch.finfo(kind), STORED[name]
        assert fmt.unit_roundoff == info.eps / 2
        assert fmt.largest == info.max
        assert fmt.smallest == info.smallest_normal * info.eps


def test_a_format_accumulates_in_wider_ones_only():
    single = get_format("float32")
    with pytest.raises(ValueError, match="float32 cannot accumulate in float32"):
        single.accumulating_in(single)
    with pytest.raises(ValueError, match="functions: float32 cannot evaluate in float32, which is no wider"):
        single.evaluating_in(single)
