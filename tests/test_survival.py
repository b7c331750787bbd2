"""A training that is killed loses no finished look, and one that is resumed goes on in the same trajectory."""

import keras
import numpy as np
import pandas as pd
import pytest
import zoo
from crash import Crash
from scripts import output_of

import keras_sensitivity as ks


@pytest.mark.parametrize("order", ["watch first", "backup first"])
@pytest.mark.parametrize("num_kills", [2, pytest.param(25, marks=pytest.mark.endurance)])
@pytest.mark.slow
def test_killed_at_random_moments(num_kills, order):
    print(output_of("killed.py", str(num_kills), order))


def network(num_features):
    layers = [keras.Input((num_features,)), ks.NoiseProbes(), keras.layers.Dense(32, "relu"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


@pytest.fixture
def rows(rng):
    return pd.DataFrame(rng.normal(size=(1500, 4)), columns=list("abcd"))


@pytest.mark.parametrize("crash_at", [2, 7])
@pytest.mark.parametrize("backup_first", [True, False], ids=["backup first", "backup last"])
@pytest.mark.sample(2)
def test_another_process_goes_on(rows, tmp_path, crash_at, backup_first):
    """Which has another callback, as a script that is started again: deaths go on being counted, and told once."""
    y = 3 * rows["a"] + rows["b"]
    crash = Crash(crash_at)
    for attempt in range(2):
        watch = ks.SensitivityCallback(rows, log_dir=tmp_path / "logs")
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        callbacks = [backup, watch, crash] if backup_first else [watch, crash, backup]
        try:
            network(4).fit(rows, y, epochs=10, callbacks=callbacks, verbose=0)
        except KeyboardInterrupt:
            assert attempt == 0
    assert watch.trajectory.index.tolist() == list(range(10))
    assert watch.noise_level.index.tolist() == list(range(10))
    assert sorted(watch.events["feature"]) == watch.dead_features == ["c", "d"]
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path / "logs"), watch.trajectory)
    assert [look.num_samples for look in watch.history] == [1500] * 10


def test_looks_that_were_read_back_say_what_is_not_known(tmp_path):
    x = zoo.rows()
    for epochs, first in ((2, 0), (4, 2)):
        watch = ks.SensitivityCallback(x, log_dir=tmp_path, log_importances=True)
        model = network(5)
        model.fit(x, x[:, :1], initial_epoch=first, epochs=epochs, callbacks=[watch], verbose=0)
    early, late = watch.history[0], watch.history[-1]
    assert early.table["mean"].isna().all()
    assert late.table["mean"].notna().all()
    np.testing.assert_allclose(early.table["importance"], ks.load_trajectory(tmp_path).loc[0], rtol=1e-12)
    assert early.table[["standard_error", "rms"]].notna().all(axis=None)
    assert np.isnan(early.outputs).all(axis=None)
    np.testing.assert_allclose(early.by_output.iloc[0], early.features)
    assert early.noise_band is not None
    repr(early), early._repr_html_(), watch._repr_html_()  # can be drawn


def test_another_order_of_features_starts_anew(tmp_path):
    for names, first in ((list("abcde"), 0), (list("edcba"), 2)):
        watch = ks.SensitivityCallback(zoo.rows(), feature_names=names, log_dir=tmp_path)
        network(5).fit(
            zoo.rows(), zoo.rows()[:, :1], initial_epoch=first, epochs=first + 2, callbacks=[watch], verbose=0
        )
    assert watch.trajectory.index.tolist() == [2, 3]
    assert watch.trajectory.columns.tolist() == list("edcba")


def test_a_fit_that_was_interrupted_is_continued(tmp_path):
    """As in a notebook: the same objects, after Ctrl-C in an epoch."""
    watch, model = ks.SensitivityCallback(zoo.rows(), log_dir=tmp_path), network(5)
    with pytest.raises(KeyboardInterrupt):
        model.fit(zoo.rows(), zoo.rows()[:, :1], epochs=9, callbacks=[watch, Crash(3)], verbose=0)
    assert watch.trajectory.index.tolist() == [0, 1, 2]
    model.fit(zoo.rows(), zoo.rows()[:, :1], initial_epoch=3, epochs=5, callbacks=[watch], verbose=0)
    assert watch.trajectory.index.tolist() == [0, 1, 2, 3, 4]
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory, check_exact=True)


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C in the middle of a look."""

    def __init__(self, watch):
        super().__init__()
        self.watch = watch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:

            def interrupted(*_, **__):
                raise KeyboardInterrupt

            self.watch._live.measurement.look = interrupted


def test_a_look_that_was_interrupted_is_taken_again(tmp_path):
    watch, model = ks.SensitivityCallback(zoo.rows(), log_dir=tmp_path), network(5)
    with pytest.raises(KeyboardInterrupt):
        model.fit(zoo.rows(), zoo.rows()[:, :1], epochs=9, callbacks=[Interrupt(watch), watch], verbose=0)
    assert watch.trajectory.index.tolist() == [0, 1]
    model.fit(zoo.rows(), zoo.rows()[:, :1], initial_epoch=2, epochs=4, callbacks=[watch], verbose=0)
    assert watch.trajectory.index.tolist() == [0, 1, 2, 3]
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory, check_exact=True)


@pytest.mark.parametrize("backup_first", [True, False], ids=["backup first", "backup last"])
def test_no_epoch_is_left(tmp_path, backup_first):
    """It ended after the last epoch: with all looks, or with all but the last."""
    x, crash = zoo.rows(), Crash(None)
    crash.on_epoch_end = lambda epoch, logs=None: crash.on_epoch_begin(epoch)  # before the look, or after it
    crash.epoch = 3
    for _ in range(2):
        watch = ks.SensitivityCallback(x, log_dir=tmp_path / "logs")
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        callbacks = [backup, crash, watch] if backup_first else [watch, backup, crash]
        model = network(5)
        try:
            model.fit(x, x[:, :1], epochs=4, callbacks=callbacks, verbose=0)
        except KeyboardInterrupt:
            continue
    assert watch.trajectory.index.tolist() == [0, 1, 2, 3]
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path / "logs"), watch.trajectory)
    pd.testing.assert_series_equal(watch.importance.features, ks.measure(model, x).features, rtol=1e-5)


def test_the_look_that_a_process_did_not_come_to(tmp_path):
    """It ended between the backup of an epoch and its look, in the middle of the training."""
    x, ends = zoo.rows(), Crash(3)
    ends.on_epoch_end, ends.on_epoch_begin = lambda epoch, logs=None: Crash.on_epoch_begin(ends, epoch), lambda *_: None
    for attempt in range(2):
        watch = ks.SensitivityCallback(x, log_dir=tmp_path / "logs")
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        try:
            network(5).fit(x, x[:, :1], epochs=6, callbacks=[backup, ends, watch], verbose=0)
        except KeyboardInterrupt:
            assert attempt == 0
            assert watch.trajectory.index.tolist() == [0, 1, 2]
    assert watch.trajectory.index.tolist() == [0, 1, 2, 3, 4, 5]
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path / "logs"), watch.trajectory)
