"""A network whose true importances are known: does it find them, and when does it drop the feature that hardly matters?

    python examples/simulation.py [--out FOLDER] [--seed SEED]

The simulation of Horel et al. (2018), section 3: Y = cos X1 + sin X2 + 2 X3 + X4 + X5/100 + e, with independent
standard normal X1 .. X5 and normal e of variance 0.01. A network of 64 and 32 ReLU units learns it from 8,500 rows
while a `SensitivityCallback` watches.

Look at three things: the last table, where the network's importances stand beside the exact ones; the trajectory, in
which X5 starts with a few percent and falls; and the line that reports its death while the network is still training.
"""

import argparse
import pathlib
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import keras_sensitivity as ks
from keras_sensitivity import plots

NAMES = ["X1", "X2", "X3", "X4", "X5"]
NOISE_VARIANCE = 0.01
TRAIN_ROWS, TEST_ROWS = 8_500, 1_500
EPOCHS, WARM_UP_EPOCHS, BATCH_SIZE, LEARNING_RATE = 40, 20, 32, 0.02


def simulate(rng: np.random.Generator, num_rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw X of shape (num_rows, 5) and Y of shape (num_rows,)."""
    x = pd.DataFrame(rng.normal(size=(num_rows, len(NAMES))), columns=NAMES)
    y = np.cos(x["X1"]) + np.sin(x["X2"]) + 2 * x["X3"] + x["X4"] + x["X5"] / 100
    return x, (y + rng.normal(scale=NOISE_VARIANCE**0.5, size=num_rows)).to_numpy()


def exact_importances() -> pd.Series:
    """Importances of the true function, percent: shares of the roots of the mean squared derivatives.

    For a standard normal X, E cos(2X) = exp(-2), so E sin(X)^2 = (1 - exp(-2)) / 2 and E cos(X)^2 = (1 + exp(-2)) / 2.
    """
    mean_squares = np.array([(1 - np.exp(-2)) / 2, (1 + np.exp(-2)) / 2, 2**2, 1**2, 0.01**2])
    rms = np.sqrt(mean_squares)
    return pd.Series(100 * rms / rms.sum(), index=NAMES, name="exact")


def network() -> keras.Model:
    """The paper's network, not yet trained."""
    dense = keras.layers.Dense
    return keras.Sequential([keras.Input((len(NAMES),)), dense(64, "relu"), dense(32, "relu"), dense(1)])


def train(
    model: keras.Model, x: pd.DataFrame, y: np.ndarray, *, log_dir: pathlib.Path | None = None, verbose: int = 0
) -> ks.SensitivityCallback:
    """Train the model and return the callback that watched it."""
    steps = -(-len(x) // BATCH_SIZE)
    # A slow start shows how the importances emerge; large steps in small batches keep the network from learning the
    # noise, and the decay to 0 lets it settle.
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=LEARNING_RATE,
        warmup_steps=WARM_UP_EPOCHS * steps,
        decay_steps=(EPOCHS - WARM_UP_EPOCHS) * steps,
    )
    model.compile(keras.optimizers.Adam(schedule), "mse")
    watch = ks.SensitivityCallback(x, definition=ks.PAPER, num_samples=None, log_dir=log_dir, verbose=verbose)
    model.fit(x, y, epochs=EPOCHS, batch_size=BATCH_SIZE, callbacks=[watch], verbose=0)
    return watch


def comparison(importance: ks.Importance) -> pd.DataFrame:
    """The network's importances beside the exact ones, percent."""
    table = importance.table[["importance", "standard_error"]].assign(exact=exact_importances())
    return table.assign(difference=table["importance"] - table["exact"])


def draw(watch: ks.SensitivityCallback, path: pathlib.Path) -> None:
    """Save a picture of the ranking and the trajectory, with the exact importances as dotted lines."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), width_ratios=[2, 3], layout="constrained")
    plots.ranking(watch.importance, ax=left)
    left.set_title("After training")
    plots.trajectory(watch.trajectory, ax=right, events=watch.events)
    for share in exact_importances():
        right.axhline(share, color="black", linestyle=":", linewidth=1)
    right.set_title("While training (dotted: exact)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/demo"), help="folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="of the data and of the network")
    arguments = parser.parse_args()
    out: pathlib.Path = arguments.out

    keras.utils.set_random_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    x, y = simulate(rng, TRAIN_ROWS)
    x_test, y_test = simulate(rng, TEST_ROWS)
    model = network()
    print(f"Training {EPOCHS} epochs on {TRAIN_ROWS:,} rows ...", flush=True)
    start = time.perf_counter()
    watch = train(model, x, y, log_dir=out, verbose=1)
    print(f"... done in {time.perf_counter() - start:.0f} s.")

    print("\nThe trajectory: importances in percent after some of the epochs (counted from 0)")
    excerpt = [0, 1, 2, 3, 5, 7, 10, 20, 30, EPOCHS - 1]
    print(watch.trajectory.loc[excerpt].round(2).to_string())

    print("\nFeatures that died (their importance stayed below the threshold) or revived")
    print(watch.events.round(2).to_string(index=False))

    print("\nThe trained network beside the truth, in percent")
    print(comparison(watch.importance).round(3).to_string())
    error = model.evaluate(x_test, y_test, batch_size=TEST_ROWS, verbose=0)
    print(f"\nMean squared error on {TEST_ROWS:,} new rows: {error:.5f} (the noise alone: {NOISE_VARIANCE:.5f})")

    picture = out / "simulation.png"
    draw(watch, picture)
    print(f"\nPicture:     {picture}")
    print(f"TensorBoard: .venv/bin/tensorboard --logdir {out}    then open the address that it prints, and Sensitivity")


if __name__ == "__main__":
    main()
