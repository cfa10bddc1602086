"""`vectors` on the command line."""

import numpy as np
import pytest

from tests.torch_compare.cases.helpers import PATHS
from torch_compare.cases import vectors
from torch_compare.commands import cli
from torch_compare.files.case_file import read_case


def test_the_command_writes_and_says_what(tmp_path, capsys):
    assert cli.main(["vectors", str(tmp_path / "v"), "--cases", "2", "--seed", "9", "--dtype", "float32"]) == cli.AGREES
    assert f"{len(PATHS) + 2} cases, 2 of them random from seed 9" in capsys.readouterr().out
    assert vectors.check_manifest(tmp_path / "v").seed == 9
    assert read_case(tmp_path / "v" / "random_000001.json").problem.dtype == np.float32


@pytest.mark.parametrize(
    "arguments", [["--cases", "-1"], ["--seed", "x"], ["--dtype", "float16"], ["--seed", str(2**64)]]
)
def test_bad_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["vectors", "v", *arguments])
    assert stop.value.code == cli.BAD_INPUT


def test_a_file_in_the_place_of_the_folder(tmp_path, capsys):
    (tmp_path / "v").write_text("")
    assert cli.main(["vectors", str(tmp_path / "v")]) == cli.BAD_INPUT
    assert "Traceback" not in capsys.readouterr().err
