"""The independent definitions stand beside the benchmark that uses them too."""

from benchmarks.exactness.independent_formulas import *  # noqa: F403
