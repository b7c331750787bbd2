"""Kills a training again and again, resumes it, and compares what is on the disk; a script, see test_survival.py.

Each life of the training is a fork of this process, which has imported everything and run nothing.
"""

import inspect
import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

import keras_sensitivity as ks

EPOCHS = 150

# How a life ends whose backup cannot be read: a kill has torn a file of Keras', which writes them in place.
TORN = 3
X = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
Y = (X[:, :1] + 0.5 * X[:, 1:2] ** 2).astype("float32")


class Truth(keras.callbacks.Callback):
    """Writes down, in a file of its own, which looks were finished when the next epoch began, and what they were."""

    def __init__(self, path, watch):
        super().__init__()
        self.path, self.watch = path, watch

    def on_epoch_begin(self, epoch, logs=None):
        if not self.watch.history:
            return
        newest = self.watch.trajectory.iloc[-1]
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps([int(newest.name), newest.to_list()]) + "\n")


def life(folder, order):
    """One life of a training, which goes on where the last one was ended."""
    keras.config.disable_traceback_filtering()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,)), ks.NoiseProbes(4), keras.layers.Dense(6, "tanh"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    watch = ks.SensitivityCallback(X, log_dir=folder / "logs")
    more = {"double_checkpoint": True} if "double_checkpoint" in inspect.signature(
        keras.callbacks.BackupAndRestore.__init__).parameters else {}  # fmt: skip
    backup = keras.callbacks.BackupAndRestore(folder / "backup", delete_checkpoint=False, **more)
    callbacks = [backup, watch] if order == "backup first" else [watch, backup]
    model.fit(X, Y, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[*callbacks, Truth(folder / "truth", watch)])
    watch.trajectory.to_json(folder / "trajectory.json", double_precision=15)
    watch.events.to_json(folder / "events.json", double_precision=15)


def begun(folder, order):
    """The process of another life."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            life(folder, order)
            status = 0
        except BaseException as error:  # noqa: BLE001
            traceback.print_exc()
            files = [each.filename for each in traceback.extract_tb(error.__traceback__)]
            status = TORN if any("backup_and_restore" in each for each in files) else 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return child


def told(folder):
    """The looks that were finished, and the last of each epoch."""
    path = folder / "truth"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return dict(map(json.loads, lines))


def on_disk(folder):
    """The trajectory that can be read back."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # several runs would be one too many
        return ks.load_trajectory(folder / "logs")


def ended(folder, order):
    """Wait for a life to come to its end by itself; whether Keras could go on from its backup."""
    _, status = os.waitpid(begun(folder, order), 0)
    return is_whole(status)


def is_whole(status):
    """Whether a life that was not killed came to its end."""
    assert os.WEXITSTATUS(status) in (0, TORN), status
    return os.WEXITSTATUS(status) == 0


def main(num_kills, order):
    """Kill as often; raises if a look is lost, torn, doubled or changed."""
    rng = random.Random(f"{num_kills} {order}")
    with tempfile.TemporaryDirectory() as place:
        whole = pathlib.Path(place) / "whole"
        whole.mkdir()
        start = time.monotonic()
        assert ended(whole, order)
        length = time.monotonic() - start
        kills, trainings, torn = 0, 0, 0
        while kills < num_kills:
            killed = pathlib.Path(place) / f"training {trainings}"
            killed.mkdir()
            trainings += 1
            more, came_to_its_end = lives(killed, order, num_kills - kills, lambda: rng.uniform(0.05, 0.5) * length)
            kills += more
            torn += not came_to_its_end
            if came_to_its_end:
                compared(killed, whole)
        print(f"killed {kills} times in {trainings} trainings, {order}: nothing lost, torn or doubled", end="")
        print(f" ({torn} of Keras' own backups were torn)" if torn else "")
        assert torn < trainings


def lives(folder, order, most, seconds):
    """Train to the end, killed up to so many times, each so many seconds after it began.

    Returns how many times it was killed, and whether it came to its end.
    """
    for kills in range(most):
        child = begun(folder, order)
        time.sleep(seconds())
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        finished = told(folder)
        found = on_disk(folder) if finished else None
        for epoch, shares in finished.items():
            np.testing.assert_array_equal(found.loc[epoch], shares, err_msg=f"kill {kills}, epoch {epoch}")
        assert found is None or found.index.is_unique
        if not os.WIFSIGNALED(status):  # it had come to an end
            return kills, is_whole(status)
    return most, ended(folder, order)


def compared(killed, whole):
    """Compare a training that was killed with one that was not."""
    expected, found = on_disk(whole), on_disk(killed)
    assert found.index.tolist() == list(range(EPOCHS))
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4)
    for name in ("trajectory", "events"):
        one, other = (
            pd.read_json(folder / f"{name}.json", convert_axes=name == "events") for folder in (killed, whole)
        )
        pd.testing.assert_frame_equal(one, other, rtol=1e-4)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
