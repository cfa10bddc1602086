"""A campaign on a Dask cluster of three worker processes, one of which is killed in the middle."""

import json
import os
import signal

import pytest

from torch_compare.commands import cli
from torch_compare.sources import campaign


@pytest.mark.explore  # the workers take seconds to import torch
def test_a_worker_that_is_killed_loses_nothing_and_nothing_is_counted_twice(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(campaign, "CHUNK", 2)
    killed, told = [], []
    with distributed.LocalCluster(
        n_workers=3, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=50
    ) as cluster:

        def progress(cases):
            told.append(cases)
            if not killed:
                killed.append(next(iter(cluster.workers.values())).process.pid)
                os.kill(killed[0], signal.SIGKILL)

        file = tmp_path / "run.jsonl"
        found = campaign.run(12, seed=5, progress=progress, path=file, scheduler=cluster.scheduler_address)
    whole = json.dumps(campaign.run(12, seed=5, jobs=1).as_data())
    assert killed
    assert told == [2] * 6
    assert json.dumps(found.as_data()) == whole
    assert json.dumps(campaign.merged([file]).as_data()) == whole


def test_a_backend_and_its_scheduler_go_together(capsys):
    for given in (["--backend", "dask"], ["--scheduler", "tcp://127.0.0.1:1"]):
        assert cli.main(["verify", "--cases", "1", *given]) == cli.BAD_INPUT
        assert "go together" in capsys.readouterr().err.replace("\n", " ")


def test_pieces_of_other_versions_are_refused():
    with pytest.raises(RuntimeError, match="versions: expected"):
        campaign._chunk(5, "both", False, None, {"numpy": "1.0"}, range(1))
