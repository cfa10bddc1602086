"""The independent definitions stand beside the benchmark that uses them too."""

from benchmarks.truths import *  # noqa: F403
