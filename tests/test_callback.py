"""`SensitivityCallback` in real fits."""

import copy
import io
import pickle
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import zoo
from crash import Crash

import keras_sensitivity as ks


def fit(callbacks, *, model=None, epochs=3, x=None, **options):
    """A small regression in which x0 and x1 matter; the model and its History."""
    x = zoo.rows() if x is None else x
    model = zoo.build("tanh regression") if model is None else model
    if not model.compiled:
        model.compile(keras.optimizers.Adam(0.02), "mse")
    values = np.asarray(x)
    y = np.sin(values[:, :1]) + values[:, 1:2]
    return model, model.fit(x, y, epochs=epochs, callbacks=callbacks, verbose=options.pop("verbose", 0), **options)


class CountingModel(keras.Model):
    """Counts how often Python runs through it."""

    def __init__(self):
        super().__init__()
        self.out = keras.layers.Dense(1)
        self.calls = []

    def call(self, x):
        self.calls.append(1)
        return self.out(x)


# --- what it shows --------------------------------------------------------------------------------------------------


def test_a_look_is_what_measure_says():
    frame = pd.DataFrame(zoo.rows(), columns=list("abcde"))
    watch = ks.SensitivityCallback(frame, num_samples=None)
    model, _ = fit([watch], x=frame)
    assert len(watch.history) == 3
    pd.testing.assert_series_equal(watch.importance.features, ks.measure(model, frame).features, rtol=1e-6)
    assert watch.trajectory.index.name == "epoch"
    assert watch.trajectory.index.tolist() == [0, 1, 2]
    assert watch.trajectory.columns.tolist() == list("abcde")
    np.testing.assert_allclose(watch.trajectory.sum(axis=1), 100)
    for epoch, look in enumerate(watch.history):
        np.testing.assert_array_equal(watch.trajectory.loc[epoch], look.features)
    assert watch.lag_trajectory is None
    assert watch.noise_level is None


def test_looks_every_n_epochs_and_after_the_last():
    watch = ks.SensitivityCallback(zoo.rows(), every_n_epochs=3)
    fit([watch], epochs=6)
    assert watch.trajectory.index.tolist() == [0, 3, 5]


@pytest.mark.parametrize("first", [True, False], ids=["stopper before", "stopper after"])
def test_looks_after_the_last_epoch_of_an_early_stop(first):
    watch = ks.SensitivityCallback(zoo.rows(), every_n_epochs=10)
    stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9, restore_best_weights=True)
    fit([stop, watch] if first else [watch, stop], epochs=50)
    assert watch.trajectory.index.tolist() == [0, 1]


# --- when it is used ------------------------------------------------------------------------------------------------


def test_one_trace_whatever_the_number_of_epochs():
    counts = []
    for callbacks in ([], [ks.SensitivityCallback(zoo.rows(), num_samples=77)]):
        for epochs in (1, 5):
            model = CountingModel()
            model(zoo.rows()[:1])
            model.calls.clear()
            fit(callbacks, model=model, epochs=epochs)
            counts.append(len(model.calls))
    assert counts[0] == counts[1] > 0  # fit itself traces once
    assert counts[2] == counts[3] == counts[0] + 1


def test_a_second_fit_starts_anew_and_a_resumed_one_goes_on():
    watch = ks.SensitivityCallback(zoo.rows(), dead_feature_monitor=ks.DeadFeatureMonitor(threshold=99.0, patience=2))
    model, _ = fit([watch], epochs=3)
    first = watch.trajectory
    assert watch.events["epoch"].tolist() == [1] * 5
    fit([watch], model=model, epochs=2)
    assert watch.trajectory.index.tolist() == [0, 1]
    assert not np.allclose(watch.trajectory, first[:2], rtol=1e-3)
    assert watch.events["epoch"].tolist() == [1] * 5
    before = watch.trajectory
    fit([watch], model=model, epochs=4, initial_epoch=1)
    assert watch.trajectory.index.tolist() == [0, 1, 2, 3]
    pd.testing.assert_series_equal(watch.trajectory.loc[0], before.loc[0])
    assert watch.events["epoch"].tolist() == [1] * 5  # no doubles


def test_other_features_in_a_resumed_fit_start_anew():
    watch = ks.SensitivityCallback(zoo.rows())
    fit([watch], epochs=2)
    watch.feature_names = list("abcde")
    fit([watch], epochs=4, initial_epoch=2)
    assert watch.trajectory.index.tolist() == [2, 3]
    assert watch.trajectory.columns.tolist() == list("abcde")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))],
                         ids=["copy", "deepcopy", "pickle"])  # fmt: skip
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.sample(2)
def test_copies(copied, used, tmp_path):
    watch = ks.SensitivityCallback(zoo.rows(), log_dir=tmp_path if used else None)
    if used:
        fit([watch], epochs=2)
    other = copied(watch)
    pd.testing.assert_frame_equal(other.trajectory, watch.trajectory)
    pd.testing.assert_frame_equal(other.events, watch.events)
    fit([other], epochs=4)
    assert len(other.trajectory) == 4
    assert len(watch.trajectory) == (2 if used else 0)


def test_a_deep_copy_shares_the_rows():
    watch = ks.SensitivityCallback(zoo.rows())
    assert copy.deepcopy(watch).x is watch.x


def test_a_callback_of_a_stream_is_copied_but_pickled_without_it():
    stream = tf.data.Dataset.from_tensor_slices(zoo.rows()).batch(50)
    watch = ks.SensitivityCallback(stream)
    fit([watch], epochs=2)
    for other in (copy.copy(watch), copy.deepcopy(watch)):
        assert other.x is stream
        pd.testing.assert_frame_equal(other.trajectory, watch.trajectory)
    with pytest.raises(TypeError, match="cannot be pickled with its x"):
        pickle.dumps(watch)
    watch.x = None
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(watch)).trajectory, watch.trajectory)


def test_copies_while_a_fit_runs():
    copies = []

    class Copier(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            copies.extend([copy.deepcopy(watch), pickle.loads(pickle.dumps(watch))])

    watch = ks.SensitivityCallback(zoo.rows())
    fit([watch, Copier()], epochs=2)
    assert [len(each.history) for each in copies] == [1, 1, 2, 2]


def test_the_constructor_only_stores(tmp_path):
    x = zoo.rows()
    watch = ks.SensitivityCallback(x, log_dir=tmp_path / "logs")
    assert watch.x is x
    assert not (tmp_path / "logs").exists()
    assert watch.importance is None
    assert watch.history == []
    assert watch.dead_features == []
    assert watch.trajectory.empty
    assert watch.events.empty
    assert list(watch.events.columns) == ["epoch", "feature", "event", "importance", "threshold", "reason"]


def test_mixed_precision_and_distribution():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = zoo.build("tanh regression", policy="mixed_bfloat16")
        model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(zoo.rows())
    fit([watch], model=model, epochs=2)
    pd.testing.assert_series_equal(watch.importance.features, ks.measure(model, zoo.rows()).features, rtol=1e-3)


# --- when something goes wrong --------------------------------------------------------------------------------------


def test_a_refused_argument_stops_fit_before_the_first_step():
    steps = []

    class Steps(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            steps.append(batch)

    model = zoo.build("tanh regression")
    before = model.get_weights()
    with pytest.raises(ValueError, match="x has a different number of columns"):
        fit([Steps(), ks.SensitivityCallback(zoo.rows()[:, :4])], model=model)
    assert steps == []
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_network_that_starts_at_zero_is_not_warned_of():
    """Its derivatives are 0 before the first step, and only then."""
    model = zoo.build("linear")
    model.set_weights([np.zeros((5, 1)), np.zeros(1)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        watch = ks.SensitivityCallback(zoo.rows())
        fit([watch], model=model)
    assert (watch.trajectory.sum(axis=1) > 99).all()


# --- deaths ---------------------------------------------------------------------------------------------------------


class Script(keras.callbacks.Callback):
    """Gives a linear model the weights of a script, epoch by epoch, whatever training did."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def on_epoch_end(self, epoch, logs=None):
        column = np.asarray(self.weights[epoch], dtype="float32")[:, None]
        self.model.set_weights([column, np.zeros(1)])


def scripted(weights, x=None, **options):
    x = zoo.rows() if x is None else x
    watch = ks.SensitivityCallback(x, definition=ks.PAPER, **options)
    fit([Script(weights), watch], model=zoo.build("linear"), epochs=len(weights), x=x)
    return watch


USED, LOW, HALF = [1, 1, 1, 1, 1], [1, 1, 1, 1, 0.05], [1, 1, 1, 1, 0.098]  # 20 %, 1.2 % and 2.4 % for x4


def test_a_feature_dies_and_revives(capsys):
    watch = scripted([USED, LOW, LOW, LOW, LOW, HALF, USED, LOW], verbose=1)
    events = watch.events
    assert events[["epoch", "feature", "event", "reason"]].to_numpy().tolist() == [
        [3, "x4", "died", "below threshold"],  # the third look in a row at or below 2 %
        [6, "x4", "revived", "above threshold"],  # 2.4 % at epoch 5 is above 2 %, but not above 2.5 %
    ]
    assert events["threshold"].tolist() == [2.0, 2.0]
    np.testing.assert_allclose(events["importance"], [100 * 0.05 / 4.05, 20], rtol=1e-5)
    assert watch.dead_features == []
    assert capsys.readouterr().out.splitlines()[1:] == [
        "SensitivityCallback, epoch 3: 1 died: x4",
        "SensitivityCallback, epoch 6: 1 revived: x4",
    ]


def test_a_constant_feature_is_dead_at_once(capsys):
    x = zoo.rows()
    x[:, 2] = 3.5
    watch = scripted([USED, USED], x=x, verbose=1)
    assert watch.dead_features == ["x2"]
    assert watch.events[["epoch", "feature", "event", "reason"]].to_numpy().tolist() == [[0, "x2", "died", "constant"]]
    assert "epoch 0: 1 died: x2 (constant in the measured rows)\n" in capsys.readouterr().out


# --- deaths among noise ---------------------------------------------------------------------------------------------


def probed(num_features):
    layers = [keras.Input((num_features,)), ks.NoiseProbes(), keras.layers.Dense(32, "relu"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def rows_of(rng, columns):
    return pd.DataFrame(rng.normal(size=(1500, len(columns))), columns=list(columns))


def test_irrelevant_features_die_and_a_data_shift_revives_one(rng, capsys):
    x = rows_of(rng, "abcdef")
    x["constant"], x["twin"] = 3.0, x["b"]
    before = 3 * x["a"] + np.sin(x["b"]) + x["c"]
    model, watch = probed(8), ks.SensitivityCallback(x, verbose=1)
    model.fit(x, before, epochs=25, callbacks=[watch], verbose=0)
    assert set(watch.dead_features) - {"b", "twin"} == {"d", "e", "f", "constant"}
    reasons = watch.events.set_index("feature")["reason"]
    assert reasons["constant"] == "constant"
    assert (reasons[["d", "e", "f"]] == "noise").all()

    level, band = watch.noise_level, watch.noise_band
    assert level.index.equals(watch.trajectory.index)
    assert (level == [look.noise_level for look in watch.history]).all()
    assert ((band["lower"] < level) & (level < band["upper"])).all()
    of_noise = watch.events[watch.events["feature"].isin(["d", "e", "f"])]
    np.testing.assert_allclose(of_noise["threshold"], band["upper"].loc[of_noise["epoch"]])

    model.fit(x, before + 2 * x["e"], epochs=35, initial_epoch=25, callbacks=[watch], verbose=0)
    assert set(watch.dead_features) - {"b", "twin"} == {"d", "f", "constant"}
    revivals = watch.events[watch.events["event"] == "revived"].set_index("feature")
    assert revivals.loc["e", "epoch"] >= 25
    assert revivals.loc["e", "reason"] == "above noise"
    printed = [line for line in capsys.readouterr().out.splitlines() if ", epoch" in line]
    assert len(printed) == watch.events["epoch"].nunique()  # one line an epoch
    assert sum("revived: " in line and "e" in line for line in printed) >= 1


@pytest.mark.parametrize("crash_at", [2, 6])
@pytest.mark.sample(2)
def test_a_fit_that_is_taken_up_again_has_no_event_twice(rng, tmp_path, crash_at):
    x = rows_of(rng, "abcd")
    y = 3 * x["a"] + x["b"]
    watch, crash = ks.SensitivityCallback(x), Crash(crash_at)
    for attempt in range(2):
        model = probed(4)
        callbacks = [keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False), watch, crash]
        try:
            model.fit(x, y, epochs=10, callbacks=callbacks, verbose=0)
        except KeyboardInterrupt:
            assert attempt == 0
    assert watch.trajectory.index.tolist() == list(range(10))
    assert watch.noise_level.index.tolist() == list(range(10))
    assert sorted(watch.events["feature"]) == ["c", "d"]
    assert watch.dead_features == ["c", "d"]


@pytest.mark.slow
def test_events_beside_an_early_stop_that_restores_weights(rng):
    x = rows_of(rng, "abcd")
    y = 3 * x["a"] + x["b"]
    watch = ks.SensitivityCallback(x)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=6, min_delta=0.001, restore_best_weights=True)
    model = probed(4)
    model.fit(x, y, epochs=40, validation_split=0.2, callbacks=[watch, stop], verbose=0)
    stopped = len(watch.history)
    assert watch.dead_features == ["c", "d"]
    model.fit(x, y, epochs=stopped + 3, initial_epoch=stopped, callbacks=[watch], verbose=0)
    assert watch.trajectory.index.tolist() == list(range(stopped + 3))
    assert sorted(watch.events["feature"]) == ["c", "d"]


def test_without_a_monitor_nothing_is_judged():
    watch = scripted([LOW] * 5, dead_feature_monitor=None)
    assert watch.dead_features == []
    assert watch.events.empty


@pytest.mark.parametrize("verbose", [0, 2])
def test_what_is_printed(verbose, capsys):
    scripted([USED, LOW], verbose=verbose)
    printed = capsys.readouterr().out
    assert ("epoch 1: most important: x" in printed) == (verbose == 2)
    assert bool(printed) == (verbose == 2)


# --- what must not end a fit ------------------------------------------------------------------------------------------


class Mute(io.StringIO):
    """Nobody listens, or not to such letters."""

    def write(self, text):
        raise UnicodeEncodeError("ascii", text, 0, 1, "no such letter")


def test_lines_that_cannot_be_printed_end_no_fit(monkeypatch):
    watch = ks.SensitivityCallback(zoo.rows(), verbose=2, feature_names=list("αβγδε"))
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", Mute())
        fit([watch], epochs=2)
    assert watch.trajectory.index.tolist() == [0, 1]


def test_a_monitor_that_fails_switches_it_off():
    class Fails(ks.DeadFeatureMonitor):
        def update(self, record, epoch, importance):
            raise ZeroDivisionError("epoch")

    watch = ks.SensitivityCallback(zoo.rows(), dead_feature_monitor=Fails())
    with pytest.warns(UserWarning, match="switched itself off at epoch 0"):
        fit([watch], epochs=2)
    assert watch.history == []


def test_arguments_that_are_set_afterwards_are_checked_before_the_fit():
    watch = ks.SensitivityCallback(zoo.rows())
    watch.every_n_epochs = 0
    with pytest.raises(ValueError, match="`every_n_epochs` is not a whole number"):
        fit([watch])
