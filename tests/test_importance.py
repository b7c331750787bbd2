"""What an `Importance` is besides its numbers: a value that ranks, saves and prints."""

import copy
import json
import pickle

import keras
import numpy as np
import pandas as pd
import pytest
import sequences
import zoo

import keras_sensitivity as ks

STD = ks.Definition(scale="std")


@pytest.fixture
def importance():
    return ks.measure(zoo.build("softmax classifier"), zoo.rows(), groups={"pair": ["x1", "x3"]}, definition=STD)


def test_saved_and_loaded_it_is_the_same(importance, tmp_path):
    for definition in (
        ks.Definition(scale="std"),
        ks.PAPER,
        ks.Definition(output=1, scale=np.arange(5.0), logits=True),
    ):
        measured = ks.measure(zoo.build("softmax classifier"), zoo.rows(), definition=definition)
        measured.save(tmp_path / "any name")
        loaded = ks.Importance.load(tmp_path / "any name")
        pd.testing.assert_frame_equal(loaded.table, measured.table)
        pd.testing.assert_frame_equal(loaded.by_output, measured.by_output)
        assert loaded.definition == measured.definition
        assert loaded.num_samples == measured.num_samples == 300


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda i: pickle.loads(pickle.dumps(i))],
                         ids=["copy", "deepcopy", "pickle"])  # fmt: skip
def test_copies(importance, copied):
    pd.testing.assert_frame_equal(copied(importance).table, importance.table)


@pytest.mark.parametrize("coverage", [1, 50, 90, 99.9, 100])
def test_top_is_the_fewest_that_cover(importance, coverage):
    top = importance.top(coverage=coverage)
    shares = importance.features
    assert shares[top].sum() >= coverage - 1e-9
    assert shares[top[:-1]].sum() < coverage
    assert top == list(shares.nlargest(len(top)).index)


def test_reading_changes_nothing(importance):
    before = importance.table
    features, table = importance.features, importance.table
    features.iloc[0] = table.iloc[0, 0] = -1.0
    pd.testing.assert_frame_equal(importance.table, before)


def test_repr(importance):
    name, share = importance.features.idxmax(), importance.features.max()
    assert repr(importance).startswith(f"<Importance of 4 features from 300 samples: {name} {share:.1f} %")


def test_a_table_has_no_lags_and_no_map(importance):
    assert importance.lags is None
    assert importance.by_lag is None
    assert importance.map is None


# --- looks at parts of the rows -------------------------------------------------------------------------------------


def _weighted(x):
    return iter([(x, None, np.linspace(0.5, 2.0, len(x)))])


MERGED = {
    "a table": (lambda: zoo.build("softmax classifier"), lambda: zoo.rows(90), {}),
    "groups, logits": (
        lambda: zoo.build("softmax classifier"),
        lambda: zoo.rows(90),
        {"groups": {"pair": ["x1", "x3"]}, "definition": ks.Definition(scale="std", logits=True)},
    ),
    "the paper's": (lambda: zoo.build("20 units"), lambda: zoo.rows(90), {"definition": ks.PAPER}),
    "many-to-many, masked": (
        lambda: sequences.build(lambda: sequences.recurrent("GRU", units=2, many=True, masked=True)),
        lambda: sequences.rows(30, padding="post")[0],
        {},
    ),
    "probes": (
        lambda: keras.Sequential([keras.Input((5,)), ks.NoiseProbes(), keras.layers.Dense(2, "tanh")]),
        lambda: zoo.rows(90),
        {},
    ),
}


@pytest.mark.parametrize("name", MERGED)
@pytest.mark.sample(5)
def test_parts_merge_to_the_whole(name):
    build, rows, options = MERGED[name]
    model, x = build(), rows()
    options = {"definition": STD} | options
    whole = ks.measure(model, x, **options)
    third = len(x) // 3
    a, b, c = (ks.measure(model, part, **options) for part in np.split(x, [third, third + 7]))
    assert np.abs(a.features - whole.features).max() > 1e-3
    for merged in (a.merge(b).merge(c), c.merge(b.merge(a))):
        assert merged.num_samples == whole.num_samples
        pd.testing.assert_frame_equal(merged.table, whole.table, rtol=1e-4, atol=1e-6)
        pd.testing.assert_frame_equal(merged.by_output, whole.by_output, rtol=1e-4)
        pd.testing.assert_frame_equal(merged.outputs, whole.outputs, rtol=1e-4)
        if whole.lags is not None:
            pd.testing.assert_frame_equal(merged.by_lag, whole.by_lag, rtol=1e-4)
            pd.testing.assert_series_equal(merged.lags, whole.lags, rtol=1e-4)
        if whole.noise_level is not None:
            assert merged.noise_level == pytest.approx(whole.noise_level, rel=1e-4)


def test_weights_merge_too():
    model, x = zoo.build("relu, 3 units"), zoo.rows(60)
    weights = np.linspace(0.5, 2.0, 60)
    parts = [
        ks.measure(model, iter([(x[part], None, weights[part])]), definition=STD)
        for part in (slice(25), slice(25, None))
    ]
    pd.testing.assert_frame_equal(
        parts[0].merge(parts[1]).table, ks.measure(model, iter([(x, None, weights)]), definition=STD).table, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (lambda: ks.measure(zoo.build("softmax classifier"), zoo.rows(), definition=ks.PAPER), "definition"),
        (lambda: ks.measure(zoo.build("tanh regression"), zoo.rows(), definition=STD), "units"),
        (
            lambda: ks.measure(
                zoo.build("softmax classifier"), zoo.rows(), feature_names=list("abcde"), definition=STD
            ),
            "features",
        ),
        (
            lambda: ks.measure(zoo.build("softmax classifier"), zoo.rows(), groups={"g": ["x0", "x1"]}, definition=STD),
            "features",
        ),
    ],
)
def test_what_was_not_measured_alike_is_not_merged(other, what):
    with pytest.raises(ValueError, match=f"cannot be merged: they differ in .*{what}") as raised:
        ks.measure(zoo.build("softmax classifier"), zoo.rows(), definition=STD).merge(other())
    assert "To fix it: measure both" in str(raised.value)


def test_only_importances_are_merged(importance):
    with pytest.raises(TypeError, match="`other` has the wrong type"):
        importance.merge(importance.features)


# --- files ------------------------------------------------------------------------------------------------------------


def _written(importance, path, change):
    importance.save(path)
    content = path.read_bytes()
    path.write_bytes(change(content))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:10],
        lambda content: b"a text",
        lambda content: pickle.dumps({"description": 1}),
        lambda content: content[:200] + bytes(100) + content[300:],
    ],
    ids=["empty", "half", "ten bytes", "a text", "a pickle", "a hole"],
)
def test_damaged_and_foreign_files_are_refused_in_words(importance, tmp_path, change):
    path = _written(importance, tmp_path / "importance.npz", change)
    with pytest.raises(ValueError, match="holds no Importance") as raised:
        ks.Importance.load(path)
    assert "pickle" not in str(raised.value)


def test_archives_of_others_are_refused_in_words(importance, tmp_path):
    path = tmp_path / "importance.npz"
    np.savez(path, weights=np.ones(3))
    with pytest.raises(ValueError, match="holds no Importance"):
        ks.Importance.load(path)
    np.save(tmp_path / "array.npy", np.ones(3))
    with pytest.raises(ValueError, match="holds no Importance"):
        ks.Importance.load(tmp_path / "array.npy")
    importance.save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    missing = {name: array for name, array in arrays.items() if not name.startswith("inputs/Moments/mean")}
    np.savez(path, **missing)
    with pytest.raises(ValueError, match="holds no Importance"):
        ks.Importance.load(path)


def test_files_of_another_version_are_refused_in_words(importance, tmp_path):
    path = tmp_path / "importance.npz"
    importance.save(path)
    for number, received in ((None, "no format number"), (99, "format 99")):
        with np.load(path) as archive:
            arrays = dict(archive)
        described = json.loads(str(arrays["description"]))
        described |= {"format": number}
        np.savez(path, **(arrays | {"description": np.array(json.dumps(described))}))
        with pytest.raises(ValueError, match=f"another version(.|\n)*{received}"):
            ks.Importance.load(path)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        ks.Importance.load(tmp_path / "nothing.npz")


@pytest.mark.parametrize("description", ["3", "[1]", "null", '"abc"', "{}"])
def test_descriptions_of_another_kind_are_refused_in_words(importance, tmp_path, description):
    path = tmp_path / "importance.npz"
    importance.save(path)
    with np.load(path) as archive:
        np.savez(path, **(dict(archive) | {"description": np.array(description)}))
    with pytest.raises(ValueError, match="To fix it: "):
        ks.Importance.load(path)


def test_names_that_do_not_fit_the_numbers_are_refused_in_words(importance, tmp_path):
    path = tmp_path / "importance.npz"
    for change in ({"units": ["0"]}, {"num_lags": 7}, {"features": {"columns": ["a"]}}):
        importance.save(path)
        with np.load(path) as archive:
            arrays = dict(archive)
        described = json.loads(str(arrays["description"])) | change
        np.savez(path, **(arrays | {"description": np.array(json.dumps(described))}))
        with pytest.raises(ValueError, match="holds no Importance"):
            ks.Importance.load(path)
