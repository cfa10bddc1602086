"""The header, the table and the JSON of a report."""

import io
import json
import re

import numpy as np
import pytest
from rich.console import Console

from benchmarks.harness import report as harness


def report(**changes):
    fields = {
        "question": "?", "claim": "c", "refuted_by": "r", "columns": {"name": "name", "size": "size [s]"},
        "rows": [{"name": "a", "size": float("nan")}, {"name": "b", "size": 1234}], "figures": {"f": 2.0},
    }  # fmt: skip
    return harness.Report(**(fields | changes))


def test_the_header_says_machine_versions_threads_and_seed():
    head = harness.header(7)
    assert list(head) == ["machine", "python", "numpy", "scipy", "torch", "threads", "seed"]
    assert head["numpy"] == np.__version__
    assert head["seed"] == "7"
    assert all(head.values())


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 1.0, 2.5])
def test_growth_finds_the_exponent_of_a_power(exponent):
    x = 2.0 ** np.arange(6)
    assert round(harness.growth(list(x), list(3 * x**exponent)), 9) == exponent


def test_json_holds_header_claim_and_table_and_no_nan(tmp_path):
    harness.write_json(report(), {"seed": "0"}, tmp_path / "new" / "r.json")
    document = json.loads((tmp_path / "new" / "r.json").read_text("utf-8"))
    assert document["header"] == {"seed": "0"}
    assert document["claim"] == "c"
    assert document["rows"] == [{"name": "a", "size": None}, {"name": "b", "size": 1234}]


@pytest.mark.parametrize(("holds", "text"), [(True, "The claim holds."), (False, "The claim is refuted.")])
def test_the_table_is_printed_with_the_outcome(holds, text):
    console = Console(file=io.StringIO(), width=80)
    harness.show(report(holds=holds), {"seed": "0"}, console)
    printed = console.file.getvalue()
    assert text in printed
    assert "size [s]" in printed
    assert "1,234" in printed


WIDE = {"name": "network", **{f"c{k}": f"a long heading {k}" for k in range(9)}}


def shown(terminal):
    console = Console(file=io.StringIO(), width=80, force_terminal=terminal, no_color=True, legacy_windows=False)
    rows = [{"name": name, **{f"c{k}": 123456.0 + k for k in range(9)}} for name in ("first-one", "second-one")]
    harness.show(report(holds=True, columns=WIDE, rows=rows), {}, console)
    return re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())


def test_a_table_goes_into_a_pipe_whole():
    lines = shown(terminal=False).splitlines()
    assert any(all(heading in line for heading in WIDE.values()) for line in lines)
    assert sum("first-one" in line for line in lines) == 1


def test_a_table_that_is_too_wide_for_the_terminal_becomes_several_that_keep_the_names():
    lines = shown(terminal=True).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("first-one" in line for line in lines) == sum("network" in line for line in lines) > 1
    words = " ".join(lines).split()
    assert all(str(k) in words for k in range(9))
    assert sum("1.23e+05" in word for word in words) == 18
