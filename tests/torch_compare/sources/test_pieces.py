"""Long runs in pieces: what is kept, what is run again, and what a damaged file says."""

import json

import pytest

from torch_compare.sources.pieces import Piece, read_pieces, run_in_pieces

HEADER = {"seed": 3}


class Work:
    """Squares of the cases, and the cases that were asked for; stops at one of them as Ctrl-C does."""

    def __init__(self, stop=None):
        self.seen, self.stop = [], stop

    def __call__(self, cases):
        if self.stop in cases:
            raise KeyboardInterrupt
        self.seen += cases
        return {"squares": [case * case for case in cases], "worst": float("inf")}


def run(work, cases, path=None, size=3, header=HEADER):
    return list(run_in_pieces(work, cases, size, 1, header, path))


def test_what_stands_in_the_file_is_not_run_again(tmp_path):
    path = tmp_path / "run.jsonl"
    run(Work(), range(4, 8), path)
    work = Work()
    pieces = run(work, range(10), path)
    assert work.seen == [0, 1, 2, 3, 8, 9]
    assert sorted((p.first, p.end) for p in pieces) == [(0, 3), (3, 4), (4, 7), (7, 8), (8, 10)]
    assert run(Work(stop=0), range(10), path)[0].found == {"squares": [16, 25, 36], "worst": "inf"}


def test_a_run_that_is_stopped_keeps_what_had_ended(tmp_path):
    path = tmp_path / "run.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(Work(stop=7), range(12), path)
    assert [(p.first, p.end) for p in read_pieces(path)[1]] == [(0, 3), (3, 6)]
    work = Work()
    run(work, range(12), path)
    assert work.seen == list(range(6, 12))


def test_a_line_that_was_cut_off_counts_as_not_written(tmp_path):
    path = tmp_path / "run.jsonl"
    run(Work(), range(6), path)
    whole = path.read_bytes()
    for cut in (1, 5, len(whole.splitlines()[-1])):
        path.write_bytes(whole[:-cut])
        work = Work()
        run(work, range(6), path)
        assert work.seen == [3, 4, 5]
        assert path.read_bytes() == whole


def test_a_file_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.jsonl"
    run(Work(), range(3), path)
    with pytest.raises(ValueError, match="seed is 3 there, and 4 here"):
        run(Work(), range(3), path, header={"seed": 4})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"first": 0, "end": 3, "found": {}}', "case 0 is counted twice"),
        ('{"first": 9, "end": 9, "found": {}}', "line 3: expected 0 ≤ first < end"),
        ('{"first": 9, "end": "x", "found": {}}', "line 3: expected 0 ≤ first < end"),
        ('{"first": 9}', "line 3: expected an object of first, end and found"),
        ("{", "line 3: not JSON"),
        ('{"first": NaN}', "line 3: NaN is no number"),
        ("[]", "line 3: expected an object"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(line, message, tmp_path):
    path = tmp_path / "run.jsonl"
    run(Work(), range(3), path)
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        read_pieces(path)
    assert str(path) in str(caught.value)


def test_an_empty_file_is_begun_and_has_no_pieces(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text("")
    with pytest.raises(ValueError, match="expected a line that says what is run"):
        read_pieces(path)
    assert run(Work(), range(2), path)[0] == Piece(0, 2, {"squares": [0, 1], "worst": float("inf")})
    assert json.loads(path.read_text().splitlines()[0]) == HEADER
