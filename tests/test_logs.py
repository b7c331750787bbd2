"""What the callback adds to the logs, and what it prints, for whoever reads them."""

import json
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import zoo
from crash import Crash
from test_callback import fit

import keras_sensitivity as ks


class Strict(keras.callbacks.Callback):
    """A logger that takes only what JSON knows."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def on_epoch_end(self, epoch, logs=None):
        self.lines.append(json.loads(json.dumps(logs, allow_nan=False)))


# --- never NaN ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"every_n_epochs": 3},
        {"every_n_epochs": 100},
        {"dead_feature_monitor": None},
        {"log_importances": True},
        {"log_importances": ["x1", "x4"], "every_n_epochs": 2},
        {"name": "validation", "log_importances": ["x0"]},
        {"definition": ks.PAPER},
    ],
    ids=str,
)
@pytest.mark.sample(2)
def test_every_key_at_every_epoch_and_never_nan(options):
    initial_epoch = 1 if "every_n_epochs" in options else 0  # resumed with a new callback, where no look is due
    watch, strict = ks.SensitivityCallback(zoo.rows(), **options), Strict()
    _, history = fit([watch, strict], epochs=6, initial_epoch=initial_epoch)
    table = pd.DataFrame(history.history)
    assert len(strict.lines) == len(table) == 6 - initial_epoch
    assert all(line.keys() == strict.lines[0].keys() for line in strict.lines)
    prefix = "validation_" if "name" in options else ""
    chosen = options.get("log_importances", [])
    names = list(watch.trajectory.columns) if chosen is True else chosen
    dead = [] if "dead_feature_monitor" in options else ["num_dead_features"]
    expected = [prefix + key for key in [*dead, "importance_shift", *(f"importance/{name}" for name in names)]]
    assert set(table.columns) == {"loss", *expected}
    assert np.isfinite(table).all(axis=None)

    shift = watch.trajectory.diff().abs().sum(axis=1) / 2
    assert (shift[1:] > 0).all()
    shift.iloc[0] = 100  # nothing was known before
    epochs = range(initial_epoch, 6)
    np.testing.assert_allclose(table[prefix + "importance_shift"], shift.reindex(epochs, method="ffill"))
    for name in names:
        shares = watch.trajectory[name].reindex(epochs, method="ffill")
        np.testing.assert_allclose(table[f"{prefix}importance/{name}"], shares)


@pytest.mark.parametrize("fails_at", [0, 2])
@pytest.mark.sample(2)
def test_a_failure_leaves_the_logs_whole(fails_at, monkeypatch):
    watch, strict = ks.SensitivityCallback(zoo.rows(), log_importances=True), Strict()

    class Fail(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == fails_at:
                monkeypatch.setattr(watch._live.measurement, "look", lambda: 1 / 0)

    with pytest.warns(UserWarning, match=f"switched itself off at epoch {fails_at}"):
        _, history = fit([Fail(), watch, strict], epochs=5)
    table = pd.DataFrame(history.history)  # of columns of one length
    assert len(table.columns) == (1 if fails_at == 0 else 8)
    assert np.isfinite(table).all(axis=None)


def test_what_dies_is_counted():
    monitor = ks.DeadFeatureMonitor(threshold=99.0, patience=2)
    _, history = fit([ks.SensitivityCallback(zoo.rows(), dead_feature_monitor=monitor)], epochs=4)
    assert history.history["num_dead_features"] == [0, 5, 5, 5]


# --- callbacks beside it ----------------------------------------------------------------------------------------------


def test_a_checkpoint_does_not_keep_the_first_model(tmp_path):
    watch, path = ks.SensitivityCallback(zoo.rows()), str(tmp_path / "{epoch}.weights.h5")
    best = keras.callbacks.ModelCheckpoint(path, "importance_shift", mode="min", save_best_only=True,
                                           save_weights_only=True)  # fmt: skip
    _, history = fit([watch, best], epochs=4)
    kept = max(int(file.name.split(".")[0]) for file in tmp_path.iterdir())  # Keras counts from 1
    assert kept == 1 + np.argmin(history.history["importance_shift"]) > 1


def test_a_plateau_does_not_cut_the_rate_at_once():
    plateau = keras.callbacks.ReduceLROnPlateau("importance_shift", mode="min", patience=2, factor=0.1)
    model, _ = fit([ks.SensitivityCallback(zoo.rows(), every_n_epochs=2), plateau], epochs=4)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)


def test_it_can_stop_a_fit_when_nothing_moves_any_more():
    stop = keras.callbacks.EarlyStopping("importance_shift", mode="min", patience=2)
    _, history = fit([ks.SensitivityCallback(zoo.rows()), stop], epochs=30)
    assert 3 < len(history.epoch) == np.argmin(history.history["importance_shift"]) + 3 < 30


def test_a_csv_has_the_columns(tmp_path):
    watch = ks.SensitivityCallback(zoo.rows(), log_importances=["x1"])
    fit([watch, keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))], epochs=3)
    written = pd.read_csv(tmp_path / "log.csv")
    np.testing.assert_allclose(written["importance/x1"], watch.trajectory["x1"], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, "importance_shift"),
        ({}, "num_dead_features"),
        ({"log_importances": ["x0"]}, "importance/x0"),
        ({"name": "v"}, "v_importance_shift"),
    ],
    ids=str,
)
@pytest.mark.sample(2)
def test_callbacks_that_read_too_early_are_told_so_once(options, key, tmp_path):
    early = [
        keras.callbacks.EarlyStopping(key, mode="min"),
        keras.callbacks.ReduceLROnPlateau(key, mode="min"),
        keras.callbacks.ModelCheckpoint(tmp_path / "unused.keras", key, mode="min", save_best_only=True),
    ]
    with pytest.warns(UserWarning, match=key) as warned:
        fit([*early, ks.SensitivityCallback(zoo.rows(), **options)], epochs=2)
    told = [str(each.message) for each in warned if "stands before SensitivityCallback" in str(each.message)]
    assert [message.split()[0] for message in told] == [type(each).__name__ for each in early]
    assert all(repr(key) in message for message in told)


def test_nobody_is_told_without_a_reason():
    others = [keras.callbacks.EarlyStopping("loss"), keras.callbacks.LambdaCallback()]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit(
            [
                *others,
                ks.SensitivityCallback(zoo.rows(), definition=ks.PAPER),
                keras.callbacks.EarlyStopping("importance_shift", mode="min"),
            ]
        )


# --- two in one fit ---------------------------------------------------------------------------------------------------


def test_two_callbacks_with_names_keep_apart(tmp_path):
    rows = zoo.rows()
    watches = [
        ks.SensitivityCallback(rows, log_dir=tmp_path, log_importances=["x0"]),
        ks.SensitivityCallback(rows[:50] * 3, log_dir=tmp_path, log_importances=["x0"], name="validation"),
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*have the same name")
        _, history = fit(watches)
    for prefix, folder, watch in zip(("", "validation_"), ("", "validation"), watches, strict=True):
        np.testing.assert_allclose(history.history[f"{prefix}importance/x0"], watch.trajectory["x0"])
        pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path / folder), watch.trajectory)
    assert not np.allclose(watches[0].trajectory, watches[1].trajectory, rtol=1e-2)


@pytest.mark.parametrize("name", [None, "train"])
def test_two_callbacks_of_one_name_are_warned_of_once(name):
    watches = [ks.SensitivityCallback(zoo.rows(), name=name) for _ in range(2)]
    with pytest.warns(UserWarning, match="SensitivityCallbacks") as warned:
        fit(watches, epochs=1)
    assert sum("have the same name" in str(each.message) for each in warned) == 1


# --- loops ------------------------------------------------------------------------------------------------------------


def test_a_loop_of_fits_of_one_epoch_goes_on_counting(tmp_path):
    watch = ks.SensitivityCallback(zoo.rows(), log_dir=tmp_path, name=None)
    model = None
    shifts = []
    for _ in range(4):
        model, history = fit([watch], model=model, epochs=1)
        shifts += history.history["importance_shift"]
    assert watch.trajectory.index.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(shifts[1:], watch.trajectory.diff().abs().sum(axis=1)[1:] / 2)
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory)


def test_the_same_training_in_one_fit_and_in_a_loop():
    start = zoo.build("tanh regression").get_weights()
    trajectories = []
    for counts in ([3], [1, 1, 1]):
        model, watch = zoo.build("tanh regression"), ks.SensitivityCallback(zoo.rows())
        model.set_weights(start)
        for epochs in counts:
            fit([watch], model=model, epochs=epochs, shuffle=False)
        trajectories.append(watch.trajectory)
    pd.testing.assert_frame_equal(*trajectories)


@pytest.mark.parametrize("change", ["another model", "trained in between", "compiled anew"])
def test_a_fit_of_one_epoch_of_another_training_starts_anew(change):
    watch = ks.SensitivityCallback(zoo.rows())
    model, _ = fit([watch], epochs=1)
    if change == "another model":
        model = None
    elif change == "trained in between":
        fit([], model=model, epochs=1)
    else:
        model.compile("sgd", "mse")
    fit([watch], model=model, epochs=1)
    assert watch.trajectory.index.tolist() == [0]


def by_hand(watch, model, epochs, tells):
    for epoch in range(epochs):
        for name in tells:
            if name == "on_epoch_begin" or epoch == 0:
                getattr(watch, name)(*((epoch,) if name == "on_epoch_begin" else ()))
        model.train_on_batch(zoo.rows(), zoo.rows()[:, :1])
        watch.on_epoch_end(epoch)


@pytest.mark.parametrize(
    "tells",
    [[], ["on_train_begin"], ["on_epoch_begin"], ["on_train_begin", "on_epoch_begin"]],
    ids=lambda tells: "+".join(tells) or "ends only",
)
def test_a_loop_by_hand_gets_its_looks(tells, capsys):
    model = zoo.build("tanh regression")
    model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(zoo.rows(), verbose=2)
    watch.set_model(model)
    by_hand(watch, model, 3, tells)
    assert watch.trajectory.index.tolist() == [0, 1, 2]
    pd.testing.assert_series_equal(watch.importance.features, ks.measure(model, zoo.rows()).features, rtol=1e-6)
    watch.on_train_end()
    assert [f"epoch {epoch}" in capsys.readouterr().out for epoch in range(1)] == [True]


@pytest.mark.parametrize(
    ("epochs", "kept"), [([0, 0, 0], [0]), ([0, 1, 2, 1], [0, 1]), ([3, 2], [2])], ids=["the same", "earlier", "first"]
)
def test_an_epoch_that_is_told_of_again_replaces_the_looks_from_there_on(epochs, kept):
    model = zoo.build("tanh regression")
    watch = ks.SensitivityCallback(zoo.rows())
    watch.set_model(model)
    for epoch in epochs:
        model.set_weights([weights + 0.1 for weights in model.get_weights()])
        watch.on_epoch_end(epoch)
    assert watch.trajectory.index.tolist() == kept
    now = ks.measure(model, zoo.rows()).features
    pd.testing.assert_series_equal(watch.importance.features, now, rtol=1e-6)
    pd.testing.assert_series_equal(watch.trajectory.loc[epochs[-1]], now, rtol=1e-6, check_names=False)


def test_a_loop_by_hand_without_a_model_is_told_what_to_call():
    watch = ks.SensitivityCallback(zoo.rows())
    with pytest.warns(UserWarning, match=r"watch.set_model\(model\)"):
        watch.on_epoch_end(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch.on_epoch_end(1)


# --- what is printed --------------------------------------------------------------------------------------------------


def test_one_line_an_epoch_however_many_die(capsys):
    monitor = ks.DeadFeatureMonitor(threshold=99.0, patience=2)
    fit([ks.SensitivityCallback(zoo.rows(), dead_feature_monitor=monitor, verbose=1)], epochs=4)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines == ["SensitivityCallback, epoch 1: 5 died: x0, x1, x2 and 2 more"]


def test_lines_stand_between_the_bars(capsys):
    fit([ks.SensitivityCallback(zoo.rows(), verbose=2, name="v")], epochs=2, verbose=2)
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    starts = [line.split(":")[0].split(" - ")[0][:27] for line in lines]
    ours = [index for index, line in enumerate(lines) if line.startswith("SensitivityCallback v, epoch")]
    assert starts[ours[0] + 1] == "Epoch 2/2"
    assert "loss" in lines[ours[0] - 1]  # the bar of the epoch is whole
    assert ours[1] == len(lines) - 1
    assert "epoch 1: most important: x" in lines[-1]


def test_a_fit_that_is_taken_up_again_logs_on(tmp_path):
    watch = ks.SensitivityCallback(zoo.rows())
    model = zoo.build("tanh regression")
    callbacks = [keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False), watch, Crash(2)]
    with pytest.raises(KeyboardInterrupt):
        fit(callbacks, model=model, epochs=4)
    _, history = fit(callbacks[:2], model=model, epochs=4)
    shift = watch.trajectory.diff().abs().sum(axis=1) / 2
    np.testing.assert_allclose(history.history["importance_shift"], shift[-len(history.epoch) :])


# --- arguments --------------------------------------------------------------------------------------------------------


def test_an_unknown_feature_is_refused_before_training():
    with pytest.raises(ValueError, match=r"did you mean 'x4'\?"):
        fit([ks.SensitivityCallback(zoo.rows(), log_importances=["x0", "x44"])])
