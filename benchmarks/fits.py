"""What the callback adds to the time of a whole fit.

    python benchmarks/fits.py [--turns N] [--quick]

Each fit is made with the callback, with the callback and a ``log_dir``, and without, in turns, each of a fresh model
from the same seed. "Extra time" is the median over the turns of the difference to the fit without, in percent of the
median of that; the goals are judged by it. It is the difference of two totals, each of which the machine disturbs, so
its quartiles stand beside it. "Time inside the callback" is measured in the same fits by a clock around each of its
methods that Keras calls: it is hardly disturbed, but sees nothing that comes of the callback elsewhere. The rest is not
what the callback does: one that only sleeps for as long at the end of each epoch is timed, too. Behind a pause of some
milliseconds TensorFlow at times takes a third of a second more to begin with the next epoch's rows.
"""

import functools
import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import sklearn.datasets
import tensorflow as tf
from _results import Job, Row, at_most, in_turns, milliseconds, number, run
from keras import layers

import keras_sensitivity as ks

# Each fit is a new network, so Keras traces its functions anew, and TensorFlow would warn of that.
tf.get_logger().setLevel("ERROR")


class Fit(NamedTuple):
    """A network, its rows, and how much longer its fit may take, percent: with the callback, and with a log_dir."""

    build: Callable[[], keras.Model]
    x: np.ndarray
    y: np.ndarray
    epochs: int
    goals: tuple[float, float]

    def __call__(self, callback: keras.callbacks.Callback | None) -> float:
        """Fit a fresh network; the seconds that it took."""
        keras.utils.set_random_seed(0)
        model = self.build()
        loss = "mean_squared_error" if self.y.dtype.kind == "f" else "sparse_categorical_crossentropy"
        model.compile("adam", loss)
        callbacks = [] if callback is None else [callback]
        gc.collect()  # else one fit pays for what others left
        begun = time.perf_counter()
        model.fit(self.x, self.y, batch_size=32, epochs=self.epochs, verbose=0, callbacks=callbacks)
        return time.perf_counter() - begun

    def in_small(self) -> "Fit":
        """Two epochs of few rows."""
        return self._replace(x=self.x[:128], y=self.y[:128], epochs=2)


# --- the fits -------------------------------------------------------------------------------------------------------


def dense(num_rows: int, epochs: int, goals: tuple[float, float], *, columns: int = 20, probed: bool = False) -> Fit:
    """Columns of which the first also counts by its sine."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(num_rows, columns)).astype("float32")
    y = (x @ rng.normal(size=columns) + np.sin(x[:, 0])).astype("float32")

    def build() -> keras.Model:
        hidden = [layers.Dense(64, "relu"), layers.Dense(32, "relu")]
        probes = [ks.NoiseProbes()] if probed else []
        return keras.Sequential([keras.Input((columns,)), *probes, *hidden, layers.Dense(1)])

    return Fit(build, x, y, epochs, goals)


def recurrent() -> Fit:
    """Sequences of which two columns count, one of them two steps late."""
    x = np.random.default_rng(0).normal(size=(2000, 24, 8)).astype("float32")

    def build() -> keras.Model:
        return keras.Sequential([keras.Input((24, 8)), layers.LSTM(32), layers.Dense(1)])

    return Fit(build, x, x[:, -3, 0] + x[:, -1, 1], 20, (10, 12))


def convolutional() -> Fit:
    """Written digits, which come with scikit-learn."""
    data = sklearn.datasets.load_digits()

    def build() -> keras.Model:
        convolutions = [layers.Conv2D(size, 3, activation="relu", padding="same") for size in (32, 64)]
        head = [layers.MaxPooling2D(), layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(10, "softmax")]
        return keras.Sequential([keras.Input((8, 8, 1)), *convolutions, *head])

    return Fit(build, (data.images[..., None] / 16).astype("float32"), data.target, 10, (10, 15))


FITS = {
    "64-32, 1,000 x 20, 20 epochs": functools.partial(dense, 1_000, 20, (8, 12)),
    "64-32, 10,000 x 20, 20 epochs": functools.partial(dense, 10_000, 20, (2, 3)),
    "64-32, 100,000 x 20, 5 epochs": functools.partial(dense, 100_000, 5, (0.5, 1)),
    "64-32 with noise probes, 5,000 x 200, 10 epochs": functools.partial(
        dense, 5_000, 10, (10, 15), columns=200, probed=True
    ),
    "LSTM 32, 2,000 x 24 x 8, 20 epochs": recurrent,
    "CNN, 1,797 x 8 x 8, 10 epochs": convolutional,
}


# --- the times ------------------------------------------------------------------------------------------------------


class Clocked(ks.SensitivityCallback):
    """A callback that sums up the time inside its methods that Keras calls."""

    inside = 0.0


def _clocked(hook: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(hook)
    def clocked(self: Clocked, *arguments: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        try:
            return hook(self, *arguments, **named)
        finally:
            self.inside += time.perf_counter() - begun

    return clocked


for _name, _hook in vars(ks.SensitivityCallback).items():
    if _name.startswith("on_"):
        setattr(Clocked, _name, _clocked(_hook))


class Sleeping(keras.callbacks.Callback):
    """A callback that does nothing for some seconds after each epoch."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sleep."""
        time.sleep(self.seconds)


def watched(fit: Fit, **options: Any) -> tuple[float, float]:
    """Seconds of a fit with the callback, and those inside the callback."""
    watch = Clocked(fit.x, **options)
    return fit(watch), watch.inside


def logged(fit: Fit) -> tuple[float, float]:
    """The same with event files."""
    with tempfile.TemporaryDirectory() as folder:
        return watched(fit, log_dir=folder)


def rows(job: Job) -> Iterator[Row]:
    for case, make in FITS.items():
        fit = make().in_small() if job.quick else make()
        inside = watched(fit)[1]  # of a first fit, to know how long to sleep
        measures = {
            "without": lambda fit=fit: (fit(None), 0.0),
            "default": lambda fit=fit: watched(fit),
            "log_dir": lambda fit=fit: logged(fit),
            "asleep for as long": lambda fit=fit, inside=inside: (fit(Sleeping(inside / fit.epochs)), inside),
        }
        found = in_turns(measures, job.turns)
        without = found.pop("without")[:, 0]
        median = float(np.median(without))
        yield Row("the fit without the callback", case, median, "s")
        goals = dict(zip(("default", "log_dir"), map(at_most, fit.goals), strict=True))
        for name, times in found.items():
            extra, inside = times[:, 0] - without, times[:, 1]
            low, high = 1000 * np.quantile(extra, (0.25, 0.75))
            note = f"{milliseconds(extra)}, quartiles {number(low)} and {number(high)}"
            yield Row(f"extra time, {name}", case, 100 * np.median(extra) / median, "%", goals.get(name, ""), note)
            if name in goals:
                yield Row(
                    f"time inside the callback, {name}", case, 100 * np.median(inside) / median, "%",
                    note=milliseconds(inside),
                )  # fmt: skip


if __name__ == "__main__":
    run(__file__, __doc__, rows, turns=7)
