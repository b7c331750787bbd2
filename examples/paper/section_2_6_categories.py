"""Section 2.6 on real data: three categories of the credit data as integers, as one-hot codes, and as embeddings.

    python examples/paper/section_2_6_categories.py [--quick] [--out FOLDER]

SEX, EDUCATION and MARRIAGE are codes. The paper's network reads them as numbers, as if "single" (2) lay between
"married" (1) and "others" (3). One-hot columns are put together again with ``groups``; an embedded code is one feature
of itself.

Look at the categories: with the penalty, which narrow columns and small embeddings cannot afford, they all but vanish;
without it they count for most as one-hot codes. The errors hardly differ, so a network can do without them.
"""

import itertools

import _common
import _datasets
import credit_default
import keras
import numpy as np
import pandas as pd

import keras_sensitivity as ks

CATEGORIES = ["SEX", "EDUCATION", "MARRIAGE"]
CODES = 7  # from 0 to 6; not every category has all of them
DIMENSIONS = 2  # of an embedding
PENALTIES = (0.01, 0.0)  # on the weights of the hidden layer


def codes(x: pd.DataFrame) -> pd.DataFrame:
    """The categories of these customers as the data have them."""
    raw, _ = _datasets.credit_default()
    return raw.loc[x.index, CATEGORIES]


def one_hot(x: pd.DataFrame) -> pd.DataFrame:
    """The features with a column for each code in place of the categories."""
    found = codes(x)
    columns = {f"{name}_{code}": found[name] == code for name in CATEGORIES for code in range(CODES)}
    return x.drop(columns=CATEGORIES).join(pd.DataFrame(columns).astype("float32"))


def embedded(x: pd.DataFrame) -> dict[str, np.ndarray | pd.DataFrame]:
    """The features with an input of its own for each category."""
    return {**{name: column.to_numpy() for name, column in codes(x).items()}, "numbers": x.drop(columns=CATEGORIES)}


def embedding_network(num_numbers: int, *, l1: float) -> keras.Model:
    """The paper's network behind embeddings of the categories, not yet trained."""
    layers = keras.layers
    inputs = {name: keras.Input((1,), dtype="int32", name=name) for name in CATEGORIES}
    looked_up = [layers.Flatten()(layers.Embedding(CODES, DIMENSIONS)(code)) for code in inputs.values()]
    inputs["numbers"] = keras.Input((num_numbers,), name="numbers")
    joined = layers.Concatenate()([*looked_up, inputs["numbers"]])
    return credit_default.ready(keras.Model(inputs, credit_default.network(joined.shape[1], l1=l1)(joined)))


def run(job: _common.Job, split: int) -> pd.DataFrame:
    """Importances and errors on one split, a column a network."""
    data = _common.credit(job, split)
    num_numbers = data.x.shape[1] - len(CATEGORIES)
    groups = {name: [f"{name}_{code}" for code in range(CODES)] for name in CATEGORIES}
    ways = {
        "integers": (pd.DataFrame, credit_default.network, data.x.shape[1], None),
        "one-hot": (one_hot, credit_default.network, num_numbers + CODES * len(CATEGORIES), groups),
        "embedded": (embedded, embedding_network, num_numbers, None),
    }
    found = {}
    for (way, (encode, network, width, together)), l1 in itertools.product(ways.items(), PENALTIES[: job.some(2, 1)]):
        keras.backend.clear_session()
        keras.utils.set_random_seed(split)
        model, x, x_test = network(width, l1=l1), encode(data.x), encode(data.x_test)
        _common.fit(job, model, x, data.y)
        # Codes have no standardised columns, so each derivative is multiplied by the spread of what it is taken of.
        shares = ks.measure(model, x, groups=together, definition=ks.Definition(scale="std")).features
        summed = {"test error": _common.error(model, x_test, data.y_test), "categories": shares[CATEGORIES].sum()}
        found[way if l1 else f"{way}, no penalty"] = pd.concat([shares, pd.Series(summed)])
    return pd.DataFrame(found)


def main(arguments: list[str] | None = None) -> None:
    job = _common.job(__file__, __doc__, arguments)
    runs = pd.concat({split: run(job, split) for split in range(job.some(3, 1))}, names=["split", "feature"])
    by_feature = runs.groupby(level="feature", sort=False)
    means, sds = by_feature.mean(), by_feature.std()
    sums = ["test error", "categories"]
    features = means.drop(index=sums).sort_values("integers", ascending=False)
    networks = means.loc[sums].T.join(sds.loc[sums].T.add_suffix(" sd")).rename_axis("categories as")
    print("Importance, percent\n" + features.round(2).to_string(), networks.round(2).to_string(), sep="\n\n")
    print("The paper has the formulas; we know of no numbers of its to put beside these.")
    job.save("section_2_6", features)
    job.save("section_2_6_networks", networks)


if __name__ == "__main__":
    main()
