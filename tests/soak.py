"""Two thousand epochs with the callback: what it takes does not grow; a script, see test_soak.py."""

import os
import pathlib
import sys
import tempfile
import threading
import warnings

import keras
import numpy as np

import keras_sensitivity as ks
from keras_sensitivity.networks.keras_tf.passes import KerasPass

EPOCHS, WARM_UP = 2000, 200
NUM_FEATURES = 23

# What is promised: megabytes after the warm-up, and bytes of the log for each look, pictures apart.
MOST_MB, MOST_BYTES = 30, 2000


class Watcher(keras.callbacks.Callback):
    """Notes what the process holds."""

    def __init__(self, traces):
        super().__init__()
        self.traces, self.found = traces, []

    def on_epoch_end(self, epoch, logs=None):
        if epoch % 100 == 0 or epoch == EPOCHS - 1:
            self.found.append((epoch, memory(), open_files(), threading.active_count(), len(self.traces)))


def memory():
    """What is resident, megabytes."""
    pages = int(pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def open_files():
    return len(os.listdir("/proc/self/fd"))


def main():
    """Train; raises if anything grows."""
    warnings.simplefilter("ignore")
    traces, traced = [], KerasPass._traced
    KerasPass._traced = lambda self, *arguments: (traces.append(1), traced(self, *arguments))[1]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, NUM_FEATURES)).astype("float32")
    layers = [keras.Input((NUM_FEATURES,)), ks.NoiseProbes(), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    with tempfile.TemporaryDirectory() as folder:
        watch, watcher = ks.SensitivityCallback(x, log_dir=folder), Watcher(traces)
        model.fit(x, x[:, :1], epochs=EPOCHS, callbacks=[watch, watcher], verbose=0)
        loaded = ks.load_trajectory(folder)
        files = [path.stat().st_size for path in pathlib.Path(folder).rglob("*tfevents*")]
        assert loaded.equals(watch.trajectory)
        assert len(loaded) == EPOCHS
    late = [found for found in watcher.found if found[0] >= WARM_UP]
    megabytes, descriptors, threads, num_traces = (np.array(column) for column in list(zip(*late, strict=True))[1:])
    grown = megabytes.max() - megabytes[0]
    held = f"{num_traces[-1]} traces; {descriptors[-1]} open files; {threads[-1]} threads"
    size = f"the log {sum(files):,} bytes, {sum(files) / EPOCHS:,.0f} a look, with pictures"
    print(f"{EPOCHS:,} epochs: memory {megabytes[0]:.0f} MB after {WARM_UP}, {grown:.1f} MB more; {held}; {size}")
    assert grown < MOST_MB
    assert len(set(num_traces)) == 1
    assert len(set(descriptors)) == 1
    assert len(set(threads)) == 1
    assert len(files) == 1
    assert sum(files) < MOST_BYTES * EPOCHS + 2**20  # a megabyte for pictures


if __name__ == "__main__":
    sys.exit(main())
