"""Rows that no memory holds: the time and the memory of looks at a `tf.data` pipeline.

    python benchmarks/stream.py [--turns N] [--quick]

1 million and 10 million rows of the credit network's 23 columns, drawn by the pipeline when they are asked for, and all
of them measured (``num_samples=None``). Ten times the rows should take ten times the time, and no more memory: that is
the largest that the process ever had. Each look is in a process of its own, in turns; its time contains the drawing.
"""

import sys
from collections.abc import Iterator

import _credit
import numpy as np
import tensorflow as tf
from _results import Job, Row, at_least, at_most, elsewhere, in_turns, run, seconds

import keras_sensitivity as ks

BATCH = 4096


def pipeline(num_rows: int) -> tf.data.Dataset:
    """Standard normal rows, the same at every reading."""

    def batch(index: tf.Tensor) -> tf.Tensor:
        rows = tf.random.stateless_normal((BATCH, _credit.COLUMNS), tf.stack([index, 0]))
        return rows[: num_rows - index * BATCH]

    return tf.data.Dataset.range(-(-num_rows // BATCH)).map(batch).prefetch(2)


def look(num_rows: int) -> tuple[float, float]:
    """Seconds of a look, and the largest resident memory of this process, MB."""
    model = _credit.network()
    elapsed = seconds(lambda: ks.measure(model, pipeline(num_rows), num_samples=None))
    return elapsed, peak()


def peak() -> float:
    """The largest resident memory of this process, MB; NaN where the system does not say so."""
    try:
        import resource
    except ImportError:  # Windows
        return np.nan
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / 1e6 if sys.platform == "darwin" else size / 1e3


def rows(job: Job) -> Iterator[Row]:
    sizes = job.some((1_000_000, 10_000_000), (10_000, 100_000))
    measures = {f"{size:,} rows": lambda size=size: elsewhere(look, size) for size in sizes}
    found = in_turns(measures, job.turns)
    speeds, peaks = [], []
    for size, (case, (elapsed, memory)) in zip(sizes, ((case, each.T) for case, each in found.items()), strict=True):
        speeds.append(size / np.median(elapsed))
        peaks.append(np.median(memory))
        yield Row("rows a second", case, speeds[-1], "rows/s", note=f"{np.median(elapsed):.3g} s")
        yield Row("peak memory", case, peaks[-1], "MB")
    case = f"{sizes[1]:,} rows beside {sizes[0]:,}"
    yield Row("rows a second, as many as of fewer", case, speeds[1] / speeds[0], "times", at_least(0.9))
    yield Row("peak memory beyond that of fewer", case, peaks[1] - peaks[0], "MB", at_most(200))


if __name__ == "__main__":
    run(__file__, __doc__, rows, turns=5)
