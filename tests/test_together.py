"""Several things at once: callbacks, threads, searches, copies, processes, and everybody who reads the logs."""

import concurrent.futures
import csv
import itertools
import json
import multiprocessing
import pickle
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
import zoo

import keras_sensitivity as ks

X = zoo.rows(120)
Y = np.sin(X[:, :1]) + X[:, 1:2]


def network(width=4, seed=0):
    layers = [
        keras.layers.Dense(width, "tanh", kernel_initializer=keras.initializers.GlorotUniform(seed)),
        keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed + 1)),
    ]
    model = keras.Sequential([keras.Input((zoo.NUM_FEATURES,)), *layers])
    model.compile(keras.optimizers.Adam(0.02), "mse")
    return model


def fitted(callbacks, model=None, epochs=3):
    model = network() if model is None else model
    return model, model.fit(X, Y, epochs=epochs, shuffle=False, callbacks=callbacks, verbose=0)


# --- in one fit -----------------------------------------------------------------------------------------------------


def test_two_callbacks_with_different_data(tmp_path):
    old, new = X[:60], pd.DataFrame(X[60:] * [3, 1, 1, 1, 1], columns=list("abcde"))
    watches = [ks.SensitivityCallback(x, name=name, log_dir=tmp_path) for x, name in ((old, "old"), (new, "new"))]
    model, history = fitted(watches)
    for watch, x in zip(watches, (old, new), strict=True):
        pd.testing.assert_series_equal(watch.importance.features, ks.measure(model, x).features, rtol=1e-6)
        pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path / watch.name), watch.trajectory, check_exact=True)
    assert {"old_importance_shift", "new_importance_shift"} < set(history.history)


OTHERS = {
    "early stop": lambda folder: keras.callbacks.EarlyStopping("loss", patience=1, restore_best_weights=True),
    "checkpoint": lambda folder: keras.callbacks.ModelCheckpoint(folder / "best.keras", "loss", save_best_only=True),
    "csv": lambda folder: keras.callbacks.CSVLogger(folder / "log.csv"),
    "plateau": lambda folder: keras.callbacks.ReduceLROnPlateau("loss", patience=1),
}


@pytest.mark.parametrize("place", range(len(OTHERS) + 1))
@pytest.mark.parametrize("order", [1, -1], ids=["one way", "the other way"])
@pytest.mark.sample(3)
def test_beside_others_in_any_order(place, order, tmp_path):
    """Training, and what the others write and do, is what it is without the callback."""
    found = {}
    for name in ("without", "with"):
        folder = tmp_path / name
        folder.mkdir()
        callbacks = [make(folder) for make in OTHERS.values()][::order]
        if name == "with":
            callbacks.insert(place, watch := ks.SensitivityCallback(X, log_dir=folder / "logs"))
        model, history = fitted(callbacks, epochs=6)
        with open(folder / "log.csv", encoding="utf-8") as file:
            losses = [row["loss"] for row in csv.DictReader(file)]
        best = keras.saving.load_model(folder / "best.keras").get_weights()
        found[name] = history.history["loss"], losses, model.get_weights(), best
    for one, other in zip(found["without"], found["with"], strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert watch.trajectory.index.tolist() == list(range(len(found["with"][0])))


class Tracker(keras.callbacks.Callback):
    """As loggers of experiment trackers do: takes the logs as they are, and sends them as JSON, number by number."""

    def __init__(self):
        super().__init__()
        self.sent = []

    def on_epoch_end(self, epoch, logs=None):
        assert all(type(value) is float or np.isscalar(value) for value in logs.values()), logs
        own = {key: value for key, value in logs.items() if "importance" in key or "dead" in key}
        self.sent.append(json.loads(json.dumps(own | {"epoch": epoch}, allow_nan=False)))

    def on_train_batch_end(self, batch, logs=None):
        assert not any("importance" in key for key in logs or {})


@pytest.mark.parametrize("options", [{}, {"every_n_epochs": 2}, {"log_importances": True}, {"name": "train"}], ids=str)
def test_loggers_of_experiment_trackers(options):
    tracker = Tracker()
    watch = ks.SensitivityCallback(X, **options)
    fitted([watch, tracker], epochs=4)
    prefix = "train_" if "name" in options else ""
    assert len({frozenset(sent) for sent in tracker.sent}) == 1  # the same keys at each epoch
    assert {f"{prefix}num_dead_features", f"{prefix}importance_shift"} < set(tracker.sent[0])
    if "log_importances" in options:
        shares = [sent[f"importance/{name}"] for sent in tracker.sent for name in watch.trajectory]
        np.testing.assert_allclose(shares, watch.trajectory.to_numpy().ravel())


# --- in threads and processes -----------------------------------------------------------------------------------------


def test_several_fits_in_threads(tmp_path):
    """Each its own model and callback, and one folder for all."""
    alone = {}
    for seed in range(4):
        watch = ks.SensitivityCallback(X)
        fitted([watch], network(seed=seed))
        alone[seed] = watch.trajectory

    def fit(seed):
        watch = ks.SensitivityCallback(X, log_dir=tmp_path)
        fitted([watch], network(seed=seed))
        return watch.trajectory

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        found = dict(zip(range(4), threads.map(fit, range(4)), strict=True))
    written = [ks.load_trajectory(tmp_path, run=path.name) for path in sorted(tmp_path.iterdir())]
    assert len(written) == 4
    for seed, trajectory in found.items():
        pd.testing.assert_frame_equal(trajectory, alone[seed], rtol=1e-4)
        assert sum(each.equals(trajectory) for each in written) == 1


def in_process(packed):
    """A fit in a process that gets the callback as a pickle, and returns it as one."""
    watch = pickle.loads(packed)
    fitted([watch])
    return pickle.dumps(watch)


@pytest.mark.slow
def test_another_process_trains(tmp_path):
    """Started anew, as on Windows and macOS."""
    here, there = ks.SensitivityCallback(X), ks.SensitivityCallback(X, log_dir=tmp_path)
    fitted([here])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        back = pickle.loads(pool.apply(in_process, (pickle.dumps(there),)))
    pd.testing.assert_frame_equal(back.trajectory, here.trajectory, rtol=1e-4)
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), back.trajectory, check_exact=True)


@pytest.mark.slow
def test_a_script_that_ends_while_it_draws(tmp_path):
    """Nothing hangs, and all looks are there, also where the script ends by an error in the middle of a fit."""
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
import keras, test_together as t, keras_sensitivity as ks
class Ends(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2: raise RuntimeError("the script's own")
t.fitted([ks.SensitivityCallback(t.X, log_dir={str(tmp_path)!r}), Ends()], epochs=9)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert "the script's own" in done.stderr
    assert ks.load_trajectory(tmp_path).index.tolist() == [0, 1, 2]


# --- in searches ------------------------------------------------------------------------------------------------------


def test_a_search_of_keras_tuner(tmp_path):
    """It copies its callbacks for each trial, and calls fit of each."""
    tuner = pytest.importorskip("keras_tuner")
    search = tuner.GridSearch(
        lambda hp: network(hp.Choice("width", [2, 4])), objective="loss", directory=tmp_path, project_name="search"
    )
    watch = ks.SensitivityCallback(X, log_dir=tmp_path / "logs")
    search.search(X, Y, epochs=2, callbacks=[watch], verbose=0)
    assert watch.history == []  # of the copies each had its own
    runs = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert runs == ["sensitivity", "sensitivity_2"]
    for run in runs:
        assert ks.load_trajectory(tmp_path / "logs", run=run).index.tolist() == [0, 1]


def test_a_clone_of_scikit_learn():
    base = pytest.importorskip("sklearn.base")
    watch = ks.SensitivityCallback(X, feature_names=list("abcde"))
    fitted([watch])
    (copy,) = base.clone([watch], safe=False)  # of a list of callbacks, as wrappers of models keep it
    clone = base.clone(watch)
    for other in (copy, clone):
        assert other is not watch
        assert other.x is watch.x
        assert other.feature_names == list("abcde")
    assert clone.history == []
    fitted([clone], epochs=2)
    assert len(clone.history) == 2
    assert len(watch.history) == 3


def test_a_cross_validation_of_scikeras():
    wrappers, selection = pytest.importorskip("scikeras.wrappers"), pytest.importorskip("sklearn.model_selection")
    watch = ks.SensitivityCallback(X)
    regressor = wrappers.KerasRegressor(network, epochs=2, verbose=0, callbacks=[watch])
    try:
        scores = selection.cross_val_score(regressor, X, Y.ravel(), cv=3)
    except AttributeError as error:
        pytest.skip(f"this scikeras does not go with this scikit-learn: {error}")
    assert np.isfinite(scores).all()


def test_a_grid_of_copies_in_one_go():
    """What a search by hand does: one callback, copied for each fit, whose looks do not mix."""
    watch, found = ks.SensitivityCallback(X), []
    for width, epochs in itertools.product((2, 4), (1, 2)):
        copy = pickle.loads(pickle.dumps(watch))
        fitted([copy], network(width), epochs)
        found.append(len(copy.history))
    assert found == [1, 2, 1, 2]
    assert watch.history == []
