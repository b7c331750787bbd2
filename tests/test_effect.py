"""Effect curves against closed forms: F' is the root of the mean of the squared derivative at a value."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import keras_sensitivity as ks
from keras_sensitivity import plots

X = np.random.default_rng(3).normal([0, 1, 0], [1, 2, 1], (4000, 3))
NAMES = ["linear", "square", "product"]
ops = keras.ops


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def measured():
    """Two units: -3 x0 + x1**2 and x0 x2."""
    inputs = keras.Input((3,))
    outputs = [ops.square(inputs[:, 1:2]) - 3 * inputs[:, :1], inputs[:, :1] * inputs[:, 2:]]
    model = keras.Model(inputs, ops.concatenate(outputs, axis=1))
    return ks.measure(model, X, feature_names=NAMES)


def test_of_a_linear_feature_it_is_a_line(measured):
    curve = measured.effect("linear", unit=0)
    np.testing.assert_allclose(curve["slope"], 3, rtol=1e-5)
    np.testing.assert_allclose(curve["effect"], 3 * (curve["value"] - X[:, 0].mean()), atol=1e-4)
    assert curve["value"].is_monotonic_increasing
    assert curve["rows"].sum() == pytest.approx(100)


def test_of_a_square_it_bends_at_zero(measured):
    curve = measured.effect(1)
    value = curve["value"]
    assert value.min() < -3
    np.testing.assert_allclose(curve["slope"], 2 * value.abs(), atol=0.05)
    signed_square = (np.sign(value) * value**2).to_numpy()
    expected = signed_square - np.average(signed_square, weights=curve["rows"])
    np.testing.assert_allclose(curve["effect"], expected, atol=0.03 * np.ptp(expected))


def test_units_add_their_squares(measured):
    together, alone = measured.effect("linear"), [measured.effect("linear", unit=unit) for unit in "01"]
    np.testing.assert_allclose(together["slope"] ** 2, sum(each["slope"] ** 2 for each in alone), rtol=1e-6)
    # Unit 1 has the derivative x2, whose mean square is 1 wherever x0 is.
    assert np.average(alone[1]["slope"] ** 2, weights=alone[1]["rows"]) == pytest.approx(
        np.mean(X[:, 2] ** 2), rel=1e-3
    )


def test_it_is_centred_and_its_deviation_is_the_size_of_the_feature(measured):
    for name in NAMES:
        curve = measured.effect(name)
        assert np.average(curve["effect"], weights=curve["rows"]) == pytest.approx(0, abs=1e-9)
        spread = np.sqrt(np.average(curve["effect"] ** 2, weights=curve["rows"]))
        assert spread == pytest.approx(measured.table.loc[name, "rms"], rel=0.02)  # but for the spread within the bins


def test_of_a_sequence_it_is_that_of_the_lag_that_counts_most():
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.Flatten(), keras.layers.Dense(1)])
    weights = np.array([[[1.0, 0], [5, 0], [2, 1]]]).reshape(6, 1)  # by step, the newest last
    model.set_weights([weights, np.zeros(1)])
    look = ks.measure(model, np.random.default_rng(0).normal(size=(200, 3, 2)))
    curve = look.effect("x0")
    assert (curve["lag"] == 1).all()
    np.testing.assert_allclose(curve["slope"], 5, rtol=1e-5)
    np.testing.assert_allclose(look.effect("x0", lag=2)["slope"], 1, rtol=1e-5)
    assert look.plot_effect("x0").get_xlabel() == "x0, lag 1"


def test_of_few_rows_it_is_a_line_of_the_mean_slope(measured):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.set_weights([np.array([[-2.0]]), np.zeros(1)])
    definition = ks.Definition(change="derivative")
    curve = ks.measure(model, [[0.0], [3.0], [6.0]], definition=definition).effect(0)
    reach = np.std([0, 3, 6])
    np.testing.assert_allclose(curve["value"], [3 - reach, 3 + reach])
    np.testing.assert_allclose(curve["effect"], [-2 * reach, 2 * reach], rtol=1e-6)


def test_the_picture_has_the_curve_and_marks_where_rows_are(measured):
    ax = measured.plot_effect("square", unit=0)
    curve = measured.effect("square", unit=0)
    _, line, marks = ax.lines
    np.testing.assert_allclose(line.get_xydata(), curve[["value", "effect"]])
    np.testing.assert_allclose(marks.get_xdata(), curve["value"])
    low, high = ax.get_ylim()
    assert low <= curve["effect"].min()  # the marks, which stand at a part of the height, do not stretch the axes
    assert high < 1.2 * curve["effect"].max()
    assert (ax.get_xlabel(), ax.get_title()) == ("square", "unit 0")
    assert plots.effect(measured, 2).get_xlabel() == "product"


REFUSED = {
    "swapped": ({}, "member", "it was exchanged between rows", "change='derivative'"),
    "a group": ({"groups": {"both": ["a", "b"]}}, "both", "it is no single column", "2 entries"),
    "another scale": ({"definition": ks.Definition(scale="std", change="derivative")}, "a", "no bins", "scale='std'"),
    "unknown": ({}, "c", "There is no feature 'c'", "'a'"),
}


@pytest.mark.parametrize(("options", "feature", "happened", "said"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_curve_is_refused(options, feature, happened, said):
    x = pd.DataFrame(X[:100], columns=["a", "b", "member"])
    x["member"] = np.arange(100) % 2
    look = ks.measure(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]), x, **options)
    for draw in (look.effect, look.plot_effect):
        with pytest.raises(ValueError, match=happened) as raised:
            draw(feature)
        assert said in str(raised.value)
        assert len(str(raised.value).splitlines()) == 4


def test_too_many_derivatives_for_bins_are_refused():
    model = keras.Sequential([keras.Input((140,)), keras.layers.Dense(30)])
    with pytest.warns(UserWarning, match="scale='std'"):
        look = ks.measure(model, np.random.default_rng(0).normal(size=(40, 140)))
    with pytest.raises(ValueError, match=r"no bins(.|\n)*Definition\(output="):
        look.effect(0)
