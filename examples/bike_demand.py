"""Which hours of the past day, and what about them, does a network need to forecast how many bikes are rented?

    python examples/bike_demand.py [--epochs N] [--out FOLDER]

Hourly rentals of Washington, D.C., in 2011 and 2012. An LSTM sees 24 hours of weather, calendar and rentals, the newest
being the hour to forecast (its own rentals are left out: `rented_before` is always the number of the hour before). If
the data are in no folder named by KERAS_SENSITIVITY_DATA, they are downloaded from UCI.

Look at the lag profile: about a third of all importance is at lag 0, half at lags 0 and 1, next to nothing beyond half
a day. Then look at the heat map, which feature counts how many hours back. The rentals of the hour before count almost
only at lag 0: the level from which demand goes on. The hour of the day counts at lags 0 to 7: the network reads the
time from the course of the clock, so its importance is spread over several hours. The paper's lambda (`lags="current"`)
sees only the right-hand column of this map, and so gives `hour` half of the importance that it has over all lags.
"""

import argparse
import pathlib

import _datasets
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import keras_sensitivity as ks
from keras_sensitivity import plots

HOURS = 24
GROUPS = {"hour": ["hour_sin", "hour_cos"]}


def features(table: pd.DataFrame) -> pd.DataFrame:
    """Features of each hour, standardised; the hour as a point on a circle, so that 23 is beside 0."""
    angle = 2 * np.pi * table["hr"] / 24
    x = table[["temp", "hum", "windspeed", "weathersit", "workingday", "yr"]].assign(
        hour_sin=np.sin(angle), hour_cos=np.cos(angle), rented_before=np.log1p(table["cnt"]).shift(1)
    )
    return (x - x.mean()) / x.std()


def windows(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Windows of shape (num_windows, 24, num_features) without gaps, the log of the rentals to forecast, the names."""
    x = features(table)
    y = np.log1p(table["cnt"]).to_numpy()
    cut = np.lib.stride_tricks.sliding_window_view(x.to_numpy("float32"), HOURS, axis=0).transpose(0, 2, 1)
    # Some hours are missing from the data; a window is whole if it spans 24 hours and has an hour before it.
    whole = np.asarray(table.index[HOURS:] - table.index[:-HOURS] == pd.Timedelta(hours=HOURS))
    return cut[1:][whole], (y[HOURS:][whole] - y.mean()) / y.std(), list(x.columns)


def network(num_features: int) -> keras.Model:
    """An LSTM over the day, not yet trained."""
    layers = keras.layers
    model = keras.Sequential([keras.Input((HOURS, num_features)), layers.LSTM(32), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.003), "mse")
    return model


def draw(watch: ks.SensitivityCallback, path: pathlib.Path) -> None:
    """Save the lag profile and the heat map."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.6), width_ratios=[2, 3], layout="constrained")
    plots.lag_profile(watch.importance, ax=left)
    plots.heat_map(watch.importance, ax=right)
    left.set_title("Importance of each hour back")
    right.set_title("Which feature, how many hours back")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/bike_demand"), help="folder to write to")
    arguments = parser.parse_args()

    keras.utils.set_random_seed(0)
    x, y, names = windows(_datasets.bike_sharing())
    train = int(0.8 * len(x))  # the last fifth of the time is held out
    model = network(len(names))
    watch = ks.SensitivityCallback(
        x[:train], feature_names=names, groups=GROUPS, num_samples=2048, log_dir=arguments.out, verbose=1
    )
    print(f"Training {arguments.epochs} epochs on {train:,} windows of {HOURS} hours ...", flush=True)
    model.fit(x[:train], y[:train], batch_size=64, epochs=arguments.epochs, callbacks=[watch], verbose=0)
    error = model.evaluate(x[train:], y[train:], batch_size=512, verbose=0)
    same_hour = np.mean((y[train:][24:] - y[train:][:-24]) ** 2)
    print(
        f"\nMean squared error on the last months: {error:.3f} (the rentals a day before as a guess: {same_hour:.3f})"
    )

    print("\nImportance of each feature, percent: over all lags, and at the newest hour only, as the paper's lambda is")
    newest = ks.measure(
        model, x[:train], feature_names=names, groups=GROUPS, num_samples=2048, definition=ks.Definition(lags="current")
    )
    both = pd.DataFrame({"all lags": watch.importance.features, "newest hour": newest.features})
    print(both.sort_values("all lags", ascending=False).round(1).to_string())
    print("\nImportance of the lags, percent, at the first epoch, in the middle, and at the end")
    middle = arguments.epochs // 2
    print(watch.lag_trajectory.iloc[sorted({0, middle, arguments.epochs - 1}), :8].round(1).to_string())

    picture = arguments.out / "bike_demand.png"
    draw(watch, picture)
    print(f"\nPicture:     {picture}")
    print(f"TensorBoard: tensorboard --logdir {arguments.out}")


if __name__ == "__main__":
    main()
