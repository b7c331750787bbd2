"""The same derivatives by others: captum, neuralsens, and the contributions by SHAP.

    python benchmarks/peers.py [--turns N] [--quick]

All look at the paper's credit network with the same weights, two classes, 25,000 rows of 23 columns, in one process.
Captum (PyTorch, ``Saliency``, signed, one call a class) and neuralsens (``jacobian_mlp``) compute what `ks.PAPER` is
the root mean square of, and are checked to come to the same numbers. Neuralsens' softmax takes no rows of several
classes, so there the two classes are a sigmoid of one unit, which is the same network, and half of its work. SHAP
(``GradientExplainer``, 200 samples, 100 rows of background) answers another question, a row at a time; it is timed on
few rows once, and extrapolated.

PyTorch, captum and neuralsens are not among what the package installs: where one is missing, its row says so.
"""

import importlib.util
import warnings
from collections.abc import Callable, Iterator

import _credit
import keras
import numpy as np
import pandas as pd
from _results import Job, Row, at_least, ratio, run, seconds, times_in_turns

import keras_sensitivity as ks

GOALS = {"captum": 25, "neuralsens": 60, "shap": 10_000}
BACKGROUND, SAMPLES = 100, 200


def captum(model: keras.Model, x: np.ndarray) -> Callable[[], np.ndarray]:
    """A call that returns the derivatives of each class, shape (units, rows, columns)."""
    import torch
    from captum.attr import Saliency

    first, last = (torch.nn.Linear(*layer.kernel.shape) for layer in model.layers)
    with torch.no_grad():
        for linear, layer in zip((first, last), model.layers, strict=True):
            linear.weight.copy_(torch.tensor(layer.kernel.numpy().T))
            linear.bias.copy_(torch.tensor(layer.bias.numpy()))
    saliency = Saliency(torch.nn.Sequential(first, torch.nn.Tanh(), last, torch.nn.Softmax(dim=1)))
    rows = torch.tensor(x, requires_grad=True)
    return lambda: np.stack([saliency.attribute(rows, target=unit, abs=False).detach().numpy() for unit in (0, 1)])


def neuralsens(model: keras.Model, x: np.ndarray) -> Callable[[], pd.DataFrame]:
    """A call that returns a table of columns, with the rms of one class's derivatives."""
    from neuralsens.partial_derivatives import jacobian_mlp

    first, last = ([each.numpy() for each in (layer.kernel, layer.bias)] for layer in model.layers)
    one = [np.diff(each) for each in last]  # softmax of two is sigmoid of the difference
    weights, biases = zip(first, one, strict=True)
    rows = pd.DataFrame(x, columns=[f"x{column}" for column in range(x.shape[1])])
    y = pd.DataFrame({"y": model.predict(x, verbose=0)[:, 1]})
    activations = ["identity", "tanh", "sigmoid"]
    return lambda: jacobian_mlp(list(weights), list(biases), activations, rows, y).sens[0]


def shap(model: keras.Model, x: np.ndarray) -> Callable[[np.ndarray], object]:
    """What explains rows."""
    from shap import GradientExplainer

    # SHAP hands a list to models of one input, too, and Keras remarks on it.
    warnings.filterwarnings("ignore", "The structure of `inputs`")
    explainer = GradientExplainer(model, x[-BACKGROUND:])
    return lambda rows: explainer.shap_values(rows, nsamples=SAMPLES)


def is_installed(*packages: str) -> bool:
    return all(importlib.util.find_spec(package) for package in packages)


def check(found: dict[str, Callable[[], np.ndarray | pd.DataFrame]], rms: pd.Series) -> None:
    """That the peers come to the same numbers."""
    if "captum" in found:
        squares = found["captum"]().astype("float64") ** 2
        np.testing.assert_allclose(np.sqrt(squares.mean(axis=1).sum(axis=0)), rms, rtol=1e-4)
    if "neuralsens" in found:  # the other class has the negative derivatives
        np.testing.assert_allclose(np.sqrt(2) * found["neuralsens"]()["mean_squared"], rms, rtol=1e-4)


PEERS = {"captum": (captum, ("torch", "captum")), "neuralsens": (neuralsens, ("neuralsens",))}


def rows(job: Job) -> Iterator[Row]:
    model, x = _credit.network(), _credit.rows(job.some(25_000, 200))
    case = f"{len(x):,} x {_credit.COLUMNS}, 2 classes"

    def ours() -> pd.Series:
        return ks.measure(model, x, definition=ks.PAPER).table["rms"]

    peers = {name: make(model, x) for name, (make, packages) in PEERS.items() if is_installed(*packages)}
    check(peers, ours())
    found = times_in_turns({"ours": ours} | peers, job.turns)
    for name in PEERS:
        if name in found:
            yield ratio(f"{name} / measure", case, found[name], found["ours"], at_least(GOALS[name]))
        else:
            yield Row(f"{name} / measure", case, np.nan, "times", at_least(GOALS[name]), "not installed")
    elapsed, note = np.nan, "not installed"
    if is_installed("shap"):
        few = x[: job.some(100, 2)]
        explain = shap(model, x)
        explain(few)  # what is compiled at the first call is not counted
        elapsed = seconds(lambda: explain(few)) * len(x) / len(few)
        note = f"{elapsed:,.0f} s, extrapolated from {len(few)} rows"
    yield Row("shap / measure", case, elapsed / np.median(found["ours"]), "times", at_least(GOALS["shap"]), note)


if __name__ == "__main__":
    run(__file__, __doc__, rows, turns=5)
