"""Damaged files through every reader; `make fuzz` does the same with a hundred thousand."""

import subprocess
import sys

import numpy as np
import pytest

from tests.fuzz import readers as fuzz_readers
from tests.fuzz.damage import DISGUISES, damaged
from tests.fuzz.readers import attempt, file_of
from tests.fuzz.subjects import Reader, readers
from torch_compare.files import untrusted

FILES = 2400


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def known(folder):
    return readers(folder)


def test_every_reader_takes_its_valid_files(known, folder):
    assert len(known) == 12
    for reader in known:
        for data in reader.valid:
            assert attempt(reader, data, folder) == "accepted", reader.name


def test_damaged_files_are_read_or_refused_and_nothing_else(known, folder):
    outcomes = {reader.name: set() for reader in known}
    for number in range(FILES):
        reader, data = file_of(known, 0, number)
        outcome = attempt(reader, data, folder)
        assert outcome in ("accepted", "refused"), f"--seed 0 --only {number}: {reader.name}: {outcome}"
        outcomes[reader.name].add(outcome)
    assert all(found == {"accepted", "refused"} for found in outcomes.values())  # neither trivial nor hopeless


@pytest.mark.parametrize("data", DISGUISES, ids=range(len(DISGUISES)))
def test_files_of_another_kind_are_refused(known, folder, data):
    for reader in known:
        assert attempt(reader, data, folder) == "refused", reader.name


@pytest.mark.parametrize(("fault", "outcome"), [
    (TypeError("x"), "TypeError"), (KeyError("x"), "KeyError"), (RecursionError("x"), "RecursionError"),
    (MemoryError("x"), "MemoryError"), (SystemExit(1), "SystemExit"), (ValueError("\x1b[31m"), "an unfit message"),
    (ValueError("a" * 3000), "an unfit message"), (RuntimeWarning("x"), "RuntimeWarning"),
])  # fmt: skip
def test_the_fuzzer_sees_a_planted_fault(folder, fault, outcome):
    def read(path):
        raise fault

    assert attempt(Reader("planted", read, ()), b"", folder).startswith(outcome)


def test_the_fuzzer_sees_a_reader_that_does_not_end(folder, monkeypatch):
    monkeypatch.setattr(fuzz_readers, "SECONDS", 1)

    def read(path):
        while True:
            pass

    assert attempt(Reader("planted", read, ()), b"", folder).startswith("TooSlow")


def test_files_come_again_from_their_seed(known):
    for number in range(21):
        assert file_of(known, 3, number)[1] == file_of(known, 3, number)[1]
    made = {damaged(np.random.default_rng(seed), known[0].valid[0], tensors=False) for seed in range(50)}
    assert len(made) > 30


def test_memory_stays_below_the_bound():
    """The worst of the files that the bounds allow, with the address space limited to what the readers may use."""
    found, failures = fuzz_readers.run_bombs(("short texts",))
    assert not failures
    assert len(found) == 7
    assert max(grown for _, _, grown in found) > 2**26  # they are bombs


def test_a_bomb_beyond_the_bound_is_seen():
    bombs = [("a", "refused", untrusted.MEMORY), ("b", "refused", untrusted.MEMORY + 1), ("c", "MemoryError", 0)]
    assert [text[0] for text in fuzz_readers.too_much(bombs)] == ["b", "c"]


def test_the_fuzzer_runs_from_the_command_line():
    command = [sys.executable, "-m", "tests.fuzz.readers", "--files", "70", "--seed", "1", "--jobs", "1", "--no-bombs",
               "--atheris", "0"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--files 70 --seed 1" in done.stdout
    assert "no reader failed" in done.stdout
