"""Memory that measuring leaves behind, and what a callback keeps of its looks.

    python benchmarks/memory.py [--turns N] [--quick]

500 networks of different widths are built, measured and dropped in one process, and in another built, asked for
predictions and dropped, which tells what Keras and TensorFlow leave behind themselves. How much the process has grown
is counted from the 50th network on, since the first ones bring in code that all others use. Only Linux says so.

What a callback keeps is the size of its older looks when they are pickled (the newest has its moments, too); names that
all looks share count once.
"""

import gc
import pathlib
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import numpy as np
from _results import Job, Row, at_most, elsewhere, run
from keras import layers

import keras_sensitivity as ks

COLUMNS, ROWS = 8, 256
PROCESS = pathlib.Path("/proc/self")
USES = {
    "measured": ks.measure,
    "asked for predictions": lambda model, x: model.predict(x, verbose=0),
}


class Size(NamedTuple):
    """How large a process is: resident MB, and the mappings of its memory, of which Linux allows 65,530."""

    megabytes: float
    maps: int

    @classmethod
    def now(cls) -> "Size":
        """Of this process."""
        gc.collect()
        resident = next(line for line in (PROCESS / "status").read_text().splitlines() if line.startswith("VmRSS"))
        return cls(float(resident.split()[1]) / 1000, len((PROCESS / "maps").read_text().splitlines()))


def growth(use: str, count: int, begin: int) -> Size:
    """By how much the process has grown when this many networks were used, from one of them on."""
    x = np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).astype("float32")
    for index in range(count):
        if index == begin:
            before = Size.now()
        hidden = [layers.Dense(4 + index % 97, "tanh"), layers.Dense(4 + index % 31, "tanh")]
        USES[use](keras.Sequential([keras.Input((COLUMNS,)), *hidden, layers.Dense(1)]), x)
    return Size(*np.subtract(Size.now(), before))


def left_behind(job: Job) -> Iterator[Row]:
    """What is left of many networks."""
    count, begin = job.some((500, 50), (6, 2))
    for use in USES:
        case = f"{count} networks, {use}"
        if sys.platform != "linux":
            yield Row("growth of the process", case, np.nan, "MB", note="only Linux says so")
            continue
        grown = elsewhere(growth, use, count, begin)
        goals = (at_most(0.3), at_most(0)) if use == "measured" else ("", "")
        yield Row("growth of the process a network", case, grown.megabytes / (count - begin), "MB", goals[0])
        yield Row("growth of the memory maps", case, grown.maps, "maps", goals[1])


def older_looks(model: keras.Model, x: np.ndarray, epochs: int) -> list[ks.Importance]:
    """What a callback keeps of a fit, but for the newest look."""
    model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(x, dead_feature_monitor=None)
    y = np.zeros((len(x), *model.output_shape[1:]), "float32")
    model.fit(x, y, batch_size=len(x), epochs=epochs, verbose=0, callbacks=[watch])
    return watch.history[:-1]


def bytes_a_look(looks: list[ks.Importance]) -> float:
    """What another look adds."""
    whole, one = (len(pickle.dumps(each)) for each in (looks, looks[:1]))
    return (whole - one) / (len(looks) - 1)


def network(*shape: int, build: Callable[[], list[keras.Layer]]) -> tuple[keras.Model, np.ndarray]:
    """A network, and rows of its input."""
    x = np.random.default_rng(0).normal(size=(64, *shape)).astype("float32")
    return keras.Sequential([keras.Input(shape), *build()]), x


def kept(job: Job) -> Iterator[Row]:
    """What is kept of looks."""
    sequence = network(30, 8, build=lambda: [layers.LSTM(8), layers.Dense(1)])
    image = network(32, 32, 3, build=lambda: [layers.Flatten(), layers.Dense(100, "softmax")])
    table = network(250, build=lambda: [layers.Dense(16, "tanh"), layers.Dense(1)])
    what, epochs = "kept of a look", job.some(1000, 10)
    yield Row(what, "30 steps x 8 columns", bytes_a_look(older_looks(*sequence, 5)) / 1e3, "kB", at_most(20))
    yield Row(what, "100 units x 3,072 entries", bytes_a_look(older_looks(*image, 5)) / 1e6, "MB", at_most(3))
    looks = older_looks(*table, epochs)
    yield Row("kept of a fit", f"{epochs:,} epochs, 250 columns", len(pickle.dumps(looks)) / 1e6, "MB", at_most(30))


def rows(job: Job) -> Iterator[Row]:
    yield from left_behind(job)
    yield from kept(job)


if __name__ == "__main__":
    run(__file__, __doc__, rows, turns=1)
