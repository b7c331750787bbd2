"""Random columns beside real ones: are they all reported, and does the network do without them?

    python studies/random_columns.py [--seeds N] [--out FILE]

To each of three public data sets as many columns of standard normal noise are appended as it has. A network with noise
probes is watched while it trains on all; then `select` chooses. What comes out is a table with a row for each data set
and seed: how many of the random columns died, and were selected, and the errors on new rows of the network on all
columns and of the one on the selected ones. `selection_rates_page.py` makes of it what the documents show.

If the credit and bike data are in no folder named by KERAS_SENSITIVITY_DATA, they are downloaded from UCI.
"""

import argparse
import pathlib
import sys
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import sklearn.datasets
import tensorflow as tf

import keras_sensitivity as ks

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "examples"))
import _datasets

Array = np.ndarray
MOST_ROWS = 4_000
UNITS, L2, LEARNING_RATE, EPOCHS, BATCH_SIZE = 64, 0.001, 0.003, 30, 64

# Each fit is a new network, so Keras traces its functions anew, and TensorFlow would warn of that.
tf.get_logger().setLevel("ERROR")


class Data(NamedTuple):
    """Standardised rows, what is to be predicted, and how an error counts."""

    x: pd.DataFrame
    y: Array
    loss: str


def credit() -> Data:
    """Who of 30,000 credit card customers did not pay."""
    x, y = _datasets.credit_default()
    return Data(x, y.to_numpy(), "binary_crossentropy")


def bike() -> Data:
    """How many bikes were rented in each of 17,379 hours."""
    table = _datasets.bike_sharing()
    return Data(table.loc[:, "season":"windspeed"], np.log1p(table["cnt"].to_numpy()), "mse")


def cancer() -> Data:
    """Which of 569 tumours are benign."""
    x, y = sklearn.datasets.load_breast_cancer(return_X_y=True, as_frame=True)
    return Data(x, y.to_numpy(), "binary_crossentropy")


DATA = {"credit": credit, "bike": bike, "cancer": cancer}


def outcome(name: str, seed: int) -> dict[str, Any]:
    """A row of the table."""
    data, rng = DATA[name](), np.random.default_rng(seed)
    real = list(data.x.columns)
    random = [f"random {index}" for index in range(len(real))]
    rows = rng.permutation(len(data.x))[: 2 * MOST_ROWS]
    train, test = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    noise = pd.DataFrame(rng.normal(size=(len(data.x), len(real))), columns=random)
    x = pd.concat([data.x.reset_index(drop=True), noise], axis=1)
    x = ((x - x.iloc[train].mean()) / x.iloc[train].std()).astype("float32")
    y = data.y.astype("float32")[:, None]
    if data.loss == "mse":
        y = (y - y[train].mean()) / y[train].std()

    def build(num_features: int, *probes: keras.layers.Layer) -> keras.Model:
        penalty = {"kernel_regularizer": keras.regularizers.L2(L2)}
        output = keras.layers.Dense(1, "sigmoid" if data.loss != "mse" else None, **penalty)
        hidden = keras.layers.Dense(UNITS, "relu", **penalty)
        model = keras.Sequential([keras.Input((num_features,)), *probes, hidden, output])
        steps = max(1, len(train) // BATCH_SIZE)
        model.compile(
            keras.optimizers.Adam(LEARNING_RATE), data.loss, metrics=[data.loss], steps_per_execution=steps,
            jit_compile=False,
        )  # fmt: skip
        return model

    keras.utils.set_random_seed(seed)
    probed = build(x.shape[1], ks.NoiseProbes())
    watch = ks.SensitivityCallback(x.iloc[train])
    probed.fit(x.iloc[train], y[train], epochs=EPOCHS, batch_size=BATCH_SIZE, callbacks=[watch], verbose=0)
    options = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "seed": seed, "verbose": 0}
    found = ks.select(build, x.iloc[train], y[train], **options)
    whole = ks.select(build, x.iloc[train], y[train], num_features=x.shape[1], **options)  # one round, on all
    errors = {
        key: one.model.evaluate(one.take(x.iloc[test]), y[test], verbose=0, return_dict=True)[data.loss]
        for key, one in (("error_all", whole), ("error_selected", found))
    }
    return {
        "data": name,
        "seed": seed,
        "random": len(random),
        "random_dead": len(set(random) & set(watch.dead_features)),
        "real_dead": len(set(real) & set(watch.dead_features)),
        "random_selected": len(set(random) & set(found.features)),
        "real": len(real),
        "real_selected": len(set(real) & set(found.features)),
    } | {key: round(value, 4) for key, value in errors.items()}


def main() -> None:
    """Watch, select, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/results/random_columns.csv"))
    arguments = parser.parse_args()
    table = []
    for name in DATA:
        for seed in range(arguments.seeds):
            table.append(outcome(name, seed))
            print(table[-1], flush=True)
            keras.backend.clear_session()
    arguments.out.write_text("# make study-selection\n" + pd.DataFrame(table).to_csv(index=False))
    print(arguments.out)


if __name__ == "__main__":
    main()
