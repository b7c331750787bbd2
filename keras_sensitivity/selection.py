"""`Selection`: which features were kept, round by round, and the model that was trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pandas as pd

from keras_sensitivity.labels import in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Selection"]

Array = np.ndarray[Any, Any]


class Selection:
    """What `select` found.

    Attributes:
        features: Names of the kept features, the most important first.
        columns: Names of their columns, in the order in which the model takes them.
        rounds: One row a round, in the order in which they were trained: see `select`.
        importances: Percent, one row a round, one column a feature of x; NaN where a round was trained without it.
        model: The model that was trained on the kept features. It takes their columns alone, see `take`.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> def build(num_features):
    ...     model = keras.Sequential([keras.Input((num_features,)), keras.layers.Dense(1)])
    ...     model.compile(keras.optimizers.SGD(0.05), "mse")
    ...     return model
    >>> x = np.random.default_rng(0).normal(size=(200, 4))
    >>> found = ks.select(build, x, x[:, 0] - x[:, 3], num_features=2, epochs=4, seed=0, verbose=0)
    >>> sorted(found.features), found.take(x).shape
    (['x0', 'x3'], (200, 2))
    """

    def __init__(
        self,
        *,
        features: Sequence[str],
        columns: Sequence[str],
        positions: Sequence[int],
        rounds: pd.DataFrame,
        importances: pd.DataFrame,
        model: keras.Model,
    ) -> None:
        self.features = list(features)
        self.columns = list(columns)
        self.rounds = rounds
        self.importances = importances
        self.model = model
        self._positions = list(positions)

    def take(self, x: Any) -> Any:
        """The kept columns of rows like those that were selected on, as the model takes them.

        Args:
            x: A DataFrame with the kept columns, or an array with the columns that x had.

        Returns:
            An array, shape (num_samples, num_columns) or (num_samples, num_steps, num_columns).

        Raises:
            KeyError, IndexError: If it has not the columns.
        """
        if isinstance(x, pd.DataFrame):
            return x[self.columns].to_numpy()
        return np.asarray(x)[..., self._positions]

    def __repr__(self) -> str:
        place = int(np.flatnonzero(self.rounds["chosen"])[-1])
        shown = in_words(self.importances[self.features].iloc[place], most=3)
        return (
            f"<Selection of {len(self.features)} of {self.importances.shape[1]} features in {len(self.rounds)} rounds, "
            f"val_loss {self.rounds['val_loss'].iloc[place]:.4g}: {shown}>"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture of `plot`, and the table of rounds."""
        from keras_sensitivity import plots

        note = "validation loss with its standard error; importances are those of the chosen round"
        return plots.html(self.plot, repr(self)[1:-1], self.rounds.round(4), note=note)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw `keras_sensitivity.plots.rounds`: the validation loss over the number of features.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> def build(num_features):
        ...     model = keras.Sequential([keras.Input((num_features,)), keras.layers.Dense(1)])
        ...     model.compile(keras.optimizers.SGD(0.05), "mse")
        ...     return model
        >>> x = np.random.default_rng(0).normal(size=(200, 4))
        >>> ax = ks.select(build, x, x[:, 0] - x[:, 3], epochs=4, seed=0, verbose=0).plot()
        >>> ax.get_xlabel()
        'features'
        """
        from keras_sensitivity import plots

        return plots.rounds(self.rounds, ax=ax)
