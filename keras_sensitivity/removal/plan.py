"""What becomes of each layer of a model without the noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_sensitivity import errors
from keras_sensitivity.probes import NoiseProbes
from keras_sensitivity.removal.anew import anew
from keras_sensitivity.removal.columns import KEEP_COLUMNS, Columns, alike, left_by, with_probes
from keras_sensitivity.removal.graphs import graph_of, has_graph, is_any, nodes_of

__all__ = ["Plan"]


class Plan:
    """What becomes of each layer, found out without building or calling one.

    Attributes:
        read: By the id of a layer or operation: the columns of its inputs, None for inputs without noise.
        left: By the id of a model: the columns of its outputs.
        new: By the id of a layer or operation: the same anew, not built.
        models: The models that are made of layers, the outer before the inner.
        leaves: The layers and operations that they are made of.
    """

    def __init__(self) -> None:
        self.read: dict[int, list[Columns | None]] = {}
        self.left: dict[int, list[Columns | None]] = {}
        self.new: dict[int, Any] = {}
        self.models: list[keras.Model] = []
        self.leaves: list[Any] = []

    def model(self, model: keras.Model, columns: Sequence[Columns | None] | None = None) -> list[Columns | None]:
        """The columns of the outputs of a model, for inputs with these; without any, for inputs without noise."""
        if not has_graph(model):
            errors.refuse_no_graph(type(model).__name__)
        self.models.append(model)
        graph = graph_of(model)
        columns = columns or [None] * len(graph.inputs)
        self.read[id(model)] = list(columns)
        found = dict(zip(map(id, graph.inputs), columns, strict=True))
        for node in nodes_of(graph):
            read = [found.get(id(tensor)) for tensor in node.input_tensors]
            if isinstance(node.operation, keras.layers.Concatenate) and any(read):
                read = [each or Columns.clean(x.shape[-1]) for each, x in zip(read, node.input_tensors, strict=True)]
            if isinstance(node.operation, keras.layers.BatchNormalization) and any(read) and _in_training(node):
                errors.refuse_stuck_probes(node.operation.name, "BatchNormalization in training mode")
            left = self.operation(node.operation, read, rank=len(node.input_tensors[0].shape))
            found |= zip(map(id, node.outputs), left if len(left) > 1 else left * len(node.outputs), strict=True)
        return [found[id(tensor)] for tensor in graph.outputs]

    def operation(self, old: Any, read: list[Columns | None], rank: int) -> list[Columns | None]:
        """The columns that a layer or operation returns, for inputs with these, of which the first has so many axes."""
        if isinstance(old, NoiseProbes):
            return [with_probes(old, read[0])]
        if type(old) is keras.layers.TimeDistributed and not isinstance(old.layer, NoiseProbes):
            return self.operation(old.layer, read[:1], rank - 1)
        is_new = id(old) not in self.read
        has_own_weights_for_columns = not is_any(old, (*KEEP_COLUMNS, keras.layers.Concatenate))
        if has_own_weights_for_columns and not is_new and not alike(self.read[id(old)], read):
            errors.refuse_shared_layer(old.name, type(old).__name__)
        if isinstance(old, keras.Model) and has_graph(old):
            if is_new:
                self.left[id(old)] = self.model(old, read[: len(graph_of(old).inputs)])  # behind them are masks
            return self.left[id(old)]
        left = left_by(old, read, rank)
        if is_new:
            self._leaf(old, read)
        return [left]

    def _leaf(self, old: Any, read: list[Columns | None]) -> None:
        if isinstance(old, keras.Layer) and any(isinstance(each, NoiseProbes) for each in old._flatten_layers()):
            errors.refuse_hidden_probes(old.name, type(old).__name__)
        self.read[id(old)] = read or [None]
        self.new[id(old)] = anew(old, reads_noise=any(read))
        self.leaves.append(old)


def _in_training(node: Any) -> bool:
    return bool(node.arguments.kwargs.get("training"))
