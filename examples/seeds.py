"""What would another training say? Five networks from five seeds, side by side.

    python examples/seeds.py [--seeds N] [--out FOLDER]

Y = 3 income - 2 debt + sin(2 age) + e. The salary is nearly the income: a network may use either, and which one it
uses more, its first weights decide. The shoe size means nothing.

Look at income and salary, which move by up to 20 points from seed to seed, though the standard errors of each network
are at most 0.3 points; and at the second picture, where both are one feature, on which the networks agree much better.
"""

import argparse
import pathlib

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import keras_sensitivity as ks
from keras_sensitivity import plots

NUM_ROWS, EPOCHS = 4_000, 15
GROUPS = {"income and salary": ["income", "salary"]}


def simulate(rng: np.random.Generator, num_rows: int = NUM_ROWS) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw the five columns, each of mean 0 and variance 1, and Y."""
    x = pd.DataFrame(rng.normal(size=(num_rows, 5)), columns=["income", "salary", "debt", "age", "shoe_size"])
    x["salary"] = (x["income"] + 0.02 * x["salary"]) / 1.0004**0.5
    y = 3 * x["income"] - 2 * x["debt"] + np.sin(2 * x["age"])
    return x, (y + rng.normal(scale=0.1, size=num_rows)).to_numpy()


def train(x: pd.DataFrame, y: np.ndarray, *, seed: int, epochs: int = EPOCHS) -> keras.Model:
    """A network that was trained from this seed."""
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((x.shape[1],)), keras.layers.Dense(32, "tanh"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.005), "mse")
    model.fit(x, y, epochs=epochs, verbose=0)
    return model


def draw(alone: ks.Comparison, together: ks.Comparison, path: pathlib.Path) -> None:
    """Save a picture of both comparisons."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
    plots.side_by_side(alone, ax=left)
    plots.side_by_side(together, ax=right)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="how many networks to train, at least 2")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/seeds"), help="folder to write to")
    arguments = parser.parse_args()

    x, y = simulate(np.random.default_rng(0))
    print(f"Training {arguments.seeds} networks on {NUM_ROWS:,} rows ...", flush=True)
    models = {f"seed {seed}": train(x, y, seed=seed) for seed in range(arguments.seeds)}
    alone = ks.compare({name: ks.measure(model, x) for name, model in models.items()})
    together = ks.compare({name: ks.measure(model, x, groups=GROUPS) for name, model in models.items()})
    for comparison in (alone, together):
        print(f"\n{comparison}")
        print("Importances in percent, over the seeds; std: from seed to seed; standard_error: from sample to sample")
        print(comparison.spread.round(2).to_string())

    arguments.out.mkdir(parents=True, exist_ok=True)
    picture = arguments.out / "seeds.png"
    draw(alone, together, picture)
    print(f"\nPicture: {picture}")


if __name__ == "__main__":
    main()
