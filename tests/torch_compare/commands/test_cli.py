"""The command line itself: usage, paths, and what never shows a traceback."""

import os
import pickle

import pytest

from tests.fuzz.damage import Bomb
from torch_compare.cases import vectors
from torch_compare.commands import cli


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "--cases", "0"],
        ["verify", "--seed", "-1"],
        ["verify", "--dtype", "float16"],
        ["verify", "--cases", "many"],
        ["frobnicate"],
        [],
    ],
)
def test_bad_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == cli.BAD_INPUT
    assert "Traceback" not in capsys.readouterr().err


def test_bad_paths_and_names_exit_with_2(tmp_path, capsys):
    assert cli.main(["verify", "--replay", str(tmp_path / "none.json")]) == cli.BAD_INPUT
    assert cli.main(["verify", "--cases", "1", "--json", str(tmp_path / "no" / "f.json")]) == cli.BAD_INPUT
    assert cli.main(["explain", "--activation", "swoosh"]) == cli.BAD_INPUT
    assert "swoosh" in capsys.readouterr().err


def test_explain_exits_with_0(capsys):
    assert cli.main(["explain", "--activation", "sigmoid"]) == cli.AGREES
    assert "sigmoid" in capsys.readouterr().out


CASE = str(vectors.COMMITTED / "kink_relu.json")


class Trap:
    def __reduce__(self):
        return (os.system, ("echo a pickle was run",))


@pytest.mark.parametrize("data", [
    b"", b"{", b"[" * 100_000, pickle.dumps(Trap()), pickle.dumps(Bomb(), 0), b'{"loss": 1, "loss": 2}',
    b'{"loss": "\\ud800"}', b'{"\\u001b[31m": 1}', b'{"gradients": {"layers[0].weight": [1e400]}}',
    b"\xff\xfe{\0}\0", b'{"loss": ' + b"1" * 5000 + b"}",
], ids=range(11))  # fmt: skip
@pytest.mark.parametrize("name", ["result.json", "result.safetensors"])
def test_check_never_shows_a_traceback(tmp_path, capfd, data, name):
    path = tmp_path / name
    path.write_bytes(data)
    for arguments in ([CASE, str(path)], [str(path), str(path)]):
        assert cli.main(["check", *arguments]) == cli.BAD_INPUT
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        assert "a pickle was run" not in out + err
        assert "\x1b[31m" not in out + err
        assert name in err.replace("\n", "")


def test_strange_paths(tmp_path, capsys):
    for path in (str(tmp_path / "none"), str(tmp_path), "/dev/zero", "\udcff", str(tmp_path / ("a" * 300)), "a\0b", ""):
        assert cli.main(["check", CASE, path]) == cli.BAD_INPUT
        assert "Traceback" not in capsys.readouterr().err
