"""Which features does a network do without? Deaths that can be believed, and what to do about them.

    python examples/dead_features.py [--out FOLDER]

The first benchmark of Friedman (1991), Y = 10 sin(pi X1 X2) + 20 (X3 - 1/2)^2 + 10 X4 + 5 X5 + e, has ten features, of
which X6 to X10 mean nothing. `NoiseProbes` behind the input show what such a feature looks like in this network, and
`SensitivityCallback` reports those that cannot be told from noise. Two networks are trained, on many rows and on few.

Look at the deaths: X6 to X10, and no other; at the noise level of the first network, which rises from about that epoch
on at which it begins to memorise and its test loss is at its best, and this without a look at test data; at that of the
second, which has few rows, and where noise is worth half of a real feature; and at the error of a third network, which
is trained on the features that are left and is the better for it.
"""

import argparse
import pathlib

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import keras_sensitivity as ks
from keras_sensitivity import plots

NAMES = [f"X{number}" for number in range(1, 11)]
IRRELEVANT = NAMES[5:]
MANY_ROWS, FEW_ROWS, TEST_ROWS = 8_000, 300, 4_000
EPOCHS_OF_MANY, EPOCHS_OF_FEW = 40, 200


def simulate(rng: np.random.Generator, num_rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw X, standardised, and Y, centred and scaled by their exact moments."""
    x = pd.DataFrame(rng.uniform(size=(num_rows, len(NAMES))), columns=NAMES)
    y = 10 * np.sin(np.pi * x["X1"] * x["X2"]) + 20 * (x["X3"] - 0.5) ** 2 + 10 * x["X4"] + 5 * x["X5"]
    y += rng.normal(size=num_rows)
    return ((x - 0.5) * 12**0.5).astype("float32"), ((y - 14.4) / 5).to_numpy()


def network(num_features: int) -> keras.Model:
    """Two hidden layers behind noise probes, not yet trained."""
    dense = keras.layers.Dense
    model = keras.Sequential(
        [keras.Input((num_features,)), ks.NoiseProbes(), dense(64, "relu"), dense(64, "relu"), dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.002), "mse")
    return model


def train(
    x: pd.DataFrame, y: np.ndarray, test: tuple[pd.DataFrame, np.ndarray], epochs: int, *, verbose: int = 0
) -> tuple[keras.Model, ks.SensitivityCallback, pd.Series]:
    """A network, the callback that watched it, and its test loss over the epochs."""
    watch = ks.SensitivityCallback(x, every_n_epochs=max(1, epochs // 40), verbose=verbose)
    model = network(x.shape[1])
    history = model.fit(
        x, y, batch_size=64, epochs=epochs, callbacks=[watch], verbose=0,
        validation_data=test, validation_batch_size=TEST_ROWS,
    )  # fmt: skip
    return model, watch, pd.Series(history.history["val_loss"])


def error(model: keras.Model, x: pd.DataFrame, y: np.ndarray) -> float:
    """Mean squared error, percent of the variance of Y."""
    return 100 * float(np.mean((model.predict(x, batch_size=len(x), verbose=0)[:, 0] - y) ** 2) / y.var())


def draw(watches: dict[str, ks.SensitivityCallback], path: pathlib.Path) -> None:
    """Save a picture of both trajectories with their noise bands, one scale for both."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.6), sharey=True, layout="constrained")
    for ax, (title, watch) in zip(axes, watches.items(), strict=True):
        plots.trajectory(watch.trajectory, ax, events=watch.events, noise=watch.noise_band, log=True)
        ax.set_title(title, loc="left")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/dead_features"), help="folder")
    out: pathlib.Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = simulate(rng, MANY_ROWS)
    x_test, y_test = simulate(rng, TEST_ROWS)

    print(f"Training on {MANY_ROWS:,} rows ...", flush=True)
    model, watch, losses = train(x, y, (x_test, y_test), EPOCHS_OF_MANY, verbose=1)
    print(f"\nDead:       {', '.join(watch.dead_features)}")
    print(f"Irrelevant: {', '.join(IRRELEVANT)}")
    level = watch.noise_level
    print(
        f"Noise level: {level.min():.2f} % at epoch {level.idxmin()}, then up to {level[level.idxmin() :].max():.2f} %"
    )
    print(f"Test loss:   lowest at epoch {losses.idxmin()}, at the end {losses.iloc[-1] / losses.min():.2f} x as high")

    print(f"\nTraining on the first {FEW_ROWS} of them ...", flush=True)
    few, few_watch, _ = train(x[:FEW_ROWS], y[:FEW_ROWS], (x_test, y_test), EPOCHS_OF_FEW)
    print(f"Noise level: {few_watch.noise_level.iloc[-1]:.2f} %")

    kept = [name for name in x.columns if name not in watch.dead_features]
    print(f"\nTraining on {MANY_ROWS:,} rows of {', '.join(kept)} ...", flush=True)
    smaller, _, _ = train(x[kept], y, (x_test[kept], y_test), EPOCHS_OF_MANY)
    delivered = ks.remove_probes(smaller)

    errors = {
        f"all features, {FEW_ROWS} rows": error(few, x_test, y_test),
        "all features": error(model, x_test, y_test),
        "the features that are left": error(smaller, x_test[kept], y_test),
        "the same, probes removed": error(delivered, x_test[kept], y_test),
    }
    print("\nMean squared error on new rows, percent of the variance of Y (the noise alone has 4 %)")
    print(pd.Series(errors).round(2).to_string())

    picture = out / "dead_features.png"
    draw({f"{MANY_ROWS:,} rows": watch, f"{FEW_ROWS} rows": few_watch}, picture)
    print(f"\nPicture: {picture}")


if __name__ == "__main__":
    main()
