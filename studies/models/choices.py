"""Models that recommend: who likes what, and which comes next."""

import keras
from keras import layers, ops

from models.case import Case, Draw, chain, integers, labels, normal, numbers, together, words, yes_or_no

USERS, FILMS = 9, 12
KINDS = ["crime", "drama", "farce"]
PAIR: Draw = together(film=integers(FILMS, 1), user=integers(USERS, 1))
LAST_FILMS: Draw = integers(FILMS, 5)


def code(name: str, *shape: int) -> keras.KerasTensor:
    """An input of codes."""
    return keras.Input(shape or (1,), dtype="int32", name=name)


def vectors(name: str, num_codes: int, width: int = 6) -> layers.Embedding:
    """What codes are looked up as."""
    return layers.Embedding(num_codes, width, name=name)


OF_PAIR = {"film": ["films"], "user": ["users"]}


def collaborative() -> keras.Model:
    """The product of the vectors of user and film, and a bias of each."""
    user, film = code("user"), code("film")
    product = layers.Dot(axes=2)([vectors("users", USERS)(user), vectors("films", FILMS)(film)])
    biases = vectors("user_bias", USERS, 1)(user) + vectors("film_bias", FILMS, 1)(film)
    return keras.Model({"film": film, "user": user}, layers.Activation("sigmoid")(layers.Flatten()(product + biases)))


class RecommenderNet(keras.Model):
    """The same, with user and film in two columns of one table."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.films = vectors("users", USERS), vectors("films", FILMS)

    def call(self, x):
        """(batch_size, 2) -> (batch_size, 1)."""
        return ops.sigmoid(ops.sum(self.users(x[:, 0]) * self.films(x[:, 1]), axis=1, keepdims=True))


def two_columns() -> keras.Model:
    """Built by a call."""
    model = RecommenderNet()
    model(ops.zeros((1, 2), "int32"))
    return model


def neural() -> keras.Model:
    """A product and a network beside each other, each with vectors of its own."""
    user, film = code("user"), code("film")
    flat = layers.Flatten()
    product = flat(vectors("users", USERS)(user)) * flat(vectors("films", FILMS)(film))
    joined = layers.Concatenate()([flat(vectors("users_too", USERS)(user)), flat(vectors("films_too", FILMS)(film))])
    deep = chain(joined, layers.Dense(8, "relu"), layers.Dense(4, "relu"))
    return keras.Model({"film": film, "user": user}, layers.Dense(1, "sigmoid")(layers.Concatenate()([product, deep])))


def two_towers() -> keras.Model:
    """One network for what is known of the user, one for what is known of the film; the cosine between them."""
    given = {
        "age": keras.Input((1,), name="age"),
        "film": code("film"),
        "kind": keras.Input((1,), dtype="string", name="kind"),
        "user": code("user"),
    }
    kind = layers.StringLookup(vocabulary=KINDS)(given["kind"])
    user = layers.Concatenate()([layers.Flatten()(vectors("users", USERS)(given["user"])), given["age"]])
    film = [vectors("films", FILMS)(given["film"]), vectors("kinds", 4)(kind)]
    towers = [user, layers.Flatten()(layers.Concatenate()(film))]
    towers = [layers.UnitNormalization()(chain(each, layers.Dense(8, "relu"), layers.Dense(4))) for each in towers]
    return keras.Model(given, layers.Dot(axes=1)(towers))


def two_tasks() -> keras.Model:
    """What a user will watch and how it will be rated, from the same vectors."""
    user, film = code("user"), code("film")
    joined = layers.Flatten()(layers.Concatenate()([vectors("users", USERS)(user), vectors("films", FILMS)(film)]))
    rating = chain(joined, layers.Dense(8, "relu"), layers.Dense(1, name="rating"))
    watched = chain(joined, layers.Dense(8, "relu"), layers.Dense(1, "sigmoid", name="watched"))
    return keras.Model({"film": film, "user": user}, {"rating": rating, "watched": watched})


def next_film() -> keras.Model:
    """A recurrent layer over the last films."""
    films = code("films_before", 5)
    return keras.Model(films, layers.Dense(FILMS, "softmax")(layers.GRU(8)(vectors("films", FILMS)(films))))


def behaviour_sequence() -> keras.Model:
    """A transformer over the last films, their ratings, and the film in question."""
    before, ratings, film = code("before", 5), keras.Input((5,), name="ratings"), code("film")
    seen = vectors("films_before", FILMS, 8)(before) * ratings[..., None]
    hidden = layers.Concatenate(axis=1)(
        [seen + layers.Embedding(5, 8)(ops.arange(5)), vectors("films", FILMS, 8)(film)]
    )
    attended = layers.Dropout(0.1)(layers.MultiHeadAttention(2, 8)(hidden, hidden))
    hidden = layers.LayerNormalization()(layers.Add()([hidden, attended]))
    hidden = layers.LayerNormalization()(layers.Add()([hidden, layers.Dense(8)(layers.LeakyReLU()(hidden))]))
    deep = [layers.Dense(16), layers.BatchNormalization(), layers.LeakyReLU(), layers.Dropout(0.1)]
    given = {"before": before, "film": film, "ratings": ratings}
    return keras.Model(given, chain(layers.Flatten()(hidden), *deep, layers.Dense(1)))


def interest() -> keras.Model:
    """Films before count by how much they are like the one in question."""
    before, film = code("before", 5), code("film")
    shared = vectors("films", FILMS)
    seen, asked = shared(before), shared(film)
    repeated = ops.repeat(asked, 5, axis=1)
    pairs = layers.Concatenate()([repeated, seen, repeated - seen, repeated * seen])
    weights = layers.Dense(1)(layers.Dense(8, "sigmoid")(pairs))
    joined = layers.Concatenate()([ops.sum(weights * seen, axis=1), asked[:, 0]])
    return keras.Model(
        {"before": before, "film": film}, chain(joined, layers.Dense(8, "relu"), layers.Dense(1, "sigmoid"))
    )


COLLABORATIVE = "keras-io: Collaborative Filtering for Movie Recommendations"
CASES = [
    Case(
        "Matrix factorisation",
        COLLABORATIVE,
        collaborative,
        PAIR,
        yes_or_no(),
        codes={"film": ["films", "film_bias"], "user": ["users", "user_bias"]},
    ),
    Case("User and film in one table", COLLABORATIVE, two_columns, integers(9, 2), yes_or_no()),
    Case(
        "Neural collaborative filtering",
        "He et al. (2017)",
        neural,
        PAIR,
        yes_or_no(),
        codes={"film": ["films", "films_too"], "user": ["users", "users_too"]},
    ),
    Case(
        "Two towers",
        "TensorFlow Recommenders tutorial: Building deep retrieval models",
        two_towers,
        together(age=normal(1), film=integers(FILMS, 1), kind=words(KINDS), user=integers(USERS, 1)),
        numbers(),
        codes=OF_PAIR | {"kind": ["kinds"]},
    ),
    Case(
        "Two tasks",
        "TensorFlow Recommenders tutorial: Multi-task recommenders",
        two_tasks,
        PAIR,
        {"rating": numbers(), "watched": yes_or_no()},
        codes=OF_PAIR,
    ),
    Case("GRU4Rec", "Hidasi et al. (2016)", next_film, LAST_FILMS, labels(FILMS), "many-to-one", {"": ["films"]}),
    Case(
        "Behaviour sequence transformer",
        "keras-io: A Transformer-based recommendation system",
        behaviour_sequence,
        together(before=LAST_FILMS, film=integers(FILMS, 1), ratings=normal(5)),
        numbers(),
        codes={"before": ["films_before"], "film": ["films"]},
    ),
    Case(
        "Deep interest network",
        "DeepCTR: DIN",
        interest,
        together(before=LAST_FILMS, film=integers(FILMS, 1)),
        yes_or_no(),
        codes={"before": ["films/1"], "film": ["films"]},
    ),
]
