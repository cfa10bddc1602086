"""Every planted fault is caught."""

import pytest

from torch_compare.mistakes import planted
from torch_compare.sources.plant import plant


@pytest.mark.parametrize("fault", planted.PLANTED, ids=lambda f: f.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_each_planted_fault_is_caught(fault, seed):
    assert not plant(fault, seed).agrees
