"""`SensitivityCallback`: when to look, what to remember, whom to tell."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import keras
import pandas as pd

from keras_sensitivity import errors
from keras_sensitivity.dead_features import DeadFeatureMonitor, DeathRecord, Event
from keras_sensitivity.definition import Definition
from keras_sensitivity.importance import Importance
from keras_sensitivity.measurement import Measurement
from keras_sensitivity.networks.choice import network_of
from keras_sensitivity.networks.network import Network
from keras_sensitivity.plan import Options
from keras_sensitivity.records.looks import LookWriter
from keras_sensitivity.rows.randomness import untouched_randomness
from keras_sensitivity.rows.rows import Rows, read
from keras_sensitivity.rows.streams import can_be_read_again, is_stream

__all__ = ["SensitivityCallback"]

DEAD_KEY = "num_dead_features"
SHIFT_KEY = "importance_shift"


class _Live(NamedTuple):
    """What exists only while a fit runs, and is never copied or pickled."""

    measurement: Measurement
    writer: LookWriter | None


class _KeptRows(NamedTuple):
    """The rows of a stream that were measured first, and are measured again in the next fit.

    Attributes:
        stream: What they were read from.
        num_samples: How many were asked for.
        x: The rows.
        weights: Of the rows; None where all weigh 1.
    """

    stream: Any
    num_samples: int
    x: Any
    weights: Any


class SensitivityCallback(keras.callbacks.Callback):
    """Shows, epoch by epoch, which input features a network relies on.

    At the end of an epoch the callback looks at the model: it measures the importance of each feature on the same
    rows as always (see `measure`). A look changes nothing in the model: not its weights, nor its optimizer, seed
    generators or states, so training ends in the same weights with and without the callback.

    It adds two scalars to the logs, for the fit log, `History`, `CSVLogger` and callbacks that stand after it:

    - ``num_dead_features``: features that are dead now (see `DeadFeatureMonitor`);
    - ``importance_shift``: half the sum of the absolute changes of all importances since the last look, in
      percentage points: 0 when nothing moved, 100 when all importance went to other features. NaN at the first look.

    Both are NaN at epochs without a look.

    At the end of a fit the last look at a table is compared with real changes on up to 512 rows, see
    `Importance.agreement`; a warning names the features of which the two are far apart.

    A look sees the weights at the end of its epoch. Where ``EarlyStopping(restore_best_weights=True)`` restores others
    after the last one, `measure` tells of the restored model.

    Wrong arguments are refused before the first training step. An error at a later look (a full disk, a device out
    of memory) is warned of once; the callback then switches itself off, and the fit goes on.

    Args:
        x: The rows to measure, as they go into ``model.fit``: see `measure`.
        feature_names, groups, exclude, definition, batch_size, jit_compile: As in `measure`.
        num_samples: Rows to measure, of arrays a fixed random subset, of streams the first, read once before training
            and kept; None: all, of streams read anew at each look. These rows also give the bins of the paths, the
            standard deviations for ``scale="std"``, which columns have few values, and what they are swapped with: see
            `Definition`. Bins and partners are the same at all looks of a fit.
        every_n_epochs: Epochs between looks. There is one at epoch 0 and one after the last in any case.
        log_dir: A folder: write TensorBoard summaries to ``log_dir/sensitivity``, with epochs as steps. It may be
            the folder of `keras.callbacks.TensorBoard`.
        dead_feature_monitor: When a feature is dead; None: no feature is judged, and ``num_dead_features`` is NaN.
        verbose: 0: silent. 1: what is measured, and each death and revival in one line. 2: also the most important
            features at each look. In these lines epochs count from 1, as in Keras' own log; everywhere else from 0.

    Raises:
        ValueError, TypeError, OSError, RuntimeError: Before training, as in `measure`.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> x = np.random.default_rng(0).normal(size=(256, 3))
    >>> y = 3 * x[:, 0] + x[:, 1]
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> watch = ks.SensitivityCallback(x, feature_names=["a", "b", "c"])
    >>> history = model.fit(x, y, epochs=2, callbacks=[watch], verbose=0)
    >>> watch.trajectory.shape
    (2, 3)
    >>> sorted(history.history)
    ['importance_shift', 'loss', 'num_dead_features']
    """

    def __init__(
        self,
        x: Any,
        *,
        feature_names: Sequence[str] | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
        exclude: Sequence[str] = (),
        definition: Definition = Definition(),
        num_samples: int | None = 4096,
        batch_size: int | None = None,
        every_n_epochs: int = 1,
        log_dir: str | os.PathLike[str] | None = None,
        dead_feature_monitor: DeadFeatureMonitor | None = DeadFeatureMonitor(),
        jit_compile: bool | Literal["auto"] = "auto",
        verbose: int = 0,
    ) -> None:
        super().__init__()
        self.x = x
        self.feature_names = feature_names
        self.groups = groups
        self.exclude = exclude
        self.definition = definition
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.every_n_epochs = every_n_epochs
        self.log_dir = log_dir
        self.dead_feature_monitor = dead_feature_monitor
        self.jit_compile = jit_compile
        self.verbose = verbose
        self._looks: dict[int, Importance] = {}
        self._record = DeathRecord()
        self._live: _Live | None = None
        self._kept_rows: _KeptRows | None = None
        self._last_epoch: int | None = None
        self._check()

    @property
    def _options(self) -> Options:
        return Options(self.feature_names, self.groups, self.exclude, self.batch_size, self.jit_compile)

    def _check(self) -> None:
        """Refuse arguments that no model and no rows could make right; also those that were set afterwards."""
        self._options.check(self.definition, self.num_samples)
        errors.check_whole_number("every_n_epochs", self.every_n_epochs)
        monitor = self.dead_feature_monitor
        if monitor is not None:
            fix = "pass DeadFeatureMonitor(...) or None"
            errors.check_instance("dead_feature_monitor", monitor, DeadFeatureMonitor, fix)

    # --- what the user reads ----------------------------------------------------------------------------------------

    @property
    def importance(self) -> Importance | None:
        """The newest look; None before the first."""
        return self.history[-1] if self._looks else None

    @property
    def history(self) -> list[Importance]:
        """One `Importance` a look, the oldest first."""
        return list(self._looks.values())

    @property
    def trajectory(self) -> pd.DataFrame:
        """Importances over epochs: index epoch (from 0), columns features, percent; each row sums to 100."""
        return self._over_epochs([look.features for look in self.history])

    def _over_epochs(self, rows: Sequence[pd.Series[float] | None]) -> pd.DataFrame:
        frame = pd.DataFrame(rows)
        frame.index = pd.Index(list(self._looks), name="epoch", dtype="int64")
        return frame

    @property
    def lag_trajectory(self) -> pd.DataFrame | None:
        """Importances of the lags over epochs: index epoch, columns lags (0 the newest), percent.

        None without a time axis, and before the first look.
        """
        if self.importance is None or self.importance.lags is None:
            return None
        return self._over_epochs([look.lags for look in self.history])

    @property
    def dead_features(self) -> list[str]:
        """Names of the features that are dead now, in the model's order."""
        return list(self._record.dead)

    @property
    def events(self) -> pd.DataFrame:
        """Deaths and revivals, one a row: epoch, feature, event, importance, threshold (percent), reason."""
        return pd.DataFrame(list(self._record.events), columns=list(Event._fields))

    @property
    def noise_level(self) -> pd.Series[float] | None:
        """Importance of pure noise over epochs, percent of the features' sum; None without `NoiseProbes`.

        When it rises while the loss falls, the network is memorising: a warning that needs no validation data.
        """
        if self.importance is None or self.importance.noise_level is None:
            return None
        levels = [look.noise_level for look in self.history]
        return pd.Series(levels, index=self.trajectory.index, name="noise_level", dtype=float)

    @property
    def noise_band(self) -> pd.DataFrame | None:
        """Between which importances pure noise would lie: see `Importance.noise_band`; None without `NoiseProbes`.

        Index epoch, columns ``lower`` and ``upper``, percent. `plots.trajectory` draws it.
        """
        if self.noise_level is None:
            return None
        bands = [look.noise_band or (math.nan, math.nan) for look in self.history]
        return pd.DataFrame(bands, index=self.noise_level.index, columns=["lower", "upper"])

    # --- when Keras calls -------------------------------------------------------------------------------------------

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check everything, compile and run a first batch, so that what can fail does so before the first step."""
        self._live = self._last_epoch = None
        self._check()
        _refuse_shared_generator(self.x)
        with untouched_randomness():
            network = network_of(self.model)
            rows = self._rows(network)
            measurement = Measurement(network, rows, definition=self.definition, options=self._options)
            measurement.rehearse()
        self._live = _Live(measurement, None if self.log_dir is None else LookWriter(self.log_dir))
        self._say(1, f"SensitivityCallback: {measurement.description}")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """At the first epoch of a fit, forget the looks that it will take again."""
        if self._last_epoch is None:
            with self._harmless(epoch):
                self._forget(epoch)
        self._last_epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look, where one is due, and add to the logs."""
        last = epoch + 1 == (self.params or {}).get("epochs") or self.model.stop_training
        scalars = {DEAD_KEY: math.nan, SHIFT_KEY: math.nan}
        if epoch % self.every_n_epochs == 0 or last:
            scalars |= self._look(epoch)
        if logs is not None:
            logs.update(scalars)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Look after the last epoch, if it was not known to be the last; check the last look, and close the files."""
        if self._last_epoch is not None and self._last_epoch not in self._looks:
            self._look(self._last_epoch)
        if self._live is not None and self._last_epoch in self._looks:
            with self._harmless(self._last_epoch), untouched_randomness():
                self._looks[self._last_epoch] = self._live.measurement.checked(self._looks[self._last_epoch])
        self._switch_off()

    def _rows(self, network: Network) -> Rows:
        """The rows to measure; of a stream those of the first fit, which a second fit could not read again."""
        if not is_stream(self.x):
            return read(self.x, network, num_samples=self.num_samples)
        kept = self._kept_rows
        if kept is not None and kept.stream is self.x and kept.num_samples == self.num_samples:
            return read(kept.x, network, weights=kept.weights)
        if self.num_samples is None and not can_be_read_again(self.x):
            errors.refuse_one_shot(type(self.x).__name__)
        rows = read(self.x, network, num_samples=self.num_samples)
        if self.num_samples is not None:
            self._kept_rows = _KeptRows(self.x, self.num_samples, rows.x, rows.first.weights)
        return rows

    # --- a look -----------------------------------------------------------------------------------------------------

    def _look(self, epoch: int) -> dict[str, float]:
        """Measure, remember, tell; the scalars for the logs."""
        if self._live is None:
            return {}
        scalars: dict[str, float] = {}
        with self._harmless(epoch):
            with untouched_randomness():
                self._live.measurement.renew()
                importance = self._live.measurement.look()
            record = self._judged(epoch, importance)
            found = self._scalars(importance, record)
            if self._live.writer is not None:
                self._live.writer.write(importance, epoch, found)
            new = record.events[len(self._record.events) :]
            lines = [self.dead_feature_monitor.describe(event) for event in new] if self.dead_feature_monitor else []
            self._looks[epoch], self._record, scalars = importance, record, found
            for line in lines:
                self._say(1, f"\n{line}")
            if self.verbose > 1:
                leading = ", ".join(f"{name} {share:.1f} %" for name, share in importance.features.nlargest(5).items())
                self._say(2, f"\nEpoch {epoch + 1}: most important: {leading}")
        return scalars

    @contextlib.contextmanager
    def _harmless(self, epoch: int) -> Iterator[None]:
        """Whatever fails in the block switches the callback off: a fit of days must not end because of a picture."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self._switch_off()
            errors.warn_switched_off(epoch, error)

    def _judged(self, epoch: int, importance: Importance) -> DeathRecord:
        """The record of deaths after a look."""
        monitor = self.dead_feature_monitor
        return self._record if monitor is None else monitor.update(self._record, epoch, importance)

    def _scalars(self, importance: Importance, record: DeathRecord) -> dict[str, float]:
        """What a look adds to the logs."""
        previous, shift = self.importance, math.nan
        if previous is not None:
            shift = float((importance.features - previous.features).abs().sum() / 2)
        dead = math.nan if self.dead_feature_monitor is None else float(len(record.dead))
        return {DEAD_KEY: dead, SHIFT_KEY: shift}

    def _forget(self, first_epoch: int) -> None:
        """Drop the looks and events from ``first_epoch`` on; a resumed fit on the same features keeps the earlier."""
        names = self._live.measurement.feature_names if self._live else ()
        self._looks = {
            epoch: look
            for epoch, look in self._looks.items()
            if epoch < first_epoch and tuple(look.features.index) == names
        }
        self._record = DeathRecord()
        for epoch, look in self._looks.items():
            self._record = self._judged(epoch, look)

    def _switch_off(self) -> None:
        """Close the files and let go of the model; until the next fit every look is skipped."""
        live, self._live = self._live, None
        if live is not None and live.writer is not None:
            with contextlib.suppress(Exception):
                live.writer.close()

    def _say(self, verbosity: int, line: str) -> None:
        if self.verbose >= verbosity:
            with contextlib.suppress(OSError, UnicodeError):  # nobody listens, or not to such letters
                print(line, flush=True)

    # --- copies -----------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """All but the model and what lives only during a fit: Keras sets the model anew at each fit."""
        return vars(self) | {"_live": None, "_model": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> SensitivityCallback:
        """A copy that shares x, which is only read: tuners copy their callbacks for every trial."""
        duplicate = type(self).__new__(type(self))
        memo[id(self)] = duplicate
        memo[id(self.x)] = self.x
        memo[id(self._kept_rows)] = self._kept_rows
        duplicate.__dict__.update(copy.deepcopy(self.__getstate__(), memo))
        return duplicate


def _refuse_shared_generator(x: Any) -> None:
    """Refuse a generator that the fit that is about to begin was given, too; what one reads the other misses."""
    if can_be_read_again(x):
        return
    frame: types.FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "fit":
            for name, what in (("x", "the training data"), ("validation_data", "the validation data")):
                if frame.f_locals.get(name) is x:
                    errors.refuse_shared_generator(what)
        frame = frame.f_back
