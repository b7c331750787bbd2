"""Effect curves: how far the output moves along the values of one feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_sensitivity.plots._style import BLUE, GREY, PALE, new_axes, plain
from keras_sensitivity.plots._text import picture, short, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from keras_sensitivity.importance import Importance

__all__ = ["effect"]


@picture
def effect(
    importance: Importance,
    feature: int | str,
    ax: Axes | None = None,
    *,
    unit: int | str | None = None,
    lag: int | None = None,
) -> Axes:
    """The curve of `Importance.effect`, with marks where the rows are.

    It adds up how far the output moves, whether up or down: it is steep where the network is sensitive to the feature,
    flat where it is not, and never falls.

    Args:
        importance: What to draw, measured with ``scale="path"``, the default.
        feature: Its name or index; a single column that was not exchanged between rows.
        ax: Axes to draw on; None: new ones.
        unit: One output unit alone, by its name or index; None: all together.
        lag: The time lag; None: the one at which the feature counts most.

    Returns:
        The axes: values of the feature to the right, in its own unit; upwards how far the output has moved there,
        in output, less the mean over the rows. A mark at the bottom for each bin of rows, which hold about as many
        each, so that they stand close where the rows are.

    Raises:
        ValueError: If there is no such feature, unit or lag, or if the feature has no path.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> ax = plots.effect(ks.measure(model, x, feature_names=["age", "debt"]), "debt")
    >>> ax.get_xlabel(), len(ax.lines)
    ('debt', 3)
    """
    curve = importance.effect(feature, unit=unit, lag=lag)
    name = feature if isinstance(feature, str) else importance.features.index[feature]
    ax = new_axes(5.4, 3.6) if ax is None else ax
    plain(ax)
    ax.axhline(0, color=PALE, linewidth=1.2, zorder=1)
    ax.plot(curve["value"], curve["effect"], color=BLUE, linewidth=2.2, zorder=3)
    ax.plot(curve["value"], [0.02] * len(curve), "|", transform=ax.get_xaxis_transform(), color=GREY, markersize=9)
    at = f", lag {curve['lag'].iloc[0]}" if "lag" in curve else ""
    ax.set(xlabel=f"{written(name)}{at}", ylabel="movement of the output\n(up and down added)")
    if unit is not None:
        position = importance.units.index(unit) if isinstance(unit, str) else unit
        ax.set_title(short([importance.unit_labels[position]])[0])
    return ax
