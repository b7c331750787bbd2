"""What a callback shows of itself: a line, a picture, a view in notebooks."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
import zoo

import keras_sensitivity as ks


@pytest.fixture(scope="module")
def watch():
    """Two looks; the fifth column is constant, and dead."""
    x = zoo.rows()
    x[:, 4] = 1
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(x, feature_names=["$x_{$", "a\nb", *"cde"])
    model.fit(x, x[:, 0], epochs=2, callbacks=[watch], verbose=0)
    assert watch.dead_features == ["e"]
    return watch


def test_a_line_says_what_was_seen(watch):
    line = repr(watch)
    assert line.startswith("<SensitivityCallback: 2 looks at 5 features, epochs 0 to 1: ")
    assert line.endswith(", ...; dead: e>")
    assert line.isprintable()
    name = watch.importance.features.drop("a\nb").idxmax()
    assert f"{name} {watch.importance.features[name]:.1f} %" in line


def test_the_picture_is_that_of_the_trajectory(watch):
    ax = watch.plot(top=2)
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    for name in watch.trajectory:
        np.testing.assert_allclose(drawn[name], watch.trajectory[name])
    assert [tuple(place) for dots in ax.collections for place in dots.get_offsets()] == [
        (event.epoch, event.importance) for event in watch.events.itertuples()
    ]
    _, given = plt.subplots()
    assert watch.plot(ax=given) is given
    plt.close("all")


def test_a_notebook_shows_picture_and_table(watch):
    page = watch._repr_html_()
    assert 'src="data:image/png;base64,' in page
    assert "2 looks at 5 features" in page
    assert f"{watch.importance.features.max():.2f}" in page


def test_a_page_has_the_trajectory_and_the_events(watch, tmp_path):
    page = watch.to_html(tmp_path / "page.html", title="A fit")
    assert (tmp_path / "page.html").read_text() == page
    assert "<h1>A fit</h1>" in page
    assert len(page) > len(watch.importance.to_html(title="A fit"))


def test_before_the_first_look():
    watch = ks.SensitivityCallback(zoo.rows())
    assert repr(watch) == "<SensitivityCallback: no look yet>"
    assert watch._repr_html_() is None
    assert watch.importance is None
    for use in (watch.plot, watch.to_html):
        with pytest.raises(RuntimeError, match="There is no look yet") as raised:
            use()
        assert len(str(raised.value).splitlines()) == 4
