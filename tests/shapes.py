"""Models as people have them: name -> a function that builds one, its x, and the same network fed with numbers alone.

A `Case` knows by itself, without the library, what each input becomes first (`parts`), what the rest of the network
makes of it (`back`), and which entries of the parts make up which feature.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

N = 48


class Case(NamedTuple):
    """A model, its rows, and what is known of it.

    Attributes:
        model: The model.
        x: Its rows.
        parts: The first floating-point tensors of the inputs, each of shape (n, ...).
        back: From tensors like the parts to the output, by the same layers.
        features: name -> a list of (part, index of the entries along the last axes, has a time axis).
        options: For `measure`.
    """

    model: keras.Model
    x: Any
    parts: list[Any]
    back: Any
    features: dict[str, list[tuple[int, Any, bool]]]
    options: Any = MappingProxyType({})


EVERY = Ellipsis


def rng(seed=0):
    return np.random.default_rng(seed)


def table(columns=3, seed=0):
    return (rng(seed).normal(size=(N, columns)) * np.arange(1, columns + 1) + 0.3).astype("float32")


def codes(size=5, columns=1, seed=0):
    return rng(seed).integers(1, size, (N, columns)).astype("int32")


def words(seed=0):
    return tf.constant(rng(seed).choice(["red", "green", "blue"], (N, 1)))


def head(units=2, final=None):
    return keras.Sequential([layers.Dense(6, "tanh"), layers.Dense(units, final)])


def columns(names, part=0):
    return {name: [(part, index, False)] for index, name in enumerate(names)}


def whole(name, part=0):
    return {name: [(part, EVERY, False)]}


# --- numbers --------------------------------------------------------------------------------------------------------


def one_table():
    inputs, net = keras.Input((3,)), head()
    return Case(keras.Model(inputs, net(inputs)), table(), [table()], lambda p: net(p[0]), columns(["x0", "x1", "x2"]))


def one_named_table():
    inputs, net = keras.Input((2,), name="prices"), head()
    model = keras.Model(inputs, net(inputs))
    return Case(model, table(2), [table(2)], lambda p: net(p[0]), columns(["prices/0", "prices/1"]))


def _two(structure):
    a, b = keras.Input((2,), name="a"), keras.Input((1,), name="b")
    net = head()
    join = layers.Concatenate()
    model = keras.Model(structure(a, b), net(join([a, b])))
    names = {**columns(["a/0", "a/1"]), **columns(["b"], part=1)}
    x = structure(table(2), table(1, seed=1))
    return Case(model, x, [table(2), table(1, seed=1)], lambda p: net(join(p)), names)


def a_list():
    return _two(lambda a, b: [a, b])


def a_tuple():
    return _two(lambda a, b: (a, b))


def a_dict():
    return _two(lambda a, b: {"a": a, "b": b})


def a_dict_for_a_list():
    case = a_list()
    return case._replace(x={"b": case.x[1], "a": case.x[0], "not used": np.zeros(N)})


def a_nested_dict():
    a, b, c = (keras.Input((1,), name=name) for name in "abc")
    net, join = head(), layers.Concatenate()
    model = keras.Model({"u": {"b": b, "a": a}, "c": c}, net(join([a, b, c])))
    values = [table(1, seed=seed) for seed in range(3)]
    x = {"u": {"a": values[0], "b": values[1][:, 0]}, "c": values[2]}
    # Keras' order: keys sorted at each level.
    names = {"c": [(2, 0, False)], "u/a": [(0, 0, False)], "u/b": [(1, 0, False)]}
    return Case(model, x, values, lambda p: net(join(p)), names)


def frames_with_a_name_in_common():
    import pandas as pd

    a, b = keras.Input((2,), name="home"), keras.Input((2,), name="away")
    net, join = head(), layers.Concatenate()
    model = keras.Model({"home": a, "away": b}, net(join([a, b])))
    values = [table(2), table(2, seed=1)]
    x = {
        "home": pd.DataFrame(values[0], columns=["goals", "shots"]),
        "away": pd.DataFrame(values[1], columns=["goals", "fouls"]),
    }
    names = {**columns(["away/goals", "fouls"], part=1), **columns(["home/goals", "shots"])}
    return Case(model, x, values, lambda p: net(join(p)), names)


def groups_across_inputs():
    case = a_dict()
    names = {"both": [(0, 1, False), (1, 0, False)], "a/0": [(0, 0, False)]}
    order = {name: names[name] for name in ("a/0", "both")}
    return case._replace(features=order, options={"groups": {"both": ["a/1", "b"]}})


def two_heads():
    inputs = keras.Input((3,))
    one, two = layers.Dense(2, "softmax", name="kind"), layers.Dense(1, name="price")
    model = keras.Model(inputs, {"price": two(inputs), "kind": one(inputs)})
    back = lambda p: tf.concat([one(p[0]), two(p[0])], axis=1)  # noqa: E731
    return Case(model, table(), [table()], back, columns(["x0", "x1", "x2"]))


def integers_as_numbers():
    inputs, net = keras.Input((2,), dtype="int32"), head()
    values = codes(40, 2)
    model = keras.Model(inputs, net(layers.Rescaling(0.1)(inputs)))
    return Case(model, values, [values.astype("float32")], lambda p: net(0.1 * p[0]), columns(["x0", "x1"]))


def integers_into_a_dense_layer():
    inputs, dense = keras.Input((2,), dtype="int32"), layers.Dense(2)
    values = codes(9, 2)
    return Case(keras.Model(inputs, dense(inputs)), values, [values.astype("float32")], lambda p: dense(p[0]),
                columns(["x0", "x1"]))  # fmt: skip


def an_image_of_bytes():
    inputs = keras.Input((4, 3, 1), dtype="uint8")
    net = keras.Sequential([layers.Conv2D(2, 2, activation="tanh"), layers.Flatten(), layers.Dense(2)])
    values = rng().integers(0, 255, (N, 4, 3, 1)).astype("uint8")
    model = keras.Model(inputs, net(layers.Rescaling(1 / 255)(inputs)))
    names = {f"{i},{j},0": [(0, (i, j, 0), False)] for i in range(4) for j in range(3)}
    return Case(model, values, [values.astype("float32")], lambda p: net(p[0] / 255), names)


# --- codes ----------------------------------------------------------------------------------------------------------


def embedding():
    inputs, lookup, net = keras.Input((1,), dtype="int32", name="city"), layers.Embedding(5, 3), head()
    flat = layers.Flatten()
    model = keras.Model(inputs, net(flat(lookup(inputs))))
    return Case(model, codes(), [lookup(codes())], lambda p: net(flat(p[0])), whole("city"))


def embedding_of_floats():
    """A Sequential model whose input is declared as floats, as many are."""
    lookup = layers.Embedding(5, 2)
    flat, dense = layers.Flatten(), layers.Dense(1)
    model = keras.Sequential([keras.Input((3,)), lookup, flat, dense])
    values = codes(columns=3)
    return Case(model, values, [lookup(values)], lambda p: dense(flat(p[0])), columns(["x0", "x1", "x2"]))


def numbers_and_a_code():
    a, b = keras.Input((2,), name="numbers"), keras.Input((1,), dtype="int64", name="code")
    lookup, flat, join, net = layers.Embedding(5, 3), layers.Flatten(), layers.Concatenate(), head(1, "sigmoid")
    model = keras.Model({"numbers": a, "code": b}, net(join([a, flat(lookup(b))])))
    x = {"numbers": table(2), "code": codes()[:, 0]}
    names = {**whole("code", part=1), **columns(["numbers/0", "numbers/1"])}
    return Case(model, x, [table(2), lookup(codes())], lambda p: net(join([p[0], flat(p[1])])), names)


def a_shared_embedding():
    home, away = (keras.Input((1,), dtype="int32", name=name) for name in ("home", "away"))
    lookup, flat, join, net = layers.Embedding(6, 2), layers.Flatten(), layers.Concatenate(), head()
    model = keras.Model([home, away], net(flat(join([lookup(home), lookup(away)]))))
    x = [codes(6), codes(6, seed=1)]
    names = {**whole("home"), **whole("away", part=1)}
    return Case(model, x, [lookup(x[0]), lookup(x[1])], lambda p: net(flat(join(p))), names)


def an_embedding_called_twice():
    inputs = keras.Input((1,), dtype="int32", name="city")
    lookup, flat, join, one, two, net = (
        layers.Embedding(5, 2),
        layers.Flatten(),
        layers.Concatenate(),
        *map(layers.Dense, (2, 3)),
        head(),
    )
    model = keras.Model(inputs, net(join([one(flat(lookup(inputs))), two(flat(lookup(inputs)))])))
    back = lambda p: net(join([one(flat(p[0])), two(flat(p[0]))]))  # noqa: E731
    return Case(model, codes(), [lookup(codes())], back, whole("city"))


def an_embedding_in_a_nested_model():
    lookup, flat = layers.Embedding(5, 2), layers.Flatten()
    inner = keras.Sequential([keras.Input((2,), dtype="int32"), lookup, flat])
    inputs, net = keras.Input((2,), dtype="int32", name="codes"), head()
    model = keras.Model(inputs, net(inner(inputs)))
    values = codes(columns=2)
    return Case(model, values, [lookup(values)], lambda p: net(flat(p[0])), columns(["codes/0", "codes/1"]))


def codes_reshaped_before_the_lookup():
    inputs, lookup, flat, net = keras.Input((2,), dtype="int32"), layers.Embedding(5, 2), layers.Flatten(), head()
    model = keras.Model(inputs, net(flat(lookup(layers.Reshape((2,))(inputs)))))
    values = codes(columns=2)
    return Case(model, values, [lookup(values)], lambda p: net(flat(p[0])), columns(["x0", "x1"]))


def codes_in_another_order():
    """Which column went where is not followed, so the input is one feature."""
    inputs, lookup, flat, net = (
        keras.Input((2,), dtype="int32", name="ids"),
        layers.Embedding(5, 2),
        layers.Flatten(),
        head(),
    )
    model = keras.Model(inputs, net(flat(lookup(ops.flip(inputs, axis=1)))))
    values = codes(columns=2)
    return Case(model, values, [lookup(values[:, ::-1])], lambda p: net(flat(p[0])), whole("ids"))


def words_in_several_columns():
    lookup = layers.StringLookup(vocabulary=["red", "green", "blue"])
    embed, flat, net = layers.Embedding(5, 2), layers.Flatten(), head()
    inputs = keras.Input((2,), dtype="string", name="colour")
    model = keras.Model(inputs, net(flat(embed(lookup(inputs)))))
    x = tf.concat([words(), words(1)], axis=1)
    return Case(model, x, [embed(lookup(x))], lambda p: net(flat(p[0])), columns(["colour/0", "colour/1"]))


@keras.saving.register_keras_serializable(package="shapes")
class Subclassed(keras.Model):
    """A dict of a code and numbers, with its own embedding."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lookup, self.net = layers.Embedding(5, 2), head()

    def call(self, x):
        return self.back([x["numbers"], self.lookup(x["code"])])

    def back(self, parts):
        return self.net(ops.concatenate([parts[0], ops.squeeze(parts[1], 1)], axis=1))


def subclassed():
    model, x = Subclassed(), {"numbers": table(2), "code": codes()}
    model(x)
    names = {**whole("code", part=1), **columns(["numbers/0", "numbers/1"])}
    return Case(model, x, [x["numbers"], model.lookup(x["code"])], model.back, names)


@keras.saving.register_keras_serializable(package="shapes")
class TokenLayer(layers.Layer):
    """A custom layer that holds an embedding."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lookup = layers.Embedding(7, 2)

    def call(self, x):
        return 2 * self.lookup(x)


@keras.saving.register_keras_serializable(package="shapes")
class OwnTable(layers.Layer):
    """A custom layer that takes rows out of a weight by itself."""

    def build(self, shape):
        self.table = self.add_weight(shape=(7, 2), initializer="normal")

    def call(self, x):
        return ops.take(self.table, x, axis=0)


def _custom(layer, first):
    inputs, flat, net = keras.Input((3,), dtype="int32"), layers.Flatten(), head()
    model = keras.Model(inputs, net(flat(layer(inputs))))
    values = codes(7, 3)
    return model, values, flat, net


def an_embedding_in_a_custom_layer():
    layer = TokenLayer()
    model, values, flat, net = _custom(layer, None)
    return Case(model, values, [layer.lookup(values)], lambda p: net(flat(2 * p[0])), columns(["x0", "x1", "x2"]))


def a_table_in_a_custom_layer():
    layer = OwnTable()
    model, values, flat, net = _custom(layer, None)
    return Case(model, values, [layer(values)], lambda p: net(flat(p[0])), columns(["x0", "x1", "x2"]))


def one_hot_by_an_operation():
    inputs, flat, net = keras.Input((2,), dtype="int32"), layers.Flatten(), head()
    model = keras.Model(inputs, net(flat(ops.one_hot(inputs, 5))))
    values = codes(columns=2)
    return Case(model, values, [ops.one_hot(values, 5)], lambda p: net(flat(p[0])), columns(["x0", "x1"]))


@keras.saving.register_keras_serializable(package="shapes")
class Reversible(layers.Embedding):
    """Makes vectors of codes, and of vectors a number for each code, with the same weights."""

    def call(self, x, reverse=False):
        return ops.matmul(x, ops.transpose(self.embeddings)) if reverse else super().call(x)

    def compute_output_spec(self, x, reverse=False):
        return keras.KerasTensor((*x.shape[:-1], self.input_dim) if reverse else (*x.shape, self.output_dim))


def tied_embeddings():
    """Also, names that Keras accepts, though TensorFlow does so only inside of others."""
    tied, flat, dense = Reversible(5, 3, name="_tied"), layers.Flatten(name="__flat"), layers.Dense(3, "tanh", name="_")
    inputs = keras.Input((2,), dtype="int32")
    model = keras.Model(inputs, tied(dense(flat(tied(inputs))), reverse=True))
    values = codes(columns=2)
    return Case(model, values, [tied(values)], lambda p: tied(dense(flat(p[0])), reverse=True), columns(["x0", "x1"]))


@keras.saving.register_keras_serializable(package="shapes")
class Lengths(layers.Layer):
    """Numbers that a Python function makes of words; TensorFlow does not know of how many."""

    def call(self, x):
        found = tf.numpy_function(
            lambda words: np.array([[len(w), w[0] / 99] for w in words[:, 0]], "f4"), [x], "float32"
        )
        return tf.ensure_shape(found, (None, 2))

    def compute_output_spec(self, x):
        return keras.KerasTensor((None, 2))


def words_that_python_reads():
    inputs, lengths, net = keras.Input((1,), dtype="string", name="colour"), Lengths(), head()
    model = keras.Model(inputs, net(lengths(inputs)))
    return Case(model, words(), [lengths(words())], lambda p: net(p[0]), whole("colour"))


def a_category_encoding():
    inputs, encode, net = keras.Input((1,), dtype="int32", name="month"), layers.CategoryEncoding(5, "one_hot"), head()
    model = keras.Model(inputs, net(encode(inputs)))
    return Case(model, codes(), [encode(codes())], lambda p: net(p[0]), whole("month"))


def several_codes_at_once():
    inputs, encode, net = keras.Input((3,), dtype="int32", name="tags"), layers.CategoryEncoding(9, "multi_hot"), head()
    model = keras.Model(inputs, net(encode(inputs)))
    values = codes(9, 3)
    return Case(model, values, [encode(values)], lambda p: net(p[0]), whole("tags"))


def words_looked_up():
    lookup, embed, flat, net = (
        layers.StringLookup(vocabulary=["red", "green", "blue"]),
        layers.Embedding(5, 2),
        layers.Flatten(),
        head(),
    )
    inputs = keras.Input((1,), dtype="string", name="colour")
    model = keras.Model(inputs, net(flat(embed(lookup(inputs)))))
    return Case(model, words(), [embed(lookup(words()))], lambda p: net(flat(p[0])), whole("colour"))


def words_one_hot_beside_numbers():
    """The lookup returns integers, which become numbers only inside the Concatenate."""
    lookup = layers.StringLookup(vocabulary=["red", "green", "blue"], output_mode="one_hot")
    a, b = keras.Input((1,), dtype="string", name="colour"), keras.Input((2,), name="size")
    join, net = layers.Concatenate(), head()
    model = keras.Model({"colour": a, "size": b}, net(join([b, lookup(a)])))
    encoded = tf.cast(lookup(words()), "float32")
    names = {**whole("colour", part=1), **columns(["size/0", "size/1"])}
    return Case(model, {"colour": words()[:, 0], "size": table(2)}, [table(2), encoded], lambda p: net(join(p)), names)


def hashed():
    hashing, embed, flat, net = layers.Hashing(7), layers.Embedding(7, 2), layers.Flatten(), head()
    inputs = keras.Input((1,), dtype="string", name="id")
    model = keras.Model(inputs, net(flat(embed(hashing(inputs)))))
    return Case(model, words(), [embed(hashing(words()))], lambda p: net(flat(p[0])), whole("id"))


def a_number_in_bins():
    bins, encode = layers.Discretization(bin_boundaries=[-1.0, 0.0, 1.0]), layers.CategoryEncoding(4, "one_hot")
    inputs, net = keras.Input((1,), name="age"), head()
    model = keras.Model(inputs, net(encode(bins(inputs))))
    return Case(model, table(1), [encode(bins(table(1)))], lambda p: net(p[0]), whole("age"))


def a_number_and_its_bins():
    """The same column as a number and in bins is one feature."""
    bins, encode = layers.Discretization(bin_boundaries=[-1.0, 0.0, 1.0]), layers.CategoryEncoding(4, "one_hot")
    inputs, join, net = keras.Input((1,), name="age"), layers.Concatenate(), head()
    model = keras.Model(inputs, net(join([inputs, encode(bins(inputs))])))
    parts = [table(1), encode(bins(table(1)))]
    return Case(model, table(1), parts, lambda p: net(join(p)), {"age": [(0, EVERY, False), (1, EVERY, False)]})


def crossed():
    """What two inputs become together is a feature of its own."""
    cross, embed, flat, net = layers.HashedCrossing(6), layers.Embedding(6, 2), layers.Flatten(), head()
    colour, month = keras.Input((1,), dtype="string", name="colour"), keras.Input((1,), dtype="int32", name="month")
    lookup, join = layers.Embedding(5, 2), layers.Concatenate()
    model = keras.Model(
        {"colour": colour, "month": month}, net(join([flat(embed(cross((colour, month)))), flat(lookup(month))]))
    )
    x = {"colour": words(), "month": codes()}
    parts = [embed(cross((x["colour"], tf.constant(x["month"])))), lookup(x["month"])]
    names = {**whole("month", part=1), **whole("colour_X_month")}
    return Case(model, x, parts, lambda p: net(join([flat(p[0]), flat(p[1])])), names)


def text():
    vectorize = layers.TextVectorization(output_sequence_length=4, vocabulary=["red", "green", "blue"])
    embed, pool, net = layers.Embedding(6, 3), layers.GlobalAveragePooling1D(), head()
    inputs = keras.Input((1,), dtype="string", name="review")
    model = keras.Model(inputs, net(pool(embed(vectorize(inputs)))))
    x = tf.constant([[" ".join(choice)] for choice in rng().choice(["red", "green", "blue"], (N, 3))])
    return Case(model, x, [embed(vectorize(x))], lambda p: net(pool(p[0])), whole("review"))


def text_counted():
    vectorize = layers.TextVectorization(output_mode="count", vocabulary=["red", "green", "blue"])
    net = head()
    inputs = keras.Input((), dtype="string", name="review")
    x = tf.constant(
        [" ".join(choice[: 1 + i % 3]) for i, choice in enumerate(rng().choice(["red", "green", "blue"], (N, 3)))]
    )
    model = keras.Model(inputs, net(vectorize(inputs)))
    return Case(model, x, [tf.cast(vectorize(x), "float32")], lambda p: net(p[0]), whole("review"))


def a_feature_space():
    space = keras.utils.FeatureSpace(
        features={
            "income": "float_normalized",
            "colour": "string_categorical",
            "month": keras.utils.FeatureSpace.integer_categorical(),
        },
        output_mode="concat",
    )
    x = {"income": table(1)[:, 0], "colour": words()[:, 0], "month": codes()[:, 0]}
    space.adapt(tf.data.Dataset.from_tensor_slices(x).batch(16))
    net = head()
    model = keras.Model(space.get_inputs(), net(space.get_encoded_features()))
    encoders = {name: space.preprocessors[name] for name in x}
    one_hot = space.crossers, space.one_hot_encoders
    colour = tf.cast(one_hot[1]["colour"](encoders["colour"](words())), "float32")
    month = tf.cast(one_hot[1]["month"](encoders["month"](x["month"][:, None])), "float32")
    back = lambda p: net(tf.concat([p[0], encoders["income"](p[1]), p[2]], axis=1))  # noqa: E731
    names = {**whole("colour"), **columns(["income"], part=1), **whole("month", part=2)}
    return Case(model, x, [colour, x["income"][:, None], month], back, names)


# --- sequences ------------------------------------------------------------------------------------------------------


def tokens_as_a_sequence():
    lookup, rnn, dense = layers.Embedding(6, 2), layers.GRU(3), layers.Dense(1)
    inputs = keras.Input((4,), dtype="int32", name="word")
    model = keras.Model(inputs, dense(rnn(lookup(inputs))))
    values = codes(6, 4)
    import keras_sensitivity as ks

    options = {"definition": ks.Definition(mode="many-to-one")}
    return Case(model, values, [lookup(values)], lambda p: dense(rnn(p[0])), {"word": [(0, EVERY, True)]}, options)


def a_sequence_and_a_table():
    a, b = keras.Input((4, 2), name="past"), keras.Input((2,), name="fixed")
    rnn, join, net = layers.LSTM(3), layers.Concatenate(), head()
    model = keras.Model([a, b], net(join([rnn(a), b])))
    past = rng().normal(size=(N, 4, 2)).astype("float32") * [1, 3]
    x = [past.astype("float32"), table(2)]
    names = {"past/0": [(0, 0, True)], "past/1": [(0, 1, True)], **columns(["fixed/0", "fixed/1"], part=1)}
    return Case(model, x, x, lambda p: net(join([rnn(p[0]), p[1]])), names)


def sequences_of_different_length():
    a, b = keras.Input((4, 1), name="days"), keras.Input((6, 2), name="hours")
    one, two, join, net = layers.GRU(3), layers.LSTM(2), layers.Concatenate(), head()
    model = keras.Model({"days": a, "hours": b}, net(join([one(a), two(b)])))
    x = {
        "days": rng().normal(size=(N, 4, 1)).astype("float32"),
        "hours": rng(1).normal(size=(N, 6, 2)).astype("float32"),
    }
    names = {"days": [(0, 0, True)], "hours/0": [(1, 0, True)], "hours/1": [(1, 1, True)]}
    return Case(model, x, [x["days"], x["hours"]], lambda p: net(join([one(p[0]), two(p[1])])), names)


def an_image_and_a_table():
    a, b = keras.Input((4, 4, 1), name="photo"), keras.Input((1,), name="age")
    conv, flat, join, net = layers.Conv2D(2, 2, activation="tanh"), layers.Flatten(), layers.Concatenate(), head()
    model = keras.Model([a, b], net(join([flat(conv(a)), b])))
    x = [rng().normal(size=(N, 4, 4, 1)).astype("float32"), table(1)]
    names = {f"photo/{i},{j},0": [(0, (i, j, 0), False)] for i in range(4) for j in range(4)}
    names |= columns(["age"], part=1)
    return Case(model, x, x, lambda p: net(join([flat(conv(p[0])), p[1]])), names)


SHAPES = {
    function.__name__.replace("_", " "): function
    for function in (
        one_table, one_named_table, a_list, a_tuple, a_dict, a_dict_for_a_list, a_nested_dict,
        frames_with_a_name_in_common, groups_across_inputs, two_heads, integers_as_numbers, integers_into_a_dense_layer,
        an_image_of_bytes, embedding, embedding_of_floats, numbers_and_a_code, a_shared_embedding,
        an_embedding_called_twice, an_embedding_in_a_nested_model, codes_reshaped_before_the_lookup,
        codes_in_another_order, words_in_several_columns, subclassed,
        an_embedding_in_a_custom_layer, a_table_in_a_custom_layer, one_hot_by_an_operation, tied_embeddings,
        words_that_python_reads, a_category_encoding,
        several_codes_at_once, words_looked_up, words_one_hot_beside_numbers, hashed, a_number_in_bins,
        a_number_and_its_bins, crossed, text, text_counted, a_feature_space, tokens_as_a_sequence,
        a_sequence_and_a_table, sequences_of_different_length, an_image_and_a_table,
    )
}  # fmt: skip


def squares(case):
    """For each feature the scaled squared derivatives summed over units and entries, shape (n, lags) each."""
    parts = [tf.constant(np.asarray(part, dtype="float32")) for part in case.parts]
    with tf.GradientTape(persistent=True) as tape:
        for part in parts:
            tape.watch(part)
        y = case.back(parts)
    found = {}
    for name, members in case.features.items():
        total = 0.0
        for index, entries, has_lags in members:
            g = np.asarray(tape.batch_jacobian(y, parts[index], experimental_use_pfor=False), dtype="float64")
            values = np.asarray(parts[index], dtype="float64")
            if not has_lags:
                g, values = g[:, :, None], values[:, None]
            key = entries if isinstance(entries, tuple) else (entries,)
            chosen = (slice(None), slice(None), *(() if key == (EVERY,) else key))
            v = values[chosen].reshape(N, values.shape[1], -1)
            std = v.reshape(-1, v.shape[-1]).std(axis=0)
            per_entry = g[(slice(None), *chosen)].reshape(N, g.shape[1], g.shape[2], -1)
            total = total + ((per_entry * std) ** 2).sum(axis=(1, 3))[:, ::-1]
        found[name] = total
    return found
