"""Section 2.6 on real data: three categories of the credit data as integers, as one-hot codes, and as embeddings.

    python examples/paper/section_2_6_categories.py [--quick] [--out FOLDER]

SEX, EDUCATION and MARRIAGE are codes. The paper's network reads them as numbers, as if "single" (2) lay between
"married" (1) and "others" (3). One-hot columns are put together again with ``groups``; an embedded code is one feature
of itself.

Look at the three columns side by side: what changes for the three categories, and that the numbers keep their order.
"""

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


def embedding_network(num_numbers: int) -> keras.Model:
    """The paper's network behind embeddings of the categories, not yet trained."""
    layers = keras.layers
    inputs = {name: keras.Input((1,), dtype="int32", name=name) for name in CATEGORIES}
    looked_up = [layers.Flatten()(layers.Embedding(CODES, DIMENSIONS)(code)) for code in inputs.values()]
    inputs["numbers"] = keras.Input((num_numbers,), name="numbers")
    joined = layers.Concatenate()([*looked_up, inputs["numbers"]])
    return credit_default.ready(keras.Model(inputs, credit_default.network(joined.shape[1])(joined)))


def run(job: _common.Job, split: int) -> dict[str, pd.Series]:
    """Importances and errors of the three networks on one split."""
    data = _common.credit(job, split)
    num_numbers = data.x.shape[1] - len(CATEGORIES)
    groups = {name: [f"{name}_{code}" for code in range(CODES)] for name in CATEGORIES}
    ways = {
        "integers": (pd.DataFrame, credit_default.network, data.x.shape[1], None),
        "one-hot": (one_hot, credit_default.network, num_numbers + CODES * len(CATEGORIES), groups),
        "embedded": (embedded, embedding_network, num_numbers, None),
    }
    found = {}
    for name, (encode, network, width, together) in ways.items():
        keras.backend.clear_session()
        keras.utils.set_random_seed(split)
        model, x, x_test = network(width), encode(data.x), encode(data.x_test)
        _common.fit(job, model, x, data.y)
        # Codes have no standardised columns, so each derivative is multiplied by the spread of what it is taken of.
        importance = ks.measure(model, x, groups=together)
        error = pd.Series({"test error": _common.error(model, x_test, data.y_test)})
        found[name] = pd.concat([importance.features, error])
    return found


def main(arguments: list[str] | None = None) -> None:
    job = _common.job(__file__, __doc__, arguments)
    runs = [run(job, split) for split in range(job.some(3, 1))]
    means = pd.DataFrame({way: pd.DataFrame([found[way] for found in runs]).mean() for way in runs[0]})
    sds = pd.DataFrame({f"{way} sd": pd.DataFrame([found[way] for found in runs]).std() for way in runs[0]})
    table = means.join(sds).sort_values("integers", ascending=False)
    features = table.drop(index="test error").rename_axis("feature")
    errors = table.loc[["test error"]].rename_axis("what")
    print("Importance, percent\n" + features.round(2).to_string(), errors.round(2).to_string(), sep="\n\n")
    job.save("section_2_6", features)
    job.save("section_2_6_errors", errors)


if __name__ == "__main__":
    main()
