"""The command line itself: usage, paths, and what never shows a traceback."""

import os
import pickle
import re
import shutil
from pathlib import Path

import pytest

import reference as ref
from tests.fuzz.damage import Bomb
from tests.torch_compare.commands.helpers import write_result
from torch_compare.cases import vectors
from torch_compare.commands import cli
from torch_compare.files.case_file import read_case
from torch_compare.sources import campaign, plant

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


def example_of(command, capsys):
    """What stands in a command's help as its example; of no command, in that of the program."""
    with pytest.raises(SystemExit):
        cli.main([*command, "--help"])
    _, _, example = " ".join(capsys.readouterr().out.split()).partition("Example: gradient-oracle ")
    return example.partition(";")[0].split()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that holds what the examples read, but for the pieces of a campaign."""
    (tmp_path / "vectors").mkdir()
    name = "activation_tanh.json"
    shutil.copy(vectors.COMMITTED / name, tmp_path / "vectors")
    write_result(tmp_path / "result.json", ref.gradients(read_case(vectors.COMMITTED / name).problem).leaves())
    monkeypatch.setattr(plant, "PLANTED", plant.PLANTED[:1])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_is_named():
    assert set(cli.COMMANDS) == set(cli.parser()._subparsers._group_actions[0].choices)


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_the_example_in_every_help_runs(command, folder, capsys):
    example = example_of(command.split(), capsys)
    assert example[:1] == [command] or command == ""
    if command == "campaign":
        for first, name in enumerate(word for word in example if word.endswith(".jsonl")):
            campaign.run(1, seed=5, jobs=1, first=first, path=folder / name)
    assert cli.main([*example, *(["--jobs", "1"] if command == "verify" else [])]) == cli.AGREES
    written = [example[at + 1] for at, word in enumerate(example) if word in ("--json", "--html")]
    assert all((folder / path).stat().st_size for path in written)


@pytest.mark.parametrize(("arguments", "message"), [
    (["chekc", "a", "b"], "invalid choice: 'chekc' .*, is check meant"),
    (["check", "a", "b", "--jsn", "c"], "unrecognized arguments: --jsn c, is --json meant"),
    (["check", "a", "b", "--dtype", "bfloat61"], "is bfloat16 meant"),
    (["vectors", "a", "--reduction", "man"], "is mean meant"),
    (["verify", "--backend", "dusk"], "is dask meant"),
    (["explain", "--activation", "tahn"], "is tanh meant"),
    (["explain", "--loss", "mes"], "is mse meant"),
    (["operations", "layernorm"], "is layer_norm meant"),
])  # fmt: skip
def test_an_unknown_name_is_answered_by_the_nearest(arguments, message, capsys):
    try:
        status = cli.main(arguments)
    except SystemExit as stop:
        status = stop.code
    assert status == cli.BAD_INPUT
    assert re.search(message, " ".join(capsys.readouterr().err.split()))


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
        (["verify", "--html", "."], "--html: . is a folder"),
        (["verify", "--resume", str(file / "run.jsonl")], "--resume: there is no folder"),
        (["campaign", str(file), "--html", "-"], "--html: expected the path of a file"),
        (["check", CASE, CASE, "--junit", str(folder)], f"--junit: {folder} is a folder"),
        (["explain", "--html", str(file / "page.html")], "--html: there is no folder"),
        (["operations", "--json", "."], "--json: . is a folder"),
        (["verify", "--json", str(file / "report.json")], "--json: there is no folder"),
        (["verify", *out, "--disagreements", str(file)], f"--disagreements: {file} is a file"),
        (["verify", *out, "--disagreements", str(file / "deeper" / "still")], f"--disagreements: {file} is a file"),
        (["check", CASE, CASE, "--json", str(folder)], f"--json: {folder} is a folder"),
        (["vectors", str(file)], f"DIR: {file} is a file"),
    )


@pytest.mark.parametrize("number", range(12))
def test_a_path_that_cannot_be_written_is_refused_before_the_work(number, tmp_path, capsys):
    arguments, message = paths_that_cannot_be_written(tmp_path)[number]
    assert cli.main(arguments) == cli.BAD_INPUT
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"gradient-oracle: {message}")


@pytest.mark.parametrize(("arguments", "message"), [
    (["--json", "one", "--html", "one"], "--html: one is the file of --json already"),
    (["--html", "one", "--junit", "./one"], "--junit: one is the file of --html already"),
    (["--json", "result.json"], "--json: result.json is the file of RESULT already"),
])  # fmt: skip
def test_no_file_is_written_over_another(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "result.json").write_bytes(Path(CASE).read_bytes())
    assert cli.main(["check", CASE, "result.json", *arguments]) == cli.BAD_INPUT
    assert capsys.readouterr().err == f"gradient-oracle: {message}\n"
    assert (tmp_path / "result.json").read_bytes() == Path(CASE).read_bytes()


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
