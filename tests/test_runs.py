"""Each fit has a run of its own in a log_dir, wherever that is."""

import concurrent.futures
import copy
import os

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import keras_sensitivity as ks
from keras_sensitivity.records.runs import new_run, runs_in


@pytest.fixture
def x(rng):
    return rng.normal(size=(40, 3))


def fit(x, watch, epochs=2, initial_epoch=0, model=None):
    """A fit, of a new model if none is given, which is returned."""
    if model is None:
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    model.fit(x, x[:, 0], epochs=epochs, initial_epoch=initial_epoch, callbacks=[watch], verbose=0)
    return model


def test_several_fits_never_mix(x, tmp_path):
    trajectories = {}
    watch = ks.SensitivityCallback(x, log_dir=tmp_path)
    for name, trial in {"sensitivity": watch, "sensitivity_2": copy.deepcopy(watch), "sensitivity_3": watch}.items():
        fit(x, trial)
        trajectories[name] = trial.trajectory
    assert runs_in(tmp_path) == list(trajectories)
    for name, trajectory in trajectories.items():
        pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path, run=name), trajectory)


def test_of_several_runs_the_newest_is_read_and_all_are_named(x, tmp_path):
    for _ in range(2):
        fit(x, watch := ks.SensitivityCallback(x, log_dir=tmp_path))
    with pytest.warns(UserWarning, match="2 runs, one of each fit: 'sensitivity', 'sensitivity_2'"):
        loaded = ks.load_trajectory(tmp_path)
    pd.testing.assert_frame_equal(loaded, watch.trajectory)
    with pytest.raises(ValueError, match="sensitivity_2"):
        ks.load_trajectory(tmp_path, run="validation")


def test_a_fit_that_goes_on_goes_on_in_its_run(x, tmp_path):
    model = fit(x, ks.SensitivityCallback(x, log_dir=tmp_path), epochs=4)
    watch = ks.SensitivityCallback(x, log_dir=tmp_path)
    fit(x, watch, epochs=5, initial_epoch=2, model=model)
    assert runs_in(tmp_path) == ["sensitivity"]
    loaded = ks.load_trajectory(tmp_path)
    assert loaded.index.tolist() == [0, 1, 2, 3, 4]
    pd.testing.assert_frame_equal(loaded, watch.trajectory)


def test_a_fit_goes_on_in_its_own_run_beside_another(x, tmp_path):
    one, other = (ks.SensitivityCallback(x, log_dir=tmp_path) for _ in range(2))
    models = [fit(x, watch) for watch in (one, other)]
    fit(x, one, epochs=4, initial_epoch=2, model=models[0])
    assert runs_in(tmp_path) == ["sensitivity", "sensitivity_2"]
    assert ks.load_trajectory(tmp_path, run="sensitivity").index.tolist() == [0, 1, 2, 3]
    assert ks.load_trajectory(tmp_path, run="sensitivity_2").index.tolist() == [0, 1]


def test_a_loop_that_counts_from_one_has_runs_of_its_own(x, tmp_path):
    for _ in range(2):
        watch = ks.SensitivityCallback(x, log_dir=tmp_path)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        watch.set_model(model)
        for epoch in (1, 2, 3):
            watch.on_epoch_begin(epoch)
            watch.on_epoch_end(epoch)
        watch.on_train_end()
    assert runs_in(tmp_path) == ["sensitivity", "sensitivity_2"]


def test_a_loop_of_fits_is_one_run(x, tmp_path):
    watch, model = ks.SensitivityCallback(x, log_dir=tmp_path), None
    for _ in range(3):
        model = fit(x, watch, epochs=1, model=model)
    assert runs_in(tmp_path) == ["sensitivity"]
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory)


def test_a_name_is_a_folder(x, tmp_path):
    fit(x, ks.SensitivityCallback(x, log_dir=tmp_path, name="validation"))
    assert os.listdir(tmp_path) == ["validation"]
    assert len(ks.load_trajectory(tmp_path / "validation")) == 2


def test_runs_that_begin_at_once_are_different(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        names = list(threads.map(lambda _: new_run(tmp_path), range(40)))
    assert len(set(names)) == 40
    assert runs_in(tmp_path) == ["sensitivity", *[f"sensitivity_{number}" for number in range(2, 41)]]


def test_a_folder_that_only_tensorflow_can_reach(x, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        fit(x, watch := ks.SensitivityCallback(x, log_dir="ram://logs"))
    ks.explain(watch.model, x[:2], background=x, log_dir="ram://logs")
    assert os.listdir(tmp_path) == []
    assert sorted(tf.io.gfile.listdir("ram://logs")) == ["explanations", "sensitivity", "sensitivity_2"]
    pd.testing.assert_frame_equal(ks.load_trajectory("ram://logs", run="sensitivity_2"), watch.trajectory)


def test_a_folder_that_is_none_is_refused_before_training(x, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="`log_dir` cannot be written"):
        fit(x, ks.SensitivityCallback(x, log_dir=tmp_path / "file" / "logs"))
    with pytest.raises(FileNotFoundError, match="No look was written there"):
        ks.load_trajectory(tmp_path / "nothing")
    assert not np.any([name.startswith(".") for name in os.listdir(tmp_path)])
