"""Hypothesis profiles: "gate" is deterministic and the default, "explore" draws new examples and says its seed."""

from __future__ import annotations

import os
import secrets
import tempfile

import pytest
from hypothesis import settings

collect_ignore = ["fuzz/with_atheris.py"]  # a program of `make fuzz`, which needs an extra; it holds no test

settings.register_profile("gate", derandomize=True, deadline=None, database=None, max_examples=60)
settings.register_profile("explore", derandomize=False, deadline=None, max_examples=1000, print_blob=True)
# Named here because hypothesis loads a profile of its own, "ci", where the variable CI is set.
settings.load_profile("gate")


def exploring(config: pytest.Config) -> bool:
    return config.getoption("--hypothesis-profile") == "explore"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed of an exploration here, so that it can be printed and every worker shares it.

    Where no bytecode is to be written, all processes that tests start share it in a folder that goes with this one:
    to compile the project takes each as long as to load it.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        folder = tempfile.TemporaryDirectory(prefix="bytecode-")
        config.add_cleanup(folder.cleanup)
        os.environ["PYTHONPYCACHEPREFIX"] = folder.name
    if exploring(config) and config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what is marked for explorations out of the gate."""
    if exploring(config):
        return
    left = [item for item in items if item.get_closest_marker("explore")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if exploring(config):
        seed = config.getoption("--hypothesis-seed")
        terminalreporter.write_line(
            f"explored with seed {seed}; again: --hypothesis-profile=explore --hypothesis-seed={seed}"
        )
