"""The rounds of a selection: the validation loss over the number of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_sensitivity.plots._style import BLUE, GREY, ORANGE, new_axes, plain
from keras_sensitivity.plots._text import picture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["rounds"]


@picture
def rounds(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The validation loss over the number of features, with the chosen round marked.

    Args:
        table: `Selection.rounds`.
        ax: Axes to draw on; None: new ones.

    Returns:
        The axes: numbers of features to the right, on a logarithmic scale, most of them first; upwards the validation
        loss, with whiskers of a standard error of the difference to the best round.

    Example:

    >>> import pandas as pd
    >>> from keras_sensitivity import plots
    >>> table = pd.DataFrame({"num_features": [4, 2, 1], "val_loss": [0.2, 0.2, 0.9], "standard_error": [0, 0.1, 0.1],
    ...                       "chosen": [False, True, False]})
    >>> [line.get_label() for line in plots.rounds(table).lines if not line.get_label().startswith("_")]
    ['chosen']
    """
    ax = new_axes(5.4, 3.6) if ax is None else ax
    plain(ax)
    drawn = table.sort_values("num_features")
    sizes, losses, errors = (drawn[name] for name in ("num_features", "val_loss", "standard_error"))
    ax.errorbar(sizes, losses, errors, color=BLUE, ecolor=GREY, marker="o", capsize=3)
    chosen = drawn[drawn["chosen"]]
    ax.plot(chosen["num_features"], chosen["val_loss"], "o", color=ORANGE, markersize=11, zorder=5, label="chosen")
    ax.set_xscale("log", base=2)
    shown = sorted(set(sizes))
    ax.set_xticks(shown, [str(size) for size in shown])
    ax.set_xticks([], minor=True)
    ax.invert_xaxis()
    ax.set(xlabel="features", ylabel="validation loss")
    ax.legend(frameon=False)
    return ax
