"""Models of tables: columns of numbers, codes and words."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from models.case import (
    Case,
    Draw,
    adapted,
    chain,
    integers,
    labels,
    normal,
    numbers,
    sequential,
    together,
    words,
    yes_or_no,
)

CITIES, JOBS = ["Bern", "Oslo", "Rome"], ["cook", "pilot", "singer", "smith"]

PEOPLE: Draw = together(age=normal(1), city=words(CITIES), income=normal(1), job=words(JOBS))
COLUMNS: Draw = normal(8)


def people() -> dict[str, keras.KerasTensor]:
    """Inputs for `PEOPLE`."""
    kinds = {"age": "float32", "city": "string", "income": "float32", "job": "string"}
    return {name: keras.Input((1,), name=name, dtype=kind) for name, kind in kinds.items()}


def codes(inputs: dict[str, keras.KerasTensor]) -> dict[str, keras.KerasTensor]:
    """The numbers of the words."""
    vocabularies = {"city": CITIES, "job": JOBS}
    return {name: layers.StringLookup(vocabulary=known)(inputs[name]) for name, known in vocabularies.items()}


def one_hot(inputs: dict[str, keras.KerasTensor]) -> list[keras.KerasTensor]:
    """The words as columns of zeros and a one."""
    return [
        layers.CategoryEncoding(5, output_mode="one_hot", name=f"{name}_columns")(code)
        for name, code in codes(inputs).items()
    ]


def embedded(inputs: dict[str, keras.KerasTensor], width: int = 4) -> list[keras.KerasTensor]:
    """The words as vectors, shape (batch_size, 1, width) each."""
    return [layers.Embedding(5, width, name=f"{name}_vectors")(code) for name, code in codes(inputs).items()]


COLUMNS_OF_PEOPLE = {"city": ["city_columns"], "job": ["job_columns"]}
VECTORS_OF_PEOPLE = {"city": ["city_vectors"], "job": ["job_vectors"]}
# As FeatureSpace calls them.
ENCODED = {"city": ["category_encoding"], "job": ["category_encoding_1"]}
BOTH_OF_PEOPLE = {name: [f"{name}_columns", f"{name}_vectors"] for name in ("city", "job")}


# --- from the first lessons -----------------------------------------------------------------------------------------


def fuel_efficiency() -> keras.Model:
    """Normalised columns, two hidden layers."""
    normalization = adapted(layers.Normalization(), COLUMNS)
    hidden = [layers.Dense(16, "relu"), layers.Dense(16, "relu")]
    return sequential((8,), normalization, *hidden, layers.Dense(1))


def fraud() -> keras.Model:
    """Wide layers with dropout."""
    hidden = [layers.Dense(32, "relu"), layers.Dense(32, "relu"), layers.Dropout(0.3), layers.Dense(32, "relu")]
    return sequential((8,), *hidden, layers.Dropout(0.3), layers.Dense(1, "sigmoid"))


def imbalanced() -> keras.Model:
    """The bias of the output starts at the logarithm of the odds."""
    bias = keras.initializers.Constant(-2.0)
    return sequential(
        (8,), layers.Dense(16, "relu"), layers.Dropout(0.5), layers.Dense(1, "sigmoid", bias_initializer=bias)
    )


def overfit() -> keras.Model:
    """A penalty for large weights, and dropout."""
    hidden = [
        layer for _ in range(2) for layer in (layers.Dense(16, "elu", kernel_regularizer="l2"), layers.Dropout(0.5))
    ]
    return sequential((8,), *hidden, layers.Dense(1, "sigmoid"))


def self_normalizing() -> keras.Model:
    """SELU with the dropout that keeps mean and variance."""
    hidden = [
        layer
        for _ in range(3)
        for layer in (layers.Dense(16, "selu", kernel_initializer="lecun_normal"), layers.AlphaDropout(0.1))
    ]
    return sequential((8,), *hidden, layers.Dense(3, "softmax"))


def normalized_in_between() -> keras.Model:
    """Batch normalisation before each activation."""
    hidden = [
        layer for _ in range(2) for layer in (layers.Dense(16), layers.BatchNormalization(), layers.Activation("relu"))
    ]
    return sequential((8,), *hidden, layers.Dense(1))


def from_scratch() -> keras.Model:
    """Numbers normalised, words as columns, one hidden layer."""
    inputs = people()
    scaled = [adapted(layers.Normalization(), normal(1))(inputs[name]) for name in ("age", "income")]
    joined = layers.Concatenate()([*scaled, *one_hot(inputs)])
    output = chain(joined, layers.Dense(16, "relu"), layers.Dropout(0.5), layers.Dense(1, "sigmoid"))
    return keras.Model(inputs, output)


def feature_space() -> keras.Model:
    """What a FeatureSpace makes of the columns goes into a dense layer."""
    kinds = keras.utils.FeatureSpace
    space = kinds(
        {
            "age": kinds.float_normalized(),
            "city": kinds.string_categorical(num_oov_indices=1),
            "income": kinds.float_normalized(),
            "job": kinds.string_categorical(num_oov_indices=1),
        },
        output_mode="concat",
    )
    space.adapt(tf.data.Dataset.from_tensor_slices(PEOPLE(np.random.default_rng(5), 64)))
    output = chain(space.get_encoded_features(), layers.Dense(16, "relu"), layers.Dense(1, "sigmoid"))
    return keras.Model(space.get_inputs(), output)


def integer_columns() -> keras.Model:
    """A number that is known in whole years goes through a lookup, like the words."""
    age, fee = keras.Input((1,), name="age", dtype="int32"), keras.Input((1,), name="fee")
    looked_up = layers.IntegerLookup(vocabulary=list(range(1, 7)), output_mode="one_hot", name="age_columns")(age)
    joined = layers.Concatenate()([layers.Normalization(mean=0.0, variance=2.0)(fee), looked_up])
    return keras.Model(
        {"age": age, "fee": fee}, chain(joined, layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(1))
    )


# --- wide, deep, crossed --------------------------------------------------------------------------------------------


def wide_and_deep() -> keras.Model:
    """The words as columns go straight to the output, their vectors through a network."""
    inputs = people()
    numbers_given = [inputs["age"], inputs["income"]]
    wide = chain(layers.Concatenate()([*numbers_given, *one_hot(inputs)]), layers.BatchNormalization())
    vectors = [layers.Flatten()(each) for each in embedded(inputs)]
    deep = chain(
        layers.Concatenate()([*numbers_given, *vectors]),
        layers.Dense(16),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dropout(0.1),
    )
    return keras.Model(inputs, layers.Dense(2, "softmax")(layers.Concatenate()([wide, deep])))


def deep_and_cross() -> keras.Model:
    """Layers that multiply what they are given by the first."""
    inputs = people()
    vectors = [layers.Flatten()(each) for each in embedded(inputs)]
    first = crossed = layers.Concatenate()([inputs["age"], inputs["income"], *vectors])
    for _ in range(2):
        crossed = layers.Add()([layers.Multiply()([first, layers.Dense(first.shape[-1])(crossed)]), crossed])
    deep = chain(first, layers.Dense(16, "relu"), layers.Dense(16, "relu"))
    return keras.Model(inputs, layers.Dense(2, "softmax")(layers.Concatenate()([crossed, deep])))


def deep_fm() -> keras.Model:
    """A factorisation machine and a network share the vectors of the fields."""
    inputs = people()
    fields = [layers.Reshape((1, 4))(layers.Dense(4)(inputs[name])) for name in ("age", "income")]
    fields = layers.Concatenate(axis=1)([*fields, *embedded(inputs)])
    pairs = 0.5 * (ops.square(ops.sum(fields, axis=1)) - ops.sum(ops.square(fields), axis=1))
    linear = layers.Dense(1)(layers.Concatenate()([inputs["age"], inputs["income"], *one_hot(inputs)]))
    deep = chain(fields, layers.Flatten(), layers.Dense(16, "relu"), layers.Dense(1))
    return keras.Model(inputs, layers.Activation("sigmoid")(linear + ops.sum(pairs, axis=1, keepdims=True) + deep))


def auto_int() -> keras.Model:
    """The fields attend to each other."""
    inputs = people()
    fields = [layers.Reshape((1, 4))(layers.Dense(4, use_bias=False)(inputs[name])) for name in ("age", "income")]
    fields = layers.Concatenate(axis=1)([*fields, *embedded(inputs)])
    for _ in range(2):
        attended = layers.MultiHeadAttention(2, 4)(fields, fields)
        fields = layers.ReLU()(layers.Add()([attended, layers.Dense(4)(fields)]))
    return keras.Model(inputs, layers.Dense(1, "sigmoid")(layers.Flatten()(fields)))


def tab_transformer() -> keras.Model:
    """A transformer over the vectors of the words; the numbers are normalised and join at its end."""
    inputs = people()
    vectors = layers.Concatenate(axis=1)(embedded(inputs, 8))
    vectors = vectors + layers.Embedding(2, 8)(ops.arange(2))
    for _ in range(2):
        attended = layers.MultiHeadAttention(2, 4, dropout=0.1)(vectors, vectors)
        vectors = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([attended, vectors]))
        fed = chain(vectors, layers.Dense(8, "gelu"), layers.Dropout(0.1), layers.Dense(8))
        vectors = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([fed, vectors]))
    given = layers.LayerNormalization(epsilon=1e-6)(layers.Concatenate()([inputs["age"], inputs["income"]]))
    joined = layers.Concatenate()([layers.Flatten()(vectors), given])
    hidden = [layers.BatchNormalization(), layers.Dense(16, "selu"), layers.Dropout(0.2)]
    return keras.Model(inputs, chain(joined, *hidden, layers.Dense(1, "sigmoid")))


def feature_tokens() -> keras.Model:
    """Each column becomes a vector; a transformer reads them, and a vector of its own gathers the answer."""
    x = keras.Input((8,))
    tokens = Tokens(8, 8)(x)
    for _ in range(2):
        normal_tokens = layers.LayerNormalization()(tokens)
        tokens = layers.Add()([tokens, layers.MultiHeadAttention(2, 4)(normal_tokens, normal_tokens)])
        tokens = layers.Add()(
            [tokens, chain(tokens, layers.LayerNormalization(), layers.Dense(16, "relu"), layers.Dense(8))]
        )
    return keras.Model(x, chain(tokens[:, 0], layers.LayerNormalization(), layers.ReLU(), layers.Dense(1)))


class Tokens(layers.Layer):
    """A vector for each column, times its number, behind a vector of its own."""

    def __init__(self, num_columns: int, width: int) -> None:
        super().__init__()
        self.scale = self.add_weight(shape=(num_columns, width), initializer="uniform")
        self.shift = self.add_weight(shape=(num_columns, width), initializer="uniform")
        self.gathering = self.add_weight(shape=(1, 1, width), initializer="uniform")

    def call(self, x):
        """(batch_size, num_columns) -> (batch_size, 1 + num_columns, width)."""
        own = ops.repeat(self.gathering, ops.shape(x)[0], axis=0)
        return ops.concatenate([own, x[:, :, None] * self.scale + self.shift], axis=1)


# --- gates, trees, experts ------------------------------------------------------------------------------------------


def gated_residual(x, width: int):
    """A network that may be switched off by a gate, beside a way round it."""
    hidden = chain(x, layers.Dense(width, "elu"), layers.Dense(width), layers.Dropout(0.15))
    gated = layers.Multiply()([layers.Dense(width)(hidden), layers.Dense(width, "sigmoid")(hidden)])
    straight = x if x.shape[-1] == width else layers.Dense(width)(x)
    return layers.LayerNormalization()(layers.Add()([straight, gated]))


def variable_selection() -> keras.Model:
    """Gated residual networks, of which another says how much each column counts."""
    inputs = people()
    vectors = [layers.Dense(8)(inputs[name]) for name in ("age", "income")]
    vectors += [layers.Flatten()(each) for each in embedded(inputs, 8)]
    weights = layers.Dense(4, "softmax")(gated_residual(layers.Concatenate()(vectors), 8))
    every = ops.stack([gated_residual(each, 8) for each in vectors], axis=1)
    chosen = ops.sum(weights[:, :, None] * every, axis=1)
    return keras.Model(inputs, layers.Dense(1, "sigmoid")(chosen))


class DecisionTree(layers.Layer):
    """A tree whose decisions are probabilities, and whose leaves are distributions over classes."""

    def __init__(self, depth: int, num_classes: int, columns: list[int]) -> None:
        super().__init__()
        self.depth, self.columns = depth, columns
        self.decide = layers.Dense(2**depth, "sigmoid")
        self.leaves = self.add_weight(shape=(2**depth, num_classes), initializer="random_normal")

    def call(self, x):
        """(batch_size, num_columns) -> (batch_size, num_classes)."""
        right = self.decide(ops.take(x, self.columns, axis=1))
        reached = ops.ones_like(right[:, :1])
        for level in range(self.depth):
            here = right[:, 2**level : 2 ** (level + 1)]
            both = ops.stack([reached * here, reached * (1 - here)], axis=2)
            reached = ops.reshape(both, (-1, 2 ** (level + 1)))
        return ops.matmul(reached, ops.softmax(self.leaves))


def decision_tree() -> keras.Model:
    """One tree behind batch normalisation."""
    return sequential((8,), layers.BatchNormalization(), DecisionTree(3, 3, list(range(8))))


def decision_forest() -> keras.Model:
    """Trees that see half of the columns each."""
    x = keras.Input((8,))
    normal_x = layers.BatchNormalization()(x)
    trees = [DecisionTree(3, 3, [tree, tree + 2, tree + 4, tree + 5]) for tree in range(3)]
    return keras.Model(x, layers.Average()([tree(normal_x) for tree in trees]))


def experts() -> keras.Model:
    """Several networks, mixed by a gate that a softmax opens."""
    x = keras.Input((8,))
    every = ops.stack([chain(x, layers.Dense(8, "relu"), layers.Dense(1)) for _ in range(4)], axis=2)
    gate = layers.Dense(4, "softmax")(x)
    return keras.Model(x, ops.sum(every * gate[:, None, :], axis=2))


def experts_of_tasks() -> keras.Model:
    """Experts that two tasks share, each with a gate of its own."""
    x = keras.Input((8,))
    every = ops.stack([layers.Dense(8, "relu")(x) for _ in range(3)], axis=1)
    heads = {}
    for task, activation in (("click", "sigmoid"), ("price", None)):
        mixed = ops.sum(layers.Dense(3, "softmax")(x)[:, :, None] * every, axis=1)
        heads[task] = layers.Dense(1, activation, name=task)(mixed)
    return keras.Model(x, heads)


def tab_net() -> keras.Model:
    """Steps that each attend to some of the columns, and to those less that were used before."""
    x = keras.Input((8,))
    given = layers.BatchNormalization()(x)
    unused, sums = ops.ones_like(given), []
    hidden = layers.Dense(16, "relu")(given)
    for _ in range(2):
        mask = layers.Activation("sparsemax")(layers.BatchNormalization()(layers.Dense(8)(hidden)) * unused)
        unused = unused * (1.3 - mask)
        hidden = layers.Dense(16)(mask * given)
        hidden = hidden * layers.Dense(16, "sigmoid")(mask * given)
        sums.append(layers.ReLU()(hidden))
    return keras.Model(x, layers.Dense(3, "softmax")(layers.Add()(sums)))


def additive() -> keras.Model:
    """A small network for each column, whose answers are added."""
    x = keras.Input((8,))
    parts = [chain(x[:, column : column + 1], layers.Dense(8, "relu"), layers.Dense(1)) for column in range(8)]
    return keras.Model(x, layers.Add()(parts))


def residual() -> keras.Model:
    """Blocks with a way round them."""
    x = keras.Input((8,))
    hidden = layers.Dense(16)(x)
    for _ in range(3):
        block = chain(
            hidden, layers.BatchNormalization(), layers.Dense(32, "relu"), layers.Dropout(0.1), layers.Dense(16)
        )
        hidden = layers.Add()([hidden, block])
    return keras.Model(x, chain(hidden, layers.BatchNormalization(), layers.ReLU(), layers.Dense(1)))


STRUCTURED = "keras-io: Structured data classification"
CASES = [
    Case("Fuel efficiency", "TensorFlow tutorial: Basic regression", fuel_efficiency, COLUMNS, numbers()),
    Case("Card fraud", "keras-io: Imbalanced classification", fraud, COLUMNS, yes_or_no()),
    Case("Initial bias", "TensorFlow tutorial: Classification on imbalanced data", imbalanced, COLUMNS, yes_or_no()),
    Case("Overfit and underfit", "TensorFlow tutorial: Overfit and underfit", overfit, COLUMNS, yes_or_no()),
    Case("SELU network", "keras-io: Reuters, SELU", self_normalizing, COLUMNS, labels(3)),
    Case("Batch normalisation", "Keras guide: BatchNormalization layer", normalized_in_between, COLUMNS, numbers()),
    Case(
        "Preprocessing layers", f"{STRUCTURED} from scratch", from_scratch, PEOPLE, yes_or_no(), codes=COLUMNS_OF_PEOPLE
    ),
    Case("FeatureSpace", f"{STRUCTURED} with FeatureSpace", feature_space, PEOPLE, yes_or_no(), codes=ENCODED),
    Case(
        "Integer categories",
        "TensorFlow tutorial: Classify structured data using Keras preprocessing layers",
        integer_columns,
        together(age=integers(7, 1, low=1), fee=normal(1)),
        numbers(),
        codes={"age": ["age_columns"]},
    ),
    Case(
        "Wide and deep",
        "keras-io: Structured data learning with Wide, Deep, and Cross networks",
        wide_and_deep,
        PEOPLE,
        labels(2),
        codes=BOTH_OF_PEOPLE,
    ),
    Case(
        "Deep and cross",
        "keras-io: Structured data learning with Wide, Deep, and Cross networks",
        deep_and_cross,
        PEOPLE,
        labels(2),
        codes=VECTORS_OF_PEOPLE,
    ),
    Case("DeepFM", "DeepCTR: DeepFM", deep_fm, PEOPLE, yes_or_no(), codes=BOTH_OF_PEOPLE),
    Case("AutoInt", "DeepCTR: AutoInt", auto_int, PEOPLE, yes_or_no(), codes=VECTORS_OF_PEOPLE),
    Case(
        "TabTransformer",
        "keras-io: Structured data learning with TabTransformer",
        tab_transformer,
        PEOPLE,
        yes_or_no(),
        codes=VECTORS_OF_PEOPLE,
    ),
    Case("FT-Transformer", "Gorishniy et al. (2021)", feature_tokens, COLUMNS, numbers()),
    Case(
        "Variable selection",
        "keras-io: Classification with Gated Residual and Variable Selection Networks",
        variable_selection,
        PEOPLE,
        yes_or_no(),
        codes=VECTORS_OF_PEOPLE,
    ),
    Case("Decision tree", "keras-io: Classification with Neural Decision Forests", decision_tree, COLUMNS, labels(3)),
    Case(
        "Decision forest", "keras-io: Classification with Neural Decision Forests", decision_forest, COLUMNS, labels(3)
    ),
    Case("Mixture of experts", "Jacobs et al. (1991)", experts, COLUMNS, numbers()),
    Case("MMoE", "DeepCTR: MMOE", experts_of_tasks, COLUMNS, {"click": yes_or_no(), "price": numbers()}),
    Case("TabNet", "Arik and Pfister (2019)", tab_net, COLUMNS, labels(3)),
    Case("Neural additive model", "Agarwal et al. (2020)", additive, COLUMNS, numbers()),
    Case("ResNet for tables", "Gorishniy et al. (2021)", residual, COLUMNS, numbers()),
]
