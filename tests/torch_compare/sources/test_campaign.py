"""Campaigns, the files of disagreements, and the command line."""

import json

import numpy as np
import pytest

import reference as ref
from torch_compare.commands import cli
from torch_compare.files import problem_file
from torch_compare.mistakes import planted
from torch_compare.random_problems.spec import Spec, build
from torch_compare.sources import campaign, plant
from torch_compare.sources import comparison as comparisons
from torch_compare.sources.outcome import PairOutcome, PairVerdict


def test_a_campaign_agrees_and_counts(tmp_path):
    report = campaign.run(51, seed=3, jobs=1)
    assert report.problems == 51
    assert report.disagreements == []
    assert sum(report.losses.values()) == 51
    assert report.pairs["reference ~ torch"].cases + report.deviations.get("x", 0) > 30
    assert report.pairs["reference ~ central_difference"].cases > 30
    assert report.pairs["reference ~ complex_step"].cases > 30
    assert report.pairs["float32 ~ float64 reference"].cases > 15
    json.dumps(report.as_data())


def test_campaigns_are_reproducible_and_do_not_depend_on_the_number_of_processes():
    one, two = (campaign.run(52, seed=5, jobs=jobs).as_data() for jobs in (1, 2))
    assert one == two


@pytest.fixture
def broken(monkeypatch):
    """torch's gradients off by one part in 10⁹ in every weight."""

    def wrong(problem):
        g = ref.gradients(problem)
        layers = tuple(ref.LayerGradients(layer.weight * (1 + 1e-4), layer.bias) for layer in g.layers)
        return ref.Gradients(layers, g.input, g.loss)

    monkeypatch.setattr(comparisons, "torch_gradients", wrong)


SPEC = Spec(widths=(3, 4, 2), activations=("tanh", "identity"), loss="mse", batch=5, seed=1)


def test_a_disagreement_is_seen_written_and_replayed(broken, tmp_path, monkeypatch):
    case = campaign.run_case(SPEC)
    assert any(o.pair == "reference ~ torch" and o.verdict == "disagrees" for o in case.outcomes)
    path = campaign.write_disagreement(case, tmp_path / "d", 1)
    again = campaign.replay(path)
    verdicts = {o.pair: o.verdict for o in again}
    assert {o.pair: verdicts[o.pair] for o in case.outcomes} == {o.pair: o.verdict for o in case.outcomes}
    assert cli.main(["verify", "--replay", str(path)]) == cli.DISAGREES
    monkeypatch.undo()
    assert cli.main(["verify", "--replay", str(path)]) == cli.AGREES


def test_a_broken_reference_is_caught_by_every_other_source(monkeypatch):
    right = ref.gradients

    def wrong(problem):
        g = right(problem)
        return g.map(lambda leaf: leaf * (1 + 1e-6))

    def leaves(problem):
        return wrong(problem).leaves()

    monkeypatch.setattr(comparisons, "expected_leaves", leaves)
    verdicts = {o.pair: o.verdict for o in campaign.run_case(SPEC).outcomes}
    assert verdicts["reference ~ torch"] == "disagrees"
    assert verdicts["reference ~ central_difference"] == "disagrees"
    assert verdicts["reference ~ complex_step"] == "disagrees"
    assert verdicts["torch ~ central_difference"] == "bar"


def test_verify_prints_its_tables_and_writes_json(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    out = tmp_path / "report.json"
    status = cli.main(["verify", "--cases", "34", "--seed", "2", "--jobs", "1", "--json", str(out)])
    text = capsys.readouterr().out
    assert status == cli.AGREES, text
    for words in ("Planted faults", "bias gradient averaged", "reference", "central diff.", "gelu_tanh", "huber"):
        assert words in text
    assert "AGREES" in text
    data = json.loads(out.read_text())
    assert data["problems"] == 34
    assert all(status != "agrees" for status in data["faults"].values())


def test_verify_fails_when_a_fault_is_not_caught(monkeypatch, capsys):
    blind = planted.PlantedMistake("nothing wrong", lambda problem: ())
    monkeypatch.setattr(plant, "PLANTED", (blind,))
    assert cli.main(["verify", "--cases", "2", "--seed", "2", "--jobs", "1"]) == cli.DISAGREES
    assert "NOT CAUGHT" in capsys.readouterr().out


def test_verify_fails_when_sources_disagree_and_writes_the_file(broken, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(campaign, "spec_of", lambda seed, case, dtype: SPEC)
    folder = tmp_path / "found"
    arguments = ["verify", "--cases", "1", "--seed", "2", "--jobs", "1", "--disagreements", str(folder)]
    assert cli.main(arguments) == cli.DISAGREES
    assert list(folder.iterdir()) == [folder / "disagreement-0001.json"]
    assert "--replay" in capsys.readouterr().out


def test_files_hold_every_problem_exactly(tmp_path):
    from torch_compare.random_problems.spec import random_spec

    for case in range(80):
        spec = random_spec(np.random.default_rng([8, case]), case // 2, ("float64", "float32")[case % 2])
        problem = build(spec)
        text = json.dumps(problem_file.encode(problem), allow_nan=False)
        again = problem_file.decode(json.loads(text))
        assert again.dtype == problem.dtype
        for place, leaf in ref.gradients(problem).leaves().items():
            np.testing.assert_array_equal(ref.gradients(again).leaves()[place], leaf)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON that holds a problem"),
        ("[1]", "expected a JSON object"),
        ("{}", "format: expected"),
        ('{"format": "gradient-oracle problem 1"}', "dtype: expected"),
        ('{"format": "gradient-oracle problem 1", "dtype": "float64"}', "layers: missing"),
        ('{"format": "gradient-oracle problem 1", "dtype": "float64", "layers": 3}', "layers: expected a list"),
        ('{"format": "gradient-oracle problem 1", "layers": [{"weight": NaN}]}', "NaN is no number"),
        ("[" * 100000, "not JSON that holds a problem"),
    ],
)
def test_bad_files_are_refused_by_name(content, message, tmp_path, capsys):
    path = tmp_path / "bad.json"
    path.write_text(content)
    assert cli.main(["verify", "--replay", str(path)]) == cli.BAD_INPUT
    error = capsys.readouterr().err.replace("\n", " ")
    assert message in error
    assert "bad.json" in error
    assert "Traceback" not in error


def test_a_problem_that_does_not_fit_together_is_refused(tmp_path, capsys):
    data = problem_file.encode(build(SPEC))
    for change, message in (
        ({"x": [[1.0]]}, "x: expected shape"),
        ({"loss": {"name": "nope", "parameters": {}}}, "no row is named 'nope'"),
        ({"loss": {"name": "get", "parameters": {}}}, "no row is named 'get'"),
        ({"reduction": "median"}, "reduction: expected one of"),
        ({"seed": -1}, "seed: expected"),
        ({"loss": {"name": "huber", "parameters": {"gamma": 1.0}}}, "gamma"),
        ({"target": [["a"]]}, "target"),
        ({"x": [[1.0], [1.0, 2.0]]}, "rows of equal length"),
    ):
        path = tmp_path / "p.json"
        path.write_text(json.dumps(data | change))
        assert cli.main(["verify", "--replay", str(path)]) == cli.BAD_INPUT
        assert message in capsys.readouterr().err.replace("\n", " ")


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


def test_infinite_errors_are_written_and_read_again(tmp_path):
    case = campaign.CampaignCase(
        SPEC, (PairOutcome("reference ~ torch", PairVerdict.DISAGREES, float("inf"), float("nan"), "x"),)
    )
    path = campaign.write_disagreement(case, tmp_path, 1)
    assert all(o.verdict != "disagrees" for o in campaign.replay(path))


def test_deviations_are_counted_by_row_and_written_as_one_text():
    report = campaign.CampaignReport(0, "float64")
    outcome = PairOutcome("reference ~ torch", PairVerdict.DEVIATION, deviations=("bce_epsilon", "celu_float32_alpha"))
    unnamed = PairOutcome("torch ~ central_difference", PairVerdict.DEVIATION)
    for _ in range(2):
        report.add(campaign.CampaignCase(SPEC, (outcome, unnamed)))
    assert [(row.name, count) for row, count in report.explaining_deviations()] == [
        ("bce_epsilon", 2),
        ("celu_float32_alpha", 2),
    ]
    assert report.disagreements == []
    assert outcome.as_data()["verdict"] == "deviation: bce_epsilon + celu_float32_alpha"
    assert json.dumps(unnamed.as_data()["verdict"]) == '"deviation"'
