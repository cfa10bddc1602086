"""Tables that make a row where it is first asked for."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from threading import Barrier

import pytest

import reference as ref
from reference.functions.recipe import recorded
from reference.functions.rows import Rows

TABLES = {"activations": ref.ACTIVATIONS, "losses": ref.LOSSES, "operations": ref.OPERATIONS}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_row_can_be_made_and_has_the_name_that_it_is_found_by(table):
    assert [row.name for row in table.values()] == list(table)
    assert list(table.values()) == [table[name] for name in table]


@recorded
def waiting():
    """A record that no thread has made before every one has begun to."""
    ALL.wait()
    return ref.Activation(**PARTS)


ALL = Barrier(8)
PARTS = {field.name: getattr(ref.ACTIVATIONS["relu"], field.name) for field in fields(ref.Activation)}
ASKED = {"the table": Rows({"waiting": waiting.__wrapped__}).__getitem__, "its maker": lambda name: waiting()}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_a_row_is_the_same_one_whatever_threads_ask_for_it(ask):
    with ThreadPoolExecutor(ALL.parties) as pool:
        got = list(pool.map(ask, ["waiting"] * ALL.parties))
    assert len(set(map(id, got))) == 1
    assert ask("waiting") is got[0]


def test_a_row_that_fails_its_own_check_cannot_be_had():
    def wrong():
        raise ValueError("its derivative contradicts its value")

    table = Rows({"right": lambda: 1, "wrong": wrong})
    assert table["right"] == 1
    assert "wrong" in table
    for _ in range(2):
        with pytest.raises(ValueError, match="contradicts"):
            table["wrong"]
    with pytest.raises(KeyError):
        table["other"]


def test_importing_the_package_makes_no_row_and_loads_no_scipy():
    code = (
        "import sys, reference as ref; "
        "print([name for name in ('scipy', 'rich', 'jsonschema') if name in sys.modules], "
        "len(ref.ACTIVATIONS._made), len(ref.LOSSES._made), len(ref.OPERATIONS._made))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "3", "0", "0"], "three rows are parts of others"


def test_a_row_whose_maker_looks_for_what_there_is_not_is_no_missing_row():
    table = Rows({"one": lambda: {}["two"]})
    with pytest.raises(RuntimeError, match="row 'one' cannot be made: there is no 'two'"):
        table.get("one")
    assert table.get("three") is None
