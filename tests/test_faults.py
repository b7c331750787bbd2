"""Whatever goes wrong at a look, a fit ends as it would have, with one warning that says what was lost."""

import contextlib
import gc
import pathlib
import resource
import shutil
import sys
import threading
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import zoo

import keras_sensitivity as ks

PACKAGE = str(pathlib.Path(ks.__file__).parent)


def network(num_features=5):
    layers = [keras.Input((num_features,)), ks.NoiseProbes(4), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


X = zoo.rows(64)
X[:, 4] = X[:, 4] > 0  # a column of few values, which is swapped


class At(keras.callbacks.Callback):
    """Does something before the callbacks that stand after it, at the end of an epoch; and something at the next one's
    beginning."""

    def __init__(self, epoch, done, undone=lambda: None):
        super().__init__()
        self.epoch, self.done, self.undone = epoch, done, undone

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            self.done()

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch + 1:
            self.undone()

    def on_train_end(self, logs=None):
        self.undone()


def fitted(watch, *before, epochs=5, model=None, x=X):
    """How a fit ended: its history, and the warnings of this package."""
    model = network() if model is None else model
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        history = model.fit(x, X[:, :1], epochs=epochs, callbacks=[*before, watch], verbose=0)
    assert len(history.epoch) == epochs
    assert np.isfinite(history.history.get("importance_shift", [])).all()
    return [str(each.message) for each in told if "Sensitivity" in str(each.message) or "picture" in str(each.message)]


@pytest.fixture
def watch(tmp_path):
    return ks.SensitivityCallback(X, log_dir=tmp_path, y=X[:, :1])


def test_nothing_is_told_of_a_fit_in_which_nothing_fails(watch, tmp_path):
    assert fitted(watch) == []
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory, check_exact=True)


# --- numbers that are not finite ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_looks_go_on_when_weights_recover(watch, tmp_path, bad):
    model = network()
    kernel = model.layers[1].kernel
    kept = []

    def spoil():
        kept.append(kernel.numpy())
        spoilt = kernel.numpy()
        spoilt[1] = bad
        kernel.assign(spoilt)

    told = fitted(watch, At(2, spoil, lambda: kernel.assign(kept[0]) if kept else None), model=model)
    assert len(told) == 1
    assert "has no look at epoch 2" in told[0]
    assert "NaN or infinite" in told[0]
    assert "at 64 rows" in told[0]
    assert watch.trajectory.index.tolist() == [0, 1, 3, 4]
    assert watch.trajectory.notna().all(axis=None)
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory, check_exact=True)


def test_weights_that_stay_nan_are_told_of_once(watch):
    model = network()
    told = fitted(watch, At(1, lambda: model.layers[1].kernel.assign(np.full((9, 4), np.nan))), model=model)
    assert len(told) == 1
    assert watch.trajectory.index.tolist() == [0]


def test_a_model_whose_first_step_makes_it_nan(tmp_path):
    """It gets its weights in the fit's first step."""
    model = keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(np.inf), "mse")
    watch = ks.SensitivityCallback(X, log_dir=tmp_path)
    told = fitted(watch, model=model)
    assert len(told) == 1
    assert "has no look at epoch 0" in told[0]
    assert watch.history == []


class Root(keras.layers.Layer):
    """Has an infinite derivative where its first column is 0, and finite outputs everywhere."""

    def call(self, x):
        root = keras.ops.sqrt(keras.ops.abs(x[:, :1]))
        return keras.ops.concatenate([root, x[:, 1:]], axis=1)


def test_infinite_derivatives_are_counted_by_feature():
    model = keras.Sequential([keras.Input((5,)), Root(), keras.layers.Dense(1)])
    x = pd.DataFrame(zoo.rows(100), columns=list("abcde"))
    x.loc[[3, 50, 71], "a"] = 0.0
    with pytest.raises(FloatingPointError, match=r"derivatives .* NaN or infinite") as refused:
        ks.measure(model, x, batch_size=40, definition=ks.Definition(change="derivative"))
    assert "at 3 rows, of derivatives with respect to 'a' (3)" in str(refused.value)
    with pytest.raises(FloatingPointError, match=r"with respect to 'first' \(3\)"):
        ks.measure(model, x, groups={"first": ["a", "b"]}, definition=ks.Definition(change="derivative"))
    with pytest.raises(FloatingPointError, match=r"at 1 rows, of derivatives with respect to 'a' \(1\)"):
        ks.explain(model, x[3:4], background=x)


def test_predictions_that_are_not_finite_are_told_from_derivatives():
    model = zoo.build("linear")
    model.layers[-1].bias.assign([np.inf])
    with pytest.raises(FloatingPointError, match=r"^The predictions of the model are NaN or infinite.(.|\n)*300 rows"):
        ks.measure(model, zoo.rows())


def test_swaps_that_lead_to_no_number_are_refused_by_name():
    """Rows in which both columns are 1 do not occur, and the network has no number for them."""

    class Apart(keras.layers.Layer):
        def call(self, x):
            return keras.ops.log(1.0 - x[:, :1] * x[:, 1:2]) + x[:, 2:3]

    model = keras.Sequential([keras.Input((3,)), Apart()])
    x = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
    x[:, 0], x[:, 1] = np.arange(60) % 2, 1 - np.arange(60) % 2
    with pytest.raises(FloatingPointError, match=r"has the value of another row(.|\n)*'x0' \(\d+\), 'x1' \(\d+\)"):
        ks.measure(model, x)
    assert ks.measure(model, x, definition=ks.Definition(change="derivative")).features.notna().all()


# --- the disk -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def disk_full(path):
    """Within the block no file grows beyond the size of the largest one in a folder."""
    size = max(each.stat().st_size for each in path.rglob("*") if each.is_file())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_looks_that_meet_a_full_disk_are_written_later(watch, tmp_path):
    stack = contextlib.ExitStack()
    told = fitted(watch, At(1, lambda: stack.enter_context(disk_full(tmp_path)), stack.close))
    assert len(told) == 1
    assert "could not write the look at epoch 1" in told[0]
    assert watch.trajectory.index.tolist() == [0, 1, 2, 3, 4]
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory, check_exact=True)


def test_a_disk_that_stays_full_costs_no_look_in_memory(watch, tmp_path):
    with contextlib.ExitStack() as stack:
        told = fitted(watch, At(1, lambda: stack.enter_context(disk_full(tmp_path))))
    assert len(told) == 1
    assert watch.trajectory.index.tolist() == [0, 1, 2, 3, 4]
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory[:1], check_exact=True)
    assert len(list((tmp_path / "sensitivity").iterdir())) == 1  # each try left nothing


def removed(path):
    shutil.rmtree(path)


def replaced_by_a_file(path):
    shutil.rmtree(path)
    path.write_text("mine")


@pytest.mark.parametrize("change", [removed, replaced_by_a_file])
def test_a_log_that_is_taken_away(watch, tmp_path, change):
    watch.log_dir = tmp_path / "logs"
    told = fitted(watch, At(2, lambda: change(tmp_path / "logs")))
    assert len(told) == 1
    assert "could not write the look at epoch 2" in told[0]
    assert watch.trajectory.index.tolist() == [0, 1, 2, 3, 4]
    if change is removed:  # the folder is made again
        pd.testing.assert_frame_equal(ks.load_trajectory(watch.log_dir), watch.trajectory[2:], check_exact=True)


def test_a_log_dir_that_cannot_be_written_is_refused_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("mine")
    steps = []
    counter = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: steps.append(batch))
    for folder in (tmp_path / "file", "/proc/none"):
        with pytest.raises(OSError, match="cannot be written"):
            fitted(ks.SensitivityCallback(X, log_dir=folder), counter)
    assert steps == []


def test_an_explanation_outlives_a_full_disk(tmp_path):
    (tmp_path / "other").write_bytes(b"0" * 64)
    with disk_full(tmp_path), pytest.warns(UserWarning, match="explanation could not be written"):
        explanation = ks.explain(zoo.build("linear"), zoo.rows(3), background=zoo.rows(), log_dir=tmp_path)
    np.testing.assert_allclose(explanation.features.sum(axis=1), 100)


# --- pictures and threads -------------------------------------------------------------------------------------------


def fails(*_, **__):
    raise RuntimeError("no font")


def test_a_picture_that_fails(watch, monkeypatch, tmp_path):
    monkeypatch.setattr("keras_sensitivity.plots.pixels", fails)
    told = fitted(watch)
    assert len(told) == 1
    assert "all numbers are written" in told[0]
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory, check_exact=True)


def dies(*_, **__):
    raise SystemExit  # what ends a thread, and nothing but that thread


def test_a_thread_that_dies(watch, monkeypatch, tmp_path):
    monkeypatch.setattr("keras_sensitivity.records.artist.Artist._draw", dies)
    assert len(fitted(watch)) == 1
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory, check_exact=True)


def test_no_thread_to_be_had(watch, monkeypatch, tmp_path):
    def none_left(self):
        raise RuntimeError("can't start new thread")

    begin = At(0, lambda: monkeypatch.setattr(threading.Thread, "start", none_left))
    told = fitted(watch, begin)
    monkeypatch.undo()
    assert len(told) == 1
    assert "can't start new thread" in told[0]
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory, check_exact=True)


def test_a_picture_that_meets_a_full_disk(watch, tmp_path):
    """All looks are there; of the pictures one warning tells."""
    stack = contextlib.ExitStack()
    end = keras.callbacks.LambdaCallback(on_train_end=lambda logs: stack.enter_context(disk_full(tmp_path)))
    with stack:
        told = fitted(watch, end)
    assert len(told) == 1
    assert "picture" in told[0]
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory, check_exact=True)


# --- everything else ------------------------------------------------------------------------------------------------


class Reads(keras.utils.PyDataset):
    """Fails when it is read for the third time."""

    def __init__(self):
        super().__init__()
        self.times = 0

    def __len__(self):
        return 2

    def __getitem__(self, index):
        self.times += index == 0
        if self.times > 3:
            raise ConnectionError("the database is gone")
        return X[32 * index : 32 * index + 32], X[32 * index : 32 * index + 32, :1]


def test_a_data_set_that_raises(tmp_path):
    watch = ks.SensitivityCallback(Reads(), num_samples=None, log_dir=tmp_path)
    told = fitted(watch)
    assert len(told) == 1
    assert "switched itself off at epoch" in told[0]
    assert "the database is gone" in told[0]
    assert 0 < len(watch.history) < 5
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory, check_exact=True)


def test_it_is_back_in_the_next_fit(watch, monkeypatch):
    model = network()
    monkeypatch.setattr(ks.DeadFeatureMonitor, "update", fails)
    assert "switched itself off at epoch 0" in fitted(watch, model=model)[0]
    monkeypatch.undo()
    assert fitted(watch, model=model) == []
    assert len(watch.history) == 5


def test_a_device_without_memory(watch, monkeypatch):
    from keras_sensitivity.networks.keras_tf.compiled import Compiled

    def exhausted(self, *_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    told = fitted(watch, At(3, lambda: monkeypatch.setattr(Compiled, "__call__", exhausted)))
    assert len(told) == 1
    assert "switched itself off at epoch 3" in told[0]
    assert "OOM when allocating" in told[0]
    assert watch.trajectory.index.tolist() == [0, 1, 2]


class Faults:
    """Raises an error where a look enters a function of the package; first it writes down which functions there are.

    What tells of an error is left out: a warning that cannot be given would be none.
    """

    def __init__(self):
        self.seen, self.wanted, self.error, self.has_raised = {}, None, None, False

    def __call__(self, frame, event, _):
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE) or "/errors/" in code.co_filename:
            return
        if code.co_name in ("_harmless", "_switch_off", "_tell", "on_epoch_end"):
            return
        self.seen.setdefault(code, len(self.seen))
        if code is self.wanted and not self.has_raised:
            self.has_raised = True
            raise self.error


@pytest.mark.parametrize(
    "part", [pytest.param(1, marks=pytest.mark.endurance), pytest.param(4, marks=pytest.mark.slow), 15]
)
def test_a_fault_at_any_function_of_a_look_ends_no_fit(watch, part):
    """Each function that a look goes through raises once, whatever it is, in the thread of the training."""
    model, faults = network(), Faults()
    start, stop = (At(1, lambda: sys.setprofile(faults)), keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: sys.setprofile(None)))  # fmt: skip

    def run():
        faults.has_raised = False
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            history = model.fit(X, X[:, :1], epochs=3, callbacks=[start, watch, stop], verbose=0)
        assert len(history.epoch) == 3
        return [str(each.message) for each in told if "SensitivityCallback" in str(each.message)]

    assert run() == []
    functions = list(faults.seen)
    assert len(functions) > 150
    for index, code in enumerate(functions[::part]):
        faults.wanted = code
        faults.error = [MemoryError("no room"), OSError(28, "No space left on device"), KeyError("x")][index % 3]
        told = run()
        where = f"{code.co_qualname if hasattr(code, 'co_qualname') else code.co_name} in {code.co_filename}: {told}"
        if not faults.has_raised:  # what is done once, such as an import
            continue
        assert len(told) <= 1, where
        assert 2 <= len(watch.history) <= 3 or told, where
        assert watch.trajectory.notna().all(axis=None), where
    gc.collect()
