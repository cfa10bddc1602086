"""Problems and torch: a problem run through torch.autograd, a torch.nn module read as a problem.

Only the modules named torch_*.py import torch: this one, and torch_optim.py for the optimisers. Nothing global is
changed: no default type, no number of threads, no `.grad` of anybody's parameters.

Shapes: N examples, I a layer's fan-in, O its fan-out, K the network's outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  torch's own documentation spells it so
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

import reference as ref

Array = Any

NUMBERS: Mapping[Any, torch.dtype] = {
    np.dtype(np.float64): torch.float64,
    np.dtype(np.float32): torch.float32,
    np.dtype(np.float16): torch.float16,
}
"""The NumPy types that torch has too."""

# ── the tables: a row's name -> torch's function, called with the row's parameters ─────────────────────


def _reduced(unreduced: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return unreduced
    return unreduced.mean() if reduction == "mean" else unreduced.sum()


def _half_squared_error(y: Tensor, t: Tensor, reduction: str) -> Tensor:
    return _reduced(0.5 * ((y - t) ** 2).sum(dim=1), reduction)


def _given_cotangent(y: Tensor, t: Tensor, reduction: str) -> Tensor:
    return _reduced((t * y).sum(dim=1), reduction)


def _cross_entropy(y: Tensor, t: Tensor, *, ignore_index: int, **rest: Any) -> Tensor:
    # torch refuses an ignore_index beside probabilities, to which it has no meaning
    return (
        F.cross_entropy(y, t, **rest)
        if t.is_floating_point()
        else F.cross_entropy(y, t, ignore_index=ignore_index, **rest)
    )


def _kl_div(y: Tensor, t: Tensor, *, log_target: bool, reduction: str) -> Tensor:
    # reduction="mean" in the call itself warns that it is no batch mean; a warning filter is not thread-safe
    return _reduced(F.kl_div(y, t, reduction="none", log_target=log_target), reduction)


def _gaussian_nll(y: Tensor, t: Tensor, *, var: Tensor, **rest: Any) -> Tensor:
    return F.gaussian_nll_loss(y, t, var.expand_as(y), **rest)


ACTIVATIONS: Mapping[str, Callable[..., Tensor]] = {
    "identity": lambda z: z,
    "rrelu": lambda z, **p: F.rrelu(z, training=False, **p),
    "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "square": lambda z: z * z,
    "softmax": lambda z: F.softmax(z, dim=-1),
    "log_softmax": lambda z: F.log_softmax(z, dim=-1),
    "softmin": lambda z: F.softmin(z, dim=-1),
    "glu": lambda z: F.glu(z, dim=-1),
    **{
        name: getattr(F, name)
        for name in (
            "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "logsigmoid", "hardsigmoid", "silu",
            "hardswish", "mish", "softplus", "softsign", "tanhshrink", "hardtanh", "hardshrink", "softshrink",
            "threshold",
        )
    },
}  # fmt: skip

LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "half_squared_error": _half_squared_error,
    "given_cotangent": _given_cotangent,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "smooth_l1": F.smooth_l1_loss,
    "huber": F.huber_loss,
    "cross_entropy": _cross_entropy,
    "nll": F.nll_loss,
    "bce": F.binary_cross_entropy,
    "bce_with_logits": F.binary_cross_entropy_with_logits,
    "kl_div": _kl_div,
    "poisson_nll": F.poisson_nll_loss,
    "gaussian_nll": _gaussian_nll,
    "soft_margin": F.soft_margin_loss,
    "multilabel_soft_margin": F.multilabel_soft_margin_loss,
    "multilabel_margin": F.multilabel_margin_loss,
    "multi_margin": F.multi_margin_loss,
    "hinge_embedding": F.hinge_embedding_loss,
}

# ── a problem through torch ──────────────────────────────────────────────────────────────────────────


def torch_gradients(problem: ref.Problem) -> ref.Gradients:
    """The loss and all its gradients by torch.autograd, in the problem's number type.

    Args:
        problem: float64, float32 or float16; every row of the tables with its parameters.

    Returns:
        NumPy arrays of the problem's type: weight (O, I), bias (O,) or None, input (N, I), loss ().

    Raises:
        TypeError: torch has no such number type.
        ValueError: torch has no counterpart of a row (one that the user made), or reduction is "none".

    >>> mlp = ref.MLP((ref.Layer(np.array([[1.0, 2.0]]), np.array([0.5]), "identity"),))
    >>> problem = ref.Problem(mlp, np.array([[3.0, 4.0]]), np.array([[10.0]]), loss="half_squared_error")
    >>> g = torch_gradients(problem)
    >>> g.loss, g.layers[0].weight, g.layers[0].bias, g.input
    (np.float64(1.125), array([[4.5, 6. ]]), array([1.5]), array([[1.5, 3. ]]))
    """
    if problem.reduction == "none":
        raise ValueError(
            'reduction "none" leaves a loss of many numbers, which has no single gradient: use "sum" or "mean"'
        )
    number = _number(problem.dtype)
    with torch.inference_mode(False), torch.enable_grad():
        return _differentiate(*_run(problem, number))


def torch_loss(problem: ref.Problem) -> Array:
    """The loss by torch's forward pass alone: (), or for reduction "none" (N,) or (N, K).

    Raises:
        TypeError: torch has no such number type.
        ValueError: torch has no counterpart of a row.

    >>> mlp = ref.MLP((ref.Layer(np.array([[1.0]]), None, "relu"),))
    >>> torch_loss(ref.Problem(mlp, np.array([[2.0], [-2.0]]), np.array([[0.0], [0.0]]), loss="mse"))
    np.float64(2.0)
    """
    with torch.no_grad():
        return _array(_run(problem, _number(problem.dtype))[0])


def _number(dtype: Any) -> torch.dtype:
    if not isinstance(dtype, np.dtype) or dtype not in NUMBERS:
        raise TypeError(f"dtype: torch takes {', '.join(str(d) for d in NUMBERS)}, got {dtype}")
    return NUMBERS[dtype]


Pair = tuple[Tensor, Tensor | None]


def _run(problem: ref.Problem, number: torch.dtype) -> tuple[Tensor, list[Pair], Tensor]:
    """The loss, and the leaves that it depends on: (weight, bias) of each layer, and x."""
    x = _leaf(problem.x, number)
    leaves: list[Pair] = []
    h = x
    for index, layer in enumerate(problem.mlp.layers):
        row = layer.activation
        if row.name not in ACTIVATIONS:
            raise ValueError(f"layers[{index}].activation: torch has no counterpart of the row {row.name!r}")
        leaves.append((_leaf(layer.weight, number), None if layer.bias is None else _leaf(layer.bias, number)))
        h = ACTIVATIONS[row.name](F.linear(h, *leaves[-1]), **row.parameters)
    if problem.loss.name not in LOSSES:
        raise ValueError(f"loss: torch has no counterpart of the row {problem.loss.name!r}")
    parameters = dict(problem.loss.parameters)
    for name in parameters.keys() & {"weight", "pos_weight", "var"}:
        parameters[name] = None if parameters[name] is None else _tensor(parameters[name], number)
    target = _tensor(problem.target, number)
    return LOSSES[problem.loss.name](h, target, reduction=problem.reduction, **parameters), leaves, x


def _differentiate(loss: Tensor, leaves: Sequence[Pair], x: Tensor) -> ref.Gradients:
    """The gradients by torch.autograd; None for a leaf that is None or does not require one."""
    wanted = [leaf for pair in leaves for leaf in pair if leaf is not None and leaf.requires_grad] + [x]
    if not loss.requires_grad:
        raise ValueError("loss: it depends on no parameter and not on x, as far as torch.autograd can see")
    found = iter(torch.autograd.grad(loss, wanted, materialize_grads=True))

    def next_of(leaf: Tensor | None) -> Array:
        return None if leaf is None or not leaf.requires_grad else _array(next(found))

    layers = tuple(ref.LayerGradients(next_of(weight), next_of(bias)) for weight, bias in leaves)
    return ref.Gradients(layers, next_of(x), _array(loss))


def _tensor(values: Any, number: torch.dtype | None = None) -> Tensor:
    """A copy in memory that torch accepts; floats in the given type, integers as torch's int64."""
    array = np.asarray(values)
    kind = array.dtype.newbyteorder("=") if array.dtype.kind == "f" else np.dtype(np.int64)
    copy = torch.from_numpy(np.array(array, dtype=kind, order="C"))
    return copy.to(number) if number is not None and copy.is_floating_point() else copy


def _leaf(values: Array, number: torch.dtype) -> Tensor:
    return _tensor(values, number).requires_grad_(torch.is_grad_enabled())


def _array(tensor: Tensor) -> Array:
    """A copy as a NumPy array (a scalar for shape ()); bfloat16, which NumPy lacks, widened to float32."""
    plain = tensor.detach().cpu()
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy().copy()[()]


# ── a module as a problem ────────────────────────────────────────────────────────────────────────────

_MODULES: Mapping[type[nn.Module], str] = {
    nn.ReLU: "relu", nn.ReLU6: "relu6", nn.LeakyReLU: "leaky_relu", nn.RReLU: "rrelu", nn.ELU: "elu", nn.CELU: "celu",
    nn.SELU: "selu", nn.GELU: "gelu", nn.Sigmoid: "sigmoid", nn.LogSigmoid: "logsigmoid", nn.SiLU: "silu",
    nn.Hardsigmoid: "hardsigmoid", nn.Hardswish: "hardswish", nn.Mish: "mish", nn.Softplus: "softplus",
    nn.Softsign: "softsign", nn.Tanh: "tanh", nn.Tanhshrink: "tanhshrink", nn.Hardtanh: "hardtanh",
    nn.Hardshrink: "hardshrink", nn.Softshrink: "softshrink", nn.Threshold: "threshold", nn.Softmax: "softmax",
    nn.LogSoftmax: "log_softmax", nn.Softmin: "softmin", nn.GLU: "glu",
}  # fmt: skip
"""The row of an activation module; its attributes have the names of the row's parameters."""
_LOSS_MODULES: Mapping[type[nn.Module], str] = {
    nn.MSELoss: "mse", nn.L1Loss: "l1", nn.SmoothL1Loss: "smooth_l1", nn.HuberLoss: "huber", nn.NLLLoss: "nll",
    nn.CrossEntropyLoss: "cross_entropy", nn.BCELoss: "bce", nn.BCEWithLogitsLoss: "bce_with_logits",
    nn.KLDivLoss: "kl_div", nn.PoissonNLLLoss: "poisson_nll", nn.GaussianNLLLoss: "gaussian_nll",
    nn.SoftMarginLoss: "soft_margin", nn.MultiLabelSoftMarginLoss: "multilabel_soft_margin",
    nn.MultiLabelMarginLoss: "multilabel_margin", nn.MultiMarginLoss: "multi_margin",
    nn.HingeEmbeddingLoss: "hinge_embedding",
}  # fmt: skip
_LOSS_FUNCTIONS: Mapping[Any, str] = {
    **{function: name for name, function in LOSSES.items()},
    **{F.cross_entropy: "cross_entropy", F.kl_div: "kl_div", F.gaussian_nll_loss: "gaussian_nll"},
}
_CONTAINERS = (nn.Sequential, nn.Linear, nn.Flatten, nn.Identity, nn.Dropout, nn.AlphaDropout)


def problem_from_module(module: nn.Module, x: Any, target: Any, loss_fn: Any) -> ref.Problem:
    """A user's own module and loss as a problem; every array is copied out.

    Args:
        module: a `torch.nn.Sequential` (or several nested) of Linear layers, each with at most one activation
            after it, or a bare Linear. Identity, a Flatten that leaves 2 dimensions alone and a Dropout that
            drops nothing are passed over.
        x: the batch, a tensor or array (N, I).
        target: what loss_fn compares the output with, a tensor or array.
        loss_fn: a loss module of torch.nn, with its parameters; a function of torch.nn.functional, with its
            defaults; or any callable (output, target) ↦ scalar tensor. The oracle cannot evaluate one of the
            last kind, so the problem's loss is then Σ c·y with c = ∂loss/∂output, which torch.autograd finds
            and which is taken as given (`given_cotangent`): it has the gradients of the user's loss, but
            not its value, and checks the network's derivatives, not the loss's own.

    Raises:
        TypeError: a layer that the oracle cannot take (the message names it and its place), a number type
            that NumPy lacks, arrays of different types.
        ValueError: an activation with no layer of its own, shared weights, a module that is random in
            training mode, a reduction or a loss that is no problem's, shapes or targets that do not fit.

    >>> module = nn.Sequential(nn.Linear(3, 4), nn.LeakyReLU(0.2), nn.Linear(4, 2))
    >>> problem = problem_from_module(module, torch.zeros(5, 3), torch.tensor([0, 1, 1, 0, 1]), nn.CrossEntropyLoss())
    >>> [layer.activation.name for layer in problem.mlp.layers], problem.loss.name, problem.dtype
    (['leaky_relu', 'identity'], 'cross_entropy', dtype('float32'))
    """
    mlp = ref.MLP(
        tuple(
            ref.Layer(
                _plain(f"{place}.weight", m.weight), None if m.bias is None else _plain(f"{place}.bias", m.bias), row
            )
            for place, m, row in _layers(module)
        )
    )
    known = _known_loss(loss_fn)
    if known is None:
        cotangent = _cotangent(module, x, target, loss_fn)
        return ref.Problem(mlp, _plain("x", x), cotangent, given_cotangent(), reduction="sum")
    row, reduction = known
    return ref.Problem(mlp, _plain("x", x), _plain("target", target), row, reduction)


def module_gradients(module: nn.Module, x: Any, target: Any, loss_fn: Any) -> ref.Gradients:
    """The gradients that torch.autograd makes of exactly this module and loss; `.grad` stays as it is.

    Arguments and errors as for `problem_from_module`.

    Returns:
        A tree like that problem's: zeros for a parameter that the loss does not depend on, None for one with
        requires_grad False; its loss is None where the loss is the user's own (see `problem_from_module`).

    >>> module = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU())
    >>> module[0].weight.data = torch.tensor([[1.0, 2.0]])
    >>> g = module_gradients(module, torch.tensor([[3.0, 4.0]]), torch.tensor([[10.0]]), nn.MSELoss())
    >>> g.loss, g.layers[0].weight, g.input
    (np.float32(1.0), array([[6., 8.]], dtype=float32), array([[2., 4.]], dtype=float32))
    """
    leaves = [(m.weight, m.bias) for _, m, _ in _layers(module)]
    known = _known_loss(loss_fn)
    with torch.inference_mode(False), torch.enable_grad():
        given, t = _given("x", x, leaves[0][0]).requires_grad_(), _given("target", target, leaves[0][0])
        found = _differentiate(_scalar(loss_fn(module(given), t)), leaves, given)
    return ref.Gradients(found.layers, found.input, None if known is None else found.loss)


def given_cotangent() -> ref.Loss:
    """Σ c·y, the target c being ∂loss/∂output of a loss that is known by its derivative only; mean: N."""
    return ref.Loss(
        "given_cotangent",
        "Σ c·y",
        "a loss of the user's own, its derivative taken as given",
        "real",
        lambda y, c: (c * y).sum(axis=1),
        lambda y, c: c + 0 * y,
        lambda y, c: int(y.shape[0]),
    )


def _cotangent(module: nn.Module, x: Any, target: Any, loss_fn: Any) -> Array:
    """∂loss/∂output (N, K), by torch.autograd."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    like = next(module.parameters())
    with torch.inference_mode(False), torch.enable_grad():
        y = module(_given("x", x, like)).detach().requires_grad_()
        loss = _scalar(loss_fn(y, _given("target", target, like)))
        if not loss.requires_grad:
            raise ValueError("loss_fn: its result does not depend on the output, as far as torch.autograd can see")
        found, *direct = torch.autograd.grad(loss, [y, *parameters], allow_unused=True)
    if any(d is not None for d in direct):
        raise ValueError(
            "loss_fn: it uses the module's parameters; the oracle takes a loss of the output and target alone"
        )
    return _array(torch.zeros_like(y) if found is None else found)


def _scalar(loss: Any) -> Tensor:
    if not isinstance(loss, Tensor) or loss.ndim:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"loss_fn: expected a scalar tensor, got {got}")
    return loss


def _given(name: str, values: Any, like: Tensor) -> Tensor:
    """A tensor on the module's device that shares no graph with the caller's."""
    tensor = values.detach().clone() if isinstance(values, Tensor) else _tensor(_plain(name, values))
    return tensor.to(like.device)


def _plain(name: str, values: Any) -> Array:
    """A NumPy copy of a tensor; anything else as it is, for `ref.Problem` to judge."""
    if not isinstance(values, Tensor):
        return values
    if values.is_floating_point() and values.dtype not in NUMBERS.values():
        raise TypeError(f"{name}: NumPy has no {values.dtype}; convert it with .float() or .double()")
    return np.asarray(_array(values))


# ── reading modules ──────────────────────────────────────────────────────────────────────────────────

Row = ref.Activation


def _layers(module: Any) -> list[tuple[str, nn.Linear, Row]]:
    """Each Linear with its place and the activation after it; see `problem_from_module` for the errors."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"module: expected a torch.nn.Module, got {type(module).__name__}")
    found: list[tuple[str, nn.Linear, Row | None]] = []
    seen: dict[int, str] = {}
    for place, part, kind in _flat("module", module):
        where = f"{place} ({type(part).__name__})"
        if isinstance(part, nn.Linear):
            for parameter in part.parameters(recurse=False):
                if seen.setdefault(id(parameter), place) != place:
                    raise ValueError(
                        f"{where}: shares its weights with {seen[id(parameter)]}; the oracle's layers do not"
                    )
            found.append((place, part, None))
        elif kind in _MODULES:
            if not found or found[-1][2] is not None:
                before = "before the first Linear" if not found else f"after another ({found[-1][2].name})"  # type: ignore[union-attr]
                raise ValueError(
                    f"{where}: an activation {before} belongs to no layer; the oracle takes one per Linear"
                )
            found[-1] = (*found[-1][:2], _row(where, part, _MODULES[kind]))
        elif isinstance(part, nn.Dropout | nn.AlphaDropout) and part.training and part.p > 0:
            raise ValueError(f"{where}: random in training mode; call module.eval() first")
        elif isinstance(part, nn.Flatten) and not {part.start_dim, part.end_dim} <= {1, -1}:
            raise TypeError(
                f"{where}: changes the shape of a batch (N, I); only start_dim=1, end_dim=-1 leaves it alone"
            )
    if not found:
        raise ValueError("module: holds no Linear layer")
    return [(place, part, row or ref.ACTIVATIONS["identity"]) for place, part, row in found]


def _flat(place: str, module: nn.Module) -> Iterator[tuple[str, nn.Module, type[nn.Module]]]:
    """Every module that is no Sequential, in order, with its place and the torch.nn class whose forward it runs."""
    where = f"{place} ({type(module).__name__})"
    kind = _kind(module, (*_MODULES, *_CONTAINERS))
    if kind is None:
        names = ", ".join(k.__name__ for k in _MODULES)
        raise TypeError(f"{where}: not a layer that the oracle can take; it takes Linear and the activations {names}")
    if any(getattr(module, f"_{which}") for which in _HOOKS) or is_parametrized(module):
        raise TypeError(f"{where}: has hooks or parametrizations, which the oracle cannot see through")
    if not isinstance(module, nn.Sequential):
        yield place, module, kind
        return
    for index, child in enumerate(module):
        yield from _flat(f"{place}[{index}]", child)


def _kind(module: Any, kinds: tuple[type[nn.Module], ...]) -> type[nn.Module] | None:
    """The class among `kinds` that the object is an instance of and whose forward it runs unchanged."""
    kind: Any = next((k for k in type(module).__mro__ if k in kinds), None)
    return kind if kind is not None and type(module).forward is kind.forward else None


_HOOKS = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")


def _row(where: str, module: Any, name: str) -> Row:
    """The row of an activation module, with the module's parameters."""
    if name == "rrelu" and module.training:
        raise ValueError(f"{where}: random in training mode; call module.eval() first")
    if getattr(module, "dim", None) not in (None, 1, -1):
        raise TypeError(f"{where}: acts along dim={module.dim}; the oracle's rows are examples, so dim must be 1 or -1")
    if name == "gelu" and module.approximate == "tanh":
        name = "gelu_tanh"
    return getattr(ref.activations, name)(**{p: getattr(module, p) for p in ref.ACTIVATIONS[name].parameters})


def _known_loss(loss_fn: Any) -> tuple[ref.Loss, str] | None:
    """The row and the reduction of a loss of torch's; None for any other callable."""
    if not callable(loss_fn):
        raise TypeError(
            f"loss_fn: expected a torch.nn loss, a function of torch.nn.functional or a callable, got {loss_fn!r}"
        )
    kind = _kind(loss_fn, tuple(_LOSS_MODULES))
    if kind is not None:
        name, reduction = _LOSS_MODULES[kind], loss_fn.reduction
        parameters = {p: _plain(p, getattr(loss_fn, p, None)) for p in ref.LOSSES[name].parameters}
    elif getattr(loss_fn, "__hash__", None) and loss_fn in _LOSS_FUNCTIONS:
        name, reduction, parameters = _LOSS_FUNCTIONS[loss_fn], "mean", {}
    else:
        return None
    where = f"loss_fn ({loss_fn.__name__ if kind is None else type(loss_fn).__name__})"
    if name == "gaussian_nll":
        raise ValueError(f"{where}: takes a variance besides output and target; wrap it: lambda y, t: loss(y, t, var)")
    if reduction not in ("mean", "sum"):
        raise ValueError(f'{where}: reduction must be "mean" or "sum", got {reduction!r}; or wrap it: lambda y, t: …')
    return getattr(ref.losses, name)(**parameters), reduction
