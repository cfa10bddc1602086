"""libFuzzer on the readers: the first byte of an input chooses the reader, the rest is its file. See `readers`."""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["torch_compare", "reference.training.checkpoint", "json"]):
    from torch_compare.files import bit_arrays, case_file, problem_file, rows_as_data  # noqa: F401

from tests.fuzz.readers import attempt
from tests.fuzz.subjects import readers


def main() -> None:
    """Fuzz until the runs are done or a reader fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = readers(folder)

        def one_input(data: bytes) -> None:
            if not data:
                return
            outcome = attempt(known[data[0] % len(known)], data[1:], folder)
            if outcome not in ("accepted", "refused"):
                raise RuntimeError(outcome)

        atheris.Setup(sys.argv, one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
