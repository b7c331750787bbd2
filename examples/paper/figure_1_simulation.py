"""Section 3 and figure 1: does a network learn the paper's simulation, and are its importances the exact ones?

    python examples/paper/figure_1_simulation.py [--quick] [--out FOLDER]

Trains the network of `examples/simulation.py` on ten draws of the data, from ten starts, and measures it at the rows it
was trained on.

Look at the last column of the first table, the largest distance from the exact importance over all runs; and at the
test error, of which 0.01 is the noise that no network can learn.
"""

import _common
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import simulation

import keras_sensitivity as ks


def run(job: _common.Job, seed: int) -> pd.Series:
    """Test error and importances of one network."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    x, y = simulation.simulate(rng, simulation.TRAIN_ROWS)
    x_test, y_test = simulation.simulate(rng, simulation.TEST_ROWS)
    rows = job.some(len(x), 300)
    model = simulation.network()
    simulation.train(model, x[:rows], y[:rows])
    importance = ks.measure(model, x[:rows], definition=ks.PAPER)
    error = model.evaluate(x_test, y_test, batch_size=len(x_test), verbose=0)
    print(f"Seed {seed}: test MSE {error:.5f}", flush=True)
    return pd.concat([pd.Series({"test MSE": error}), importance.features])


def importance_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Importances over the runs beside the exact ones, percent."""
    exact = simulation.exact_importances()
    importances = runs[simulation.NAMES]
    table = _common.spread(importances).assign(exact=exact)
    return table.assign(difference=table["mean"] - exact, largest=(importances - exact).abs().max())


def draw(table: pd.DataFrame) -> plt.Figure:
    figure, ax = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
    ordered = table.sort_values("mean", ascending=False)
    _common.bars(ax, ordered["mean"], errors=ordered["std"], label="importance, % (whiskers: ± 1 sd over the runs)")
    ax.scatter(ordered["exact"], range(len(ordered)), marker="|", s=450, color=_common.ORANGE, label="exact", zorder=3)
    ax.legend(frameon=False, loc="lower right")
    return figure


def main(arguments: list[str] | None = None) -> None:
    job = _common.job(__file__, __doc__, arguments)
    runs = pd.DataFrame([run(job, seed) for seed in range(job.some(10, 1))]).rename_axis("seed")
    table = importance_table(runs).rename_axis("feature")
    print("\nImportance, percent, over the runs\n" + table.round(3).to_string())
    error = _common.spread(runs[["test MSE"]]).assign(
        paper=_common.paper_number("simulation test MSE"), noise=simulation.NOISE_VARIANCE, runs=len(runs)
    )
    error["runs below paper"] = (runs["test MSE"] <= error["paper"].item()).sum()
    error = error.rename_axis("what")
    print("\n" + error.round(5).to_string())
    job.save("figure_1", table)
    job.save("figure_1_error", error)
    job.save_figure("figure_1", draw(table))


if __name__ == "__main__":
    main()
