"""`measure`: the whole way from a model and rows to an `Importance`, in one readable function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras

from keras_sensitivity import _checks
from keras_sensitivity._features import image_shape
from keras_sensitivity._gradients import BatchMoments
from keras_sensitivity._run import Run
from keras_sensitivity.definition import Definition
from keras_sensitivity.importance import Importance
from keras_sensitivity.moments import LookMoments

__all__ = ["Measurement", "measure"]

# More rows than this whose derivatives are all exactly 0 behind a softmax or sigmoid are worth a warning.
SATURATED_SHARE = 0.05

# Fewer different rows than this are too few to make noise of.
DIFFERENT_SHARE = 0.1


def measure(
    model: keras.Model,
    x: Any,
    *,
    feature_names: Sequence[str] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    exclude: Sequence[str] = (),
    definition: Definition = Definition(),
    num_samples: int | None = None,
    batch_size: int | None = None,
    jit_compile: bool | Literal["auto"] = "auto",
    verbose: int = 0,
) -> Importance:
    """Measure how important each feature is to a model.

    Args:
        model: A built Keras model. It is not changed.
        x: Rows as they go into ``model.fit``: array, tensor or DataFrame of shape (num_samples, num_features); array of
            shape (num_samples, num_steps, num_features), or (num_samples, height, width, channels), or
            (num_samples, num_steps, height, width, channels); integers and strings that the model looks up; for
            several inputs a list or dict of these. Or a stream of batches of them: `tf.data.Dataset`,
            `keras.utils.PyDataset` or generator, yielding x, (x, y) or (x, y, sample_weight); the weights of its
            rows weigh the averages.
        feature_names: Shape (num_columns,), in the model's order of inputs. Default: the columns of DataFrames, else
            the names of the inputs, as "price" or "prices/0", else "x0", "x1", ...; for images the position of each
            entry, such as "0,5,1".
        groups: Columns that count as one feature, such as the columns of a one-hot code: a dict from a name to
            column names. The importance of a group is the root of the sum of its columns' squares.
        exclude: Names of inputs to leave out, because no derivative reaches them; the model gets them all the same.
        definition: What is differentiated, and how it is scaled.
        num_samples: Rows to measure, of arrays a fixed random subset, of streams the first; None: all.
        batch_size: Rows of one pass; None: chosen from the model's size. It changes memory and time only.
        jit_compile: Whether to compile with XLA; "auto": where that is faster.
        verbose: 0: silent. 1: a progress bar, and which compiler was chosen and why.

    Returns:
        The `Importance`: percentages that sum to 100.

    Raises:
        ValueError, TypeError: If an argument, x or the model is not as above; each says what was expected.
        FloatingPointError: If a derivative is NaN or infinite.
        MemoryError: If a batch does not fit into the device's memory.
        RuntimeError: If a stream raises before its end, or on a Keras backend other than TensorFlow.

    Example:

    >>> import keras, numpy as np, pandas as pd
    >>> import keras_sensitivity as ks
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.set_weights([np.array([[2.0], [1.0]]), np.zeros(1)])
    >>> x = pd.DataFrame({"income": [0.0, 1.0], "age": [0.0, 6.0]})
    >>> ks.measure(model, x).features.round(1).to_dict()  # 2 * std 0.5 : 1 * std 3
    {'income': 25.0, 'age': 75.0}
    >>> ks.measure(model, x, definition=ks.PAPER).features.round(1).to_dict()  # 2 : 1
    {'income': 66.7, 'age': 33.3}
    """
    measurement = Measurement(
        model,
        x,
        feature_names=feature_names,
        groups=groups,
        exclude=exclude,
        definition=definition,
        num_samples=num_samples,
        batch_size=batch_size,
        jit_compile=jit_compile,
    )
    if verbose:
        print(f"keras_sensitivity: {measurement.description}", flush=True)
    return measurement.look(progress=bool(verbose))


class Measurement:
    """A model, rows and a traced pass, ready to look as often as wanted; arguments as in `measure`.

    Making one checks everything that can be checked before the first look.
    """

    def __init__(self, model: keras.Model, x: Any, *, definition: Definition, **options: Any) -> None:
        self._run = Run(BatchMoments, model, x, definition=definition, **options)
        self._definition = definition
        self._warned: set[str] = set()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, shape (num_features,)."""
        return self._run.features.names

    @property
    def description(self) -> str:
        """What a look does, in one line."""
        return self._run.description

    def rehearse(self) -> None:
        """Compile and run a look, so that whatever fails does so now; nothing is kept, nothing is warned of."""
        for _ in self._run.results():
            pass

    def look(self, progress: bool = False) -> Importance:
        """Measure the model as it is now."""
        moments = functools.reduce(LookMoments.merge, self._run.results(progress))
        importance = Importance(
            moments,
            features=self._run.features,
            image_shape=image_shape(self._run.blocks),
            num_lags=self._run.traced.num_lags,
            units=self._run.traced.units,
            definition=self._definition,
        )
        self._warn_of_zeros(moments, importance)
        if importance.num_noise_values < DIFFERENT_SHARE * importance.num_samples:
            self._warn_once(_checks.alike_to_probes, importance.num_noise_values, importance.num_samples)
        return importance

    def _warn_of_zeros(self, moments: LookMoments, importance: Importance) -> None:
        """Warn, once of each, of derivatives that vanish and of importances that are all 0."""
        flat = moments.num_flat / moments.num_samples
        if self._run.traced.saturates and flat > SATURATED_SHARE:
            self._warn_once(_checks.saturated, flat)
        elif flat == 1:
            self._warn_once(_checks.ignores_everything)
        elif not importance.features.any():
            self._warn_once(_checks.constant if importance.is_constant.all() else _checks.ignores_newest_step)

    def _warn_once(self, warning: Callable[..., None], *arguments: Any) -> None:
        if warning.__name__ not in self._warned:
            self._warned.add(warning.__name__)
            warning(*arguments)
