"""Every terminal shows what is printed, and no terminal changes an exit status."""

import ast
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import reference
import torch_compare
from torch_compare.cases.vectors import COMMITTED
from torch_compare.commands import cli
from torch_compare.commands.terminal import CORNERS, TWINS, twin

CASE = COMMITTED / "network_batch_8.json"


def letters():
    """Every letter of a text in the sources that ASCII does not have."""
    return sorted({
        letter
        for package in (reference, torch_compare)
        for path in Path(package.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for letter in node.value
        if not letter.isascii() and letter.isprintable()
    })  # fmt: skip


def run(*arguments, encoding="utf-8", **environment):
    command = [sys.executable, "-m", "torch_compare", *map(str, arguments)]
    variables = os.environ | {"PYTHONIOENCODING": encoding} | environment
    return subprocess.run(command, capture_output=True, env=variables, check=False)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    result = tmp_path_factory.mktemp("results") / "wrong.json"
    case = json.loads(CASE.read_text(encoding="utf-8"))
    zeros = {
        place: [0.0] * len(leaf["nearest"]["decimal"]) for place, leaf in case["gradients"].items() if place == "input"
    }
    result.write_text(json.dumps({"gradients": zeros}), encoding="utf-8")
    return result


def commands(wrong):
    return {0: ("explain",), 1: ("check", CASE, wrong), 2: ("check", CASE, "nowhere, σ")}


def on_a_terminal(encoding, arguments, monkeypatch):
    """The status and all that is written by a command on streams of an encoding, within this process."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding, errors) for errors in ("strict", "backslashreplace")]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        status = cli.main([*map(str, arguments)])
    return status, b"".join(stream.buffer.getvalue() for stream in streams).decode(encoding)


def shows_all(text):
    assert "Traceback" not in text
    assert "codec" not in text
    assert "?" not in text.replace("nowhere, ?", "")


@pytest.mark.parametrize("status", [0, 1, 2])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp437"])
def test_a_status_is_the_same_in_every_encoding(wrong, status, encoding, monkeypatch):
    found, text = on_a_terminal(encoding, commands(wrong)[status], monkeypatch)
    assert found == status, text
    assert text.strip()
    shows_all(text)


@pytest.mark.parametrize(("status", "encoding"), [(0, "latin-1"), (1, "ascii"), (2, "cp437")])
def test_a_status_is_that_of_the_process_too(wrong, status, encoding):
    done = run(*commands(wrong)[status], encoding=encoding)
    assert done.returncode == status, done.stderr
    shows_all((done.stdout + done.stderr).decode(encoding))


@pytest.mark.parametrize(("status", "extra"), [(0, {"COLUMNS": "40"}), (1, {"COLUMNS": "40"}), (1, {})])
def test_a_status_stands_in_the_c_locale_and_in_40_columns(wrong, status, extra):
    plain = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONIOENCODING"} | plain
    command = [sys.executable, "-m", "torch_compare", *map(str, commands(wrong)[status])]
    done = subprocess.run(command, capture_output=True, env=environment | extra, check=False)
    assert done.returncode == status, done.stderr


def test_every_letter_has_a_plain_twin():
    found = letters()
    assert len(found) > 50
    assert [letter for letter in found if not twin(letter).isascii() or "?" in twin(letter)] == []


def test_the_twins_are_of_letters_that_ascii_does_not_have():
    assert all(len(letter) == 1 and not letter.isascii() for letter in [*TWINS, *CORNERS])
