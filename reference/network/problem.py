"""A network, a batch, a target and a loss; the loss of them and its gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import losses
from ..arithmetic.array import Array, DType, Term
from ..arithmetic.memory import keep_freed_memory
from ..arithmetic.names import meant
from ..losses import reduced
from ..losses.reduced import REDUCTIONS
from ..losses.row import Loss
from . import passes
from .gradients import Gradients
from .graph import Network
from .mlp import MLP
from .shown import shown
from .unchecked import restore, unchecked
from .validation import check_output, check_target


@dataclass(frozen=True, eq=False, init=False)
class Problem:
    """A network, a batch, a target and a loss: everything that determines a gradient, checked once.

    The arrays are read-only copies: no later change of what was given changes what was checked.

    Attributes:
        network: an `MLP`, or a `Network` of operations.
        x: the batch: of an MLP (N, I), of the network's number type; of a network of operations its inputs by name, or
            the only one. Integers and truth values there are data, which no gradient is taken of.
        target: what the loss compares the output with; see the loss's row for its kind and shape. The last axis of an
            output of any number of dimensions holds its features, and all axes before it number the examples.
        loss: a row of `LOSSES`; its name may be given instead.
        reduction: "mean" (over what the loss's row states), "sum", or "none" (for reading the loss of each
            example with `loss_value`; it has no single gradient).

    Raises:
        TypeError: an array holds no floating numbers, or of another type than the network's, or is a masked one.
        ValueError: a shape, a target, the reduction or the output's range does not fit.

    >>> import numpy as np
    >>> from reference import MLP, Layer
    >>> mlp = MLP((Layer(np.ones((1, 2)), None, "identity"),))
    >>> Problem(mlp, np.zeros((3, 4)), np.zeros((3, 1)), loss="mse")
    Traceback (most recent call last):
    ...
    ValueError: x: expected shape (N, 2) for layers[0].weight (1, 2), got (3, 4)
    """

    network: MLP | Network
    x: Any
    target: Array
    loss: Loss
    reduction: str
    __repr__ = shown

    def __init__(
        self, network: MLP | Network, x: Any, target: Array, loss: Loss | str, reduction: str = "mean"
    ) -> None:
        row = losses.get(loss)
        if not isinstance(network, MLP | Network):
            raise TypeError(f"network: expected an MLP or a Network, got {type(network).__name__}")
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"reduction: expected one of {', '.join(REDUCTIONS)}, got {reduction!r}{meant(reduction, REDUCTIONS)}"
            )
        network, x, shape, output = passes.checked(network, x)
        target = check_target(row, target, shape, passes.dtype_of(network, x), reduction)
        check_output(row, output)
        for name, value in (
            ("network", network),
            ("x", x),
            ("target", target),
            ("loss", row),
            ("reduction", reduction),
        ):
            object.__setattr__(self, name, value)

    def __copy__(self) -> Problem:
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        restore(self, state)

    @property
    def mlp(self) -> MLP:
        """The network, if it is an MLP.

        Raises:
            TypeError: it is a network of operations.
        """
        if not isinstance(self.network, MLP):
            raise TypeError("this problem is of a Network of operations, which has no layers: see its .network")
        return self.network

    @property
    def graph(self) -> Network:
        """The network, if it is one of operations.

        Raises:
            TypeError: it is an MLP.
        """
        if not isinstance(self.network, Network):
            raise TypeError("this problem is of an MLP, which has layers and no steps: as_network makes steps of them")
        return self.network

    @property
    def dtype(self) -> DType:
        """The number type of the problem's arrays."""
        return passes.dtype_of(self.network, self.x)

    def arrays(self) -> dict[str, Array]:
        """Every array by its name: x or the inputs, the target, and the parameters by place."""
        return {**passes.named_inputs(self.network, self.x), "target": self.target} | self.network.named_parameters()

    def leaves(self) -> dict[str, Array]:
        """Every array that gradients are taken of, by the place of its gradient: the parameters, then the input."""
        return passes.leaves(self.network, self.x)

    def gradient_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every gradient by its place, and () for the loss."""
        return {place: tuple(values.shape) for place, values in self.leaves().items()} | {"loss": ()}

    def map(self, f: Callable[[Array], Array]) -> Problem:
        """The same problem with f applied to weights, biases and x: in another arithmetic, say.

        They are visited in the order of `leaves`. Nothing is checked again, and the target stays as it is: an exact
        array of floats. So do the constants of a network of operations.
        """
        network, x = passes.mapped(self.network, self.x, f)
        return self.replace(network=network, x=x)

    def in_float64(self) -> Problem:
        """The same problem in float64: exactly, for float64 holds every float32 and float16."""
        return self if self.dtype == np.float64 else self.in_dtype(np.float64)

    def in_dtype(self, dtype: DTypeLike) -> Problem:
        """The same problem with every number, real targets too, rounded to another type; unchecked.

        >>> from reference import initialize
        >>> problem = Problem(initialize([2, 1], ["tanh"], seed=0), np.ones((1, 2)), np.ones((1, 1)), "mse")
        >>> problem.in_dtype(np.float16).target.dtype
        dtype('float16')
        """
        target = np.asarray(self.target)
        target = target.astype(dtype) if target.dtype.kind == "f" else target
        found = self.map(lambda values: np.asarray(values).astype(dtype))
        return found.replace(network=passes.with_constants(found.network, dtype), target=target)

    def as_one(self, unit_roundoff: float = 0.0, least: float = 0.0) -> Problem:
        """The same problem with its last activation and loss as one loss of z, where the two state it; unchecked.

        See `composed`, whose arguments are handed on. The network's output is then the last z.

        >>> from reference import MLP, Layer, forward
        >>> mlp = MLP((Layer(np.array([[1.0]]), None, "sigmoid"),))
        >>> problem = Problem(mlp, np.array([[40.0]]), np.array([[0.0]]), loss="bce")
        >>> forward(problem.mlp, problem.x).output, forward(problem.as_one().mlp, problem.x).output
        (array([[1.]]), array([[40.]]))
        """
        network, loss = passes.as_one(self.network, self.loss, unit_roundoff, least)
        return self if loss is self.loss else self.replace(network=network, loss=loss)

    def replace(self, **changes: Any) -> Problem:
        """The same problem with some fields changed, unchecked; a loss's name stands for its row.

        Raises:
            TypeError: a problem has no such field.
            ValueError: no loss has that name.

        >>> from reference import initialize
        >>> problem = Problem(initialize([2, 1], ["tanh"], seed=0), np.ones((1, 2)), np.ones((1, 1)), "mse")
        >>> problem.replace(loss="l1").loss.formula
        '|y − t|'
        """
        fields = {
            "network": self.network,
            "x": self.x,
            "target": self.target,
            "loss": self.loss,
            "reduction": self.reduction,
        }
        if not changes.keys() <= fields.keys():
            raise TypeError(f"a problem has no {min(changes.keys() - fields.keys())}; it has {', '.join(fields)}")
        if "loss" in changes:
            changes["loss"] = losses.get(changes["loss"])
        return unchecked(Problem, **(fields | changes))


def loss_value(problem: Problem, output: Array | None = None) -> Array:
    """The loss of the problem: a scalar, or with reduction "none" one number per example or element.

    >>> import numpy as np
    >>> from reference import MLP, Layer
    >>> mlp = MLP((Layer(np.array([[1.0]]), None, "identity"),))
    >>> x, t = np.array([[1.0], [2.0]]), np.array([[0.0], [0.0]])
    >>> loss_value(Problem(mlp, x, t, loss="half_squared_error", reduction="none"))
    array([0.5, 2. ])
    """
    if output is None:
        problem = problem.as_one()
        output = passes.forward(problem.network, problem.x).output
    return reduced.reduced(problem.loss, output, problem.target, problem.reduction)


def loss_gradient(problem: Problem, output: Array) -> Array:
    """∂L/∂output, of the shape of the output."""
    return reduced.gradient(problem.loss, output, problem.target, problem.reduction)


def loss_divisor(problem: Problem, output: Array) -> Term:
    """What reduction="mean" divides the sum of the unreduced losses by."""
    return reduced.divisor(problem.loss, output, problem.target)


def gradients(problem: Problem, *, to_input: bool = True) -> Gradients:
    """The loss and all its gradients: one forward and one backward pass.

    Rumelhart, Hinton & Williams 1986, eq. 4–7, in matrix form.

    Args:
        problem: a network, a batch, a target and a loss.
        to_input: whether to compute the gradient of x too; else it is None.

    Raises:
        ValueError: reduction is "none": a loss of many numbers has no single gradient.

    >>> import numpy as np
    >>> from reference import MLP, Layer
    >>> mlp = MLP((Layer(np.array([[1.0, 2.0]]), np.array([0.5]), "identity"),))
    >>> g = gradients(Problem(mlp, np.array([[3.0, 4.0]]), np.array([[10.0]]), loss="half_squared_error"))
    >>> g.loss, g.layers[0].weight, g.layers[0].bias, g.input
    (np.float64(1.125), array([[4.5, 6. ]]), array([1.5]), array([[1.5, 3. ]]))
    """
    return gradients_and_output(problem, to_input=to_input)[0]


def gradients_and_output(problem: Problem, *, to_input: bool = True) -> tuple[Gradients, Array]:
    """`gradients`, and the output that the loss takes: where the last activation and the loss are one, the last z."""
    if problem.reduction == "none":
        raise ValueError(
            'reduction "none" leaves a loss of many numbers, which has no single gradient: use "sum" or "mean"'
        )
    keep_freed_memory()
    problem = problem.as_one()
    trace = passes.forward(problem.network, problem.x, keep=True)
    loss, d_output = reduced.value_and_gradient(problem.loss, trace.output, problem.target, problem.reduction)
    wanted = None if to_input else problem.network.named_parameters()
    found = passes.backward(problem.network, trace, d_output, wanted)
    return Gradients(found.layers, found.input, loss, found.named), trace.output
