"""What drives bike rentals: categories and numbers in one model, from a data frame, through Keras' FeatureSpace.

    python examples/mixed_inputs.py [--epochs N] [--out FOLDER]

Hourly rentals of Washington, D.C., in 2011 and 2012: season, weather, weekday, holiday and hour as categories,
temperature, humidity and wind as numbers. A FeatureSpace looks up and encodes them inside the model, which so takes a
dict of plain columns. Each category is one feature, however many columns it becomes; here the calendar's are also
counted together, by ``groups``. If the data are in no folder named by KERAS_SENSITIVITY_DATA, they are downloaded from
UCI.

A category is measured by what happens when an hour gets that of another hour, a number along its path.

Look at the hour: it is nearly half of everything, more than the calendar and all weather but the temperature together.
Then look at the single hours that are explained at the end: at 8 in the morning the calendar counts for much more than
on average, because it says whether people ride to work. (Single rows are explained by derivatives, also of categories.)
"""

import argparse
import pathlib
from collections.abc import Sequence

import _datasets
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras.utils import FeatureSpace

import keras_sensitivity as ks
from keras_sensitivity import plots

SEASONS = {1: "winter", 2: "spring", 3: "summer", 4: "fall"}
WEATHER = {1: "clear", 2: "mist", 3: "rain or snow", 4: "storm"}
GROUPS = {"calendar": ["season", "weekday", "holiday"]}


def load() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns by name, and the log of the rentals, standardised."""
    table = _datasets.bike_sharing()
    columns = {
        "season": table["season"].map(SEASONS).to_numpy(dtype=str),
        "weather": table["weathersit"].map(WEATHER).to_numpy(dtype=str),
        "weekday": table["weekday"].to_numpy(),
        "holiday": table["holiday"].to_numpy(),
        "hour": table["hr"].to_numpy(),
        "temperature": table["temp"].to_numpy("float32"),
        "humidity": table["hum"].to_numpy("float32"),
        "wind": table["windspeed"].to_numpy("float32"),
    }
    y = np.log1p(table["cnt"].to_numpy("float32"))
    return columns, (y - y.mean()) / y.std()


def space() -> FeatureSpace:
    """How each column becomes numbers."""
    return FeatureSpace(
        features={
            "season": FeatureSpace.string_categorical(num_oov_indices=0),
            "weather": FeatureSpace.string_categorical(num_oov_indices=0),
            "weekday": FeatureSpace.integer_categorical(num_oov_indices=0),
            "holiday": FeatureSpace.integer_categorical(num_oov_indices=0),
            "hour": FeatureSpace.integer_categorical(num_oov_indices=0),
            "temperature": FeatureSpace.float_normalized(),
            "humidity": FeatureSpace.float_normalized(),
            "wind": FeatureSpace.float_normalized(),
        },
        output_mode="concat",
    )


def network(data: tf.data.Dataset) -> keras.Model:
    """A model of plain columns, not yet trained; ``data`` yields dicts of them."""
    layers = keras.layers
    encoder = space()
    encoder.adapt(data)
    hidden = layers.Dense(64, "relu")(encoder.get_encoded_features())
    hidden = layers.Dense(32, "relu")(hidden)
    model = keras.Model(dict(encoder.get_inputs()), layers.Dense(1)(hidden))
    model.compile(keras.optimizers.Adam(0.003), "mse")
    return model


def take(columns: dict[str, np.ndarray], rows: np.ndarray | slice) -> dict[str, np.ndarray]:
    return {name: column[rows] for name, column in columns.items()}


def train(columns: dict[str, np.ndarray], y: np.ndarray, epochs: int, log_dir: pathlib.Path | None):
    """The trained model and what was seen on the way."""
    model = network(tf.data.Dataset.from_tensor_slices(columns).batch(1024))
    watch = ks.SensitivityCallback(columns, groups=GROUPS, num_samples=2048, log_dir=log_dir)
    data = tf.data.Dataset.from_tensor_slices((columns, y)).shuffle(len(y), seed=0).batch(256)
    model.fit(data, epochs=epochs, callbacks=[watch], shuffle=False, verbose=0)
    return model, watch


def draw(explanation: ks.Explanation, titles: Sequence[str], path: pathlib.Path) -> None:
    """Save a picture of each row, side by side."""
    figure, axes = plt.subplots(1, len(titles), figsize=(13, 3.2), layout="constrained")
    for sample, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        plots.local_bars(explanation, sample, ax=ax)
        ax.set_title(title)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("runs/mixed_inputs"), help="folder to write to"
    )
    arguments = parser.parse_args()

    keras.utils.set_random_seed(0)
    columns, y = load()
    order = np.random.default_rng(0).permutation(len(y))
    rows, held_out = order[3000:], order[:3000]
    print(f"Training {arguments.epochs} epochs on {len(rows):,} hours ...", flush=True)
    model, watch = train(take(columns, rows), y[rows], arguments.epochs, arguments.out)
    test = tf.data.Dataset.from_tensor_slices((take(columns, held_out), y[held_out])).batch(1000)
    print(
        f"Mean squared error on {len(held_out):,} other hours: {model.evaluate(test, verbose=0):.3f} of a variance of 1"
    )

    print("\nImportance, percent, with the calendar as one feature:")
    print(watch.importance.table[["importance", "standard_error", "rank"]].round(1).to_string())
    print("\nand with each of its columns for itself:")
    alone = ks.measure(model, take(columns, rows), num_samples=2048)
    print(alone.features.sort_values(ascending=False).round(1).to_string())

    chosen = [int(np.flatnonzero(columns["hour"][held_out] == hour)[0]) for hour in (4, 8, 17)]
    explanation = ks.explain(model, take(columns, held_out[chosen]), background=take(columns, rows), groups=GROUPS)
    titles = [f"at {explanation.values(row)['hour']} o'clock" for row in range(len(chosen))]
    print("\nThree hours explained, percent:")
    print(explanation.features.set_axis(titles).round(1).T.to_string())

    picture = arguments.out / "mixed_inputs.png"
    draw(explanation, titles, picture)
    print(f"\nPicture:     {picture}")
    print(f"TensorBoard: tensorboard --logdir {arguments.out}")


if __name__ == "__main__":
    main()
