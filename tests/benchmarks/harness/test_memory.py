"""The memory of a piece of work: of a process of its own, and of its work alone."""

import numpy as np

from benchmarks.exactness import certificates
from benchmarks.harness.memory import memory_of


def test_the_memory_is_that_of_a_process_of_its_own_and_grows_with_its_network():
    """This process holds a block that is larger than all that a tiny network's certificate needs.

    A parameter is at least two balls, itself and its gradient, of 48 bytes each; and no more than eight arrays hold a
    ball for it (weights and gradients as lists, matrices and their transposes), with its digits and NumPy's or Python's
    object 128 bytes at the most.
    """
    block = np.ones(2**29, dtype=np.uint8)
    widths = (128, 256, 128)
    tiny, wide = (memory_of(certificates.certificate_of, w, 2, "tanh", 0) for w in ((3, 4, 4, 2), widths))
    parameters = certificates.classifier(widths, 2, "tanh", 0).mlp.parameters
    assert 0.01 < tiny.before <= tiny.most < block.nbytes / 1e9
    work = wide.most - wide.before
    assert tiny.most - tiny.before < 2 * 48 * parameters / 1e9 <= work <= 8 * 128 * parameters / 1e9
    assert block.all()


def filled(size):
    return lambda: np.ones(size, np.uint8).sum()


def test_what_is_freed_counts_and_what_was_there_before_does_not():
    """To within a hundredth: pages of 4 KB, and what Python itself takes."""
    before, most = memory_of(filled, 10**8)
    assert abs((most - before) / 0.1 - 1) < 0.01
