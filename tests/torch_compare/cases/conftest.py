"""The committed cases, read once."""

import pytest

from tests.torch_compare.cases.helpers import PATHS
from torch_compare.files.case_file import read_case


@pytest.fixture(scope="module")
def cases():
    return [read_case(path) for path in PATHS]
