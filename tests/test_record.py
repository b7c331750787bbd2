"""What an event file holds of a look: every number, in one event, whose size is stated."""

import concurrent.futures
import json
import pathlib
import threading
import time
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import zoo
from keras import layers
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util import tensor_util

import keras_sensitivity as ks
from keras_sensitivity.records import record as records
from keras_sensitivity.records.artist import Artist
from keras_sensitivity.records.record import HEADER, LOOK, Header, Record


def events(folder):
    """All events of a run, in the order in which they were written."""
    for path in sorted((folder / "sensitivity").iterdir()):
        for raw in RawEventFileLoader(str(path)).Load():
            event = Event.FromString(raw)
            if event.summary.value:
                yield event, len(raw)


def looks(folder):
    """The events of looks: the others are pictures."""
    return [pair for pair in events(folder) if any(value.tag.startswith(LOOK) for value in pair[0].summary.value)]


def strings(event, tag):
    return next(tensor_util.make_ndarray(value.tensor) for value in event.summary.value if value.tag.startswith(tag))


def read(folder):
    """The header and the records, by epoch."""
    first, *_ = (event for event, _ in looks(folder))
    header = Header.decoded(strings(first, HEADER), folder)
    return header, {event.step: Record.decoded(strings(event, LOOK), header) for event, _ in looks(folder)}


def fitted(model, x, log_dir, epochs=3, **options):
    model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(x, log_dir=log_dir, **options)
    y = np.zeros((len(x), *model.output_shape[1:]))
    model.fit(x, y, epochs=epochs, callbacks=[watch], verbose=0)
    return watch


def table(num_units=1):
    return keras.Sequential([keras.Input((5,)), layers.Dense(4, "tanh"), layers.Dense(num_units)]), zoo.rows()


def with_probes():
    return keras.Sequential([keras.Input((5,)), ks.NoiseProbes(), layers.Dense(1)]), zoo.rows()


def sequence():
    x = np.random.default_rng(0).normal(size=(40, 6, 2)).astype("float32")
    return keras.Sequential([keras.Input((6, 2)), layers.Flatten(), layers.Dense(1)]), x


def estimated():
    return keras.Sequential([keras.Input((5,)), layers.Dense(70)]), zoo.rows()


CASES = {
    "table": table,
    "several units": lambda: table(3),
    "probes": with_probes,
    "sequence": sequence,
    "estimated": estimated,
}


@pytest.mark.parametrize("case", CASES)
def test_every_number_of_a_look_is_read_back(case, tmp_path):
    monitor = ks.DeadFeatureMonitor(threshold=60.0, patience=1)
    watch = fitted(*CASES[case](), tmp_path, dead_feature_monitor=monitor)
    header, found = read(tmp_path)
    assert header.features == list(watch.trajectory.columns)
    assert header.units == list(watch.importance.outputs.index)
    assert list(found) == [0, 1, 2]
    for look, record in zip(watch.history, found.values(), strict=True):
        arrays = record.arrays
        np.testing.assert_array_equal(arrays["importance"], look.features)  # to the last bit
        np.testing.assert_allclose(arrays["standard_error"], look.table["standard_error"], rtol=1e-6)
        np.testing.assert_allclose(arrays["rms"], look.table["rms"], rtol=1e-6)
        assert ("lags" in arrays) == ("usage" in arrays) == (look.lags is not None)
        if look.lags is not None:
            np.testing.assert_allclose(arrays["lags"], look.lags, rtol=1e-6)
            np.testing.assert_allclose(arrays["by_lag"], look.by_lag, rtol=1e-6)
            np.testing.assert_allclose(arrays["usage"], look.usage, rtol=1e-6)
        assert ("by_output" in arrays) == (case == "several units")
        if case == "several units":
            np.testing.assert_allclose(arrays["by_output"], look.by_output, rtol=1e-6)
        assert record.scalars["threshold"] == 60.0
        assert {"num_dead_features", "importance_shift"} < set(record.scalars)
        if case == "probes":
            band = [record.scalars[f"noise/{name}"] for name in ("lower", "level", "upper")]
            assert band == [look.noise_band[0], look.noise_level, look.noise_band[1]]
    told = [event for record in found.values() for event in record.events]
    assert told
    pd.testing.assert_frame_equal(pd.DataFrame(told), watch.events, check_dtype=False)


NAMES = ['<img src=x onerror="alert(1)">', "a/b|c\\d", "年齢 🎉", "x" * 300, ""]


def test_names_are_kept_as_they_are(tmp_path):
    model, x = table()
    watch = fitted(model, pd.DataFrame(x, columns=NAMES), tmp_path)
    assert read(tmp_path)[0].features == list(watch.trajectory.columns)
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory, check_exact=True)


def test_the_numbers_of_a_look_of_23_features_take_at_most_2_kb(tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 23)).astype("float32")
    model = keras.Sequential([keras.Input((23,)), layers.Dense(4, "tanh"), layers.Dense(2, "softmax")])
    fitted(model, x, tmp_path, epochs=4)
    _, *following = (size for _, size in looks(tmp_path))
    assert max(following) < 3 * (3 * 23 * 8) < 2000  # three times importance, standard error and rms, 8 bytes each


def test_what_is_wide_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "MOST_ENTRIES", 11)
    fitted(*sequence(), tmp_path)
    assert "by_lag" not in read(tmp_path)[1][0].arrays


def test_only_the_first_value_of_a_tag_says_what_it_is(tmp_path):
    fitted(*with_probes(), tmp_path)
    described = {}
    for event, _ in looks(tmp_path):
        for value in event.summary.value:
            if value.HasField("metadata"):
                assert value.tag not in described
                described[value.tag] = value.metadata
            else:
                assert value.tag in described
    for tag, metadata in described.items():
        own = tag.startswith("sensitivity/")
        assert metadata.plugin_data.plugin_name == ("sensitivity" if own else "scalars")
        assert bool(metadata.summary_description) != own


def test_tensorboard_shows_the_curves(tmp_path):
    """Its data provider, which all tabs read through, has every point and every description."""
    from tensorboard import context
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer

    watch = fitted(*table(), tmp_path, epochs=5)
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    provider, asked = data_provider.MultiplexerDataProvider(multiplexer, str(tmp_path)), context.RequestContext()
    scalars = provider.list_scalars(asked, experiment_id="", plugin_name="scalars")["sensitivity"]
    for name, curve in watch.trajectory.items():
        tag = f"importance/{name}"
        assert scalars[tag].description.startswith("Percent")
        points = provider.read_last_scalars(asked, experiment_id="", plugin_name="scalars")["sensitivity"][tag]
        assert (points.step, points.value) == (4, pytest.approx(curve.iloc[-1], rel=1e-6))
    tensors = provider.list_tensors(asked, experiment_id="", plugin_name="sensitivity")["sensitivity"]
    assert set(tensors) == {HEADER, f"{LOOK}/0"}


def written(folder, values, step=0):
    with tf.summary.create_file_writer(str(folder / "sensitivity")).as_default(step=step):
        for tag, value in values.items():
            tf.summary.write(tag, value)


def test_files_without_a_format_number_are_read(tmp_path):
    for step in range(2):
        shares = np.array([60.0 + step, 40.0 - step])
        written(tmp_path, {"trajectory/features": ["a", "b"], "trajectory/importances": shares}, step)
    expected = pd.DataFrame({"a": [60.0, 61], "b": [40.0, 39]}, pd.Index([0, 1], name="epoch"))
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), expected, check_exact=True)


def test_a_newer_format_is_refused(tmp_path):
    header = json.dumps({"format": 3, "what": "comes"}).encode()
    written(tmp_path, {HEADER: [header], LOOK: [b"{}"]})
    with pytest.raises(ValueError, match=r"written by a newer version(.|\n)*format 2 or older(.|\n)*format 3"):
        ks.load_trajectory(tmp_path)


# --- pictures ---------------------------------------------------------------------------------------------------------


def pictures(folder):
    """The epochs that have a picture."""
    return [event.step for event, _ in events(folder) if any(value.tag == "ranking" for value in event.summary.value)]


def test_a_short_fit_has_pictures_of_the_last_look_alone(tmp_path):
    fitted(*table(), tmp_path, epochs=4)
    assert pictures(tmp_path) == [3]  # on the disk, as fit has returned


def test_a_long_fit_has_some_before(tmp_path, monkeypatch):
    times = iter(range(0, 10**6, 60))  # a minute between any two questions
    monkeypatch.setattr("keras_sensitivity.records.artist.time.monotonic", lambda: next(times))
    watch = fitted(*table(), tmp_path, epochs=12)
    drawn = pictures(tmp_path)
    assert drawn[-1] == 11
    assert 1 < len(drawn) < 12
    assert len(watch.trajectory) == 12


def test_drawing_never_holds_up_the_training(tmp_path, monkeypatch):
    """A picture that never ends: looks go on, without pictures."""
    ended, begun = threading.Event(), threading.Event()
    drawn = []

    def draws(self, importance, epoch):
        begun.set()
        drawn.append((epoch, threading.current_thread()))
        ended.wait(60)

    monkeypatch.setattr(Artist, "_draw", draws)
    monkeypatch.setattr("keras_sensitivity.records.artist.PART", 1e9)
    model, x = table()
    model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(x, log_dir=tmp_path)

    class Release(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert begun.wait(60)
            if epoch == 3:
                ended.set()

    model.fit(x, x[:, :1], epochs=4, callbacks=[watch, Release()], verbose=0)
    assert len(watch.trajectory) == len(looks(tmp_path)) == 4
    assert (drawn[0][0], drawn[-1][0]) == (0, 3)
    assert all(thread is not threading.main_thread() for _, thread in drawn)


def test_pictures_that_failed_once_are_told_of(tmp_path, monkeypatch):
    """Also where the next ones have begun since, and succeed."""
    look, may_fail = ks.measure(*table()), threading.Event()

    def fails_at_first(self, importance, epoch):
        if epoch == 0:
            assert may_fail.wait(60)
            raise RuntimeError("no room for tables")

    monkeypatch.setattr(Artist, "_draw", fails_at_first)
    monkeypatch.setattr("keras_sensitivity.records.artist.PART", 1e9)
    artist = Artist(lambda summary, epoch: None)
    artist.offer(look, 0)
    may_fail.set()
    concurrent.futures.wait([artist._drawing])
    with pytest.warns(UserWarning, match="'ranking' could not be drawn.*no room for tables") as told:
        artist.offer(look, 1)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        artist.finish()


def test_no_thread_is_left_after_a_fit(tmp_path):
    before = threading.active_count()
    fitted(*table(), tmp_path)
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_warnings_of_the_training_are_heard_while_it_is_drawn(tmp_path, monkeypatch):
    """The filters of warnings are those of the process: whoever draws beside the training leaves them alone."""
    from keras_sensitivity import plots

    seen, pixels = [], plots.pixels

    def watched(draw, width, height):
        def drawing(ax):
            seen.append([entry[:1] + entry[2:3] for entry in warnings.filters])
            return draw(ax=ax)

        return pixels(drawing, width, height)

    monkeypatch.setattr("keras_sensitivity.plots.pixels", watched)
    fitted(*table(), tmp_path)
    assert seen
    assert all(("ignore", Warning) != entry for filters in seen for entry in filters)


def test_a_second_fit_has_pictures_too(tmp_path):
    model, x = table()
    watch = fitted(model, x, tmp_path, epochs=2)
    model.fit(x, x[:, :1], initial_epoch=2, epochs=4, callbacks=[watch], verbose=0)
    assert pictures(tmp_path) == [1, 3]


def test_a_fit_that_fails_keeps_every_number(tmp_path):
    model, x = table()
    model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(x, log_dir=tmp_path)

    class Fails(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError("no more rows")

    with pytest.raises(RuntimeError, match="no more rows"):
        model.fit(x, x[:, :1], epochs=4, callbacks=[watch, Fails()], verbose=0)
    pd.testing.assert_frame_equal(ks.load_trajectory(pathlib.Path(tmp_path)), watch.trajectory, check_exact=True)
