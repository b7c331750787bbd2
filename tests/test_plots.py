"""Each plot, by what it draws."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import zoo

import keras_sensitivity as ks
from keras_sensitivity import plots


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def importance(count, rng):
    import keras

    model = keras.Sequential([keras.Input((count,)), keras.layers.Dense(1)])
    return ks.measure(model, rng.normal(size=(100, count)))


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_ranking_draws_the_table():
    measured = ks.measure(zoo.build("softmax classifier"), zoo.rows())
    ax = measured.plot()
    table = measured.table.sort_values("rank")
    assert [label.get_text() for label in ax.get_yticklabels()] == list(table.index)
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], table["importance"])
    assert texts(ax) == [f"{share:.1f} %" for share in table["importance"]]
    (segments,) = (bars[0].get_segments() for _, _, bars in [ax.containers[-1].lines])
    for segment, (_, row) in zip(segments, table.iterrows(), strict=True):
        spread = np.array([-1, 1]) * row["standard_error"]
        np.testing.assert_allclose(segment[:, 0], row["importance"] + spread)
    assert ax.yaxis_inverted()  # the most important on top
    assert "%" in ax.get_xlabel()


def test_ranking_of_many_features_ends_in_the_rest(rng):
    measured = importance(200, rng)
    ax = measured.plot(top=15)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert len(labels) == 16
    assert labels[-1] == "the other 185"
    assert sum(bar.get_width() for bar in ax.patches) == pytest.approx(100)


def test_ranking_draws_on_the_axes_it_is_given(rng):
    _, given = plt.subplots()
    assert plots.ranking(importance(3, rng), ax=given) is given


def test_long_names_are_shortened(rng):
    name = "annual_income_after_taxes_and_transfers_in_thousands"
    model = zoo.build("linear")
    ax = ks.measure(model, zoo.rows(), feature_names=[name, *"bcde"]).plot()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert max(map(len, labels)) <= 32
    assert any(label.startswith("annual_income") and "…" in label and label.endswith("thousands") for label in labels)


def trajectory(columns, epochs=6, seed=0):
    shares = np.random.default_rng(seed).random((epochs, columns)) + np.arange(columns)[::-1]
    shares = 100 * shares / shares.sum(axis=1, keepdims=True)
    index = pd.RangeIndex(epochs, name="epoch")
    return pd.DataFrame(shares, index=index, columns=[f"feature {i}" for i in range(columns)])


def test_trajectory_draws_every_line_and_names_it():
    frame = trajectory(4)
    ax = plots.trajectory(frame)
    drawn = sorted(tuple(line.get_ydata()) for line in ax.lines)
    assert drawn == sorted(tuple(frame[name]) for name in frame)
    assert sorted(text.split("  ")[0] for text in texts(ax)) == list(frame)
    assert {line.get_label() for line in ax.lines} == set(frame)


def test_trajectory_labels_do_not_overlap():
    frame = trajectory(12)
    frame.iloc[-1] = 100 / 12  # all lines end at the same height
    ax = plots.trajectory(frame, top=12)
    assert len({text.xy for text in ax.texts}) == 1
    places = sorted(text.xyann[1] for text in ax.texts)  # points above or below the common end
    assert all(upper - lower >= 9 for lower, upper in itertools.pairwise(places))  # the size of the font


def test_trajectory_of_200_features_names_the_most_important():
    frame = trajectory(200)
    ax = plots.trajectory(frame, top=5)
    assert len(ax.lines) == 200
    named = [text.get_text().split("  ")[0] for text in ax.texts]
    assert named == list(frame.iloc[-1].nlargest(5).index)


def test_trajectory_marks_deaths():
    events = pd.DataFrame(
        [
            (2, "feature 3", "died", 4.0, 5.0, "below threshold"),
            (4, "feature 3", "revived", 9.0, 5.0, "above threshold"),
        ],
        columns=["epoch", "feature", "event", "importance", "threshold", "reason"],
    )
    ax = plots.trajectory(trajectory(4), events=events)
    points = [tuple(collection.get_offsets()[0]) for collection in ax.collections]
    assert points == [(2, 4), (4, 9)]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["died", "revived"]


def test_trajectory_of_one_look_shows_points():
    ax = plots.trajectory(trajectory(3, epochs=1))
    assert {line.get_marker() for line in ax.lines} == {"o"}


def test_trajectory_on_a_logarithmic_scale():
    frame = trajectory(6)
    frame["feature 5"] = 1e-3
    ax = plots.trajectory(frame, log=True)
    assert ax.get_yscale() == "log"
    low, high = ax.get_ylim()
    assert low < 1e-3
    assert high > frame.max().max()


@pytest.fixture(scope="module")
def lagged():
    import keras

    model = keras.Sequential([keras.Input((4, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    weights = np.arange(12.0).reshape(4, 3)
    model.set_weights([weights.reshape(12, 1), np.zeros(1)])
    scale = ks.Definition(scale=np.ones(3))
    return ks.measure(model, np.random.default_rng(0).normal(size=(20, 4, 3)), definition=scale), weights[::-1]


def test_lag_profile_draws_the_lags_with_the_newest_on_the_right(lagged):
    importance, weights = lagged
    ax = plots.lag_profile(importance)
    bars = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in ax.patches}
    assert bars == pytest.approx(dict(enumerate(100 * weights.sum(axis=1) / weights.sum())), rel=1e-5)
    assert ax.get_xlim()[0] > ax.get_xlim()[1]


def test_heat_map_draws_each_lag_and_feature_where_its_axes_say(lagged):
    importance, weights = lagged
    ax = plots.heat_map(importance)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["x2", "x1", "x0"]  # the most important on top
    (image,) = ax.images
    for row, name in enumerate(names):
        for lag in range(4):
            # What is seen at the place of the lag and the feature, through the image's own coordinates.
            left, right, bottom, top = image.get_extent()
            column = int((lag - left) / (right - left) * 4)
            line = int((row - top) / (bottom - top) * 3)
            share = 100 * weights[lag, int(name[1])] / weights.sum()
            assert image.get_array()[line, column] == pytest.approx(share, rel=1e-5)


def test_without_lags_there_is_nothing_to_draw():
    importance = ks.measure(zoo.build("linear"), zoo.rows())
    for plot in (plots.lag_profile, plots.heat_map):
        with pytest.raises(ValueError, match="This importance has no lags"):
            plot(importance)
