"""Draws the effect curves and the beeswarm of a trained network.

    python studies/effects_picture.py [--out FOLDER]

The network learns a price from the area, age and distance of 3,000 flats, which are made up, so that it is known what
is right: the price rises with the logarithm of the area, falls and rises with the age, and falls with the distance, the
less the farther.
"""

import argparse
import pathlib

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import keras_sensitivity as ks
from keras_sensitivity import plots


def flats(count: int) -> tuple[pd.DataFrame, pd.Series]:
    """Flats and their prices, in thousands."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame({
        "area, m²": rng.lognormal(4.2, 0.4, count),
        "age, years": rng.uniform(0, 120, count),
        "distance, km": rng.exponential(6, count),
        "door number": rng.uniform(1, 99, count),
    })  # fmt: skip
    price = 160 * np.log(x["area, m²"]) + ((x["age, years"] - 60) / 8) ** 2 + 150 * np.exp(-x["distance, km"] / 5)
    return x, price + rng.normal(0, 10, count)


def network(x: pd.DataFrame) -> keras.Model:
    """Trained on flats, whose columns it normalises itself."""
    scale = keras.layers.Normalization()
    scale.adapt(x.to_numpy())
    layers = [scale, keras.layers.Dense(32, "tanh"), keras.layers.Dense(32, "tanh"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((x.shape[1],)), *layers])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def draw(importance: ks.Importance, explanation: ks.Explanation) -> Figure:
    """Three curves, and a swarm beside them."""
    figure = plt.figure(figsize=(12.5, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=[1, 1.15])
    for place, name in enumerate(importance.features.index[:3]):
        ax = importance.plot_effect(name, ax=figure.add_subplot(grid[0, place]))
        if place:
            ax.set_ylabel("")
    plots.beeswarm(explanation, ax=figure.add_subplot(grid[1, :]))
    return figure


def main() -> None:
    """Train, measure, explain and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/effects"), help="folder to write to")
    out: pathlib.Path = parser.parse_args().out
    keras.utils.set_random_seed(0)
    x, price = flats(3000)
    model = network(x)
    centred = (price - price.mean()) / price.std()
    model.fit(x.to_numpy(), centred, epochs=40, batch_size=64, verbose=0)
    last = model.layers[-1]
    last.set_weights([last.get_weights()[0] * price.std(), last.get_weights()[1] * price.std() + price.mean()])
    importance = ks.measure(model, x)
    print(importance.table.round(1))
    out.mkdir(parents=True, exist_ok=True)
    draw(importance, ks.explain(model, x[:400], background=x)).savefig(out / "effects.png", dpi=110)
    print(f"Picture: {out / 'effects.png'}")


if __name__ == "__main__":
    main()
