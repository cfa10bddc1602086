"""One step of torch.optim.LBFGS from a state in our form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from reference.optimizers.optimizer import Evaluate
from reference.optimizers.state import State

Arrays = list[Any]


def lbfgs_step(
    hyperparameters: Mapping[str, Any], params: Arrays, state: State, evaluate: Evaluate
) -> tuple[Arrays, State]:
    """Parameters and state, both in our form, after one step of torch's; the losses are those of `evaluate`.

    >>> import reference as ref
    >>> opt = ref.optimizers.lbfgs()
    >>> x = [np.array([1.0, 2.0])]
    >>> lbfgs_step({"max_iter": 1, "lr": 0.75}, x, opt.init(x), lambda x: ((x[0] ** 2).sum(), [2 * x[0]]))[0]
    [array([0.75, 1.5 ])]
    """
    leaves = [torch.nn.Parameter(torch.tensor(p)) for p in params]
    twin: Any = torch.optim.LBFGS(leaves, **hyperparameters)
    if state["n_iter"]:
        twin.state[leaves[0]].update(_to_torch(state))
    else:
        twin.state[leaves[0]]["func_evals"] = state["func_evals"]

    def closure() -> torch.Tensor:
        loss, grads = evaluate([leaf.detach().numpy().copy() for leaf in leaves])
        for leaf, grad in zip(leaves, grads, strict=True):
            leaf.grad = torch.tensor(grad)
        return torch.tensor(loss)

    twin.step(closure)
    found = twin.state[leaves[0]]
    after = state | {"step": state["step"] + 1, "func_evals": found["func_evals"]}
    return [leaf.detach().numpy() for leaf in leaves], after | (_from_torch(found) if "d" in found else {})


def _to_torch(state: State) -> dict[str, Any]:
    """torch keeps a step as a direction and its factor; we keep the product."""
    history = {key: [torch.tensor(a) for a in state["history"][key]] for key in ("old_dirs", "old_stps", "ro")}
    return {
        "func_evals": state["func_evals"],
        "n_iter": state["n_iter"],
        "d": torch.tensor(state["last_step"]),
        "t": 1.0,
        "H_diag": torch.tensor(state["H_diag"]) if state["history"]["ro"] else state["H_diag"],
        "prev_flat_grad": torch.tensor(state["prev_flat_grad"]),
        **history,
    }


def _from_torch(found: Mapping[str, Any]) -> State:
    return {
        "n_iter": found["n_iter"],
        "last_step": found["d"].mul(found["t"]).numpy(),
        "prev_flat_grad": found["prev_flat_grad"].numpy(),
        "H_diag": np.asarray(found["H_diag"])[()] if found["old_dirs"] else found["H_diag"],
        "history": {key: tuple(np.asarray(a)[()] for a in found[key]) for key in ("old_dirs", "old_stps", "ro")},
    }
