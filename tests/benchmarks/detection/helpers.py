"""Problems, rows and indices that the tests of detection share."""

from benchmarks.detection.checkers import CHECKERS
from benchmarks.wrong_gradients.bank import BANK


def wrong_named(name):
    """The index of a wrong gradient in the bank."""
    return next(i for i, wrong in enumerate(BANK) if wrong.name == name)


def bank_row(**changes):
    """A row of a wrong gradient before a checker."""
    row = {
        "kind": "relative error", "format": "float64", "size": 1e-3, "planted": 1e-3, "caught": True,
        "checker": CHECKERS[0].name, "seconds": 1.0, "name": "m",
    }  # fmt: skip
    return row | changes
