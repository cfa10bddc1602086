"""The examples in the documents at the root, run."""

import doctest
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["CONTRIBUTING.md"])
def test_the_examples_run(name):
    found = doctest.testfile(str(ROOT / name), module_relative=False, encoding="utf-8")
    assert found.attempted >= 9
    assert found.failed == 0
