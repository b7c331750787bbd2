"""Models built as planned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_sensitivity.probes import NoiseProbes
from keras_sensitivity.removal.columns import Columns
from keras_sensitivity.removal.graphs import graph_of
from keras_sensitivity.removal.plan import Plan

__all__ = ["Builder"]


class Builder:
    """Builds models as planned."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __call__(self, old: Any) -> Any:
        """A layer, operation or model anew; one that is shared stays one."""
        new = self.plan.new
        if id(old) not in new:
            if isinstance(old, keras.layers.TimeDistributed):
                new[id(old)] = keras.layers.TimeDistributed(self(old.layer), **keras.Layer.get_config(old))
            else:
                new[id(old)] = self._model(old)
        return new[id(old)]

    def _model(self, old: keras.Model) -> keras.Model:
        inputs = list(map(_input_without, graph_of(old).inputs, self.plan.read[id(old)]))
        if isinstance(old, keras.Sequential):
            layers = [self(layer) for layer in old.layers if not isinstance(layer, NoiseProbes)]
            return keras.Sequential([inputs[0], *(layers or [keras.layers.Identity()])], name=old.name)
        outputs = old._run_through_graph(inputs, operation_fn=lambda operation: operation, call_fn=self._call)
        outputs = keras.tree.map_structure(lambda tensor: _led_out(tensor, inputs), outputs)
        return keras.Model(keras.tree.pack_sequence_as(old.input, inputs), outputs, name=old.name)

    def _call(self, old: Any, *args: Any, **kwargs: Any) -> Any:
        return keras.tree.flatten((args, kwargs))[0] if isinstance(old, NoiseProbes) else self(old)(*args, **kwargs)


def _input_without(tensor: Any, columns: Columns | None) -> Any:
    """An input like this tensor, without the columns that are noise."""
    shape = tensor.shape if columns is None else (*tensor.shape[:-1], int((~columns.are_noise).sum()))
    old = tensor._keras_history.operation
    return type(old).from_config(old.get_config() | {"batch_shape": shape, "name": tensor.name}).output


def _led_out(tensor: Any, inputs: Sequence[Any]) -> Any:
    """A tensor that a model may return: where probes were all there was, nothing leads there from the input."""
    return keras.layers.Identity()(tensor) if any(tensor is each for each in inputs) else tensor
