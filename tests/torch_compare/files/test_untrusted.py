"""Damaged files, through every reader and the command line; `make fuzz` does the same with a hundred thousand."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from tests.fuzz import readers as fuzz_readers
from tests.fuzz.bombs import BOMBS, TENSOR_BOMBS, make_bomb
from tests.fuzz.damage import DISGUISES, Bomb, damaged
from tests.fuzz.readers import Reader, attempt, file_of, readers
from torch_compare.cases import vectors
from torch_compare.commands import cli
from torch_compare.files import untrusted as hostile
from torch_compare.files.bit_arrays import encode
from torch_compare.files.rows_as_data import decode_activation

FILES = 1400
CASE = str(vectors.COMMITTED / "kink_relu.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def known(folder):
    return readers(folder)


def test_every_reader_takes_its_valid_files(known, folder):
    assert len(known) == 7
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
    assert len(found) == 4
    assert max(grown for _, _, grown in found) > 2**26  # they are bombs


def test_a_bomb_beyond_the_bound_is_seen():
    bombs = [("a", "refused", hostile.MEMORY), ("b", "refused", hostile.MEMORY + 1), ("c", "MemoryError", 0)]
    assert [text[0] for text in fuzz_readers.too_much(bombs)] == ["b", "c"]


def test_bombs_are_as_large_as_they_may_be():
    for name in BOMBS + TENSOR_BOMBS:
        assert len(make_bomb(name)) <= hostile.LARGEST_FILE + 1


# ── the command line ─────────────────────────────────────────────────────────────────────────────────


class Trap:
    def __reduce__(self):
        return (os.system, ("echo a pickle was run",))


@pytest.mark.parametrize("data", [
    b"", b"{", b"[" * 100_000, pickle.dumps(Trap()), pickle.dumps(Bomb(), 0), b'{"loss": 1, "loss": 2}',
    b'{"loss": "\\ud800"}', b'{"\\u001b[31m": 1}', b'{"gradients": {"layers[0].weight": [1e400]}}',
    b"\xff\xfe{\0}\0", b'{"loss": ' + b"1" * 5000 + b"}",
], ids=range(11))  # fmt: skip
@pytest.mark.parametrize("name", ["result.json", "result.safetensors"])
def test_check_never_shows_a_traceback(tmp_path, capfd, data, name):
    path = tmp_path / name
    path.write_bytes(data)
    for arguments in ([CASE, str(path)], [str(path), str(path)]):
        assert cli.main(["check", *arguments]) == cli.BAD_INPUT
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        assert "a pickle was run" not in out + err
        assert "\x1b[31m" not in out + err
        assert name in err.replace("\n", "")


def test_strange_paths(tmp_path, capsys):
    for path in (str(tmp_path / "none"), str(tmp_path), "/dev/zero", "\udcff", str(tmp_path / ("a" * 300)), "a\0b", ""):
        assert cli.main(["check", CASE, path]) == cli.BAD_INPUT
        assert "Traceback" not in capsys.readouterr().err


def test_a_replay_may_not_ask_for_memory(tmp_path, capsys):
    """A type of two gigabytes for one element, and parameters that are no numbers."""
    problem = {
        "format": "gradient-oracle problem 1", "dtype": "float64", "x": [[1.0]], "target": [[1.0]], "reduction": "mean",
        "layers": [{"weight": [[1.0]], "bias": None, "activation": {"name": "relu", "parameters": {}}}],
        "loss": {"name": "cross_entropy", "parameters": {"weight": {"array": ["a"], "dtype": "S2000000000"}}},
    }  # fmt: skip
    path = tmp_path / "problem.json"
    for parameters in (problem["loss"]["parameters"], [], {"weight": [1.0]}, {"delta": 10**400}, {"p": "__import__"}):
        problem["loss"]["parameters"] = parameters
        path.write_text(json.dumps(problem))
        assert cli.main(["verify", "--replay", str(path)]) == cli.BAD_INPUT
        assert "Traceback" not in capsys.readouterr().err


def test_a_row_may_not_ask_for_time():
    """The kink of this softplus has 2^61 floats beside it whose product with beta rounds to the threshold, too."""
    row = {"name": "softplus", "parameters": {"beta": encode(np.array(1e-60)), "threshold": encode(np.array(0.0))}}
    (kink,) = decode_activation("row", row).kinks
    assert kink.at * 1e-60 == 0 < np.nextafter(kink.at, 1) * 1e-60
    for parameters in ({"beta": encode(np.array(1e-200))}, {"beta": 2**40}, {"beta": "1"}):
        with pytest.raises(ValueError, match="row"):
            decode_activation("row", {"name": "softplus", "parameters": parameters})


def test_the_fuzzer_runs_from_the_command_line():
    command = [sys.executable, "-m", "tests.fuzz.readers", "--files", "70", "--seed", "1", "--jobs", "1", "--no-bombs",
               "--atheris", "0"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--files 70 --seed 1" in done.stdout
    assert "no reader failed" in done.stdout
