"""Event files are read back and compared with what was measured."""

import io

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import zoo
from crash import Crash
from matplotlib import image as pictures
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

import keras_sensitivity as ks


def fit(callbacks, x, epochs=3):
    model = keras.Sequential([keras.Input((x.shape[1],)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model.fit(x, np.asarray(x)[:, :1], epochs=epochs, callbacks=callbacks, verbose=0)


def read(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    return accumulator


def values(accumulator, tag):
    return {event.step: tensor_util.make_ndarray(event.tensor_proto) for event in accumulator.Tensors(tag)}


def plugin(accumulator, tag):
    return accumulator.SummaryMetadata(tag).plugin_data.plugin_name


def test_every_look_is_written_at_its_epoch(tmp_path):
    x = pd.DataFrame(zoo.rows(), columns=["a", "b", "c|d", "e/f", "g"])
    watch = ks.SensitivityCallback(x, log_dir=tmp_path, every_n_epochs=2)
    history = fit([watch], x, epochs=4)
    events = read(tmp_path / "sensitivity")
    for name in x.columns:
        assert plugin(events, f"importance/{name}") == "scalars"
        written = values(events, f"importance/{name}")
        assert list(written) == [0, 2, 3]
        np.testing.assert_allclose(list(written.values()), watch.trajectory[name], rtol=1e-6)
    assert list(values(events, "num_dead_features")) == [0, 2, 3]
    shift = values(events, "importance_shift")
    assert list(shift) == [0, 2, 3]
    np.testing.assert_allclose(
        list(shift.values()), np.array(history.history["importance_shift"])[[0, 2, 3]], rtol=1e-6
    )

    assert plugin(events, "rms") == "histograms"
    last = values(events, "rms")[3]
    rms = watch.importance.table["rms"]
    assert last[:, 2].sum() == 5
    assert last[0, 0] == pytest.approx(rms.min())
    assert last[-1, 1] == pytest.approx(rms.max())

    assert plugin(events, "ranking") == "images"
    width, height, png = values(events, "ranking")[3]
    pixels = pictures.imread(io.BytesIO(png), format="png")
    assert pixels.shape[:2] == (int(height), int(width))
    assert (pixels[..., :3].min(axis=2) < 0.9).mean() > 0.05  # not an empty sheet

    text = values(events, "ranking_table")[3].item().decode()
    first = watch.importance.features.idxmax().replace("|", "\\|")
    assert text.splitlines()[2].startswith(f"| 1 | {first} | {watch.importance.features.max():.2f} |")
    assert plugin(events, "ranking_table") == "text"


@pytest.mark.parametrize(("num_features", "num_curves"), [(3, 3), (50, 50), (64, 50)])
def test_curves_never_break(rng, tmp_path, num_features, num_curves):
    """Those of all features, or of the most important at the first look, however the ranking changes."""
    watch = ks.SensitivityCallback(rng.normal(size=(50, num_features)), log_dir=tmp_path)
    model = keras.Sequential([keras.Input((num_features,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    class Shuffle(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            model.layers[0].kernel.assign(rng.normal(size=(num_features, 1)))

    model.fit(watch.x, watch.x[:, :1], epochs=4, callbacks=[Shuffle(), watch], verbose=0)
    events = read(tmp_path / "sensitivity")
    tags = [tag for tag in events.Tags()["tensors"] if tag.startswith("importance/")]
    first = watch.trajectory.iloc[0].nlargest(num_curves)
    assert set(tags) == {f"importance/{name}" for name in first.index}
    for tag in tags:
        written = values(events, tag)
        assert list(written) == [0, 1, 2, 3]
        curve = watch.trajectory[tag.removeprefix("importance/")]
        np.testing.assert_allclose(list(written.values()), curve, rtol=1e-6)


def test_the_table_has_at_most_20_rows(rng, tmp_path):
    watch = ks.SensitivityCallback(rng.normal(size=(50, 64)), log_dir=tmp_path)
    fit([watch], watch.x, epochs=1)
    text = values(read(tmp_path / "sensitivity"), "ranking_table")[0].item().decode()
    assert len(text.splitlines()) == 2 + 20 + 1
    assert "the other 44" in text


def test_the_noise_band_is_written_too(tmp_path):
    model = keras.Sequential([keras.Input((5,)), ks.NoiseProbes(), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    watch = ks.SensitivityCallback(zoo.rows(), log_dir=tmp_path)
    model.fit(zoo.rows(), zoo.rows()[:, :1], epochs=2, callbacks=[watch], verbose=0)
    events = read(tmp_path / "sensitivity")
    for tag, series in {"level": watch.noise_level, **watch.noise_band}.items():
        np.testing.assert_allclose(list(values(events, f"noise/{tag}").values()), series, rtol=1e-6)
    tags = [tag for tag in events.Tags()["tensors"] if tag.startswith("importance/")]
    assert len(tags) == 5  # probes are no features


def test_lags_are_written_too(rng, tmp_path):
    x = rng.normal(size=(40, 25, 2)).astype("float32")
    model = keras.Sequential([keras.Input((25, 2)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    watch = ks.SensitivityCallback(x, log_dir=tmp_path)
    model.fit(x, x[:, 0, :1], epochs=2, callbacks=[watch], verbose=0)
    events = read(tmp_path / "sensitivity")
    tags = events.Tags()["tensors"]
    for lag, share in watch.importance.lags.items():
        assert values(events, f"lag/{lag}")[1] == pytest.approx(share, rel=1e-6)
    assert sum(tag.startswith("lag/") for tag in tags) == 25
    assert {plugin(events, tag) for tag in ("lags", "lags_and_features")} == {"images"}


@pytest.mark.parametrize("update_freq", ["epoch", 1000])
@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.sample(2)
def test_beside_keras_own_callback_in_the_same_folder(tmp_path, ours_first, update_freq):
    x = zoo.rows()
    fit([keras.callbacks.TensorBoard(str(tmp_path / "alone"), update_freq=update_freq)], x)
    watch = ks.SensitivityCallback(x, log_dir=tmp_path / "both")
    keras_own = keras.callbacks.TensorBoard(str(tmp_path / "both"), update_freq=update_freq)
    fit([watch, keras_own] if ours_first else [keras_own, watch], x)
    assert list(values(read(tmp_path / "both" / "sensitivity"), "importance/x0")) == [0, 1, 2]
    alone, both = (set(read(tmp_path / name / "train").Tags()["tensors"]) for name in ("alone", "both"))
    assert alone <= both  # Keras writes what it writes without us
    if update_freq == "epoch":
        assert list(values(read(tmp_path / "both" / "train"), "epoch_loss")) == [0, 1, 2]


def test_nothing_is_written_without_a_log_dir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = zoo.rows()
    fit([ks.SensitivityCallback(x)], x, epochs=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_explanations_are_written_in_groups_of_ten(tmp_path):
    x = pd.DataFrame(zoo.rows(60), columns=["a|b", "b", "c", "d", "e"])
    explanation = ks.explain(zoo.build("linear"), x, log_dir=tmp_path)
    events = read(tmp_path / "explanations")
    tags = events.Tags()["tensors"]
    pictures = [tag for tag in tags if plugin(events, tag) == "images"]
    assert len(pictures) == 50 + 1  # the first 50, and all of them together
    assert {tag.split("/")[0] for tag in tags} == {
        "explanations", "sensitivity", *(f"samples {first} to {first + 9}" for first in range(0, 50, 10))
    }  # fmt: skip
    text = values(events, "samples 10 to 19/table 13")[0].item().decode()
    first = explanation.features.iloc[13].idxmax()
    share, value = explanation.features.iloc[13].max(), x[first].iloc[13]
    effect = "raises" if explanation.signs[first].iloc[13] > 0 else "lowers"
    escaped = first.replace("|", "\\|")
    assert text.splitlines()[0] == f"prediction: {explanation.predictions[13, 0]:.4g}"
    assert f"| {escaped} | {value:.4g} | {share:.2f} | {effect} the output |" in text


@pytest.mark.parametrize("shape", [(6, 3), (5, 4, 1), (3, 4, 4, 1)])
def test_explanations_of_sequences_and_images(rng, tmp_path, shape):
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(2)])
    ks.explain(model, rng.normal(size=(3, *shape)), log_dir=tmp_path)
    events = read(tmp_path / "explanations")
    tags = [tag for tag in events.Tags()["tensors"] if plugin(events, tag) == "images"]
    assert sorted(tags) == ["explanations/overview", *(f"samples 0 to 2/{sample}" for sample in range(3))]


def test_the_map_of_images_is_written(rng, tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    x = rng.normal(size=(20, 4, 4, 1))
    model.fit(x, x[:, 0, 0], epochs=1, callbacks=[ks.SensitivityCallback(x, log_dir=tmp_path)], verbose=0)
    assert plugin(read(tmp_path / "sensitivity"), "map") == "images"


def test_the_trajectory_is_read_back_to_the_last_bit(tmp_path):
    x = pd.DataFrame(zoo.rows(), columns=["a", "ü", "c|d", "e/f", "g"])
    watch = ks.SensitivityCallback(x, log_dir=tmp_path, every_n_epochs=2)
    fit([watch, keras.callbacks.TensorBoard(tmp_path)], x, epochs=4)
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory, check_exact=True)


def test_all_features_are_read_back(rng, tmp_path):
    watch = ks.SensitivityCallback(rng.normal(size=(50, 64)), log_dir=tmp_path)
    fit([watch], watch.x, epochs=1)
    assert ks.load_trajectory(str(tmp_path)).shape == (1, 64)


def test_the_trajectory_of_a_crashed_fit_is_read_back_and_continued(tmp_path):
    x = zoo.rows()
    watch = ks.SensitivityCallback(x, log_dir=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit([watch, Crash(2)], x)
    loaded = ks.load_trajectory(tmp_path)
    assert list(loaded.index) == [0, 1]
    pd.testing.assert_frame_equal(loaded, watch.trajectory)

    model = keras.Sequential([keras.Input((x.shape[1],)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, x[:, :1], initial_epoch=1, epochs=3, callbacks=[watch], verbose=0)
    continued = ks.load_trajectory(tmp_path)
    assert list(continued.index) == [0, 1, 2]
    pd.testing.assert_frame_equal(continued, watch.trajectory)


def test_a_look_that_was_cut_off_is_left_out(tmp_path):
    x = zoo.rows()
    watch = ks.SensitivityCallback(x, log_dir=tmp_path)
    fit([watch], x)
    (path,) = (tmp_path / "sensitivity").iterdir()
    whole = path.read_bytes()
    cut = whole.rindex(b"sensitivity/look")
    for end in (cut, cut + 10, cut + 40, cut + 100):
        path.write_bytes(whole[:end])
        pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory[:2])


def test_files_are_read_in_the_order_of_their_numbers(tmp_path):
    """TensorFlow numbers the files of a process: `.10.v2` comes after `.9.v2`, not before it."""
    for number, share in ((10, 70.0), (9, 60.0)):
        values = {"trajectory/features": ["a", "b"], "trajectory/importances": np.array([share, 100 - share])}
        with tf.summary.create_file_writer(str(tmp_path / "sensitivity")).as_default(step=0):
            for tag, value in values.items():
                tf.summary.write(tag, value)
        (newest,) = (path for path in (tmp_path / "sensitivity").iterdir() if "of fit" not in path.name)
        newest.rename(newest.with_name(f"events.out.tfevents.1700000000.of fit.1.{number}.v2"))
    assert ks.load_trajectory(tmp_path).to_numpy().tolist() == [[70.0, 30.0]]


def test_where_no_look_was_written(tmp_path):
    fit([keras.callbacks.TensorBoard(tmp_path)], zoo.rows(), epochs=1)
    with pytest.raises(FileNotFoundError, match=r"No look was written there(.|\n)*sensitivity(.|\n)*log_dir"):
        ks.load_trajectory(tmp_path)


def test_a_picture_that_fails_is_told_once_and_the_numbers_go_on(tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("no font")

    monkeypatch.setattr("keras_sensitivity.plots.pixels", fails)
    x = pd.DataFrame(zoo.rows(), columns=["$\\frac{", "年齢", "a\nb", "", "$"])
    watch = ks.SensitivityCallback(x, log_dir=tmp_path)
    with pytest.warns(UserWarning, match="'ranking' could not be drawn.*all numbers are written.*no font") as told:
        fit([watch], x)
    assert len(told) == 1
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path), watch.trajectory, check_exact=True)
    with pytest.warns(UserWarning, match="could not be drawn") as told:
        explanation = ks.explain(zoo.build("linear"), x[:2], background=x, log_dir=tmp_path)
    assert len(told) == 1
    tables = [tag for tag in read(tmp_path / "explanations").Tags()["tensors"] if "table" in tag]
    assert len(tables) == len(explanation)


def test_names_of_any_letters_are_written(tmp_path):
    x = pd.DataFrame(zoo.rows(), columns=["$\\frac{", "年齢", "a|b\nc", "\u202e", "$x_{$"])
    watch = ks.SensitivityCallback(x, log_dir=tmp_path)
    fit([watch], x, epochs=1)
    events = read(tmp_path / "sensitivity")
    assert plugin(events, "ranking") == "images"
    text = values(events, "ranking_table")[0].item().decode()
    assert len(text.splitlines()) == 2 + 5  # a line break in a name begins no row
    assert "| a\\|b\\\\nc |" in text


# --- event files that others have made --------------------------------------------------------------------------------


def with_strings(folder, values):
    (folder / "sensitivity").mkdir(parents=True, exist_ok=True)
    with tf.summary.create_file_writer(str(folder / "sensitivity")).as_default(step=1):
        for tag, value in values.items():
            tf.summary.write(tag, value)


GOOD_HEADER = b'{"format": 2, "features": ["a"], "units": ["0"], "arrays": {"importance": ["<f8", [1]]}}'
RECORDS = {
    "no JSON": (b"{", [b"{}"]),
    "a list": (b"[]", [b"{}"]),
    "no number": (b'{"format": "x"}', [b"{}"]),
    "other fields": (b'{"format": 2, "more": 1}', [b"{}"]),
    "no arrays": (GOOD_HEADER, [b'{"scalars": {}, "events": []}']),
    "objects": (GOOD_HEADER.replace(b"<f8", b"O"), [b'{"scalars": {}, "events": []}', b"12345678"]),
    "a shape that is not there": (GOOD_HEADER.replace(b"[1]]", b"[99999999999]]"), [b"{}", b"12345678"]),
    "more names": (GOOD_HEADER.replace(b'["a"]', b'["a", "b"]'), [b'{"scalars": {}, "events": []}', b"12345678"]),
    "a record of no JSON": (GOOD_HEADER, [b"x", b"12345678"]),
}


@pytest.mark.parametrize("case", RECORDS)
def test_records_that_are_none_are_refused_in_words(case, tmp_path):
    header, record = RECORDS[case]
    with_strings(tmp_path, {"sensitivity/header": [header], "sensitivity/look/0": record})
    with pytest.raises(ValueError, match=r"has a record that cannot be read(.|\n)*To fix it"):
        ks.load_trajectory(tmp_path)


def test_a_fit_does_not_go_on_in_a_run_that_cannot_be_read(tmp_path):
    with_strings(tmp_path, {"sensitivity/header": [b"{"], "sensitivity/look/0": [b"x"]})
    x = zoo.rows()
    watch = ks.SensitivityCallback(x, log_dir=tmp_path)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="cannot be read, so this fit has a run of its own") as told:
        model.fit(x, x[:, :1], initial_epoch=2, epochs=4, callbacks=[watch], verbose=0)
    assert len([each for each in told if "cannot be read" in str(each.message)]) == 1
    assert watch.trajectory.index.tolist() == [2, 3]
    pd.testing.assert_frame_equal(ks.load_trajectory(tmp_path, run="sensitivity_2"), watch.trajectory, check_exact=True)
