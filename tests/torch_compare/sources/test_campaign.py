"""Campaigns, and the files of their disagreements."""

import json

from tests.torch_compare.sources.helpers import SPEC
from torch_compare.commands import cli
from torch_compare.sources import campaign, certificates


def test_a_campaign_agrees_and_counts(tmp_path):
    report = campaign.run(51, seed=3, jobs=1)
    assert report.problems == 51
    assert report.disagreements == []
    assert sum(report.losses.values()) == 51
    assert report.pairs["reference ~ torch"].cases > 30
    assert report.pairs["reference ~ central_difference"].cases > 30
    assert report.pairs["reference ~ complex_step"].cases > 30
    assert report.pairs["float32 ~ float64 reference"].cases > 15
    json.dumps(report.as_data())


def test_campaigns_are_reproducible_and_do_not_depend_on_the_number_of_processes():
    one, two = (campaign.run(52, seed=5, jobs=jobs).as_data() for jobs in (1, 2))
    assert one == two


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


def test_infinite_errors_are_written_and_read_again(tmp_path):
    case = campaign.Case(SPEC, (campaign.Outcome("reference ~ torch", "disagrees", float("inf"), float("nan"), "x"),))
    path = campaign.write_disagreement(case, tmp_path, 1)
    assert all(o.verdict != "disagrees" for o in campaign.replay(path))


def test_a_campaign_certifies_its_stated_share():
    report = campaign.run(60, seed=1, jobs=1)
    pair = report.pairs["reference ~ certified"]
    assert pair.cases + pair.unresolved >= 8
    assert pair.disagreements == 0
    assert certificates.DIGITS == 40
