"""Several looks beside each other: what is said of them, and how it is drawn."""

import copy
import itertools
import pickle

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import zoo
from matplotlib.container import ErrorbarContainer

import keras_sensitivity as ks
from keras_sensitivity.comparison import Comparison

NAMES = ["age", "debt", "income", "size"]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def linear(weights, names=NAMES):
    """A look whose importances are the weights, shared out."""
    model = keras.Sequential([keras.Input((len(weights),)), keras.layers.Dense(1)])
    model.set_weights([np.reshape(weights, (-1, 1)).astype("float32"), np.zeros(1)])
    return ks.measure(model, np.eye(len(weights)), feature_names=names[: len(weights)], definition=ks.PAPER)


def made(shares, errors, looks=("first", "second")):
    """A comparison with the given numbers, one row a feature."""
    names = [f"feature {number}" for number in range(len(shares))]
    frames = (pd.DataFrame(values, index=names, columns=list(looks)) for values in (shares, errors))
    return Comparison(*(frame.astype(float) for frame in frames))


def series(*shares, names=NAMES):
    return pd.Series(shares, index=names[: len(shares)], dtype=float)


# --- what is compared -------------------------------------------------------------------------------------------------


def test_looks_are_aligned_by_name_in_the_order_of_the_first():
    comparison = ks.compare({"first": linear([4, 3, -2, 1]), "second": linear([4, 3, 2, 1], names=NAMES[::-1])})
    expected = pd.DataFrame({"first": [40.0, 30, 20, 10], "second": [10.0, 20, 30, 40]}, index=NAMES)
    pd.testing.assert_frame_equal(comparison.table, expected, rtol=1e-6)


def test_importances_come_with_their_standard_errors_and_series_without():
    measured = ks.measure(zoo.build("softmax classifier"), zoo.rows())
    comparison = ks.compare({"network": measured, "series": measured.features})
    assert (measured.table["standard_error"] > 0).all()
    np.testing.assert_array_equal(comparison.standard_errors["network"], measured.table["standard_error"])
    assert comparison.standard_errors["series"].isna().all()
    np.testing.assert_array_equal(comparison.table["series"], measured.features)


@pytest.mark.parametrize(
    ("looks", "names"),
    [
        ([series(60, 40), series(50, 50)], [0, 1]),
        ((series(60, 40), series(50, 50)), [0, 1]),
        ({2019: series(60, 40), "all": series(50, 50)}, [2019, "all"]),
        ({("tanh", 1): series(60, 40), ("tanh", 2): series(50, 50)}, [("tanh", 1), ("tanh", 2)]),
    ],
    ids=["list", "tuple", "numbers", "tuples"],
)
def test_names_are_kept_as_they_are(looks, names):
    comparison = ks.compare(looks)
    assert list(comparison.table.columns) == list(comparison.distances.index) == names
    assert comparison.differences.loc[0, ["first", "second"]].to_list() == names
    drawn = [text.get_text() for text in comparison.plot().get_legend().get_texts()]
    assert drawn == [str(name) for name in names]


def test_the_lags_of_two_networks_are_compared_like_features():
    x = np.random.default_rng(0).normal(size=(50, 3, 2))
    looks = {}
    for name, steps in (("newest", [0, 0, 1]), ("all", [1, 1, 2])):
        model = keras.Sequential([keras.Input((3, 2)), keras.layers.Flatten(), keras.layers.Dense(1)])
        model.set_weights([np.repeat(np.float32(steps), 2).reshape(6, 1), np.zeros(1)])
        looks[name] = ks.measure(model, x, definition=ks.Definition(scale=None)).lags
    assert ks.compare(looks).distances.loc["newest", "all"] == pytest.approx(50)


def test_a_callback_s_looks_are_compared():
    watch = ks.SensitivityCallback(zoo.rows(50))
    model = zoo.build("tanh regression")
    model.compile("sgd", "mse")
    history = model.fit(zoo.rows(50), np.ones(50), epochs=3, callbacks=[watch], verbose=0)
    distances = ks.compare(watch.history).distances.to_numpy()
    np.testing.assert_allclose(np.diagonal(distances, 1), history.history["importance_shift"][1:])
    assert distances[0, 1] > 0


# --- what is said of them ---------------------------------------------------------------------------------------------


def test_correlations_are_spearman_s():
    looks = {
        "first": series(40, 30, 20, 10),
        "reversed": series(10, 20, 30, 40),
        "one exchanged": series(40, 20, 30, 10),
        "tied": series(40, 25, 25, 10),
        "level": series(25, 25, 25, 25),
    }
    correlations = ks.compare(looks).correlations
    assert correlations.loc["first", "reversed"] == pytest.approx(-1)
    assert correlations.loc["first", "one exchanged"] == pytest.approx(1 - 6 * 2 / (4 * 15))
    # The tied ranks have the variance 4.5 / 5 of the others, and the same covariance with each.
    assert correlations.loc["first", "tied"] == pytest.approx(np.sqrt(4.5 / 5))
    assert correlations["level"].isna().all()
    tied = scipy.stats.spearmanr(looks["reversed"], looks["tied"]).statistic
    assert correlations.loc["tied", "reversed"] == pytest.approx(tied)


def test_distances_are_the_points_that_move():
    looks = {
        "first": series(40, 30, 20, 10),
        "moved": series(35, 30, 20, 15),
        "upper": series(50, 50, 0, 0),
        "lower": series(0, 0, 80, 20),
    }
    distances = ks.compare(looks).distances
    assert distances.loc["first", "moved"] == pytest.approx(5)
    assert distances.loc["upper", "lower"] == pytest.approx(100)
    assert (np.diagonal(distances) == 0).all()
    pd.testing.assert_frame_equal(distances, distances.T)


def test_spread_over_the_looks():
    shares = [[5.7, 8.9, 7.0], [94.3, 91.1, 93.0]]
    spread = made(shares, [[0.03, 0.04, np.nan], [np.nan] * 3], looks="abc").spread
    row = spread.loc["feature 0"]
    mean = 21.6 / 3
    assert row["mean"] == pytest.approx(mean)
    assert row["std"] == pytest.approx(np.sqrt(((5.7 - mean) ** 2 + (8.9 - mean) ** 2 + (7 - mean) ** 2) / 2))
    assert row[["min", "max"]].to_list() == [5.7, 8.9]
    assert row["standard_error"] == pytest.approx(np.sqrt((0.03**2 + 0.04**2) / 2))
    assert np.isnan(spread.loc["feature 1", "standard_error"])


def test_differences_beside_their_errors():
    comparison = made([[50, 53, 50], [30, 29, 30], [20, 18, 20]], [[0.6, 0.8, 0.0]] * 3, looks="abc")
    rows = comparison.differences.set_index(["first", "second", "feature"])
    assert len(rows) == 9
    assert list(dict.fromkeys((first, second) for first, second, _ in rows.index)) == [
        ("a", "b"), ("a", "c"), ("b", "c"),
    ]  # fmt: skip
    assert rows.loc[("a", "b", "feature 0")].to_list() == pytest.approx([3, 1, 3, True])
    assert rows.loc[("a", "b", "feature 1")].to_list() == pytest.approx([-1, 1, -1, False])
    assert rows.loc[("b", "c", "feature 0")].to_list() == pytest.approx([-3, 0.8, -3 / 0.8, True])
    assert rows.loc[("a", "c", "feature 2")].to_list() == pytest.approx([0, 0.6, 0, False])
    assert rows["differs"].dtype == bool


def test_the_level_accounts_for_the_number_of_differences():
    for count in (1, 2, 10, 100):
        level = scipy.stats.norm.isf(0.05 / (2 * count))
        for z, differs in ((0.99 * level, False), (1.01 * level, True)):
            apart = made([[10 + z, 10]] * count, [[0.6, 0.8]] * count)
            assert apart.differences["differs"].to_list() == [differs] * count


def test_differences_of_rounding_are_none():
    same = made([[50, 50 + 1e-6], [50, 50 - 1e-6]], [[0.0, 0.0], [0.0, 1e-9]]).differences
    assert same["z"].to_list() == [0, 0]
    assert not same["differs"].any()


def test_without_errors_differences_are_exact_or_unknown():
    exact = ks.compare([linear([2, 1, 1]), linear([1, 1, 2])]).differences
    assert (exact["standard_error"] < 1e-4).all()
    assert exact["differs"].to_list() == [True, False, True]
    unknown = ks.compare([linear([2, 1, 1]), series(25, 25, 50)]).differences
    assert unknown["z"].isna().all()
    assert unknown["difference"].to_list() == pytest.approx([-25, 0, 25])
    assert not unknown["differs"].any()


def test_looks_at_other_rows_differ_by_as_much_as_their_errors_say():
    model = zoo.build("tanh regression")
    definition = ks.Definition(scale=np.ones(5))
    parts = np.split(zoo.rows(8000), 40)
    looks = [ks.measure(model, part, definition=definition) for part in parts]
    pairs = [ks.compare(pair).differences for pair in zip(looks[::2], looks[1::2], strict=True)]
    z = np.concatenate([pair["z"] for pair in pairs])
    assert np.sqrt((z**2).mean()) == pytest.approx(1, abs=0.25)
    assert sum(pair["differs"].any() for pair in pairs) <= 4  # 1 of 20 is expected


def test_networks_that_differ_are_told_apart():
    model, other = zoo.build("tanh regression"), zoo.build("tanh regression")
    other.set_weights([weights[::-1] for weights in model.get_weights()])
    definition = ks.Definition(scale=zoo.rows().std(axis=0))
    cases = {"model": (model, zoo.rows()), "same": (model, zoo.rows(seed=5)), "other": (other, zoo.rows())}
    comparison = ks.compare({name: ks.measure(*case, definition=definition) for name, case in cases.items()})
    found = comparison.differences.groupby(["first", "second"], sort=False)["differs"].sum()
    assert found["model", "same"] == 0
    assert found["model", "other"] >= 2
    assert comparison.distances.loc["model", "other"] > 3 * comparison.distances.loc["model", "same"] > 0


# --- what it is -------------------------------------------------------------------------------------------------------


@pytest.fixture
def comparison():
    return made([[50, 45, 47], [30, 35, 32], [20, 20, 21]], [[0.5, 0.4, 0.3]] * 3, looks="abc")


def test_repr(comparison):
    assert (
        repr(comparison) == "<Comparison of 3 looks at 3 features: rank correlations 1.00, distances 3.0 to 5.0 points>"
    )
    two = ks.compare([series(60, 40), series(50, 50)])
    assert repr(two) == "<Comparison of 2 looks at 2 features: rank correlation nan, distance 10.0 points>"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda i: pickle.loads(pickle.dumps(i))],
                         ids=["copy", "deepcopy", "pickle"])  # fmt: skip
def test_copies(comparison, copied):
    pd.testing.assert_frame_equal(copied(comparison).differences, comparison.differences)


def test_reading_changes_nothing(comparison):
    before = comparison.table.copy(), comparison.standard_errors.copy()
    table, standard_errors = comparison.table, comparison.standard_errors
    table.iloc[0, 0] = standard_errors.iloc[0, 0] = -1.0
    pd.testing.assert_frame_equal(comparison.table, before[0])
    pd.testing.assert_frame_equal(comparison.standard_errors, before[1])


def test_a_notebook_shows_a_picture_and_the_spread():
    shares = np.full((15, 2), 100 / 15)
    page = made(shares, 0.1 * shares, looks=["<b>", "second"])._repr_html_()
    assert 'src="data:image/png;base64,' in page
    assert page.count("<tr") == 11
    assert "<b>" not in page.replace("<b>", "", 1)
    assert plt.get_fignums() == []


# --- what is refused --------------------------------------------------------------------------------------------------

GOOD = series(60, 40)

# name: (importances, error, happened, expected, received, fix)
CASES = {
    "one importance": (
        lambda: linear([1, 2]), TypeError,
        "`importances` is neither a dict nor a list.", "a dict from a name", "of type Importance", "compare({'first'",
    ),
    "one Series": (
        lambda: GOOD, TypeError,
        "`importances` is neither a dict nor a list.", "a dict from a name", "of type Series", "compare({'first'",
    ),
    "one look": (
        lambda: {"only": GOOD}, ValueError,
        "There is nothing to compare with.", "at least 2 looks", "1", "measure another",
    ),
    "none": (
        list, ValueError,
        "There is nothing to compare with.", "at least 2 looks", "0", "measure another",
    ),
    "a model": (
        lambda: {"first": GOOD, "model": zoo.linear()}, TypeError,
        "The look 'model' has the wrong type.", "keras_sensitivity.Importance", "of type Sequential", "what measure",
    ),
    "numbers": (
        lambda: [GOOD, [60.0, 40.0]], TypeError,
        "The look 1 has the wrong type.", "pandas Series of percents", "of type list", "pd.Series(percents",
    ),
    "not in percent": (
        lambda: {"first": GOOD, "second": GOOD / 100}, ValueError,
        "The look 'second' is not in percent.", "sum to 100", "0.6, 0.4, with the sum 1", "100 * positive /",
    ),
    "below 0": (
        lambda: {"first": GOOD, "second": series(110, -10)}, ValueError,
        "The look 'second' is not in percent.", "numbers >= 0", "110.0, -10.0, with the sum 100", "clip(lower=0)",
    ),
    "NaN": (
        lambda: {"first": GOOD, "second": series(100, np.nan)}, ValueError,
        "The look 'second' is not in percent.", "numbers >= 0", "100.0, nan", "share it out",
    ),
    "text": (
        lambda: {"first": GOOD, "second": pd.Series(["much", "little"], index=NAMES[:2])}, ValueError,
        "The look 'second' is not in percent.", "numbers >= 0", "'much', 'little'", "share it out",
    ),
    "a name twice": (
        lambda: {"first": pd.Series([60.0, 20.0, 20.0], index=["age", "debt", "debt"]), "second": GOOD}, ValueError,
        "The look 'first' has the same name for several features.", "a different name", "'debt'", "groupby(level=0)",
    ),
    "a feature missing": (
        lambda: {"first": series(50, 30, 20), "second": GOOD}, ValueError,
        "The looks 'first' and 'second' have different features.", "any order", "'second' without 'income'", "groups",
    ),
    "a feature more": (
        lambda: {"first": GOOD, "second": GOOD, "third": series(50, 30, 20)}, ValueError,
        "The looks 'first' and 'third' have different features.", "'first' in every", "'third' with 'income'", "groups",
    ),
    "another name": (
        lambda: {"first": GOOD, "second": GOOD.rename({"debt": "debts"})}, ValueError,
        "have different features.", "any order", "without 'debt', but with 'debts'", "(did you mean 'debt'?)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_compare_refuses(name):
    importances, error, *parts = CASES[name]
    with pytest.raises(error) as raised:
        ks.compare(importances())
    lines = str(raised.value).splitlines()
    assert len(lines) == 4
    assert [line.split(":")[0] for line in lines[1:]] == ["  Expected", "  Received", "  To fix it"]
    for line, part in zip(lines, parts, strict=True):
        assert part in line


def test_rounded_percents_are_percents():
    rounded = series(33.3, 33.3, 33.3)
    assert ks.compare([rounded, rounded]).distances.loc[0, 1] == 0


# --- how it is drawn --------------------------------------------------------------------------------------------------


def labels_of(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def dots_and_whiskers(ax):
    """One a look."""
    return [container for container in ax.containers if isinstance(container, ErrorbarContainer)]


def random(num_features, num_looks, rng, names=None):
    shares = rng.random((num_features, num_looks)) + 5 * rng.random((num_features, 1))
    shares *= 100 / shares.sum(axis=0)
    return made(shares, 0.03 * shares, looks=names or [f"seed {number}" for number in range(num_looks)])


def test_the_picture_has_a_dot_and_a_whisker_for_each_feature_and_look(rng):
    comparison = random(6, 3, rng)
    ax = comparison.plot()
    ranked = comparison.table.mean(axis=1).sort_values(ascending=False).index
    assert labels_of(ax) == list(ranked)
    assert ax.yaxis_inverted()  # the most important on top
    for container, look in zip(dots_and_whiskers(ax), comparison.table, strict=True):
        dots, _, (whiskers,) = container.lines
        assert dots.get_label() == look
        np.testing.assert_allclose(np.float64(dots.get_xdata()), comparison.table.loc[ranked, look])
        assert list(np.round(dots.get_ydata())) == list(range(6))
        for name, segment in zip(ranked, whiskers.get_segments(), strict=True):
            reach = comparison.standard_errors.loc[name, look]
            np.testing.assert_allclose(segment[:, 0], comparison.table.loc[name, look] + reach * np.array([-1, 1]))
    heights = np.array([container.lines[0].get_ydata() for container in dots_and_whiskers(ax)])
    assert (np.diff(heights, axis=0) > 0).all()  # the first look above the second


def test_bars_and_words_tell_the_range(rng):
    comparison = random(6, 3, rng)
    ax = comparison.plot()
    spread = comparison.spread.loc[labels_of(ax)]
    np.testing.assert_allclose([bar.get_x() for bar in ax.patches], spread["min"])
    np.testing.assert_allclose([bar.get_x() + bar.get_width() for bar in ax.patches], spread["max"])
    words = [f"{least:.1f} to {most:.1f} %" for least, most in zip(spread["min"], spread["max"], strict=True)]
    assert [text.get_text() for text in ax.texts] == words


def test_the_rest_of_many_features_is_told_in_words(rng):
    comparison = random(40, 2, rng)
    ax = comparison.plot(top=15)
    assert len(labels_of(ax)) == 16
    assert labels_of(ax)[-1] == "the other 25"
    rest = comparison.table.drop(labels_of(ax)[:-1]).sum()
    assert ax.texts[-1].get_text() == f"{rest.min():.1f} to {rest.max():.1f} %"
    assert len(ax.patches) == 15


def test_looks_are_told_apart_by_colour_and_shape(rng):
    dots = [container.lines[0] for container in dots_and_whiskers(random(3, 50, rng).plot())]
    styles = [(line.get_color(), line.get_marker()) for line in dots]
    assert len(set(styles)) == 50
    assert len({shape for _, shape in styles[:12]}) == 12  # on a grey printer, too


def test_whiskers_are_explained_where_there_are_any():
    assert "whiskers" in made([[60, 50], [40, 50]], [[1, np.nan]] * 2).plot().get_xlabel()
    assert "whiskers" not in ks.compare([series(60, 40), series(50, 50)]).plot().get_xlabel()


def test_it_draws_on_the_axes_it_is_given(rng):
    _, given = plt.subplots()
    assert random(3, 2, rng).plot(ax=given) is given


def test_a_dot_at_0_is_whole():
    ax = ks.compare([series(100, 0), series(90, 10)]).plot()
    assert ax.get_xlim()[0] == 0
    assert not any(container.lines[0].get_clip_on() for container in dots_and_whiskers(ax))


@pytest.mark.parametrize("width", [4.5, 7.2, 12])
@pytest.mark.parametrize("names", [list("abc"), [f"a segment of customers, number {n}" for n in range(12)]], ids=len)
def test_words_meet_no_others_and_stay_in_the_picture(rng, width, names):
    comparison = random(25, len(names), rng, names)
    figure, ax = plt.subplots(figsize=(width, 9), layout="constrained")
    legend = comparison.plot(ax=ax).get_legend()
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in (*ax.texts, *ax.get_yticklabels(), *legend.get_texts())]
    assert len(boxes) == 2 * 21 + len(names)
    assert not any(first.overlaps(second) for first, second in itertools.combinations(boxes, 2))
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(box.y1 <= figure.bbox.y1 for box in boxes)
    assert min(box.y0 for box in boxes[2 * 21 :]) >= ax.bbox.y1  # the legend lies above the dots
