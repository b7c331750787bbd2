"""What output units are called."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_sensitivity as ks

X = np.random.default_rng(0).normal(size=(40, 2))
CLASSES = ["cat", "dog", "$x_{$"]


def dense(units):
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])


def two_heads():
    inputs = keras.Input((2,))
    heads = {"price": keras.layers.Dense(1)(inputs), "kind": keras.layers.Dense(2)(inputs)}
    return keras.Model(inputs, heads)


DEFAULT = ks.Definition()


def look(model, output_names, definition=DEFAULT):
    return ks.measure(model, X, output_names=output_names, definition=definition)


CASES = {
    "classes": (lambda: dense(3), CLASSES, None, CLASSES),
    "an array": (lambda: dense(3), np.array(CLASSES), None, CLASSES),
    "one unit": (lambda: dense(1), ["price"], None, ["price"]),
    "one of them, by its index": (lambda: dense(3), CLASSES, 1, ["dog"]),
    "one of them, by its name": (lambda: dense(3), CLASSES, "dog", ["dog"]),
    "one of them, with its name alone": (lambda: dense(3), ["dog"], 1, ["dog"]),
    "two heads": (two_heads, ["price", "kind a", "kind b"], None, ["price", "kind a", "kind b"]),
    "one of two heads": (two_heads, ["a", "b"], "kind", ["a", "b"]),
    "no names": (lambda: dense(3), None, None, ["0", "1", "2"]),
}


@pytest.mark.parametrize(("build", "names", "output", "expected"), CASES.values(), ids=CASES)
def test_units_have_the_given_names(build, names, output, expected):
    model = build()
    named = look(model, names, ks.Definition(output=output))
    assert list(named.by_output.index) == list(named.outputs.index) == expected
    if output != "dog":
        plain = ks.measure(model, X, definition=ks.Definition(output=output))
    else:
        plain = ks.measure(model, X, definition=ks.Definition(output=1))
    np.testing.assert_array_equal(named.by_output, plain.by_output)


def test_names_are_saved(tmp_path):
    look(dense(3), CLASSES).save(tmp_path / "look.npz")
    assert list(ks.Importance.load(tmp_path / "look.npz").by_output.index) == CLASSES


REFUSED = {
    "too few": (["a", "b"], ValueError, "does not match the outputs", "3 names", "2 names"),
    "one for three": (["a"], ValueError, "does not match the outputs", "'0', '1', '2'", "1 names"),
    "a string": ("cat", TypeError, "not a list of names", "a list of different strings", "'cat'"),
    "a dict": ({"cat": 0}, TypeError, "not a list of names", "a list of different strings", "{'cat': 0}"),
    "a number": (3, TypeError, "not a list of names", "a list of different strings", "3"),
    "none": ([], ValueError, "not a list of names", "a list of different strings", "[]"),
    "numbers": ([0, 1, 2], TypeError, "not strings", "strings", "0, 1, 2"),
    "twice": (["a", "b", "a"], ValueError, "same name for several units", "different", "'a'"),
}


@pytest.mark.parametrize(("names", "error", "happened", "expected", "received"), REFUSED.values(), ids=REFUSED)
def test_wrong_names_are_refused(names, error, happened, expected, received):
    with pytest.raises(error) as raised:
        look(dense(3), names)
    lines = str(raised.value).splitlines()
    assert [happened in lines[0], expected in lines[1], received in lines[2], len(lines)] == [True, True, True, 4]


def test_most_wrong_names_are_refused_at_once():
    for names, error, happened, *_ in REFUSED.values():
        if "match" not in happened:
            with pytest.raises(error):
                ks.SensitivityCallback(X, output_names=names)


def test_titles_name_units():
    """A number only where there are several to choose from."""
    one, three = (ks.explain(dense(units), X[:1], background=X) for units in (1, 3))
    assert one.unit_labels == ("prediction",)
    assert three.unit_labels == ("unit 0", "unit 1", "unit 2")
    assert three.of_unit(0).unit_labels == ("unit 0",)
    assert ks.explain(two_heads(), X[:1], background=X).unit_labels == ("price", "kind/0", "kind/1")
    chosen = ks.explain(dense(3), X[:1], background=X, definition=ks.Definition(output=0))
    assert chosen.unit_labels == ("unit 0",)
    assert look(dense(3), CLASSES).plot_effect(0, unit="cat").get_title() == "cat"
    assert look(dense(1), None).unit_labels == ("prediction",)
    assert dataclasses.asdict(look(dense(3), CLASSES, ks.Definition(output="dog")).definition)["output"] == "dog"


def test_an_explanation_names_them_too():
    explanation = ks.explain(dense(3), X[:2], background=X, output_names=CLASSES)
    assert list(explanation.units) == CLASSES
    np.testing.assert_array_equal(explanation.of_unit("dog").features, explanation.of_unit(1).features)


def test_the_callback_names_them_too():
    model = dense(3)
    model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(X, output_names=CLASSES)
    model.fit(X, np.zeros((40, 3)), epochs=1, callbacks=[watch], verbose=0)
    assert list(watch.importance.by_output.index) == CLASSES
