"""The table of operations at the command line."""

import json

from torch_compare.commands import cli


def test_the_table_is_listed_whole_and_in_part(capsys, tmp_path):
    assert cli.main(["operations", "layer_norm"]) == cli.AGREES
    out = capsys.readouterr().out
    assert "aten.layer_norm.default" in out
    assert "aten.mm.default" not in out
    path = tmp_path / "table.json"
    assert cli.main(["operations", "--json", str(path)]) == cli.AGREES
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["aten"]["aten.mm.default"] == "(Tensor self, Tensor mat2) -> Tensor"
    assert found["rows"]["linear"] == "linear()"
    assert found["rows"]["relu"] == "relu()"


def test_a_name_that_is_nowhere(capsys):
    assert cli.main(["operations", "swoosh"]) == cli.BAD_INPUT
    assert "swoosh" in capsys.readouterr().err
