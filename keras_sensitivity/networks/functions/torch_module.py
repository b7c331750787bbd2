"""Modules of PyTorch as functions of rows; PyTorch is not imported to know one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["function_of", "is_module"]

Array = np.ndarray[Any, Any]


def is_module(model: Any) -> bool:
    """Whether it is a `torch.nn.Module`."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def function_of(module: Any) -> Callable[[Any], Array]:
    """What a module predicts: from arrays to arrays, in the type of its weights, as it is after training.

    Each of its parts is in the mode in which it was once a call has ended.
    """
    import torch

    weights = next(iter(module.parameters()), None)

    def predicted(x: Any) -> Array:
        modes = [(each, each.training) for each in module.modules()]
        module.eval()
        try:
            with torch.no_grad():
                rows = torch.as_tensor(np.array(x), dtype=None if weights is None else weights.dtype)
                return np.asarray(module(rows if weights is None else rows.to(weights.device)).cpu())
        finally:
            for each, mode in modes:
                each.training = mode

    return predicted
