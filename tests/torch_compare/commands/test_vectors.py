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


def test_one_case_of_a_network_of_ones_own(tmp_path, capsys):
    options = ["--widths", "4,6,5,3", "--activation", "tanh", "--loss", "mse", "--dtype", "float32", "--batch", "2"]
    for _ in range(2):
        assert cli.main(["vectors", str(tmp_path), *options, "--seed", "3", "--reduction", "sum"]) == cli.AGREES
    path = tmp_path / "net_4_6_5_3_tanh_mse_sum_float32_batch_2_seed_3.json"
    assert f"gradient-oracle check {path} RESULT" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, path.stem + ".safetensors", "schema"]
    problem = read_case(path).problem
    assert [layer.weight.shape for layer in problem.mlp.layers] == [(6, 4), (5, 6), (3, 5)]
    np.testing.assert_array_equal(read_case(path.with_suffix(".safetensors")).problem.x, problem.x)


@pytest.mark.parametrize(("options", "message"), [
    (["--loss", "mse"], "--loss: of a network of your own; say its --widths too"),
    (["--widths", "2,1", "--cases", "3"], "--cases: of the named set"),
    (["--widths", "2,1", "--activation", "rellu"], "activation: no row is named 'rellu', is relu meant?"),
    (["--widths", "2,1", "--batch", "0"], "batch: expected at least 1"),
])  # fmt: skip
def test_options_that_do_not_go_together(tmp_path, options, message, capsys):
    assert cli.main(["vectors", str(tmp_path), *options]) == cli.BAD_INPUT
    assert message in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("widths", ["4", "4,", "4,x", "4,0", "4,-1", "", "4,٣"])
def test_widths_that_are_none(tmp_path, widths, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["vectors", str(tmp_path), f"--widths={widths}"])
    assert stop.value.code == cli.BAD_INPUT
    assert "expected two numbers or more, each at least 1, as 4,6,5,3" in " ".join(capsys.readouterr().err.split())
