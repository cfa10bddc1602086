"""A source of gradients that is wrong."""

import pytest

import reference as ref
from torch_compare.sources import comparison


@pytest.fixture
def broken(monkeypatch):
    """torch's gradients off by one part in 10⁴ in every weight."""

    def wrong(problem):
        g = ref.gradients(problem)
        layers = tuple(ref.LayerGradients(layer.weight * (1 + 1e-4), layer.bias) for layer in g.layers)
        return ref.Gradients(layers, g.input, g.loss)

    monkeypatch.setattr(comparison, "torch_gradients", wrong)
