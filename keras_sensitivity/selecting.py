"""`select`: train, look, drop the less important half, and train again."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

from keras_sensitivity import errors
from keras_sensitivity.candidates import Candidates
from keras_sensitivity.definition import Definition
from keras_sensitivity.networks.choice import network_of
from keras_sensitivity.rounds import Folder, Round
from keras_sensitivity.rows.randomness import untouched_randomness
from keras_sensitivity.selection import Selection
from keras_sensitivity.verbs import measure

__all__ = ["select"]

Array = np.ndarray[Any, Any]

# Rows by which features are ranked, at the most.
RANKING_ROWS = 4096


class Task(NamedTuple):
    """What every round does: see `select`."""

    build: Callable[[int], keras.Model]
    candidates: Candidates
    definition: Definition
    num_models: int
    seed: int | None
    fit: Mapping[str, Any]
    callbacks: list[keras.callbacks.Callback]


class _Training(keras.callbacks.Callback):
    """Looks at a network after its last epoch, and brings the weights of its best one back.

    Args:
        look: From the network to the importances of its features.

    Attributes:
        shares: What was seen.
        best_epoch: The one with the lowest validation loss.
    """

    def __init__(self, look: Callable[[keras.Model], pd.Series[float]]) -> None:
        super().__init__()
        self._look = look
        self._best: tuple[float, list[Array]] | None = None
        self.shares = pd.Series(dtype=float)
        self.best_epoch = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the weights, where there was a validation and none was better."""
        loss = (logs or {}).get("val_loss", np.nan)
        if loss < (np.inf if self._best is None else self._best[0]):
            self._best, self.best_epoch = (loss, self.model.get_weights()), epoch

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Look."""
        self.shares = self._look(self.model)
        if self._best is not None:
            self.model.set_weights(self._best[1])


def select(
    build: Callable[[int], keras.Model],
    x: Any,
    y: Any,
    *,
    num_features: int | None = None,
    validation_data: tuple[Any, ...] | None = None,
    sample_weight: Any = None,
    feature_names: Sequence[str] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    definition: Definition = Definition(),
    num_models: int = 1,
    epochs: int = 100,
    batch_size: int | None = None,
    validation_freq: int = 1,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    folder: Any = None,
    seed: int | None = None,
    verbose: int = 1,
) -> Selection:
    """Select features by training: train, look, drop the less important half, and train again.

    A ranking of many features by one network is a poor guide to which of them matter: the more useless columns a
    network has, the worse it learns. So only the worse half is dropped at a time, and a network without these is
    trained for the next ranking. What ranks is the network after its last epoch: stopped where the validation loss of a
    network with many useless features is lowest, it has often learnt nothing yet. What counts for the losses, and what
    is returned, is the network of its best epoch.

    How far this goes, the validation loss decides, if ``num_features`` does not. With r the row of a round and L its
    losses of the validation rows, the fewest features are kept for which

        mean(L[r] - L[best]) <= standard error of mean(L[r] - L[best])

    where ``best`` is the round with the lowest loss: the rule of one standard error of Breiman, Friedman, Olshen, Stone
    (1984), *Classification and Regression Trees*, of paired differences. Between the fewest that were enough and the
    next fewer that were not, bisection trains on numbers of features in between.

    Args:
        build: From the number of columns to a compiled model that takes as many: of the shape (num_columns,), or for
            sequences (num_steps, num_columns). It may put `NoiseProbes` behind the input.
        x: Array or DataFrame of shape (num_samples, num_columns), or array of shape
            (num_samples, num_steps, num_columns), whose channels are selected.
        y: The labels, as for ``model.fit``; of several outputs a list or a dict of arrays.
        num_features: How many features to keep; None: as the validation loss decides.
        validation_data: (x, y) or (x, y, sample_weight); None: a fifth of the rows, drawn at random. For rows in the
            order of time, pass the newest ones.
        sample_weight: Of the rows of x, shape (num_samples,).
        feature_names: Names of the columns, shape (num_columns,); default: those of a DataFrame, else "x0", "x1", ...
        groups: Columns that are kept or dropped together: a dict from a name to column names.
        definition: How features are ranked: see `Definition`. What ranks is `Importance.usage`, over all lags.
        num_models: Models trained in each round, from different seeds; their importances and losses are averaged.
        epochs: Of each training; as many as it takes to fit the training rows.
        batch_size: As for ``model.fit``.
        validation_freq: Epochs between validations, one of which is the best; as for ``model.fit``.
        callbacks: Of each training, such as `keras.callbacks.LearningRateScheduler`.
        folder: A folder in which each finished round is kept; called again with the same folder and arguments, what is
            there is not trained again. None: nothing is kept.
        seed: Of the split, of the models and of the training, so that equal calls select equal features; None: by
            chance.
        verbose: 0: silent. 1: a progress bar of the rounds.

    Returns:
        The `Selection`. Its ``rounds`` have the columns

        - ``num_features``, ``num_columns``: what was trained on.
        - ``loss``: of the last epoch of training, with the penalties of the model; mean over the models.
        - ``val_loss``: mean over the validation rows, without penalties.
        - ``standard_error``: of its difference to the best round's.
        - ``best_epoch``: from 0; mean over the models.
        - ``chosen``: whether this round's features are those that were selected.

    Raises:
        ValueError, TypeError: If an argument, x, y or what ``build`` returns is not as above.
        FloatingPointError: If the loss of a network, or its derivatives, are NaN or infinite.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> def build(num_features):
    ...     model = keras.Sequential([keras.Input((num_features,)), keras.layers.Dense(1)])
    ...     model.compile(keras.optimizers.SGD(0.05), "mse")
    ...     return model
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(500, 8))
    >>> y = 3 * x[:, 5] + x[:, 2] + 0.1 * rng.normal(size=500)
    >>> found = ks.select(build, x, y, epochs=6, seed=0, verbose=0)
    >>> found.features
    ['x5', 'x2']
    >>> found.rounds["num_features"].tolist()
    [8, 4, 2, 1]
    >>> found.model.predict(found.take(x), verbose=0).shape
    (500, 1)
    """
    errors.check_callable(
        "build", build, "pass a function that takes the number of columns and returns a compiled model"
    )
    errors.check_whole_number("num_models", num_models)
    errors.check_whole_number("epochs", epochs)
    errors.check_whole_number("validation_freq", validation_freq)
    errors.check_whole_number("seed", seed, least=0, none="chance")
    errors.check_instance("definition", definition, Definition, "pass keras_sensitivity.Definition(...) or PAPER")
    candidates = Candidates.of(
        x,
        y,
        validation_data=validation_data,
        sample_weight=sample_weight,
        feature_names=feature_names,
        groups=groups,
        seed=seed,
    )
    errors.check_num_selected(num_features, len(candidates.names))
    fit = {"epochs": epochs, "batch_size": batch_size, "validation_freq": min(validation_freq, epochs)}
    task = Task(build, candidates, definition, num_models, seed, fit, list(callbacks))
    kept = Folder(folder, [*candidates.identity, repr(definition), num_models, seed, num_features, fit])
    rounds: list[Round] = []
    num_rounds = None if num_features is None else _num_halvings(len(candidates.names), num_features)
    bar = (
        keras.utils.Progbar(num_rounds, stateful_metrics=["val_loss", "features"], unit_name="round")
        if verbose
        else None
    )
    # Whoever draws from Python's and NumPy's global generators afterwards goes on as if nobody had set their seeds.
    with untouched_randomness() if seed is not None else contextlib.nullcontext():
        for names in _proposals(rounds, candidates.names, num_features):
            rounds.append(kept.round(len(rounds)) or kept.keep(len(rounds), _trained(task, names, len(rounds))))
            if bar is not None:
                bar.update(len(rounds), [("val_loss", rounds[-1].val_loss), ("features", len(names))], finalize=False)
    if bar is not None:
        bar.update(len(rounds), finalize=True)
    return _selection(rounds, candidates, num_features)


def _proposals(rounds: list[Round], names: Sequence[str], num_features: int | None) -> Iterator[list[str]]:
    """The features of each round; whoever asks for the next has added the last to the rounds."""
    fewest = num_features or 1
    yield list(names)
    while len(rounds[-1].features) > fewest:
        ranked = rounds[-1].ranked
        yield ranked[: max(fewest, math.ceil(len(ranked) / 2))]
    while num_features is None:
        enough = rounds[_chosen(rounds)]
        fewer = max((len(each.features) for each in rounds if len(each.features) < len(enough.features)), default=0)
        middle = (len(enough.features) + fewer) // 2
        if middle in (fewer, len(enough.features)):
            return
        yield enough.ranked[:middle]


def _num_halvings(count: int, fewest: int) -> int:
    """Rounds from so many features to the fewest.

    >>> _num_halvings(12, 2)  # 12, 6, 3, 2
    4
    """
    num_rounds = 1
    while count > fewest:
        count, num_rounds = max(fewest, math.ceil(count / 2)), num_rounds + 1
    return num_rounds


def _chosen(rounds: Sequence[Round]) -> int:
    """The round with the fewest features whose loss is within one standard error of the best."""
    best = min(rounds, key=lambda each: each.val_loss)
    enough = [index for index, each in enumerate(rounds) if each.excess(best) <= each.standard_error(best)]
    return min(enough, key=lambda index: (len(rounds[index].features), rounds[index].val_loss))


def _trained(task: Task, names: Sequence[str], index: int) -> Round:
    """Train the models of a round, and look at them."""
    candidates, columns = task.candidates, task.candidates.columns_of(names)
    x, y, weights = candidates.train
    x, (x_val, y_val, val_weights) = x[..., columns], candidates.validation
    x_val = x_val[..., columns]

    def look(model: keras.Model) -> pd.Series[float]:
        """The importances of the features, percent."""
        return measure(
            model,
            x,
            sample_weight=weights,
            feature_names=candidates.column_names_of(columns),
            groups=candidates.groups_of(names),
            definition=task.definition,
            num_samples=RANKING_ROWS,
        ).usage[list(names)]

    shares, losses, fits, models = [], [], [], []
    for number in range(task.num_models):
        if task.seed is not None:
            keras.utils.set_random_seed((task.seed * 1000 + index * 100 + number) % 2**32)
        model = task.build(len(columns))
        errors.check_built(model, x.shape[1:])
        for each in network_of(model).targets(y):  # so that what cannot be trained on is refused in words
            errors.check_labels_length(len(each), len(x))
        training = _Training(look)
        history = model.fit(
            x,
            y,
            sample_weight=weights,
            validation_data=(x_val, y_val) if val_weights is None else (x_val, y_val, val_weights),
            callbacks=[training, *task.callbacks],
            verbose=0,
            **task.fit,
        ).history
        shares.append(training.shares)
        losses.append(network_of(model).row_losses(x_val, y_val))
        errors.check_losses(losses[-1], len(columns))
        fits.append((history["loss"][-1], training.best_epoch))
        models.append(model)
    loss, best_epoch = np.mean(fits, axis=0)
    mean = pd.concat(shares, axis=1).mean(axis=1)
    return Round(
        features=list(names),
        shares=[float(mean[name]) for name in names],
        row_losses=np.mean(losses, axis=0),
        row_weights=np.ones(len(losses[0])) if val_weights is None else val_weights,
        loss=float(loss),
        best_epoch=float(best_epoch),
        model=models[int(np.argmin([each.mean() for each in losses]))],
    )


def _selection(rounds: Sequence[Round], candidates: Candidates, num_features: int | None) -> Selection:
    """What was found."""
    chosen = _chosen(rounds) if num_features is None else len(rounds) - 1
    best = min(rounds, key=lambda each: each.val_loss)
    table = pd.DataFrame(
        {
            "num_features": len(each.features),
            "num_columns": len(candidates.columns_of(each.features)),
            "loss": each.loss,
            "val_loss": each.val_loss,
            "standard_error": each.standard_error(best),
            "best_epoch": each.best_epoch,
            "chosen": index == chosen,
        }
        for index, each in enumerate(rounds)
    ).rename_axis("round")
    importances = pd.DataFrame([dict(zip(each.features, each.shares, strict=True)) for each in rounds])
    columns = candidates.columns_of(rounds[chosen].features)
    return Selection(
        features=rounds[chosen].ranked,
        columns=candidates.column_names_of(columns),
        positions=columns,
        rounds=table,
        importances=importances.reindex(columns=candidates.names).rename_axis("round"),
        model=rounds[chosen].model,
    )
