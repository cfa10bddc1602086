"""The command line itself: usage, paths, and what never shows a traceback."""

import os
import pickle

import pytest

import reference as ref
from tests.fuzz.damage import Bomb
from torch_compare.cases import vectors
from torch_compare.commands import cli

CASE = str(vectors.COMMITTED / "kink_relu.json")


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


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_help_of_every_command_has_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    _, _, example = " ".join(capsys.readouterr().out.split()).partition("Example: gradient-oracle ")
    assert cli.parser().parse_args(example.split()).command == command


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert (stop.value.code, capsys.readouterr().out) == (0, f"gradient-oracle {ref.__version__}\n")


def paths_that_cannot_be_written(folder):
    """Arguments of commands whose work would be lost, and what they are refused with."""
    file = folder / "file"
    file.touch()
    out = "--json", str(folder / "report.json")
    return (
        (["verify", "--json", "."], "--json: . is a folder"),
        (["verify", "--json", str(file / "report.json")], "--json: there is no folder"),
        (["verify", *out, "--disagreements", str(file)], f"--disagreements: {file} is a file"),
        (["verify", *out, "--disagreements", str(file / "deeper" / "still")], f"--disagreements: {file} is a file"),
        (["check", CASE, CASE, "--json", str(folder)], f"--json: {folder} is a folder"),
        (["vectors", str(file)], f"DIR: {file} is a file"),
    )


@pytest.mark.parametrize("number", range(6))
def test_a_path_that_cannot_be_written_is_refused_before_the_work(number, tmp_path, capsys):
    arguments, message = paths_that_cannot_be_written(tmp_path)[number]
    assert cli.main(arguments) == cli.BAD_INPUT
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"gradient-oracle: {message}")


@pytest.mark.parametrize("option", ["--json", "--disagreements"])
def test_a_folder_without_the_right_to_write_is_refused(option, tmp_path, capsys, monkeypatch):
    """The rights are planted: tests may run as root, who may write anywhere."""
    monkeypatch.setattr("torch_compare.commands.terminal.os.access", lambda path, mode: path != tmp_path)
    assert cli.main(["verify", "--cases", "1", option, str(tmp_path / "new")]) == cli.BAD_INPUT
    assert f"{option}: {tmp_path} cannot be written to" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_explain_exits_with_0(capsys):
    assert cli.main(["explain", "--activation", "sigmoid"]) == cli.AGREES
    assert "sigmoid" in capsys.readouterr().out


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
