"""Section 2.5 on real data: which months, and what about them, do recurrent networks need to tell who will not pay?

    python examples/paper/section_2_5_sequences.py [--quick] [--out FOLDER]

The credit data as sequences: six months, April to September, of three channels, the bill, the payment and the months of
delay. The data's columns number the months backwards (PAY_0 is September), so they are turned round: lag 0 is the last.

Many-to-one: an LSTM reads the six months and says who defaults in October. Many-to-many: a GRU reads April to August
and says at each month who will be behind (one month or more) in the next one, which is known for each of them.

Look at lambda by the paper's definition, which sees the newest month alone, beside that over all months; at gamma, the
importance of each month; and at the gamma of a single customer beside that of all.
"""

import _common
import _datasets
import credit_default
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import keras_sensitivity as ks
from keras_sensitivity import plots

CHANNELS = ["bill", "payment", "delay"]
OLDEST_FIRST = (6, 5, 4, 3, 2, 1)


def months(x: pd.DataFrame) -> np.ndarray:
    """Sequences of shape (num_customers, 6, 3), the oldest month first."""
    delays = [f"PAY_{month}" if month > 1 else "PAY_0" for month in OLDEST_FIRST]  # there is no PAY_1
    bills, payments = ([f"{name}{month}" for month in OLDEST_FIRST] for name in ("BILL_AMT", "PAY_AMT"))
    return np.stack([x[columns].to_numpy() for columns in (bills, payments, delays)], axis=2)


def behind(x: pd.DataFrame) -> np.ndarray:
    """Whether a customer is one month late or more, shape (num_customers, 6)."""
    # The columns are standardised; a delay of 0 months became the number that separates the two.
    raw, _ = _datasets.credit_default()
    return (months(raw.loc[x.index])[..., CHANNELS.index("delay")] > 0).astype("int32")


def network(steps: int, *, every_step: bool) -> keras.Model:
    """A recurrent network with a softmax of 2, at the newest or at every step, not yet trained."""
    cell = keras.layers.GRU if every_step else keras.layers.LSTM
    recurrent = cell(32, return_sequences=every_step)
    output = keras.layers.Dense(2, "softmax")
    return credit_default.ready(keras.Sequential([keras.Input((steps, len(CHANNELS))), recurrent, output]))


def trained(job: _common.Job, x: np.ndarray, y: np.ndarray) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = network(x.shape[1], every_step=y.ndim == 2)
    _common.fit(job, model, x, y)
    return model


def measures(
    model: keras.Model, x: np.ndarray, customer: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame, ks.Importance]:
    """Lambda, a row a channel; gamma of all and of one customer, a row a lag; and the measurement over all lags."""
    everything = ks.measure(model, x, feature_names=CHANNELS, definition=ks.Definition(scale=None))
    newest = ks.measure(model, x, feature_names=CHANNELS, definition=ks.PAPER)
    one = ks.explain(model, customer, feature_names=CHANNELS, definition=ks.PAPER)
    features = pd.DataFrame({"all lags": everything.features, "the paper's": newest.features})
    features["one customer"] = one.features.iloc[0]
    lags = pd.DataFrame({"all customers": newest.lags, "one customer": one.lags.iloc[0]})
    return features.rename_axis("channel"), lags.rename_axis("lag"), everything


def draw(results: dict[str, tuple]) -> plt.Figure:
    """A row a network: gamma of all and of one customer, and lags by channels."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 6), layout="constrained")
    for (left, right), (name, (_, lags, importance)) in zip(axes, results.items(), strict=True):
        plots.lag_profile(importance, ax=left)
        left.plot(lags.index, lags["one customer"], "o", color=_common.ORANGE, label="one customer")
        left.legend(frameon=False, loc="upper left")
        plots.heat_map(importance, ax=right)
        left.set_title(f"{name}: importance of each month back")
        right.set_title(f"{name}: which channel, how many months back")
    return figure


def main(arguments: list[str] | None = None) -> None:
    job = _common.job(__file__, __doc__, arguments)
    data = _common.credit(job)
    x, x_test = months(data.x), months(data.x_test)
    late, late_test = behind(data.x), behind(data.x_test)
    tasks = {
        "LSTM": (x, data.y, x_test, data.y_test, 0 * data.y_test),
        "GRU": (x[:, :-1], late[:, 1:], x_test[:, :-1], late_test[:, 1:], late_test[:, :-1]),
    }
    results, errors = {}, {}
    for name, (x_train, y_train, x_new, y_new, guess) in tasks.items():
        model = trained(job, x_train, y_train)
        # The first who defaulted of those that the network has not seen.
        customer = int(np.flatnonzero(data.y_test == 1)[0])
        results[name] = measures(model, x_train, x_new[[customer]])
        errors[name] = {
            "test error": _common.error(model, x_new, y_new),
            "error of a guess": 100 * float(np.mean(guess != y_new)),
        }
    features, lags = (
        pd.concat([found[part].add_prefix(f"{name}, ") for name, found in results.items()], axis=1) for part in (0, 1)
    )
    table = pd.DataFrame.from_dict(errors, orient="index").rename_axis("network")
    print(features.round(1).to_string(), lags.round(1).to_string(), table.round(2).to_string(), sep="\n\n")
    print("The paper has the formulas; we know of no numbers of its to put beside these.")
    job.save("section_2_5_lambda", features)
    job.save("section_2_5_gamma", lags)
    job.save("section_2_5_errors", table)
    job.save_figure("section_2_5", draw(results))


if __name__ == "__main__":
    main()
