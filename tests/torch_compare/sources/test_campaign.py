"""Campaigns, and the files of their disagreements."""

import json
from dataclasses import replace

import pytest

import reference as ref
from tests.torch_compare.sources.helpers import SPEC
from torch_compare.commands import cli
from torch_compare.random_problems import operations
from torch_compare.random_problems.networks import NetworkSpec
from torch_compare.sources import campaign, certificates
from torch_compare.sources.outcome import PairVerdict
from torch_compare.sources.pieces import Piece, plain
from torch_compare.sources.report import CampaignCase, CampaignReport, as_piece, of_piece

WHOLE = 30
"""Problems of seed 5: one more chunk than one, the second of which is not full."""


@pytest.fixture(scope="module")
def whole():
    """The report of a campaign in one process, in one go."""
    return campaign.run(WHOLE, seed=5, jobs=1).as_data()


def test_a_campaign_agrees_counts_and_certifies_its_stated_share(tmp_path):
    report = campaign.run(60, seed=1, jobs=1)
    assert report.problems == 60
    assert report.disagreements == []
    assert sum(report.losses.values()) == 60
    assert report.pairs["reference ~ torch"].cases > 30
    assert report.pairs["reference ~ central_difference"].cases > 30
    assert report.pairs["reference ~ complex_step"].cases > 30
    assert report.pairs["float32 ~ float64 reference"].cases > 15
    pair = report.pairs["reference ~ certified"]
    assert pair.cases + pair.unresolved >= 8
    assert pair.disagreements == 0
    assert certificates.DIGITS == 40
    json.dumps(report.as_data())


def test_campaigns_are_reproducible_and_do_not_depend_on_the_number_of_processes(whole):
    assert WHOLE > campaign.CHUNK
    assert json.dumps(campaign.run(WHOLE, seed=5, jobs=2).as_data()) == json.dumps(whole)


def test_any_split_gives_the_same_report(whole, tmp_path):
    assert whole["ran"] == {"5": [[0, WHOLE]]}
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    campaign.run(9, seed=5, jobs=1, first=WHOLE - 9, path=one)
    campaign.run(WHOLE - 9, seed=5, jobs=1, path=two)
    assert campaign.merged([one, two]).as_data() == whole
    assert campaign.run(WHOLE, seed=5, jobs=1, path=one).as_data() == whole


def test_what_does_not_belong_together_makes_no_report(tmp_path):
    one, two, other = (tmp_path / f"{name}.jsonl" for name in ("one", "two", "other"))
    campaign.run(2, seed=5, jobs=1, path=one)
    campaign.run(2, seed=5, jobs=1, first=1, path=two)
    campaign.run(1, seed=5, dtype="float32", jobs=1, path=other)
    with pytest.raises(ValueError, match=r"two\.jsonl: seed 5: case 1 is counted twice"):
        campaign.merged([one, two])
    with pytest.raises(ValueError, match=r"other\.jsonl: dtype is both in one piece and float32 in another"):
        campaign.merged([one, other])
    numpy = campaign.merged([one]).versions["numpy"]
    other.write_text(two.read_text().replace(f'"numpy": "{numpy}"', '"numpy": "0.1"'))
    with pytest.raises(ValueError, match=r"other\.jsonl: versions are .* in one piece and .*0\.1.* here"):
        campaign.merged([one, other])
    for change, message in (
        (('"losses": {', '"losses": {"mse": 7, '), "occurs twice|losses are counted, not 2"),
        (('"cases": ', '"cases": -'), "not what a campaign finds: 'cases: expected a count, got -"),
        (('"pairs"', '"pears"'), "not what a campaign finds: .*pairs"),
        (("campaign 2", "campaign 0"), "not the pieces of a campaign"),
        (('"versions": ', '"version": '), "not the pieces of a campaign"),
        ((f'"numpy": "{numpy}"', '"numpy": 2'), "not the pieces of a campaign"),
    ):
        other.write_text(one.read_text().replace(*change))
        with pytest.raises(ValueError, match=message) as caught:
            campaign.merged([other])
        assert "other.jsonl" in str(caught.value)


@pytest.mark.parametrize(("only", "networks"), [("networks", 4), ("mlps", 0)])
def test_a_campaign_of_one_kind_alone(only, networks, tmp_path):
    path = tmp_path / "run.jsonl"
    report = campaign.run(4, seed=5, jobs=1, only=only, path=path)
    assert (report.problems, report.networks, report.only) == (4, networks, only)
    assert campaign.merged([path]).as_data() == report.as_data()
    with pytest.raises(ValueError, match=f"only is '{only}' there, and None here"):
        campaign.run(4, seed=5, jobs=1, path=path)
    other = tmp_path / "other.jsonl"
    campaign.run(1, seed=6, jobs=1, path=other)
    with pytest.raises(ValueError, match=rf"other\.jsonl: only is {only} in one piece and None in another"):
        campaign.merged([path, other])
    other.write_text(path.read_text().replace(f'"{only}"', '"nets"'))
    with pytest.raises(ValueError, match="not the pieces of a campaign"):
        campaign.merged([other])


def test_a_disagreement_goes_through_a_file_unchanged(broken, tmp_path, monkeypatch):
    monkeypatch.setattr(campaign, "spec_of", lambda seed, case, dtype, only: SPEC)
    report = campaign.run(2, seed=9, jobs=1, path=tmp_path / "run.jsonl")
    assert [case.place for case in report.disagreements] == [(9, 0), (9, 1)]
    again = campaign.merged([tmp_path / "run.jsonl"])
    assert again.disagreements == report.disagreements
    assert again.as_data() == report.as_data()
    assert campaign.write_disagreement(again.disagreements[0], tmp_path, 1).exists()


def test_a_campaign_that_is_stopped_reports_what_had_ended(whole, tmp_path, monkeypatch):
    honest, path = campaign.run_case, tmp_path / "run.jsonl"
    made = []

    def stopping(spec, certify):
        made.append(spec)
        if len(made) > campaign.CHUNK + 2:
            raise KeyboardInterrupt
        return honest(spec, certify)

    monkeypatch.setattr(campaign, "run_case", stopping)
    report = campaign.run(60, seed=5, jobs=1, path=path)
    assert (report.problems, report.asked) == (25, 60)
    monkeypatch.undo()
    assert campaign.run(WHOLE, seed=5, jobs=1, path=path).as_data() == whole


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
    case = campaign.run_case(SPEC, certify=False)
    wrong = replace(case.outcomes[0], verdict="disagrees", scales=float("inf"), ulps=float("nan"), text="x")
    path = campaign.write_disagreement(replace(case, outcomes=(wrong,)), tmp_path, 1)
    (written,) = json.loads(path.read_text(encoding="utf-8"))["outcomes"]
    assert (written["verdict"], written["scales"], written["ulps"], written["text"]) == ("disagrees", "inf", "nan", "x")
    verdicts = {outcome.pair: outcome.verdict for outcome in campaign.replay(path)}
    assert verdicts[wrong.pair] == case.outcomes[0].verdict == "accurate"


def test_a_report_counts_each_outcome_of_each_pair(monkeypatch):
    """Not judged, unresolved and deviating are no cases; a worst error belongs to the scale that it was judged by."""
    case = campaign.run_case(SPEC, certify=False)
    first = case.outcomes[0]
    told = [
        ("accurate", 3.0, 5.0), ("textbook", 7.0, 2.0), ("accurate", 1.0, 9.0), ("disagrees", 40.0, 1.0),
        ("not judged", 0.0, 0.0), ("unresolved", 0.0, 0.0), ("deviation", 99.0, 99.0, ("bce_epsilon",)),
        ("deviation", 99.0, 99.0, ("celu_float32_alpha", "bce_epsilon")),
    ]  # fmt: skip
    made = iter(
        replace(case, outcomes=(replace(first, verdict=PairVerdict(v), scales=s, ulps=u, deviations=tuple(*names)),))
        for v, s, u, *names in told
    )
    monkeypatch.setattr(campaign, "run_case", lambda spec, certify: next(made))
    done = []
    report = campaign.run(len(told), seed=0, jobs=1, progress=done.append)
    tally = report.pairs["reference ~ torch"]
    assert (tally.cases, tally.textbook, tally.disagreements) == (4, 1, 1)
    assert (tally.not_judged, tally.unresolved, tally.deviations) == (1, 1, 2)
    assert (tally.scales, tally.textbook_scales, tally.ulps) == (40.0, 7.0, 9.0)
    assert report.deviations == {"celu_float32_alpha": 1, "bce_epsilon": 2}
    assert report.losses["mse"] == report.activations["tanh"] == report.problems == sum(done) == len(told)
    assert [c.outcomes[0].verdict for c in report.disagreements] == ["disagrees"]
    assert report.pairs["torch ~ central_difference"].cases == 0


def test_one_problem_in_three_is_a_network_whatever_the_type_and_in_any_split():
    for dtype in ("both", "float32"):
        specs = [campaign.spec_of(4, case, dtype) for case in range(60)]
        assert [isinstance(spec, NetworkSpec) for spec in specs] == [case % 3 == 2 for case in range(60)]
        assert {spec.dtype for spec in specs if isinstance(spec, NetworkSpec)} == (
            {"float64", "float32"} if dtype == "both" else {"float32"}
        )
    assert campaign.spec_of(4, 5, "both") == campaign.spec_of(4, 5, "both") != campaign.spec_of(3, 5, "both")


def test_a_campaign_counts_networks_and_the_rows_that_they_consist_of():
    report = campaign.run(24, seed=2, jobs=1)
    assert report.networks == 8
    assert report.disagreements == []
    assert report.operations["linear"] > 0
    assert report.operations.keys() == ref.operations.MAKERS.keys() | ref.LOSSES.keys()
    again = of_piece(Piece(0, 24, as_piece(report)), 2, "both", False)
    assert (again.networks, again.operations) == (report.networks, report.operations)


def test_a_disagreement_on_a_network_is_written_and_replayed(tmp_path):
    case = campaign.run_case(NetworkSpec(5, parts=2), certify=False)
    wrong = replace(case.outcomes[0], verdict=PairVerdict.DISAGREES, text="x")
    report = CampaignReport("both")
    report.add(replace(case, outcomes=(wrong, *case.outcomes[1:]), place=(9, 2)))
    again = of_piece(Piece(2, 3, plain(as_piece(report))), 9, "both", False)
    assert again.disagreements == report.disagreements
    path = campaign.write_disagreement(again.disagreements[0], tmp_path, 1)
    verdicts = {outcome.pair: outcome.verdict for outcome in campaign.replay(path)}
    assert {pair: verdicts[pair] for pair in (o.pair for o in case.outcomes)} == {
        o.pair: o.verdict for o in case.outcomes
    }
    data = json.loads(path.read_text(encoding="utf-8"))
    for change in ({"parts": 10**9}, {"operation": "no_such"}, {"seed": "x"}, {"features": ["x"]}, {"more": 1}):
        path.write_text(json.dumps(data | {"spec": data["spec"] | change}), encoding="utf-8")
        with pytest.raises(ValueError, match=r"disagreement-0001\.json: spec"):
            campaign.replay(path)


def test_every_row_that_is_drawn_has_its_place_in_the_report():
    report = CampaignReport("both")
    for name in operations.names():
        report.add(CampaignCase(NetworkSpec(0, name), (), rows=(name,)))
    assert all(report.activations.get(name) or report.operations.get(name) for name in operations.names())


def test_a_problem_that_cannot_be_compared_is_named_with_how_to_run_it_again(monkeypatch):
    def broken(spec, certify=None):
        raise ValueError("operation 'multi_margin': its pushforward is 1, its value says 2")

    monkeypatch.setattr(campaign, "run_case", broken)
    with pytest.raises(ValueError, match=r"case 4 of seed 7: operation 'multi_margin'.* --seed 7 --first 4 --cases 1"):
        campaign.run(1, 7, jobs=1, first=4)
