"""Draws why the default follows a path.

    python studies/path_picture.py [--out FOLDER]

The function is log(1 + money) + x, where most amounts are small and a few are huge. On the left, where the rows are,
how steep the function is there, and how far its path has come; on the right, what three measures make of it.
"""

import argparse
import pathlib

import matplotlib.pyplot as plt
import numpy as np
from agreement import exact_case
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import keras_sensitivity as ks
from keras_sensitivity.plots import _style

FUNCTION, COLUMN = "log(1 + money) + x", "money"
SHOWN = 0.01, 1_000
MEASURES = {
    "slope times standard deviation": (ks.Definition(scale="std"), _style.ORANGE),
    "along the path: the default": (ks.Definition(), _style.BLUE),
    "real changes": (ks.Definition(change="swap"), _style.GREY),
}


def draw(money: np.ndarray, shares: dict[str, float]) -> Figure:
    """Rows, slope and path above each other, and the shares beside them."""
    figure = plt.figure(figsize=(11, 5.6), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=[3, 2], height_ratios=[2, 2, 3])
    rows, slope, path = (figure.add_subplot(grid[row, 0]) for row in range(3))
    deviation, steepness = money.std(), np.sqrt(np.mean((1 + money) ** -2.0))
    draw_rows(rows, money)
    draw_slope(slope, steepness)
    draw_path(path, np.log1p(money), deviation, steepness * deviation)
    for ax in (rows, slope, path):
        ax.axvline(deviation, color=_style.ORANGE, linestyle="--", linewidth=1.5)
        ax.set(xscale="log", xlim=SHOWN, xticks=[0.01, 0.1, 1, 10, 100, 1000], xticklabels=[])
        ax.minorticks_off()
        _style.plain(ax)
    note(rows, deviation * 1.12, rows.get_ylim()[1], f"standard deviation: {deviation:.0f}")
    path.set(xticklabels=["0.01", "0.1", "1", "10", "100", "1000"], xlabel="money")
    draw_shares(figure.add_subplot(grid[:, 1]), shares)
    return figure


def draw_rows(ax: Axes, money: np.ndarray) -> None:
    """A histogram."""
    ax.hist(money, np.geomspace(*SHOWN, 60), color=_style.GREY)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_title("Where the rows are", loc="left")


def draw_slope(ax: Axes, steepness: float) -> None:
    """The derivative, and its root mean square over the rows."""
    at = np.geomspace(*SHOWN, 400)
    ax.plot(at, 1 / (1 + at), color=_style.INK, linewidth=2)
    ax.axhline(steepness, color=_style.ORANGE, linestyle="--", linewidth=1.5)
    note(ax, SHOWN[0] * 1.15, steepness - 0.06, f"root mean square: {steepness:.2f}")
    ax.set(ylim=(0, 1.1), yticks=[0, 0.5, 1])
    ax.set_title("How steep the function is there", loc="left")


def draw_path(ax: Axes, travelled: np.ndarray, deviation: float, claimed: float) -> None:
    """The slope summed up, its spread over the rows, and the spread that slope times deviation takes it for."""
    at = np.geomspace(*SHOWN, 400)
    centre, spread = travelled.mean(), travelled.std()
    ax.axhspan(centre - spread, centre + spread, color=_style.BLUE, alpha=0.14, linewidth=0)
    ax.plot(at, np.log1p(at), color=_style.BLUE, linewidth=2.5)
    note(ax, SHOWN[0] * 1.15, centre + spread - 0.15, f"most rows: {centre:.1f} ± {spread:.1f}", color=_style.BLUE)
    note(ax, deviation / 1.12, 7.4, f"slope times deviation: ± {claimed:.0f}", ha="right")
    ax.set(ylim=(0, 7.5), yticks=[0, 2, 4, 6])
    ax.set_title("How far the path has come", loc="left")


def draw_shares(ax: Axes, shares: dict[str, float]) -> None:
    """The share of the money by each measure."""
    for place, (name, share) in enumerate(shares.items()):
        ax.barh(place, share, height=0.34, color=MEASURES[name][1])
        ax.text(1, place - 0.24, name, va="bottom")
        ax.text(share + 1.5, place, _style.percent(share), va="center", fontweight="bold")
    ax.set(xlim=(0, 118), ylim=(len(shares) - 0.6, -0.55), yticks=[], xticks=range(0, 101, 25), xlabel="share, %")
    ax.set_title("How much of the importance is money's", loc="left")
    _style.plain(ax)


def note(ax: Axes, x: float, y: float, text: str, *, color: str = _style.ORANGE, ha: str = "left") -> None:
    """Words below and beside a point."""
    ax.text(x, y, text, color=color, ha=ha, va="top")


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/path"), help="folder to write to")
    out: pathlib.Path = parser.parse_args().out
    case = exact_case(FUNCTION)
    x = case.data.x_test
    found = {name: ks.measure(case.model, x, definition=definition) for name, (definition, _) in MEASURES.items()}
    shares = {name: importance.features[COLUMN] for name, importance in found.items()}
    out.mkdir(parents=True, exist_ok=True)
    draw(x[COLUMN].to_numpy(), shares).savefig(out / "path.png", dpi=150)
    print(f"Picture: {out / 'path.png'}")


if __name__ == "__main__":
    main()
