"""The masks of time steps that a model's layers make, and inputs that are nothing but masks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_sensitivity.networks.keras_tf.borrowing import Loan
from keras_sensitivity.networks.keras_tf.layers import layers
from keras_sensitivity.networks.keras_tf.tensors import BLIND, PYTHON, Key, ancestors, key, origins

__all__ = ["only_masks", "record_masks"]

# Layers that may set a mask in their call; those of embeddings of words and back do.
SETTING = (keras.layers.Masking, keras.layers.Embedding)

# Operations by which a mask acts on other numbers: it scales them, shifts them, selects among them, adds them up.
MASKING = {
    "AddV2", "BatchMatMulV2", "CudnnRNNV3", "DivNoNan", "Einsum", "GatherNd", "GatherV2", "Maximum", "Minimum", "Mul",
    "MulNoNan", "RealDiv", "Select", "SelectV2", "Sub",
}  # fmt: skip

# Operations that may do anything, as recurrent layers do their steps; what goes in as no number is a mask.
RUNNING = {"PartitionedCall", "StatefulPartitionedCall", "StatelessWhile", "While"}

# Operations that hide the derivative of a number, which is no mask for that.
HIDING = {"PreventGradient", "StopGradient", *PYTHON}


def record_masks(model: keras.Model, loan: Loan) -> list[tf.Tensor]:
    """The masks of shape (batch_size, num_steps) that layers will make when they are called, in this order."""
    made: list[tf.Tensor] = []

    def recording(function: Callable[..., Any], mask_of: Callable[[Any], Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            mask = mask_of(result)
            if mask is not None and len(getattr(mask, "shape", ())) == 2:
                made.append(tf.cast(mask, tf.bool))
            return result

        return call

    for layer in layers(model):
        if isinstance(layer, SETTING):
            loan.replace(layer, "call", recording(layer.call, lambda result: getattr(result, "_keras_mask", None)))
        if not isinstance(layer, (keras.Model, keras.layers.Masking)) and layer.supports_masking:
            loan.replace(layer, "compute_mask", recording(layer.compute_mask, lambda mask: mask))
    return made


def only_masks(source: int, x: Sequence[tf.Tensor], heads: Collection[tf.Tensor]) -> bool:
    """Whether an input acts on the heads only by saying which entries of what other inputs became count.

    Args:
        source: Its position in ``x``; no derivative reaches it.
        x: The inputs.
        heads: What the model returns.
    """
    reaching = {key(part) for head in heads for part in ancestors(head)}
    masks: set[Key] = {key(x[source])}
    constants: set[Key] = set()
    acts = False
    for operation in x[source].graph.get_operations():  # in the order in which they were made
        outputs = {key(part) for part in operation.outputs} & reaching
        own = [part for part in operation.inputs if key(part) in masks]
        others = [part for part in operation.inputs if key(part) not in masks]
        if not own:
            is_constant = operation.type in {"Const", *BLIND} or (others and {*map(key, others)} <= constants)
            constants |= outputs if is_constant else set()
        elif outputs and operation.type in HIDING:
            return False
        elif {*map(key, others)} <= constants or all(part.dtype == tf.bool for part in operation.outputs):
            masks |= outputs
        elif outputs:
            is_number = any(part.dtype.is_floating for part in own)
            is_masking = operation.type in MASKING or (operation.type in RUNNING and not is_number)
            if not is_masking or not any(origins(part, x) for part in others):
                return False
            acts = True
    return acts and not masks & {key(head) for head in heads}
