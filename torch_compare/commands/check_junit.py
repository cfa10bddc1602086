"""The report of `gradient-oracle check` as JUnit XML, which continuous integration shows case by case."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

from .check_report import Checked, in_short
from .exit_status import AGREES, DISAGREES

NOT_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Letters that XML 1.0 does not have, not even escaped."""


def as_junit(checked: Sequence[Checked], results: str, status: Callable[[Checked], int], *, partial: bool) -> str:
    """One test a case: a failure if it disagrees, an error if it was not judged or is unresolved.

    Args:
        checked: the cases.
        results: where their results are, which names the tests' class.
        status: the exit status of one of them.
        partial: whether a case without a result is skipped; it is an error otherwise.

    >>> print(as_junit([Checked("relu", reason="no result", missing=True)], "mine", lambda one: 2, partial=True))
    <?xml version='1.0' encoding='utf-8'?>
    <testsuites>
      <testsuite name="gradient-oracle check" tests="1" failures="0" errors="0" skipped="1">
        <testcase classname="mine" name="relu">
          <skipped message="no result" />
        </testcase>
      </testsuite>
    </testsuites>
    """
    whole = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(whole, "testsuite", name="gradient-oracle check", tests=str(len(checked)))
    counts = {"failure": 0, "error": 0, "skipped": 0}
    for one in checked:
        case = ElementTree.SubElement(suite, "testcase", classname=_letters(results), name=_letters(one.case))
        found = status(one)
        if found == AGREES:
            continue
        kind = "failure" if found == DISAGREES else "skipped" if partial and one.missing else "error"
        counts[kind] += 1
        message = in_short(one) if one.verdict is None else f"{one.status}: {in_short(one)}"
        said = ElementTree.SubElement(case, kind, message=_letters(message))
        if one.verdict is not None:
            said.set("type", one.status)
            said.text = _letters(str(one.verdict))
    for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(counts[kind]))
    ElementTree.indent(whole)
    return ElementTree.tostring(whole, encoding="utf-8", xml_declaration=True).decode("utf-8")


def _letters(text: str) -> str:
    return NOT_XML.sub("?", text)
