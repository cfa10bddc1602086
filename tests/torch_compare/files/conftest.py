"""A small committed case as data."""

import json

import pytest

from tests.torch_compare.files.helpers import SMALL
from torch_compare.cases import vectors


@pytest.fixture
def data():
    return json.loads((vectors.COMMITTED / f"{SMALL}.json").read_text("utf-8"))
