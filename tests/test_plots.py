"""Each plot, by what it draws."""

import functools
import itertools

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import zoo

import keras_sensitivity as ks
from keras_sensitivity import plots
from keras_sensitivity.labels import labels


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def importance(count, rng):
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


def test_trajectory_draws_the_noise_band():
    frame = trajectory(4)
    noise = pd.DataFrame({"lower": np.linspace(2, 1, len(frame)), "upper": np.linspace(5, 3, len(frame))}, frame.index)
    ax = plots.trajectory(frame, noise=noise)
    corners = {tuple(point) for point in ax.collections[0].get_paths()[0].vertices}
    assert corners >= set(zip(noise.index, noise["lower"], strict=True)) | set(
        zip(noise.index, noise["upper"], strict=True)
    )
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["noise"]


def test_ranking_draws_the_noise_band(rng):
    layers = [ks.NoiseProbes(), keras.layers.LSTM(3), keras.layers.Dense(1)]
    tables = keras.Sequential([keras.Input((3,)), layers[0], layers[2]])
    measured = ks.measure(tables, rng.normal(size=(100, 3)))
    ax = measured.plot()
    # A rectangle or, in older matplotlib, a polygon.
    (left, _), (right, _) = ax.transData.inverted().transform(ax.patches[0].get_window_extent())
    assert (left, right) == pytest.approx(measured.noise_band)
    # The newest step alone has another scale than noise at all steps.
    steps = keras.Sequential([keras.Input((5, 3)), *layers[:2]])
    assert ks.measure(steps, rng.normal(size=(50, 5, 3)), definition=ks.PAPER).plot().get_legend() is None


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


def test_thousands_of_lags_are_one_outline():
    model = keras.Sequential([keras.Input((3000, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    importance = ks.measure(model, np.random.default_rng(0).normal(size=(8, 3000, 1)), definition=ks.PAPER)
    (outline,) = plots.lag_profile(importance).patches
    heights, edges, _ = outline.get_data()
    np.testing.assert_array_equal(heights, importance.lags)
    np.testing.assert_array_equal(edges[:-1] + 0.5, importance.lags.index)


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
        with pytest.raises(ValueError, match="There are no lags to draw"):
            plot(importance)


def test_small_shares_beside_large_ones_are_seen():
    """A row of 1 % beside one of 90 %: far enough from white for the eye, also on a grey printer."""
    frame = pd.DataFrame({"large": [90.0] * 3, "small": [1.0] * 3, "none": [0.0] * 3})
    (image,) = plots.trajectory_heat_map(frame).images
    luminance = image.to_rgba(image.get_array())[..., :3] @ [0.2126, 0.7152, 0.0722]
    (large, *_), (small, *_), (none, *_) = luminance
    assert none - small > 0.1
    assert small - large > 0.1


def test_colour_bars_are_in_percent(lagged):
    bar = plots.heat_map(lagged[0]).images[0].colorbar
    words_of_bar = [label.get_text() for label in bar.ax.get_yticklabels()]
    assert words_of_bar[0] == "0 %"
    assert all(word.endswith(" %") for word in words_of_bar)
    levels = [float(word[:-2]) for word in words_of_bar]
    np.testing.assert_allclose(bar.ax.get_yticks(), levels, rtol=0.01)
    assert levels == sorted(set(levels))


def test_lags_have_names_and_an_order(lagged):
    for draw in (plots.lag_profile, plots.heat_map):
        ax = draw(lagged[0])
        ax.figure.canvas.draw()
        assert {"lag 0", "lag 3"} <= {label.get_text() for label in ax.get_xticklabels()}
    columns = pd.RangeIndex(4, name="lag")
    lags = pd.DataFrame([[20.0, 40, 10, 30], [20, 30, 10, 40]], columns=columns)
    assert texts(plots.trajectory(lags, top=2)) == ["lag 3  40.0 %", "lag 1  30.0 %"]
    assert labels_of(plots.trajectory_heat_map(lags, top=3)) == ["lag 0", "lag 1", "lag 3", "the other 1: 10.0 %"]


def test_no_two_named_lines_look_alike():
    ax = plots.trajectory(trajectory(40), top=40)
    styles = [(line.get_color(), str(line._dash_pattern)) for line in ax.lines]
    assert len(set(styles)) == 40
    assert [text.get_color() for text in ax.texts][:7] == [line.get_color() for line in ax.lines[::-1]][:7]


def deaths(names, epochs):
    frame = pd.DataFrame({"epoch": epochs, "feature": names, "event": "died", "importance": 1.0})
    return frame.assign(threshold=2.0, reason="")


def test_crosses_have_names():
    frame = trajectory(9, epochs=30)
    found = texts(plots.trajectory(frame, events=deaths(["feature 7", "feature 8"], [3, 28]), top=0))
    assert found == ["feature 7", "feature 8"]
    many = deaths([f"feature {number}" for number in (2, 3, 4, 5, 6)], [3, 4, 4, 5, 6])
    (text,) = texts(plots.trajectory(frame, events=many, top=0))
    assert text.splitlines() == ["feature 2", "feature 3", "feature 4", "and 2 more"]


# --- one sample -----------------------------------------------------------------------------------------------------


def explained(weights, x, **options):
    model = keras.Sequential([keras.Input((len(weights),)), keras.layers.Dense(np.shape(weights)[1])])
    model.set_weights([np.asarray(weights, "float32"), np.zeros(np.shape(weights)[1])])
    return ks.explain(model, x, definition=ks.Definition(scale=None), **options)


def labels_of(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_local_bars_point_where_the_output_goes():
    x = np.array([[0.5, 2.0, -1.0], [1.0, 1.0, 1.0]])
    ax = explained([[1.0], [-3.0], [2.0]], x, feature_names=["a", "b", "c"]).plot(0)
    assert labels_of(ax) == ["b = 2", "c = -1", "a = 0.5"]
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], [-900 / 14, 400 / 14, 100 / 14], rtol=1e-5)
    assert texts(ax) == ["64.3 %", "28.6 %", "7.1 %"]
    assert ax.get_title() == "sample 0: prediction = -7.5"
    assert "lowers the output" in ax.get_xlabel()
    left, right = ax.get_xlim()
    assert left < -900 / 14 < 400 / 14 < right


def test_local_bars_of_several_units_have_no_direction():
    explanation = explained([[1.0, -2.0], [-3.0, 0.0]], np.eye(2))
    ax = explanation.plot(1)
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], [900 / 14, 500 / 14], rtol=1e-5)
    assert ax.get_title() == "sample 1\nlargest of 2: unit 1 = 0"
    assert "all 2 outputs" in ax.get_xlabel()
    one = explanation.plot(1, unit=0)
    np.testing.assert_allclose([bar.get_width() for bar in one.patches], [-90, 10], rtol=1e-5)


def test_local_bars_of_groups_are_grey_and_without_value():
    ax = explained([[1.0], [-3.0], [2.0]], np.eye(3), groups={"both": ["x1", "x2"]}).plot()
    assert labels_of(ax) == ["both", "x0 = 1"]
    assert ax.patches[0].get_width() > 0
    assert ax.patches[0].get_facecolor() != ax.patches[1].get_facecolor()


def test_local_bars_of_200_features_end_in_the_rest(rng):
    ax = explained(rng.normal(size=(200, 1)), rng.normal(size=(2, 200))).plot(0, top=10)
    assert labels_of(ax)[-1] == "the other 190"
    assert sum(abs(bar.get_width()) for bar in ax.patches) == pytest.approx(100)
    # The bar of the rest leaves the axes; the others fill them.
    assert abs(ax.patches[0].get_width()) > 0.3 * np.ptp(ax.get_xlim()) / 2
    assert texts(ax)[-1].startswith(f"{ax.patches[-1].get_width():.1f} %")


@pytest.mark.parametrize("layout", ["constrained", "tight"])
def test_values_of_bars_meet_no_label_in_narrow_axes(layout, rng):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    model.set_weights([np.array([[3.0], [-1.0], [1e-3], [-1e-3], [0.5], [-2.0]]), np.zeros(1)])
    x = pd.DataFrame(rng.normal(size=(50, 6)), columns=[f"a_feature_{number}" for number in range(6)])
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3), layout=layout)
    plots.ranking(ks.measure(model, x), ax=left, top=3)
    explanation = ks.explain(model, x)
    plots.local_bars(explanation, ax=middle)
    plots.local_bars(explanation, 1, ax=right, top=3)
    figure.canvas.draw()
    words = [text for ax in figure.axes for text in (*ax.texts, *ax.get_yticklabels())]
    boxes = [word.get_window_extent() for word in words]
    assert len(boxes) == 2 * (4 + 6 + 4)
    assert not any(first.overlaps(second) for first, second in itertools.combinations(boxes, 2))
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


@pytest.fixture
def sequence():
    """One row of 4 steps and 3 features through a linear model: its derivatives by lag are the weights, reversed."""
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    weights = np.arange(12.0).reshape(4, 3) * [1, -1, 1]
    model.set_weights([weights.reshape(12, 1), np.zeros(1)])
    return ks.explain(model, np.ones((2, 4, 3)), definition=ks.Definition(scale=None)), weights[::-1]


def cell(ax, lag, name):
    """What is seen at the place of a lag and a feature, through the image's own coordinates."""
    (image,) = ax.images
    left, right, bottom, top = image.get_extent()
    height, width = image.get_array().shape
    column = int((lag - left) / (right - left) * width)
    row = int((labels_of(ax).index(name) - top) / (bottom - top) * height)
    return image.get_array()[row, column]


def test_local_heat_map_has_signs_and_marks_them(sequence):
    explanation, weights = sequence
    ax = explanation.plot(1)
    assert labels_of(ax) == ["x2", "x1", "x0"]
    for name in labels_of(ax):
        for lag in range(4):
            expected = 100 * weights[lag, int(name[1])] / np.abs(weights).sum()
            assert cell(ax, lag, name) == pytest.approx(expected, rel=1e-5)
    assert {(round(text.get_position()[0]), round(text.get_position()[1])) for text in ax.texts} == {
        (lag, labels_of(ax).index("x1")) for lag in range(4)
    }
    low, high = ax.images[0].get_clim()
    assert low == -high  # white is 0


def test_the_rest_of_a_heat_map_is_told_in_words(sequence):
    explanation, weights = sequence
    ax = explanation.plot(0, top=2)
    share = 100 * np.abs(weights[:, 0]).sum() / np.abs(weights).sum()
    assert labels_of(ax) == ["x2", "x1", f"the other 1: {share:.1f} %"]
    assert np.ma.getmaskarray(ax.images[0].get_array())[2].all()


def test_local_heat_map_needs_lags():
    with pytest.raises(ValueError, match="There are no lags to draw"):
        plots.local_heat_map(explained([[1.0]], [[1.0], [2.0]]))


def test_trajectory_heat_map_draws_the_last_most_important_first():
    frame = trajectory(30, epochs=4)
    frame.index = pd.Index([0, 5, 10, 13], name="epoch")
    ax = plots.trajectory_heat_map(frame, top=3)
    ranked = frame.iloc[-1].sort_values(ascending=False)
    assert labels_of(ax)[:3] == list(ranked.index[:3])
    assert labels_of(ax)[3] == f"the other 27: {ranked[3:].sum():.1f} %"
    np.testing.assert_allclose(ax.images[0].get_array()[:3], frame[ranked.index[:3]].T)
    ax.figure.canvas.draw()
    epochs = [label.get_text() for label in ax.get_xticklabels() if label.get_text()]
    assert set(epochs) <= {"0", "5", "10", "13"}
    assert "0" in epochs


def test_overview_has_a_row_a_sample(rng):
    explanation = explained(rng.normal(size=(30, 1)), rng.normal(size=(60, 30)))
    ax = plots.overview(explanation, top=4, most=7)
    assert labels_of(ax) == [str(sample) for sample in range(7)]
    names = [label.get_text() for label in ax.get_xticklabels()]
    shares = explanation.features[:7]
    assert names[:4] == list(shares.mean().nlargest(4).index)
    assert names[4].startswith("the other 26: ")
    np.testing.assert_allclose(ax.images[0].get_array()[:, :4], shares[names[:4]])


# --- images ---------------------------------------------------------------------------------------------------------


def pictured(shape, rng):
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(1)])
    x = rng.random((3, *shape))
    return model, x


def test_image_map_draws_percent_of_each_pixel(rng):
    model, x = pictured((4, 6, 2), rng)
    importance = ks.measure(model, x)
    ax = importance.plot()
    np.testing.assert_allclose(ax.images[0].get_array(), importance.map.sum(axis=-1))
    assert ax.images[0].get_array().sum() == pytest.approx(100)


def test_image_overlay_draws_shares_over_the_picture(rng):
    model, x = pictured((4, 6, 2), rng)
    explanation = ks.explain(model, x)
    ax = explanation.plot(2)
    grey, shares = ax.images
    np.testing.assert_allclose(shares.get_array(), explanation.map[2].sum(axis=-1))
    assert grey.get_extent() == shares.get_extent()
    opacity = shares.to_rgba(shares.get_array())[..., 3]
    order = np.argsort(shares.get_array().ravel())
    assert (np.diff(opacity.ravel()[order]) >= 0).all()  # the picture is seen where the share is small
    assert shares.to_rgba(0)[3] == 0
    brightness = x[2].mean(axis=-1)
    assert np.corrcoef(grey.get_array().ravel(), brightness.ravel())[0, 1] == pytest.approx(1)
    assert {image.get_interpolation() for image in ax.images} == {"nearest"}
    assert len(ax.collections) > 0  # a line around what is bright


def test_a_large_image_is_cut_into_blocks(rng):
    model, x = pictured((70, 50, 1), rng)
    explanation = ks.explain(model, x)
    ax = explanation.plot(0)
    grey, shares = ax.images
    assert shares.get_array().shape == (24, 17)
    pixels = explanation.map[0][..., 0]
    assert shares.get_array()[0, 0] == pytest.approx(pixels[:3, :3].sum())
    assert shares.get_extent() == [-0.5, 50.5, 71.5, -0.5]  # 17 and 24 blocks of 3 pixels
    assert (*ax.get_xlim(), *ax.get_ylim()) == tuple(grey.get_extent())


def test_overlays_show_every_picture_beside_the_others(rng):
    model, x = pictured((4, 4, 1), rng)
    explanation = ks.explain(model, np.concatenate([x] * 4))
    ax = plots.overlays(explanation)
    grey, shares = ax.images
    assert grey.get_array().shape == shares.get_array().shape == (3 * 6, 5 * 6)  # 12 pictures, five in a row
    assert shares.get_array().max() == pytest.approx(100)


@pytest.mark.parametrize("draw", [plots.image_overlay, plots.overlays])
def test_without_images_there_is_no_map_to_draw(draw):
    with pytest.raises(ValueError, match="There is no map to draw"):
        draw(explained([[1.0]], [[1.0], [2.0]]))
    with pytest.raises(ValueError, match="There is no map to draw"):
        plots.image_map(ks.measure(zoo.build("linear"), zoo.rows()))


# --- notebooks ------------------------------------------------------------------------------------------------------


def test_notebooks_show_a_picture_and_a_table(sequence, rng):
    model, x = pictured((4, 6, 2), rng)
    results = [
        ks.measure(zoo.build("linear"), zoo.rows(), feature_names=["<b>", *"abcd"]),
        ks.measure(model, x),
        ks.explain(zoo.build("linear"), zoo.rows(3)),
        ks.explain(model, x),
        sequence[0],
    ]
    for result in results:
        page = result._repr_html_()
        assert 'src="data:image/png;base64,' in page
        assert "<table" in page
        assert "<b>" not in page.replace("<b>", "", 1)  # names are escaped
    assert plt.get_fignums() == []  # no figure is left open


# --- whatever things are called, and whatever matplotlib is set to ----------------------------------------------------

NAMES = {
    "formulas": ["$a$ and $b$", "$x_{$", "100 $", "\\frac{1}{2}", "50 % of_{x}^{y}", "#&~^"],
    "other scripts": ["年齢", "年収", "возраст", "😀", "😀😀", "العمر"],
    "control characters": ["a\nb", "a\tb", "\x00", "a\x1b[31m", "a\u200b", "\ud800"],
    "long": [f"customer_account_balance_of_{month}_in_euros_normalised" for month in "abcdef"],
    "odd": ["", " ", "_hidden", "{name}", "%s", "<b>"],
}
SETTINGS = {
    "LaTeX": {"text.usetex": True, "axes.formatter.use_mathtext": True},
    "no formulas": {"text.parse_math": False, "axes.formatter.use_mathtext": True},
    "a font that is not there": {"font.family": ["No Such Font"]},
}


PICTURES = ["ranking", "local_bars", "overview", "trajectory", "trajectory_heat_map", "heat_map", "side_by_side"]


@pytest.fixture(scope="module")
def drawing():
    """Functions of axes by name, for six features of these names."""
    tables = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
    steps = keras.Sequential([keras.Input((3, 6)), keras.layers.Flatten(), keras.layers.Dense(1)])
    rng = np.random.default_rng(0)
    x, sequences = rng.normal(size=(40, 6)), rng.normal(size=(40, 3, 6))

    @functools.cache
    def of(*names):
        look, lags = (ks.measure(*each, feature_names=names) for each in ((tables, x), (steps, sequences)))
        explanation = ks.explain(tables, x[:2], background=x, feature_names=names)
        frame = pd.DataFrame([look.features] * 3).reset_index(drop=True)
        events = pd.DataFrame({"epoch": [1] * 6, "feature": look.features.index, "event": "died", "importance": 3.0})
        return {
            "ranking": look.plot,
            "local_bars": lambda ax=None: explanation.plot(ax=ax),
            "overview": functools.partial(plots.overview, explanation),
            "trajectory": functools.partial(plots.trajectory, frame, events=events, top=6),
            "trajectory_heat_map": functools.partial(plots.trajectory_heat_map, frame),
            "heat_map": functools.partial(plots.heat_map, lags),
            "side_by_side": ks.compare(dict.fromkeys(look.features.index, look)).plot,
        }

    return of


def words(ax):
    return [text for text in ax.figure.findobj(plt.Text) if text.get_text()]


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.sample(3)
def test_names_are_drawn_as_they_are(drawing, names, picture):
    axes = []
    assert plots.pixels(lambda ax: axes.append(drawing(*names)[picture](ax=ax)), 3, 2).std() > 5
    found = words(axes[0])
    assert not any(text.get_parse_math() or text.get_usetex() for text in found)
    assert all(text.get_text().replace("\n", " ").isprintable() for text in found)
    if names != NAMES["other scripts"]:  # which are escapes, where no font has them
        drawn = {text.get_text().split(" = ")[0].split("  ")[0] for text in found}
        assert drawn.issuperset(labels(names, 32)) or drawn.issuperset(labels(names, 24))


@pytest.mark.parametrize("picture", ["ranking", "trajectory", "heat_map", "side_by_side"])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_settings_stop_no_picture(drawing, settings, picture):
    draw = drawing(*NAMES["formulas"])[picture]
    with plt.rc_context(settings):
        before = dict(plt.rcParams)
        plots.pixels(draw, 3, 2)
        assert dict(plt.rcParams) == before
        ax = draw()
        ax.figure.canvas.draw()
        assert not any("mathdefault" in text.get_text() for text in words(ax))


def test_a_page_has_a_white_ground(drawing):
    with plt.style.context("dark_background"):
        pixels = plots.pixels(drawing(*"abcdef")["ranking"], 3, 2)
    assert (pixels[0] == 255).all()


def test_letters_without_a_font_are_escapes(drawing):
    ax = drawing("年齢", *"bcdef")["ranking"]()
    assert ("年齢" in labels_of(ax)) != ("\\u5e74\\u9f62" in labels_of(ax))  # the former where a font has them


def test_what_stood_on_the_axes_before_is_left(drawing):
    _, ax = plt.subplots()
    ax.set_title("$R^2$")
    drawing(*"abcdef")["ranking"](ax)
    assert ax.title.get_parse_math()
