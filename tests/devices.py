"""Trains on two devices with and without the callback, and compares every bit; a script, see test_devices.py.

A processor is cut in two before anything runs, so this runs in a process of its own.
"""

import contextlib
import os
import sys
import tempfile
import warnings

import determinism
import keras
import numpy as np
import tensorflow as tf

import keras_sensitivity as ks

L = keras.layers
X = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
Y = np.sin(X[:, :1]) + X[:, 1:2]


def network():
    layers = [ks.NoiseProbes(4), L.Dense(6, "tanh"), L.BatchNormalization(), L.Dropout(0.2, seed=3), L.Dense(1)]
    return keras.Sequential([keras.Input((4,)), *layers])


def fresh(scope=contextlib.nullcontext):
    """The network, made and compiled within a scope; a session cannot be cleared there."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    with scope():
        model = network()
        model.compile(keras.optimizers.Adam(0.01), "mse")
        model.optimizer.build(model.trainable_variables)
    return model


def distributed():
    """The same under a distribution of Keras."""
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=["cpu:0", "cpu:1"]))
    return fresh()


STRATEGIES = {
    "OneDeviceStrategy": lambda: tf.distribute.OneDeviceStrategy("CPU:1"),
    "MirroredStrategy": lambda: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]),
    "MultiWorkerMirroredStrategy of one worker": tf.distribute.MultiWorkerMirroredStrategy,
}
WAYS = {
    "no strategy": fresh,
    **{name: lambda made=made: fresh(lambda: made().scope()) for name, made in STRATEGIES.items()},
    "DataParallel": distributed,
}


def alone(model, x):
    """What is measured of a model of the same weights that knows of no device."""
    keras.distribution.set_distribution(None)
    copy = network()
    copy.set_weights(model.get_weights())
    return ks.measure(copy, x)


def failure(build):
    """What is wrong under one of the ways; "" if nothing."""
    given = lambda: (X, {"x": X, "y": Y, "batch_size": 40})  # noqa: E731
    folder = tempfile.mkdtemp()
    plain = determinism.train(build(), given, None)
    looked = determinism.train(build(), given, {"log_dir": folder, "jit_compile": False})
    changed = determinism.differences(plain, looked)
    if changed:
        return f"changed by looking: {changed[:3]}"
    watch, model = ks.SensitivityCallback(X, log_dir=folder), build()
    model.fit(X, Y, batch_size=40, epochs=2, callbacks=[watch], verbose=0)
    found, expected = watch.importance, alone(model, X)
    np.testing.assert_allclose(found.features, expected.features, rtol=1e-5)
    np.testing.assert_allclose(found.rms, expected.rms, rtol=1e-5)
    if sorted(os.listdir(folder)) != ["sensitivity", "sensitivity_2"]:
        return f"not one run for each fit: {os.listdir(folder)}"
    files = [name for name in os.listdir(os.path.join(folder, "sensitivity")) if "tfevents" in name]
    return "" if len(files) == 1 else f"not one file: {files}"


def refused():
    """Under a strategy that Keras does not run: an error that says so."""
    with tf.distribute.experimental.CentralStorageStrategy(["CPU:0", "CPU:1"]).scope():
        model = keras.Sequential([keras.Input((4,)), L.Dense(1)])
    model.compile("sgd", "mse")
    try:
        model.fit(X, Y, callbacks=[ks.SensitivityCallback(X)], verbose=0)
    except RuntimeError as error:
        is_told = "CentralStorageStrategy" in str(error) and "To fix it: train under MirroredStrategy" in str(error)
        return "" if is_told else str(error)
    return "a strategy that Keras does not run was not refused"


def main():
    """Print how each way ends; the exit code tells whether any fails."""
    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    tf.config.experimental.enable_op_determinism()
    warnings.filterwarnings("ignore", "Your input ran out of data")
    failed = 0
    for name, build in WAYS.items():
        wrong = failure(build)
        keras.distribution.set_distribution(None)
        failed += bool(wrong)
        print(f"{name}: {wrong or 'unchanged, the same numbers, one run'}", flush=True)
    wrong = refused()
    print(wrong or "refused in words", flush=True)
    return int(failed > 0 or bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
