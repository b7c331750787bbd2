"""The dots of a beeswarm: derivatives times standard deviations, and the values as colours."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

import keras_sensitivity as ks
from keras_sensitivity import plots

X = np.random.default_rng(5).normal([0, 0, 0, 0], [1, 2, 1, 1], (120, 4)).astype("float32")
NAMES = ["linear", "square", "a", "b"]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def model():
    """-3 x0 + x1**2 + x2 / 4 + x3 / 8, and x0."""
    inputs = keras.Input((4,))
    x0, x1, x2, x3 = (inputs[:, index : index + 1] for index in range(4))
    outputs = [keras.ops.square(x1) - 3 * x0 + x2 / 4 + x3 / 8, x0]
    return keras.Model(inputs, keras.layers.Concatenate()(outputs))


def explained(model, **options):
    return ks.explain(model, X, feature_names=NAMES, **options)


def rows_of(ax):
    """Places to the right and colours of the dots, by the label of their row, in the order of the samples."""
    labels = [label.get_text() for label in ax.get_yticklabels()]
    found = {}
    for dots in ax.collections:
        offsets = dots.get_offsets()
        rows = np.rint(offsets[:, 1]).astype(int)
        colours = dots.get_array()
        for row in set(rows):
            chosen = rows == row
            found[labels[row]] = offsets[chosen, 0], None if colours is None else colours[chosen]
    return labels, found


def test_dots_stand_at_derivatives_times_deviations(model):
    labels, dots = rows_of(explained(model).plot_beeswarm(unit=0))
    assert labels == ["square", "linear", "a", "b"]
    deviation = X.std(axis=0)
    np.testing.assert_allclose(dots["linear"][0], -3 * deviation[0], rtol=1e-4)
    np.testing.assert_allclose(dots["square"][0], 2 * X[:, 1] * deviation[1], rtol=1e-4)
    np.testing.assert_allclose(dots["a"][0], deviation[2] / 4, rtol=1e-4)


def test_colours_are_low_and_high_values_of_each_feature(model):
    _, dots = rows_of(explained(model).plot_beeswarm(unit=0))
    for column, name in enumerate(NAMES):
        colours, values = dots[name][1], X[:, column]
        low, high = np.percentile(values, [5, 95])
        np.testing.assert_allclose(colours, np.clip((values - low) / (high - low), 0, 1), atol=1e-5)


def test_dots_at_one_place_are_stacked_and_stay_in_their_row(model):
    offsets = explained(model).plot_beeswarm(unit=0).collections[0].get_offsets()
    away = np.abs(offsets[:, 1] - np.rint(offsets[:, 1]))
    assert away.max() <= 0.4 + 1e-9
    linear = offsets[np.rint(offsets[:, 1]) == 1]
    assert len(np.unique(linear[:, 1].round(6))) == len(X)  # all at one place, and none behind another


def test_groups_have_no_direction(model):
    _, dots = rows_of(explained(model, groups={"both": ["linear", "a"]}).plot_beeswarm(unit=0))
    places, colours = dots["both"]
    assert colours is None
    deviation = X.std(axis=0)
    np.testing.assert_allclose(places, np.hypot(3 * deviation[0], deviation[2] / 4), rtol=1e-4)


def test_the_rest_is_told_in_words(model):
    explanation = explained(model)
    ax = explanation.plot_beeswarm(unit=0, top=2)
    rest = explanation.of_unit(0).features[["a", "b"]].sum(axis=1).mean()
    assert [label.get_text() for label in ax.get_yticklabels()][2] == f"the other 2: {rest:.2g} %"
    assert len(ax.collections[0].get_offsets()) == 2 * len(X)


def test_only_one_unit_has_a_direction(model):
    for options in ({}, {"definition": ks.Definition(output=None)}):
        with pytest.raises(ValueError, match=r"no direction of 2 outputs(.|\n)*'0', '1'(.|\n)*unit=") as raised:
            explained(model, **options).plot_beeswarm()
        assert len(str(raised.value).splitlines()) == 4
    assert "unit 0" in explained(model).plot_beeswarm(unit=0).get_xlabel()
    one = explained(model, definition=ks.Definition(output=1, scale=None))
    assert plots.beeswarm(one).get_xlabel() == "rise of unit 1, to first order,\nwhere the feature rises by 1"


def test_many_dots_are_pixels_in_a_file_of_lines(model):
    few, many = explained(model).plot_beeswarm(unit=0), ks.explain(model, np.tile(X, (5, 1))).plot_beeswarm(unit=0)
    assert (few.collections[0].get_rasterized(), many.collections[0].get_rasterized()) == (False, True)


def test_of_a_sequence_it_is_the_mean_over_the_lags():
    steps = keras.Sequential([keras.Input((3, 2)), keras.layers.Flatten(), keras.layers.Dense(1)])
    steps.set_weights([np.array([[-1.0], [0], [-2], [0], [-3], [5]]), np.zeros(1)])
    x = np.random.default_rng(0).normal(size=(30, 3, 2))
    explanation = ks.explain(steps, x)
    _, dots = rows_of(explanation.plot_beeswarm())
    deviation = x.std(axis=(0, 1))
    np.testing.assert_allclose(dots["x0"][0], -2 * deviation[0], rtol=1e-4)
    np.testing.assert_allclose(explanation.newest_values, x[:, -1], rtol=1e-6)
    np.testing.assert_allclose(explanation.sizes, [[2 * deviation[0], 5 / 3 * deviation[1]]] * 30, rtol=1e-4)


def test_of_one_sample_and_of_constants():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    for x in (X[:1, :2], np.ones((3, 2))):
        ax = ks.explain(model, x, background=X[:, :2]).plot_beeswarm()
        assert (ax.collections[0].get_array() == 0.5).all()
