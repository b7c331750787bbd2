"""Rows that come in batches: tf.data, PyDataset, generators."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_sensitivity import _checks
from keras_sensitivity._inputs import Inputs

__all__ = ["batched", "can_be_read_again", "elements", "is_endless", "is_stream"]

# Operations that shuffle, and which of their inputs makes the orders.
GENERATOR_INPUTS = {"ShuffleDatasetV3": 4, "ShuffleAndRepeatDatasetV2": 5}

# Of `tf.raw_ops.DatasetToGraphV2`: what cannot be copied, such as a generator of random numbers, starts anew.
IGNORE_STATE = 1

# Rows of a batch that is made of single rows.
BATCH_ROWS = 1024


def is_stream(x: Any) -> bool:
    """Whether x yields batches instead of being rows."""
    return isinstance(x, (tf.data.Dataset, keras.utils.PyDataset, Iterator))


def can_be_read_again(x: Any) -> bool:
    """Whether each look may read x from its beginning; a generator is used up by the first."""
    return not isinstance(x, Iterator)


def is_endless(x: Any) -> bool:
    """Whether a stream says that it never ends."""
    if isinstance(x, tf.data.Dataset):
        return bool(x.cardinality() == tf.data.INFINITE_CARDINALITY)
    return isinstance(x, keras.utils.PyDataset) and x.num_batches is None


def batched(x: Any, model: keras.Model) -> tuple[Any, Any]:
    """The stream, in batches, and the x of its first batch."""
    if isinstance(x, tf.data.Dataset):
        x = _own_copy(x)
        spec = _split(x.element_spec)[0]
        inputs = Inputs.of(model, spec)
        if all(map(_is_row, inputs.flatten(spec), (leaf.shape for leaf in inputs.leaves))):
            x = x.batch(BATCH_ROWS)
    elif isinstance(x, Iterator):
        # Looking at the first batch must not use it up.
        first = next(x, None)
        if first is None:
            _checks.some_rows()
        return itertools.chain([first], x), _split(first)[0]
    for element, _ in elements(x):
        return x, element
    return _checks.some_rows()


def _own_copy(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same data with a shuffling of its own.

    All iterators over a shuffled data set draw from one generator of orders, so reading the user's would change the
    order in which the training reads it next. A copy of its graph has the same generator, until it is given a new one.
    """
    try:
        variant = tf.data.experimental.to_variant(dataset)
        serialized = tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=IGNORE_STATE)
        graph = tf.compat.v1.GraphDef.FromString(serialized.numpy())
        for node in list(graph.node):
            if node.op in GENERATOR_INPUTS:
                generator = graph.node.add(name=f"{node.name}/own_generator", op="DummySeedGenerator")
                node.input[GENERATOR_INPUTS[node.op]] = generator.name
        copied = tf.raw_ops.DatasetFromGraph(graph_def=graph.SerializeToString())
        return tf.data.experimental.from_variant(copied, dataset.element_spec)
    except (tf.errors.OpError, ValueError, TypeError):  # data that cannot be written down as a graph
        return dataset


def _is_row(spec: Any, declared: tuple[int | None, ...] | None) -> bool:
    """Whether a spec is that of a single row of an input, not of a batch; a row of one column may be a scalar."""
    shape = getattr(spec, "shape", None)
    if declared is None or shape is None or shape.rank is None:
        return False
    row = declared[1:]
    fits = [size is not None and wanted in (None, size) for size, wanted in zip(shape, row, strict=False)]
    return (len(shape) == len(row) and all(fits)) or (len(shape) == 0 and row == (1,))


def elements(x: Any) -> Iterator[tuple[Any, Any]]:
    """The batches of a stream, each as x and its sample weights or None."""
    batches = _raw(x)
    for index in itertools.count():
        try:
            element = next(batches)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001  (whatever the user's data raise)
            _checks.broken(index, error)
        yield _split(element)


def _split(element: Any) -> tuple[Any, Any]:
    """X and the sample weights of an element; as in Keras a tuple is (x,), (x, y) or (x, y, sample_weight)."""
    if not isinstance(element, tuple):
        return element, None
    _checks.element(len(element))
    return element[0], element[2] if len(element) == 3 else None


def _raw(x: Any) -> Iterator[Any]:
    if isinstance(x, tf.data.Dataset):
        return iter(x.as_numpy_iterator())
    if isinstance(x, keras.utils.PyDataset):
        return (x[index] for index in (itertools.count() if x.num_batches is None else range(x.num_batches)))
    return iter(x)
