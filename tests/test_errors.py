"""Every error says what happened, what was expected, what was received, how to fix it; and comes before training."""

import keras
import numpy as np
import pandas as pd
import pytest
import zoo

import keras_sensitivity as ks

GOOD = zoo.rows(20)


def frame(**changes):
    return pd.DataFrame(GOOD, columns=list("abcde")).assign(**changes)


def with_bad(value, rows):
    x = GOOD.copy()
    x[:rows, 3] = value
    return x


def argmax_model():
    inputs = keras.Input((5,))
    return keras.Model(
        inputs, keras.layers.Lambda(lambda t: keras.ops.cast(keras.ops.argmax(t, -1), "float32"))(inputs)
    )


def detached_model():
    inputs = keras.Input((5,))
    hidden = keras.layers.Lambda(keras.ops.stop_gradient, output_shape=(5,))(inputs)
    return keras.Model(inputs, keras.layers.Dense(1)(hidden))


def embedding_model():
    """A code stands in the third column of a table of numbers, whose other columns have derivatives."""
    inputs = keras.Input((5,))
    code = keras.layers.Lambda(lambda t: t[:, 2], output_shape=())(inputs)
    joined = keras.layers.Concatenate()([keras.layers.Embedding(9, 3)(code), inputs])
    return keras.Model(inputs, keras.layers.Dense(1)(joined))


def unbuilt():
    return keras.Sequential([keras.layers.Dense(1)])


# name: (model, x, options, error, happened, expected, received, fix)
CASES = {
    "no rows": (
        zoo.linear, GOOD[:0], {}, ValueError,
        "x has no rows.", "at least one row", "0 rows", "pass the training data",
    ),
    "too few columns": (
        zoo.linear, GOOD[:, :4], {}, ValueError,
        "x has a different number of columns than the model's input.", "5 columns", "4 columns", "without the target",
    ),
    "too many columns for a subclassed model": (
        zoo.subclassed, np.ones((9, 7)), {}, ValueError,
        "The model cannot be called on a batch of x.", "model(x)", "batches of shape (9, 7)", "model.fit",
    ),
    "three axes": (
        zoo.linear, np.ones((4, 3, 5)), {}, ValueError,
        "x has a different number of axes than the model's input.", "(num_samples, 5)", "(4, 3, 5)", "reshape x",
    ),
    "a single row": (
        zoo.linear, np.ones(5), {}, ValueError,
        "x has a different number of columns than the model's input.", "(num_samples, 5)", "1 columns", "model.fit",
    ),
    "ragged": (
        zoo.linear, [[1.0, 2.0], [3.0]], {}, ValueError,
        "x is ragged", "every row has the same shape", "no rectangular array", "pad_sequences",
    ),
    "six axes": (
        zoo.linear, np.ones((1, 1, 1, 1, 1, 5)), {}, ValueError,
        "x has a shape that is no table", "2 to 5 axes", "(1, 1, 1, 1, 1, 5)", "reshape x",
    ),
    "too few names": (
        zoo.linear, GOOD, {"feature_names": ["a", "b"]}, ValueError,
        "`feature_names` does not match the columns of x.", "5 names", "2 names: 'a', 'b'", "one name a column",
    ),
    "names twice": (
        zoo.linear, GOOD, {"feature_names": list("abcda")}, ValueError,
        "`feature_names` has the same name for several columns.", "a different name", "'a'", "rename them",
    ),
    "one string of names": (
        zoo.linear, GOOD, {"feature_names": "abcde"}, TypeError,
        "`feature_names` is not a list of names.", "a list of 5 strings", "'abcde'", "feature_names=[...]",
    ),
    "names that are numbers": (
        zoo.linear, GOOD, {"feature_names": [1, 2, 3, 4, 5]}, TypeError,
        "`feature_names` has names that are not strings.", "strings", "1, 2, 3", "str(name)",
    ),
    "columns of the same name": (
        zoo.linear, pd.DataFrame(GOOD, columns=list("abcdd")), {}, ValueError,
        "x has the same name for several columns.", "a different name", "'d'", "feature_names=[...]",
    ),
    "NaN": (
        zoo.linear, with_bad(np.nan, 3), {}, ValueError,
        "x has values that are NaN or infinite.", "finite numbers", "'x3' in 3 rows", "impute or drop",
    ),
    "infinity": (
        zoo.linear, frame(b=np.inf, d=[np.nan] + [0.0] * 19), {}, ValueError,
        "x has values that are NaN or infinite.", "finite numbers", "'b' in 20 rows, 'd' in 1 rows", "impute or drop",
    ),
    "too large for float32": (
        zoo.linear, np.full((20, 5), 1e39), {}, ValueError,
        "x has values that are NaN or infinite.", "as float32", "'x0' in 20 rows", "impute or drop",
    ),
    "text": (
        zoo.linear, frame(c="red"), {}, TypeError,
        "x has columns that are not numbers: 'c'.", "integers, floats", "'c' of dtype", "pandas.get_dummies",
    ),
    "text in an array": (
        zoo.linear, np.full((4, 5), "red"), {}, TypeError,
        "x has columns that are not numbers: 'x'.", "integers, floats, booleans", "'x' of dtype <U3", "encode",
    ),
    "not a table": (
        zoo.linear, "train.csv", {}, TypeError,
        "x is of a type that keras_sensitivity does not know.", "DataFrame", "an object of type str", "convert x",
    ),
    "never built": (
        unbuilt, GOOD, {}, ValueError,
        "was never built", "a model that was built", "an unbuilt Sequential", "call model(x[:1]) once",
    ),
    "a lookup": (
        embedding_model, GOOD, {}, ValueError,
        "The model looks up codes that it cuts out of 'x'.", "an input of their own", "which column", "one input for",
    ),
    "no derivatives: argmax": (
        argmax_model, GOOD, {}, ValueError,
        "does not depend on 'x' through derivatives", "a differentiable path", "argmax", "first floating-point tensor",
    ),
    "no derivatives: stop_gradient": (
        detached_model, GOOD, {}, ValueError,
        "does not depend on 'x' through derivatives", "a differentiable path", "stop_gradient", "first floating-point",
    ),
    "unknown unit": (
        zoo.functional, GOOD, {"definition": ks.Definition(output=3)}, ValueError,
        "The model has no output 3.", "one of '0', '1', '2'", "Definition(output=3)", "one of the model's outputs",
    ),
    "unknown head": (
        zoo.functional, GOOD, {"definition": ks.Definition(output="denes")}, ValueError,
        "The model has no output 'denes'.", "one of 'dense", "Definition(output='denes')", "did you mean 'dense",
    ),
    "definition of the wrong type": (
        zoo.linear, GOOD, {"definition": "paper"}, TypeError,
        "`definition` has the wrong type.", "keras_sensitivity.Definition", "'paper' of type str", "or PAPER",
    ),
    "scale of another length": (
        zoo.linear, GOOD, {"definition": ks.Definition(scale=[1.0, 2.0])}, ValueError,
        "`scale` does not fit x.", "5 numbers", "2 numbers", "one factor a column",
    ),
    "unknown column in a group": (
        zoo.linear, frame(), {"groups": {"g": ["a", "bb"]}}, ValueError,
        "The group 'g' has a column that x has not.", "columns of x: 'a', 'b'", "'bb'", "did you mean 'b'?",
    ),
    "a column in two groups": (
        zoo.linear, frame(), {"groups": {"g": ["a", "b"], "h": ["b"]}}, ValueError,
        "The column 'b' stands in more than one place", "at most one group", "in 'g' and in 'h'", "leave it in one",
    ),
    "an empty group": (
        zoo.linear, frame(), {"groups": {"g": []}}, ValueError,
        "The group 'g' is not a name with a list of columns.", "a dict", "'g': []", "groups={",
    ),
    "groups that are no dict": (
        zoo.linear, frame(), {"groups": [["a", "b"]]}, TypeError,
        "`groups` is not a dict.", "a dict", "[['a', 'b']]", "groups={",
    ),
    "a group called like a column": (
        zoo.linear, frame(), {"groups": {"e": ["a", "b"]}}, ValueError,
        "The group 'e' is called like a column outside of it.", "no other column", "beside the column 'e'", "rename",
    ),
    "no samples": (
        zoo.linear, GOOD, {"num_samples": 0}, ValueError,
        "`num_samples` is not a whole number from 1.", "None for all rows", "0 of type int", "num_samples=1",
    ),
    "half a batch": (
        zoo.linear, GOOD, {"batch_size": 0.5}, ValueError,
        "`batch_size` is not a whole number from 1.", "an int >= 1", "0.5 of type float", "batch_size=1",
    ),
    "unknown compiler": (
        zoo.linear, GOOD, {"jit_compile": "xla"}, ValueError,
        "`jit_compile` has an unknown value.", "one of 'auto', True, False", "'xla'", "jit_compile='auto'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_measure_refuses(name):
    build, x, options, error, *parts = CASES[name]
    with pytest.raises(error) as raised:
        ks.measure(build(), x, **options)
    lines = str(raised.value).splitlines()
    assert len(lines) == 4
    assert [line.split(":")[0] for line in lines[1:]] == ["  Expected", "  Received", "  To fix it"]
    for line, part in zip(lines, parts, strict=True):
        assert part in line


# A model that was never built gets its weights in the fit: see test_unbuilt.py.
@pytest.mark.parametrize("name", [name for name in CASES if name != "never built"])
def test_the_callback_refuses_before_the_first_step(name):
    build, x, options, error, happened, *_ = CASES[name]
    steps = []
    counter = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: steps.append(batch))
    model = build()
    model.compile("sgd", "mse")
    with pytest.raises(error) as raised:  # noqa: PT012  (some arguments are refused by the constructor)
        watch = ks.SensitivityCallback(x, **options)
        model.fit(GOOD, GOOD[:, 0], callbacks=[counter, watch], verbose=0)
    assert happened in str(raised.value)
    assert steps == []


def test_nan_weights_are_never_a_number():
    model = zoo.build("linear")
    model.set_weights([np.full((5, 1), np.nan), np.zeros(1)])
    with pytest.raises(FloatingPointError, match=r"NaN or infinite.\n  Expected: finite.*\n  Received.*\n  To fix it"):
        ks.measure(model, GOOD)
