"""`Round`: a round of a selection; and the folder in which rounds are kept."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.files import whole_file, write_text

__all__ = ["Folder", "Round"]

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Round:
    """A round.

    Attributes:
        features: Names of the features that were trained on.
        shares: Their importances, percent, in the same order.
        row_losses: Of the validation rows.
        row_weights: Of the same rows.
        loss: Of the last epoch.
        best_epoch: The one with the lowest validation loss.
        model: The trained model.
    """

    features: list[str]
    shares: list[float]
    row_losses: Array
    row_weights: Array
    loss: float
    best_epoch: float
    model: keras.Model

    @property
    def ranked(self) -> list[str]:
        """The features, the most important first."""
        order = np.argsort(-np.array(self.shares), kind="stable")
        return [self.features[index] for index in order]

    @property
    def val_loss(self) -> float:
        """Mean loss of the validation rows."""
        return float(np.average(self.row_losses, weights=self.row_weights))

    def excess(self, best: Round) -> float:
        """By how much the loss is higher than that of another round."""
        return self.val_loss - best.val_loss

    def standard_error(self, best: Round) -> float:
        """Of `excess`: the rows are the same, so it is that of the mean of their differences."""
        differences = self.row_losses - best.row_losses
        weights = self.row_weights / self.row_weights.sum()
        spread = float((weights**2 * (differences - self.excess(best)) ** 2).sum())
        return float(np.sqrt(spread))


class Folder:
    """Keeps finished rounds, so that a selection that was interrupted goes on.

    Args:
        path: The folder; None: nothing is kept.
        task: What makes rounds what they are; a folder with rounds of something else is refused.
    """

    def __init__(self, path: Any, task: Sequence[Any]) -> None:
        self._path = None if path is None else pathlib.Path(path)
        if self._path is None:
            return
        self._path.mkdir(parents=True, exist_ok=True)
        name, key = self._path / "selection.json", hashlib.sha256(repr(task).encode()).hexdigest()
        if name.exists() and json.loads(name.read_text()).get("task") != key:
            errors.refuse_other_selection(self._path)
        write_text(name, json.dumps({"task": key}))

    def round(self, index: int) -> Round | None:
        """A round that is there already, else None."""
        if self._path is None or not self._numbers(index).exists():
            return None
        with np.load(self._numbers(index)) as kept:
            told = json.loads(str(kept["told"]))
            model = keras.saving.load_model(self._model(index))
            return Round(row_losses=kept["row_losses"], row_weights=kept["row_weights"], model=model, **told)

    def keep(self, index: int, done: Round) -> Round:
        """Keep a round; the numbers come last, so that one without them is trained again."""
        if self._path is not None:
            done.model.save(self._model(index))
            told = {name: getattr(done, name) for name in ("features", "shares", "loss", "best_epoch")}
            with whole_file(self._numbers(index)) as file:
                np.savez(file, told=json.dumps(told), row_losses=done.row_losses, row_weights=done.row_weights)
        return done

    def _numbers(self, index: int) -> pathlib.Path:
        assert self._path is not None
        return self._path / f"round_{index:02d}.npz"

    def _model(self, index: int) -> pathlib.Path:
        assert self._path is not None
        return self._path / f"round_{index:02d}.keras"
