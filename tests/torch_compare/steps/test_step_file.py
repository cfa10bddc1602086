"""Steps as files: there and back, results of other programs, the command line, and strangers' files."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import torch_compare as tc
from reference import optimizers as o
from torch_compare.commands import cli
from torch_compare.steps.step_file import FORMAT

OPT = o.adamw(lr=0.1)
W = {"w": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3), "b": np.zeros(3, np.float32)}
G = {"w": np.full((2, 3), 0.25, np.float32), "b": np.array([1, -2, 3], np.float32)}


def taken():
    new, after = OPT.update(list(W.values()), list(G.values()), OPT.init(list(W.values())))
    return dict(zip(W, new, strict=True)), after


@pytest.fixture(params=["json", "safetensors"])
def path(request, tmp_path):
    return tmp_path / f"step.{request.param}"


def test_a_step_comes_back(path):
    tc.write_step(path, OPT, W, G, None, taken(), dtype="float32")
    found = tc.read_step(path)
    assert found.optimizer.hyperparameters == OPT.hyperparameters
    assert found.dtype == "float32"
    verdict = tc.check_step(found.optimizer, found.params, found.gradients, found.state, found.given)
    assert verdict.agrees
    assert verdict.worst == tc.check_step(OPT, W, G, None, taken()).worst


def test_bfloat16_muon_with_others_and_many_axes_come_back(path):
    opt = o.muon(others=o.adamw(lr=0.3))
    params = [np.ones((2, 2)), np.ones((2, 2, 2)), np.ones(2).astype(ml_dtypes.bfloat16).astype(np.float32)]
    tc.write_step(path, opt, params, params, opt.init(params))
    found = tc.read_step(path)
    assert found.optimizer.hyperparameters["others"]["lr"] == 0.3
    new = opt.update(params, params, opt.init(params))
    assert tc.check_step(found.optimizer, found.params, found.gradients, found.state, new[0]).agrees
    half = [np.ones(2).astype(ml_dtypes.bfloat16)]
    tc.write_step(path, OPT, half, half)
    assert tc.read_step(path).params["0"].format == "bfloat16"


def check(*paths, capsys):
    status = cli.main(["check", *map(str, paths)])
    return status, " ".join(capsys.readouterr())


def test_the_command_line_judges_what_a_program_wrote(path, tmp_path, capsys):
    tc.write_step(path, OPT, W, G)
    new, after = taken()
    result = {
        "params": {k: [float(f"{x:.9g}") for x in a.ravel()] for k, a in new.items()},
        "state": {"step": 1, "exp_avg": [a.tolist() for a in after["exp_avg"]]},
    }
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps(result))
    assert check(path, mine, capsys=capsys)[0] == 0
    result["state"]["step"] = 2
    mine.write_text(json.dumps(result))
    status, said = check(path, mine, capsys=capsys)
    assert (status, "counted twice" in said) == (1, True)
    tensors = tmp_path / "mine.safetensors"
    safetensors.numpy.save_file({f"params.{k}": a for k, a in new.items()} | {"state.step": np.array([1.0])}, tensors)
    assert check(path, tensors, capsys=capsys)[0] == 0
    both = tmp_path / "both.json"
    tc.write_step(both, OPT, W, G, None, (new, after))
    assert check(path, both, capsys=capsys)[0] == 0
    assert check(both, path, capsys=capsys)[0] == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "x"}, None),
        ({"optimizer": {"name": "adam"}}, "optimizer: expected an object of name and settings"),
        ({"optimizer": {"name": "eval", "settings": {}}}, "optimizer: name: expected one of"),
        ({"optimizer": {"name": "adam", "settings": {"lr": -1}}}, "lr must be a finite number of at least 0.0, got -1"),
        ({"optimizer": {"name": "adam", "settings": {"x": 1}}}, "unexpected keyword"),
        ({"optimizer": {"name": "adam", "settings": {"lr": {"a": 1}}}}, "expected a number"),
        ({"params": []}, "params: expected an object"),
        ({"params": {"w": 3}}, "expected an array"),
        ({"params": {"w": {"array": "", "format": "float32", "shape": [2**40], "decimal": []}}}, "more than the"),
        ({"params": {"w": {"array": "", "format": "float32", "shape": [2], "decimal": [1]}}}, "expected 2 floating"),
        ({"params": {"w": {"array": "", "format": "f", "shape": [1], "decimal": [1]}}}, "format: expected one of"),
        ({"params": {"w": {"array": "", "format": "float32", "shape": [1], "decimal": [None]}}}, "expected a number"),
        ({"state": 3}, "state: expected an object"),
        ({"state": {"step": -1}}, "state"),
        ({"dtype": "x"}, "dtype: expected one of"),
        ({"given": {"x": 1}}, "given: expected an object"),
        ({"extra": 1}, "'extra': unknown"),
    ],
)
def test_a_file_that_is_no_step_is_refused_in_words(change, said, tmp_path, capsys):
    path = tmp_path / "step.json"
    tc.write_step(path, OPT, W, G, None, taken())
    data = json.loads(path.read_text()) | change
    path.write_text(json.dumps(data))
    status, text = check(path, path, capsys=capsys)
    assert status == 2
    assert said is None or said in " ".join(text.split())
    if said is None:
        with pytest.raises(ValueError, match=f'expected "{FORMAT}"'):
            tc.read_step(path)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("[]", "expected an object of params"),
        ('{"params": {"w": [1]}}', r"params[w]: expected 6 numbers"),
        ('{"params": {"w": [1, 2, 3, 4, 5, 6]}}', "'b' is missing"),
        ('{"params": {"x": [1]}}', "x"),
        ('{"params": {"w": "a"}}', "expected a number"),
        ('{"params": [[1,2,3,4,5,6],[1,2,3]], "state": []}', "state: expected an object"),
        ('{"params": [[1,2,3,4,5,6],[1,2,3]], "state": {"z": 1}}', "'z' is unknown"),
        ('{"params": [[1,2,3,4,5,6],[1,2,3]], "state": {"exp_avg": 1}}', "exp_avg"),
        ('{"params": [[1,2,3,4,5,6],[1,2,3]], "state": {"step": "a"}}', "step: expected a whole number"),
    ],
)
def test_a_result_that_does_not_fit_is_refused_in_words(result, said, tmp_path, capsys):
    path, mine = tmp_path / "step.json", tmp_path / "mine.json"
    tc.write_step(path, OPT, W, G)
    mine.write_text(result)
    status, text = check(path, mine, capsys=capsys)
    assert (status, said in " ".join(text.split())) == (2, True), text
