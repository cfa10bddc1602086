"""Modules of torch.nn: the problem that they state, and the gradients that they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  torch's own documentation spells it so
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

import reference as ref
from reference.functions.recipe import recorded

from .gradients import LOSSES, differentiate
from .tensors import NUMBERS, Array, array, tensor

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
    """A user's own module and loss as a problem; every array is copied out, what is bfloat16 into float32.

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
        requires_grad False; its loss is None if the loss is the user's own (see `problem_from_module`).

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
        found = differentiate(_scalar(loss_fn(module(given), t)), leaves, given)
    return ref.Gradients(found.layers, found.input, None if known is None else found.loss)


@recorded
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
    return array(torch.zeros_like(y) if found is None else found)


def _scalar(loss: Any) -> Tensor:
    if not isinstance(loss, Tensor) or loss.ndim:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"loss_fn: expected a scalar tensor, got {got}")
    return loss


def _given(name: str, values: Any, like: Tensor) -> Tensor:
    """A tensor on the module's device that shares no graph with the caller's."""
    copy = values.detach().clone() if isinstance(values, Tensor) else tensor(_plain(name, values))
    if name == "x" and copy.dtype != like.dtype:
        raise TypeError(f"x: expected {_name(like.dtype)} like the module, got {_name(copy.dtype)}")
    return copy.to(like.device)


def number_type(module: nn.Module) -> str:
    """The name of the type that a module's weights are stored in, as "float32" or "bfloat16".

    Errors as for `problem_from_module`.

    >>> number_type(nn.Linear(2, 1).bfloat16())
    'bfloat16'
    """
    return _name(_layers(module)[0][1].weight.dtype)


def _name(number: torch.dtype) -> str:
    return str(number).removeprefix("torch.")


def _plain(name: str, values: Any) -> Array:
    """A NumPy copy of a tensor, bfloat16 as float32; anything else as it is, for `ref.Problem` to judge."""
    if not isinstance(values, Tensor):
        return values
    if values.is_floating_point() and values.dtype not in (*NUMBERS.values(), torch.bfloat16):
        raise TypeError(f"{name}: NumPy has no {values.dtype}; convert it with .float() or .double()")
    return np.asarray(array(values))


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
