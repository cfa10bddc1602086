"""A pytest plugin: the fixture `gradient_oracle`, and its verdicts in the report of a test that fails.

It is loaded by every run of pytest in an environment where this package is installed, so it imports nothing of it
before a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import reference as ref

    from .files.case_file import Case
    from .verdict.checks import Verdict

TITLE = "gradient-oracle"
_VERDICTS = pytest.StashKey[list[str]]()


class GradientOracle:
    """The fixture `gradient_oracle`: the checks of `torch_compare`, with their verdicts kept for the report."""

    def __init__(self, kept: list[str]) -> None:
        self._kept = kept

    def check(self, problem: ref.Problem, given: Any, dtype: Any = None, **options: Any) -> Verdict:
        """`torch_compare.check`; if the test fails, its report shows the verdict unless that is "agrees"."""
        from .verdict.checks import check  # noqa: PLC0415  (see the module's docstring; so below)

        return self._keep(check(problem, given, dtype, **options))

    def check_module(
        self, module: Any, inputs: Any, target: Any, loss_fn: Any, dtype: Any = None, **options: Any
    ) -> Verdict:
        """`torch_compare.check_module`, reported like `check`."""
        from .verdict.checks import check_module  # noqa: PLC0415

        return self._keep(check_module(module, inputs, target, loss_fn, dtype, **options))

    def assert_gradients(self, problem: ref.Problem, given: Any, dtype: Any = None, **options: Any) -> None:
        """`torch_compare.assert_gradients`: fails the test with the verdict's text unless the gradients agree."""
        __tracebackhide__ = True
        from .verdict.checks import assert_gradients  # noqa: PLC0415

        assert_gradients(problem, given, dtype, **options)

    def cases(self, *flags: str) -> tuple[Case, ...]:
        """The committed test vectors: those with all the flags, every one if none is named.

        Raises:
            ValueError: no case has such a flag; the message lists those that exist.
        """
        from .cases.vectors import COMMITTED, case_paths  # noqa: PLC0415
        from .files.case_file import read_case  # noqa: PLC0415

        cases = [read_case(path) for path in case_paths(COMMITTED)]
        known = sorted({flag for case in cases for flag in case.flags})
        for flag in flags:
            if flag not in known:
                raise ValueError(f"flags: expected some of {', '.join(known)}, got {flag!r}")
        return tuple(case for case in cases if set(flags) <= set(case.flags))

    def _keep(self, verdict: Verdict) -> Verdict:
        if not verdict.agrees:
            self._kept.append(str(verdict))
        return verdict


@pytest.fixture
def gradient_oracle(request: pytest.FixtureRequest) -> GradientOracle:
    """Judge gradients against the oracle's: .assert_gradients, .check, .check_module, .cases."""
    return GradientOracle(request.node.stash.setdefault(_VERDICTS, []))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the verdicts that do not agree to the report of a test that failed."""
    report = yield
    if report.when == "call" and report.failed:
        report.sections.extend((TITLE, text) for text in item.stash.get(_VERDICTS, []))
    return report
