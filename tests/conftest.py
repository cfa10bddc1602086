"""Hypothesis profiles: "gate" is deterministic and the default, "explore" draws new examples and says its seed."""

from __future__ import annotations

import secrets

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
    """Choose the seed of an exploration here, so that it can be printed and every worker shares it."""
    if exploring(config) and config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out of the gate what is marked `explore`."""
    if not exploring(config):
        left_out = [item for item in items if item.get_closest_marker("explore")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if exploring(config):
        seed = config.getoption("--hypothesis-seed")
        terminalreporter.write_line(
            f"explored with seed {seed}; again: --hypothesis-profile=explore --hypothesis-seed={seed}"
        )
