"""Looks at rows that are on many machines: each part is looked at where it is, and the looks add up.

A look is sums, so that looks at parts merge to the look at all rows. What has to be the same everywhere is fixed before
by the first rows: the bins, what is swapped, and with which rows. So the numbers are those of one machine that reads
the same rows as a stream.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.definition import Definition
from keras_sensitivity.importance import Importance
from keras_sensitivity.look import Look
from keras_sensitivity.measurement import Measurement, merged
from keras_sensitivity.networks.choice import network_of
from keras_sensitivity.plan import Options
from keras_sensitivity.rows.datasets import element_of
from keras_sensitivity.rows.rows import SAMPLE_ROWS, read

__all__ = ["measure_dataset"]

Array = np.ndarray[Any, Any]

# Rows of a part; a worker returns one look at each, some 100 kB.
PART_ROWS = 2**17


class Task(NamedTuple):
    """What every part is asked: see `measure`.

    Attributes:
        model: The model, or function.
        first: The first rows, as Ray has them.
        weights: The column of weights, or None.
        background: As in `measure`.
        definition: As in `measure`.
        options: As in `measure`.
    """

    model: Any
    first: Mapping[str, Array]
    weights: str | None
    background: Any
    definition: Definition
    options: Options

    def measurement(self) -> Measurement:
        """A measurement of the first rows, after which may come others in any order."""
        network = network_of(self.model, self.options.batch_size)
        element, weights = element_of(self.first, self.weights)
        rows = read(element, network, weights=weights)
        background = None if self.background is None else read(self.background, network)
        return Measurement(
            network,
            rows,
            definition=self.definition,
            options=self.options,
            background=background,
            sample=None if self.is_whole else rows.first,
        )

    @property
    def is_whole(self) -> bool:
        """Whether there are no other rows."""
        return len(next(iter(self.first.values()))) < SAMPLE_ROWS


class Worker:
    """What a worker does: it looks at parts of the rows, one after the other, with one measurement.

    Args:
        task: What is asked, pickled.
        num_threads: Of its share of the machine.
    """

    def __init__(self, task: bytes, num_threads: int) -> None:
        self._task = task
        self._num_threads = num_threads
        self._measurement: Measurement | None = None

    def __call__(self, batch: Mapping[str, Array]) -> dict[str, list[Any]]:
        """The look at a part, or the error; and what was warned of."""
        from ray import cloudpickle

        if not len(next(iter(batch.values()))):
            return {"found": []}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                found: Any = self._look(batch)
            except Exception as error:  # noqa: BLE001  (Ray would take it for a lost worker, and try again)
                found = error
        words = [str(each.message) for each in caught if issubclass(each.category, UserWarning)]
        return {"found": [cloudpickle.dumps((found, words))]}

    def _look(self, batch: Mapping[str, Array]) -> Look:
        if self._measurement is None:
            from ray import cloudpickle

            _take_threads(self._num_threads)
            task = cloudpickle.loads(self._task)
            self._weights = task.weights
            self._measurement = task.measurement()
        element, weights = element_of(batch, self._weights)
        return self._measurement.part(element, weights)


def measure_dataset(
    model: Any,
    dataset: Any,
    *,
    sample_weight: str | None,
    background: Any,
    definition: Definition,
    options: Options,
    num_samples: int | None,
    verbose: int,
) -> Importance:
    """Measure the rows of a `ray.data.Dataset` where they are; see `measure`."""
    errors.check_weight_column(sample_weight)
    if num_samples is not None:
        dataset = dataset.limit(num_samples)
    first = _first_rows(dataset)
    if not first:
        errors.refuse_some_rows()
    task = Task(model, first, sample_weight, background, definition, options)
    measurement = task.measurement()
    if verbose:
        print(f"keras_sensitivity: {measurement.description}", flush=True)
    if task.is_whole:
        importance = measurement.look(progress=bool(verbose))
    else:
        importance = measurement.importance(functools.reduce(merged, _looks(dataset, task, bool(verbose))))
    if importance.num_samples == num_samples:
        errors.warn_limited(num_samples)
    return importance


def _first_rows(dataset: Any) -> dict[str, Array]:
    """The first rows in their order, whichever are read first."""
    options = dataset.context.execution_options
    before, options.preserve_order = options.preserve_order, True
    try:
        return dict(dataset.take_batch(SAMPLE_ROWS, batch_format="numpy"))
    except ValueError:  # it is empty
        return {}
    finally:
        options.preserve_order = before


def _looks(dataset: Any, task: Task, progress: bool) -> Iterator[Look]:
    """The looks at all parts, as they come."""
    import ray

    num_workers, needs = _workers([node["Resources"] for node in ray.nodes() if node["Alive"]])
    try:
        pickled = ray.cloudpickle.dumps(task)
    except Exception as error:  # noqa: BLE001  (whatever the user's objects raise)
        errors.refuse_to_send(error)
    looks = dataset.map_batches(
        Worker,
        fn_constructor_args=(pickled, 1),
        batch_size=PART_ROWS,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=num_workers),
        **needs,
    )
    bar = keras.utils.Progbar(None, unit_name="part") if progress else None
    told: set[str] = set()
    rows = iter(looks.iter_rows())
    while True:
        try:
            row = next(rows, None)
        except ray.exceptions.RayError as error:
            errors.refuse_workers(error)
        if row is None:
            return
        found, words = ray.cloudpickle.loads(row["found"])
        if isinstance(found, Exception):
            raise found
        for each in words:
            if each not in told:
                told.add(each)
                errors.warn_as_worded(each)
        if bar is not None:
            bar.add(1)
        yield found


def _workers(nodes: Sequence[Mapping[str, float]]) -> tuple[int, dict[str, float]]:
    """How many workers, and what each takes: a GPU where there are any, else about a processor.

    On each node a processor is left over for those who read the rows, without whom the workers would wait for ever.

    >>> _workers([{"CPU": 8.0}, {"CPU": 4.0}]), _workers([{"CPU": 1.0}]), _workers([{"CPU": 8.0, "GPU": 2.0}])
    ((12, {'num_cpus': 0.75}), (1, {'num_cpus': 0.0}), (2, {'num_gpus': 1}))
    """
    num_gpus = int(sum(node.get("GPU", 0) for node in nodes))
    if num_gpus:
        return num_gpus, {"num_gpus": 1}
    processors = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1] or [1]
    return sum(processors), {"num_cpus": round(1 - 1 / min(processors), 4)}


def _take_threads(count: int) -> None:
    """No more threads than the worker has been given; where TensorFlow has begun already, it is too late."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)
    except RuntimeError:
        pass
