"""A live Keras model on TensorFlow as a `Network`."""

from __future__ import annotations

import functools
import math
import re
import weakref
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import keras
import numpy as np
import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.definition import Definition
from keras_sensitivity.moments import Moments
from keras_sensitivity.networks.inputs import Inputs, Leaf
from keras_sensitivity.networks.keras_tf.activations import count_activations
from keras_sensitivity.networks.keras_tf.backward import backward
from keras_sensitivity.networks.keras_tf.borrowing import LOCK, borrowed
from keras_sensitivity.networks.keras_tf.curvature import CurvaturePass
from keras_sensitivity.networks.keras_tf.directions import NUM_DRAWS, are_single
from keras_sensitivity.networks.keras_tf.facts import Path
from keras_sensitivity.networks.keras_tf.graphs import Graph
from keras_sensitivity.networks.keras_tf.history import joined_columns
from keras_sensitivity.networks.keras_tf.identity import Identity
from keras_sensitivity.networks.keras_tf.layers import called, check_call, is_stateful, packed
from keras_sensitivity.networks.keras_tf.passes import (
    InputPass,
    KerasPass,
    LookPass,
    LossPass,
    RowPass,
    SwapPass,
    specs_of,
)
from keras_sensitivity.networks.keras_tf.row_losses import RowLosses, targets_of
from keras_sensitivity.networks.network import (
    MOST_DERIVATIVES,
    Batch,
    Derivatives,
    Entries,
    Network,
    Pass,
    Question,
    Seen,
)

__all__ = ["KerasNetwork"]

Array = np.ndarray[Any, Any]
R = TypeVar("R")

# Names that Keras gives to inputs without one, and to those that were tensors inside of a larger model.
AUTOMATIC_NAME = re.compile(r"(keras_tensor|input_layer)(_\d+)?(CLONE)?")

# Passes kept for one model: several batch shapes, lengths of sequences, or output units in turn.
PASSES_KEPT = 64


class _Kept(NamedTuple):
    """A pass, and what the model was when it was traced.

    Attributes:
        traced: The pass.
        identity: The model's attributes.
        volatile: Where these change whenever the model's Python is run, such as a list of its calls.
        graph: What it computes, where the attributes do not tell that.
    """

    traced: KerasPass[Any]
    identity: Identity
    volatile: set[Path]
    graph: Graph | None


# Rows that are predicted at a time, where their losses are asked for.
PREDICTED_ROWS = 256


class KerasNetwork(Network):
    """A built Keras model; passes are traced once for each question and batch shape, and anew when the model changed.

    Args:
        model: The model; it is not changed.
    """

    def __init__(self, model: keras.Model) -> None:
        errors.check_backend()
        if isinstance(model, keras.Model):
            check_call(model)
        errors.check_model(model)
        if not tf.executing_eagerly():
            errors.refuse_inside_a_function()
        errors.check_strategy(getattr(model, "distribute_strategy", None))
        self._model = model
        self._insists = False

    def inputs(self, x: Any) -> Inputs:
        """The inputs that a functional or Sequential model declares; those of a subclassed one are read from x."""
        declared = getattr(self._model, "inputs", None)
        if not declared:
            return Inputs.of(_structure_of(x, _built_shapes(self._model)))
        structure = getattr(self._model, "_inputs_struct", declared[0] if len(declared) == 1 else list(declared))
        return Inputs.of(keras.tree.map_structure(functools.partial(_leaf, self._model), structure))

    def batch_types(self, inputs: Inputs, rows: Batch) -> tuple[str, ...]:
        """The declared types; integers of an input that declares none stay what they are."""
        return tuple(self._batch_type(leaf.dtype, array) for leaf, array in zip(inputs.leaves, rows, strict=True))

    def _batch_type(self, declared: str | None, array: Array) -> str:
        if array.dtype == object:
            return "string"
        if declared is not None and not declared.startswith(("float", "bfloat")):
            return declared
        if declared is None and array.dtype.kind in "iu":
            return str(array.dtype.name)
        # Also for float16: its layers cast by themselves.
        return "float64" if self._model.compute_dtype == "float64" else "float32"

    def handles_missing(self, inputs: Inputs, batches: Iterable[Batch]) -> bool:
        """Whether all numbers that the model returns are finite."""
        model = self._model

        def finite(*x: tf.Tensor) -> list[tf.Tensor]:
            every = tf.nest.flatten(called(model, packed(model, inputs, x)))
            numbers = [each for each in every if getattr(each, "dtype", tf.bool).is_floating]
            return [tf.reduce_all(tf.math.is_finite(each)) for each in numbers]

        are_finite: Any = None
        for batch in batches:
            specs = specs_of(batch)
            if are_finite is None:
                with LOCK, borrowed(model):
                    are_finite = tf.function(finite, autograph=False).get_concrete_function(*specs)
            found = are_finite(*(tf.constant(leaf, spec.dtype) for leaf, spec in zip(batch, specs, strict=True)))
            if not found or not all(map(bool, found)):
                return False
        return True

    @property
    def fixed_batch_size(self) -> int | None:
        """That of a stateful model, and of one that refused another; where a model was built means nothing else."""
        return self._built_size if self._insists or is_stateful(self._model) else None

    def insist_on_built_size(self) -> bool:
        """Whether the model was built on batches of some size, which it may have written into its code."""
        before, self._insists = self._insists, self._built_size is not None
        return self._insists and not before

    @property
    def _built_size(self) -> int | None:
        """The size of the batch on which the model was built; None where that was left open."""
        declared = [tensor.shape for tensor in getattr(self._model, "inputs", None) or []]
        shapes = declared or _shapes_in(_built_shapes(self._model))
        return next((int(shape[0]) for shape in shapes if len(shape) and shape[0]), None)

    def floats_per_row(self, row_shapes: list[tuple[int, ...]], *, keeps_rows: bool) -> int:
        """Activations with their gradients, and the derivatives, which are float64, of the units kept at once."""
        units, entries = self._num_units, sum(map(math.prod, row_shapes))
        kept = units if keeps_rows else min(units, max(1, MOST_DERIVATIVES // max(1, entries)))
        return count_activations(self._model, row_shapes) + 2 * (kept + 2) * entries

    def num_passes(self, definition: Definition) -> int:
        """One forward, and one backward for each unit, or for each draw of random signs."""
        num_units = 1 if isinstance(definition.output, int) else self._num_units
        return 1 + (num_units if are_single(num_units) else NUM_DRAWS)

    @property
    def _num_units(self) -> int:
        """About how many output units the model has, in all heads."""
        outputs = [tensor.shape[-1] or 1 for tensor in getattr(self._model, "outputs", None) or [] if tensor.shape[1:]]
        return sum(outputs) or 1

    def look_pass(self, batch: Batch, question: Question) -> Pass[Seen]:
        """Sums of the derivatives of a batch."""
        return self._pass(LookPass, batch, question)

    def row_pass(self, batch: Batch, question: Question) -> Pass[Derivatives]:
        """The derivatives of single rows."""
        return self._pass(RowPass, batch, question)

    def input_pass(self, batch: Batch, question: Question) -> Pass[tuple[Moments, Entries | None]]:
        """The moments of the inputs, and their values."""
        return self._pass(InputPass, batch, question)

    def swap_pass(self, batch: Batch, question: Question) -> Pass[Array]:
        """What would be differentiated, after swaps."""
        return self._pass(SwapPass, batch, question)

    def curvature_pass(self, batch: Batch, question: Question) -> Pass[Array]:
        """The squared second derivatives of single rows."""
        return self._pass(CurvaturePass, batch, question)

    def targets(self, y: Any) -> tuple[Array, ...]:
        """The labels of each output."""
        return targets_of(self._model, y)

    def row_losses(self, x: Any, y: Any) -> Array:
        """The loss of each row of x, by what the model predicts."""
        targets, losses = targets_of(self._model, y), RowLosses(self._model)
        found = []
        for start in range(0, len(x), PREDICTED_ROWS):  # `predict` would be traced anew for each of many models
            rows = slice(start, start + PREDICTED_ROWS)
            outputs = tf.nest.flatten(self._model(x[rows], training=False))
            found.append(losses([tf.convert_to_tensor(each[rows]) for each in targets], outputs))
        return np.concatenate(found).astype(float)

    def loss_pass(self, batch: Batch, question: Question) -> Pass[Array]:
        """The losses of rows, and after swaps."""
        return self._pass(LossPass, batch, question)

    def _pass(self, kind: type[KerasPass[R]], batch: Batch, question: Question) -> Pass[R]:
        """This kind of pass for the model as it is now, traced only where that was not done before."""
        shapes = tuple((leaf.shape, leaf.dtype.str) for leaf in batch)
        definition = question.definition
        is_path = definition.scale == "path"
        what = definition.output, definition.logits, definition.mode, is_path, *question[2:]
        key = (kind, shapes, repr(question.inputs), what)
        with LOCK:
            passes = self._kept()
            identity = Identity(self._model)
            kept = passes.pop(key, None)
            if kept is None or not self._is_same(kept, identity, batch, question):
                kept = self._traced(kind, identity, batch, question)
            passes[key] = kept  # the last one used stands last
            while len(passes) > PASSES_KEPT:
                del passes[next(iter(passes))]
        return kept.traced

    def _kept(self) -> dict[Any, _Kept]:
        """The passes of the model, which go when it goes."""
        key = id(self._model)
        if key not in _passes:
            _passes[key] = {}
            weakref.finalize(self._model, _passes.pop, key, None).atexit = False
        return _passes[key]

    def _traced(self, kind: type[KerasPass[R]], before: Identity, batch: Batch, question: Question) -> _Kept:
        with borrowed(self._model):
            traced = kind(self._model, batch, question)
            graph = None if before.is_whole else self._graph(batch, question)
        after = Identity(self._model)
        return _Kept(traced, after, before.changed(after), graph)

    def _is_same(self, kept: _Kept, identity: Identity, batch: Batch, question: Question) -> bool:
        """Whether the model computes what it did when it was traced."""
        if not kept.identity.is_same(identity, kept.volatile) or not kept.traced.is_current(self._model):
            return False
        if kept.graph is None:
            return True
        with borrowed(self._model):
            return kept.graph == self._graph(batch, question)

    def _graph(self, batch: Batch, question: Question) -> Graph:
        """What the model computes of a batch, and backwards."""
        model = self._model

        def forwards(*x: tf.Tensor) -> Any:
            return called(model, packed(model, question.inputs, x))

        def backwards(*x: tf.Tensor) -> Any:
            sources = [*(leaf for leaf in x if leaf.dtype.is_floating), *(v.value for v in model.trainable_variables)]
            return [derivative for derivative in backward(forwards(*x), sources) if derivative is not None]

        return Graph(forwards, backwards, specs_of(batch))


# By the id of a model: a model may have no hash. Nothing that is kept holds its model, which lives as its user wants.
_passes: dict[int, dict[Any, _Kept]] = {}


def _leaf(model: keras.Model, tensor: Any) -> Leaf:
    name = "" if AUTOMATIC_NAME.fullmatch(tensor.name) else tensor.name
    return Leaf(name, tuple(tensor.shape), str(tensor.dtype), joined_columns(model, tensor))


def _structure_of(x: Any, shapes: Any) -> Any:
    """Dicts of x, and lists where the model was built with a list of as many shapes; a leaf at each end."""
    if isinstance(x, dict):
        return {key: _structure_of(x[key], shapes.get(key) if isinstance(shapes, dict) else None) for key in x}
    several = isinstance(shapes, (list, tuple)) and all(isinstance(shape, (list, tuple, dict)) for shape in shapes)
    if isinstance(x, (list, tuple)) and several and len(shapes) == len(x):
        return [_structure_of(part, shape) for part, shape in zip(x, shapes, strict=True)]
    return Leaf()


def _shapes_in(shapes: Any) -> list[tuple[int | None, ...]]:
    """The shapes in a structure of them."""
    if isinstance(shapes, dict):
        return [shape for each in shapes.values() for shape in _shapes_in(each)]
    if not isinstance(shapes, (list, tuple)):
        return []
    if all(size is None or isinstance(size, int) for size in shapes):
        return [tuple(shapes)]
    return [shape for each in shapes for shape in _shapes_in(each)]


def _built_shapes(model: keras.Model) -> Any:
    """The shapes that a subclassed model was first called with."""
    shapes = getattr(model, "_build_shapes_dict", None)
    return next(iter(shapes.values())) if shapes else None
