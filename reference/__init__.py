"""Matrix backpropagation for multi-layer perceptrons, written by hand: one calculus, many arithmetics.

>>> import numpy as np, reference as ref
>>> mlp = ref.initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
>>> problem = ref.Problem(mlp, np.array([[0.5, -1.0]]), np.array([[1.0]]), loss="half_squared_error")
>>> ref.gradients(problem).layers[0].weight.shape
(2, 2)
"""

import sys

from . import activations, losses, operations, optimizers
from .activations.row import Activation, Kink
from .activations.table import ACTIVATIONS
from .arithmetic.ball import Ball
from .functions.compiled import compiled
from .losses.row import Loss
from .losses.table import LOSSES
from .network.architectures import as_network, collapse, linear_bottleneck
from .network.batches import gradients_of_batches
from .network.gradients import Gradients, LayerGradients
from .network.graph import Network, Step
from .network.initialization import initialize
from .network.mlp import MLP, Layer, Trace, backward, forward
from .network.problem import Problem, gradients, loss_gradient, loss_value
from .operations.row import Operation
from .operations.table import OPERATIONS
from .rounding.certified import CertifiedGradients, certified_gradients
from .rounding.scale import rounding_scale
from .training import checkpoint
from .training.training import Training, train

__all__ = [
    "ACTIVATIONS", "LOSSES", "MLP", "OPERATIONS", "Activation", "Ball", "CertifiedGradients", "Gradients", "Kink",
    "Layer", "LayerGradients", "Loss", "Network", "Operation", "Problem", "Step", "Trace", "Training",
    "__version__", "activations", "as_network", "backward",
    "certified_gradients", "checkpoint", "collapse", "compiled", "forward", "gradients", "gradients_of_batches",
    "initialize", "linear_bottleneck", "loss_gradient", "loss_value", "losses", "operations", "optimizers",
    "rounding_scale", "train",
]  # fmt: skip

__version__: str


def __getattr__(name: str) -> str:
    """The version, where it is first asked for: what reads it loads for as long as a tenth of this package."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        found = version("gradient-oracle")
    except PackageNotFoundError:  # the folder is on the path, and no package is installed
        found = "unknown"
    globals()[name] = found
    return found


sys.modules[f"{__name__}.checkpoint"] = checkpoint
"""It stands in the room of training, and `import reference.checkpoint` finds it there."""
