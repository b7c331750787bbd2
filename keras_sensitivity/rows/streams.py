"""Rows that come in batches: tf.data, PyDataset, generators."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.networks.network import Network
from keras_sensitivity.rows.pipelines import own_copy

__all__ = ["Reader", "can_be_read_again", "is_endless", "is_stream"]

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
    return isinstance(x, keras.utils.PyDataset) and _num_batches(x) is None


def _num_batches(x: keras.utils.PyDataset) -> int | None:
    try:
        count: int | None = x.num_batches
    except Exception as error:  # noqa: BLE001  (whatever the user's data raise)
        errors.refuse_broken(0, error)
    return count


class Reader:
    """Reads a stream as often as it is asked to; what was read to see what it is, is handed on, not read again.

    Args:
        x: A data set, a sequence of batches, or a generator.
        network: What the batches are for.

    Attributes:
        first: The first batch, as x and its sample weights or None.

    Iterating yields all batches so. A stream that cannot be read again can be iterated over once.
    """

    def __init__(self, x: Any, network: Network) -> None:
        self._x = _batched(x, network) if isinstance(x, tf.data.Dataset) else x
        begun = _elements(self._x)
        first = next(begun, None)
        self.first: tuple[Any, Any] = first if first is not None else errors.refuse_some_rows()
        self._begun: Iterator[tuple[Any, Any]] | None = begun

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        begun, self._begun = self._begun, None
        if begun is not None:
            return itertools.chain([self.first], begun)
        if not can_be_read_again(self._x):
            errors.refuse_one_shot(type(self._x).__name__)
        return _elements(self._x)


def _batched(dataset: tf.data.Dataset, network: Network) -> tf.data.Dataset:
    """A copy of a data set, whose reading leaves no trace in the user's, in batches."""
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # a look reads what it measures, and no more
    dataset = own_copy(dataset).with_options(options)
    spec = _split(dataset.element_spec)[0]
    inputs = network.inputs(spec)
    rows = all(map(_is_row, inputs.flatten(spec), (leaf.shape for leaf in inputs.leaves)))
    return dataset.batch(BATCH_ROWS) if rows else dataset


def _is_row(spec: Any, declared: tuple[int | None, ...] | None) -> bool:
    """Whether a spec is that of a single row of an input, not of a batch; a row of one column may be a scalar."""
    shape = getattr(spec, "shape", None)
    if declared is None or shape is None or shape.rank is None:
        return False
    row = declared[1:]
    fits = [size is not None and wanted in (None, size) for size, wanted in zip(shape, row, strict=False)]
    return (len(shape) == len(row) and all(fits)) or (len(shape) == 0 and row == (1,))


def _elements(x: Any) -> Iterator[tuple[Any, Any]]:
    """The batches of a stream, each as x and its sample weights or None."""
    batches: Iterator[Any] | None = None
    for index in itertools.count():
        try:
            batches = _raw(x) if batches is None else batches
            element = next(batches)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001  (whatever the user's data raise)
            errors.refuse_broken(index, error)
        yield _split(element)


def _split(element: Any) -> tuple[Any, Any]:
    """X and the sample weights of an element; as in Keras a tuple is (x,), (x, y) or (x, y, sample_weight)."""
    if not isinstance(element, tuple):
        return element, None
    errors.check_element(len(element))
    return element[0], element[2] if len(element) == 3 else None


def _raw(x: Any) -> Iterator[Any]:
    if isinstance(x, tf.data.Dataset):
        return iter(x.as_numpy_iterator())
    if isinstance(x, keras.utils.PyDataset):
        return (x[index] for index in (itertools.count() if is_endless(x) else range(_num_batches(x) or 0)))
    return iter(x)
