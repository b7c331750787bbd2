"""`SensitivityCallback`: when to look, what to remember, whom to tell."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import keras
import pandas as pd

from keras_sensitivity import errors, plots
from keras_sensitivity.dead_features import DeadFeatureMonitor, summary
from keras_sensitivity.definition import Definition
from keras_sensitivity.effort import MOST_ROWS, affordable_rows
from keras_sensitivity.fit import callbacks_before, refuse_shared_generator
from keras_sensitivity.importance import Importance
from keras_sensitivity.labels import in_words, labels
from keras_sensitivity.measurement import Measurement
from keras_sensitivity.networks.choice import is_built, network_of
from keras_sensitivity.networks.network import Network
from keras_sensitivity.plan import Options
from keras_sensitivity.records.looks import LookWriter
from keras_sensitivity.records.reading import Look
from keras_sensitivity.resuming import restored
from keras_sensitivity.rows.pickling import check_picklable
from keras_sensitivity.rows.randomness import untouched_randomness
from keras_sensitivity.rows.rows import Rows, read
from keras_sensitivity.rows.streams import can_be_read_again, is_stream
from keras_sensitivity.trajectory import Trajectory, is_logged

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SensitivityCallback"]


class _Live(NamedTuple):
    """What exists only while a fit runs, and is never copied or pickled."""

    measurement: Measurement
    writer: LookWriter | None


class _Standing(NamedTuple):
    """Where a fit left a network, by which the next fit is known to go on from there.

    Attributes:
        model: The network.
        iterations: The steps that its optimizer had made.
        epoch: The last epoch.
    """

    model: weakref.ref[keras.Model]
    iterations: int
    epoch: int


class _KeptRows(NamedTuple):
    """The rows of a stream that were measured first, and are measured again in the next fit.

    Attributes:
        stream: What they were read from.
        num_samples: How many were asked for.
        x: The rows.
        weights: Of the rows; None where all weigh 1.
        lengths: Of sequences of several lengths, else None.
        num_seen: How many rows were read.
    """

    stream: Any
    num_samples: int
    x: Any
    weights: Any
    lengths: Any
    num_seen: int


class SensitivityCallback(keras.callbacks.Callback):
    """Shows, epoch by epoch, which input features a network relies on.

    At the end of an epoch the callback looks at the model: it measures the importance of each feature on the same
    rows as always (see `measure`). A look changes nothing in the model: not its weights, nor its optimizer, seed
    generators or states, so training ends in the same weights with and without the callback.

    It adds numbers to the logs, for the fit log, `History`, `CSVLogger` and callbacks that stand after it:

    - ``num_dead_features``: features that are dead now (see `DeadFeatureMonitor`);
    - ``importance_shift``: half the sum of the absolute changes of all importances since the last look, in
      percentage points: 0 when nothing moved, 100 when all importance went to other features, and at the first look;
    - with ``log_importances`` also ``importance/<feature>``, percent.

    At epochs without a look, and after a failure, they are those of the last look: they are never NaN, which callbacks
    that keep the best epoch or stop a fit would take for the best of all.

    Epochs are those of Keras, counted from 0, here and in whatever is printed. A fit that begins at an epoch
    (``initial_epoch``) replaces the looks from there on and keeps the earlier ones; one that begins at 0 starts anew,
    but for a loop over ``fit(epochs=1)``, which goes on counting as long as it trains the same model. In a training
    loop of your own, call ``watch.set_model(model)`` before it and ``watch.on_epoch_end(epoch)`` in it.

    At the end of a fit the last look at a table is compared with real changes on up to 512 rows, see
    `Importance.agreement`; a warning names the features of which the two are far apart.

    A look sees the weights at the end of its epoch. Where ``EarlyStopping(restore_best_weights=True)`` restores others
    after the last one, `measure` tells of the restored model.

    Wrong arguments are refused before the first training step; where the model gets its weights in that step, after it.
    Whatever happens after it ends no fit, and is warned of once. At epochs at which derivatives are NaN or infinite
    there is no look; a warning counts them by feature, and looks go on when they are finite again. Looks that cannot be
    written are kept, and written when that is possible. Any other error at a look, such as a device out of memory,
    switches the callback off until the next fit.

    Args:
        x: The rows to measure, as they go into ``model.fit``: see `measure`.
        y: The labels of the rows of x, as in ``model.fit``, where x is made of arrays; None: none. With labels, each
            look also finds by how much the loss rises when a feature has the values of other rows
            (`Importance.loss_changes`), a forward pass of up to 1,024 rows for each feature and each probe, and
            `DeadFeatureMonitor` takes that into account: deaths are surer, the page on dead features says by how much.
        sample_weight, feature_names, output_names, groups, exclude, definition, batch_size, jit_compile: As in
            `measure`.
        num_samples: Rows to measure, a fixed random subset; of a stream as in `measure`, read once before training and
            kept; None: all, of streams read anew at each look. At the default, a look at a costly model takes fewer,
            so that it costs about a twentieth of an epoch, but never fewer than 256. These rows also give the bins of
            the paths, the standard deviations for ``scale="std"``, which columns have few values, and what they are
            swapped with: see `Definition`. Bins and partners are the same at all looks of a fit. Random numbers that
            data draw from a generator of their own are drawn once more when they are read here.
        every_n_epochs: Epochs between looks. The first epoch has one, where none went before, and so has the last.
        log_dir: A folder, also a remote one such as ``gs://bucket/logs``: write TensorBoard summaries there, with
            epochs as steps: numbers at each look, pictures at the last, and at a few before in a long fit. Each fit has
            a run of its own, ``log_dir/sensitivity``, ``log_dir/sensitivity_2`` and so on; one with an
            ``initial_epoch`` goes on in the newest, also in another process, as with
            `keras.callbacks.BackupAndRestore`: its looks are read back then. It may be the folder of
            `keras.callbacks.TensorBoard`.
        dead_feature_monitor: When a feature is dead; None: no feature is judged, nor counted in the logs.
        log_importances: Whose importances go into the logs, for loggers that read them (CSVLogger, wandb, MLflow): a
            list of features; True: all; False: none.
        name: What this callback is called, where several watch one fit: "validation" makes the keys in the logs
            ``validation_importance_shift`` and so on, and writes to ``log_dir/validation``.
        verbose: 0: silent. 1: what is measured, and one line for each epoch at which features died or revived. 2: also
            the most important features at each look.

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
        y: Any = None,
        *,
        sample_weight: Any = None,
        feature_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
        exclude: Sequence[str] = (),
        definition: Definition = Definition(),
        num_samples: int | None = 4096,
        batch_size: int | None = None,
        every_n_epochs: int = 1,
        log_dir: str | os.PathLike[str] | None = None,
        dead_feature_monitor: DeadFeatureMonitor | None = DeadFeatureMonitor(),
        log_importances: bool | Sequence[str] = False,
        name: str | None = None,
        jit_compile: bool | Literal["auto"] = "auto",
        verbose: int = 0,
    ) -> None:
        super().__init__()
        self.x = x
        self.y = y
        self.sample_weight = sample_weight
        self.feature_names = feature_names
        self.output_names = output_names
        self.groups = groups
        self.exclude = exclude
        self.definition = definition
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.every_n_epochs = every_n_epochs
        self.log_dir = log_dir
        self.dead_feature_monitor = dead_feature_monitor
        self.log_importances = log_importances
        self.name = name
        self.jit_compile = jit_compile
        self.verbose = verbose
        self._trajectory = Trajectory()
        self._live: _Live | None = None
        self._is_off = False
        self._has_skipped = False
        self._tried: int | None = None
        self._is_waiting = False
        self._kept_rows: _KeptRows | None = None
        self._logged: list[Look] = []
        self._run: str | None = None
        self._standing: _Standing | None = None
        self._epochs_before = 0
        self._epoch: int | None = None
        self._lines: list[str] = []
        self._check()

    @property
    def _options(self) -> Options:
        named = self.feature_names, self.groups, self.exclude
        return Options(*named, self.batch_size, self.jit_compile, self.output_names)

    def _check(self) -> None:
        """Refuse arguments that no model and no rows could make right; also those that were set afterwards."""
        self._options.check(self.definition, self.num_samples)
        errors.check_whole_number("every_n_epochs", self.every_n_epochs)
        if self.y is not None and is_stream(self.x):
            errors.refuse_labels_of_stream()
        errors.check_run_name(self.name)
        errors.check_logged(self.log_importances)
        monitor = self.dead_feature_monitor
        if monitor is not None:
            fix = "pass DeadFeatureMonitor(...) or None"
            errors.check_instance("dead_feature_monitor", monitor, DeadFeatureMonitor, fix)

    # --- what the user reads ----------------------------------------------------------------------------------------

    @property
    def importance(self) -> Importance:
        """The newest look; None before the first.

        Its type does not say so, as that of a Keras model's ``optimizer`` does not: after a fit there is one.
        """
        return cast("Importance", self._trajectory.newest)

    @property
    def history(self) -> list[Importance]:
        """One `Importance` a look, the oldest first; but for the newest they are `Importance.condensed`."""
        return self._trajectory.history

    @property
    def trajectory(self) -> pd.DataFrame:
        """Importances over epochs: index epoch (from 0), columns features, percent; each row sums to 100."""
        return self._trajectory.importances

    @property
    def lag_trajectory(self) -> pd.DataFrame | None:
        """Importances of the lags over epochs: index epoch, columns lags (0 the newest), percent.

        None without a time axis, and before the first look.
        """
        return self._trajectory.lags

    @property
    def dead_features(self) -> list[str]:
        """Names of the features that are dead now, in the model's order."""
        return list(self._trajectory.record.dead)

    @property
    def not_above_noise_yet(self) -> list[str]:
        """Names of the features that were never above the noise so far, and are not dead; [] without `NoiseProbes`.

        The network may not have learnt enough for them to show, see `DeadFeatureMonitor`.
        """
        return list(self._trajectory.pending)

    @property
    def events(self) -> pd.DataFrame:
        """Deaths and revivals, one a row: epoch, feature, event, importance, threshold (percent), reason.

        The reason of a death is "noise", "redundant with a, b", "constant" or, without `NoiseProbes`, "below
        threshold"; that of a revival "above noise" or "above threshold".
        """
        return self._trajectory.events

    @property
    def noise_level(self) -> pd.Series[float] | None:
        """Importance of pure noise over epochs, percent of the features' sum; None without `NoiseProbes`.

        When it rises while the loss falls, the network is memorising: a warning that needs no validation data.
        """
        return self._trajectory.noise_level

    @property
    def noise_band(self) -> pd.DataFrame | None:
        """Between which importances pure noise would lie: see `Importance.noise_band`; None without `NoiseProbes`.

        Index epoch, columns ``lower`` and ``upper``, percent. `plots.trajectory` draws it.
        """
        return self._trajectory.noise_band

    def __repr__(self) -> str:
        looks = self._trajectory.looks
        if not looks:
            return f"<{self._title}: no look yet>"
        epochs = f"epoch {max(looks)}" if len(looks) == 1 else f"epochs {min(looks)} to {max(looks)}"
        names = self.importance.features.index
        dead = ", ".join(labels(self.dead_features[:5]) + ["..."] * (len(self.dead_features) > 5))
        return (
            f"<{self._title}: {len(looks)} look{'s' * (len(looks) > 1)} at {len(names):,} features, {epochs}: "
            f"{in_words(self.importance.features, most=3)}{f'; dead: {dead}' if dead else ''}>"
        )

    def _repr_html_(self) -> str | None:
        """What a notebook shows: the picture of `plot`, and the ten leading rows of the newest look."""
        if not self._trajectory.looks:
            return None
        leading = self.importance.table.sort_values("rank")[:10][["importance", "standard_error"]].round(2)
        note = f"epoch {max(self._trajectory.looks)}: importance and standard error, percent"
        return plots.html(self.plot, repr(self)[1:-1], leading, note=note)

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw `keras_sensitivity.plots.trajectory`: lines of the importances, deaths, and the band of noise.

        Args:
            ax: Axes to draw on; None: new ones.
            options: For `plots.trajectory`, such as ``log=True`` or ``top=8``.

        Returns:
            The axes.

        Raises:
            RuntimeError: Before the first look.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.random.default_rng(0).normal(size=(100, 2))
        >>> watch = ks.SensitivityCallback(x, feature_names=["age", "debt"])
        >>> _ = model.fit(x, x[:, 0], epochs=2, callbacks=[watch], verbose=0)
        >>> sorted(line.get_label() for line in watch.plot().lines)
        ['age', 'debt']
        """
        if not self._trajectory.looks:
            errors.refuse_no_look_yet()
        return plots.trajectory(self.trajectory, ax=ax, events=self.events, noise=self.noise_band, **options)

    def to_html(self, path: str | os.PathLike[str] | None = None, *, title: str | None = None) -> str:
        """`Importance.to_html` of the newest look, with the trajectory and the events; the page, as text.

        Raises:
            RuntimeError: Before the first look.
            OSError: If the file cannot be written.
        """
        if not self._trajectory.looks:
            errors.refuse_no_look_yet()
        return self.importance.to_html(path, title=title, trajectory=self.trajectory, events=self.events)

    # --- when Keras calls -------------------------------------------------------------------------------------------

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check everything, compile and run a first batch, so that what can fail does so before the first step."""
        with contextlib.suppress(Exception):
            self._switch_off()  # after a fit that was interrupted
        self._is_off, self._has_skipped, self._tried, self._epoch, self._lines = False, False, None, None, []
        self._check()
        if self.model is None:
            errors.refuse_no_model()
        refuse_shared_generator(self.x)
        self._warn_of_others()
        self._is_waiting = not is_built(self.model)
        if not self._is_waiting:
            self._begin()

    def _begin(self) -> None:
        """Make ready for looks at a model that has its weights."""
        self._is_waiting = False
        with untouched_randomness():
            network = network_of(self.model)
            rows = self._rows(network)
            measurement = Measurement(network, rows, definition=self.definition, options=self._options, y=self.y)
            errors.check_logged(self.log_importances, measurement.feature_names)
            try:
                measurement.rehearse()
            except FloatingPointError as error:
                if self._epoch is None:
                    raise
                self._skip(self._epoch, error)  # the fit's first step may have made them so
        self._live = _Live(
            measurement, None if self.log_dir is None else LookWriter(self.log_dir, self.name, self._run)
        )
        self._epochs_before = self._continued()
        self._say(1, f"{self._title}: {measurement.description}")
        self._tell()
        if self._epoch is not None:  # the model got its weights in the fit's first step
            self._forget(self._epoch)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Begin with a model that got its weights in the step before; at ends of steps Keras would wait for us."""
        if self._is_waiting and is_built(self.model):
            self._begin()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Tell of the epoch before; at the first epoch of a fit, forget the looks that it will take again."""
        self._tell()
        with self._harmless(epoch):
            if self._live is None and not self._is_off and not self._is_waiting:  # a training loop of the user's own
                self.on_train_begin()
            if self._epoch is None:
                self._forget(epoch)
        self._epoch = epoch

    def _forget(self, epoch: int) -> None:
        """Forget the looks from an epoch on, the first of a fit; of one that another process began, know those before.

        That process may have come to its end before it had looked at the last epoch: the model still is what it was.
        """
        if self._live is None:
            return
        first, names = epoch + self._epochs_before, self._live.measurement.feature_names
        self._trajectory = self._trajectory.before(first, names, self.dead_feature_monitor)
        if self._trajectory.looks or self._live.writer is None:
            return
        self._logged = self._live.writer.looks_before(first)
        if self._logged and self._logged[-1].epoch < first - 1 and (first - 1) % self.every_n_epochs == 0:
            self._look(first - 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look, where one is due, and add to the logs."""
        is_by_hand = epoch != self._epoch  # a loop that tells of the ends of epochs only
        if is_by_hand:
            self.on_epoch_begin(epoch)
        if self._is_waiting:
            self._begin()
        with self._harmless(epoch):
            last = epoch + 1 == (self.params or {}).get("epochs") or getattr(self.model, "stop_training", False)
            if epoch % self.every_n_epochs == 0 or last or not self._trajectory.looks:
                self._look(epoch + self._epochs_before)
            if logs is not None:
                logs.update(self._scalars)
        if is_by_hand:
            self._tell()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Look after the last epoch, if it was not known to be the last; check the last look, and close the files."""
        if self._epoch is None:
            self._finish_for_another()
        if self._epoch is not None:
            last = self._epoch + self._epochs_before
            if last not in self._trajectory.looks and last != self._tried:
                self._look(last)
            with self._harmless(last), untouched_randomness():
                self._standing = self._stands(last)
                if self._live is not None and last in self._trajectory.looks:
                    checked = self._live.measurement.checked(self._trajectory.history[-1])
                    self._trajectory = self._trajectory.with_newest(checked)
        self._tell()
        with self._harmless(self._epoch or 0):
            self._switch_off()
        self._is_off = False

    def _finish_for_another(self) -> None:
        """Where another process ended after the last epoch, so that none was left, know its looks, with the last."""
        epochs = (self.params or {}).get("epochs") or 0
        with self._harmless(epochs - 1):
            self._forget(epochs)
            if self._logged:
                self._look(epochs - 1)

    def _rows(self, network: Network) -> Rows:
        """The rows to measure; by default fewer than there are, where a look would cost too much of an epoch."""
        rows = self._all_rows(network)
        if self.num_samples != MOST_ROWS or rows.num_rows is None:
            return rows
        count = affordable_rows(network, rows, self.definition)
        if rows.num_rows <= count:
            return rows
        self._say(1, f"{self._title}: {count:,} rows, as {rows.num_rows:,} would cost too much; num_samples= sets it.")
        if is_stream(self.x):
            return read(rows.x, network, num_samples=count, weights=rows.first.weights, lengths=rows.first.lengths)
        return read(self.x, network, num_samples=count, weights=self.sample_weight)

    def _all_rows(self, network: Network) -> Rows:
        """As many rows as asked for; of a stream those of the first fit, which a second fit could not read again."""
        if not is_stream(self.x):
            return read(self.x, network, num_samples=self.num_samples, weights=self.sample_weight)
        kept = self._kept_rows
        if kept is not None and kept.stream is self.x and kept.num_samples == self.num_samples:
            rows = read(kept.x, network, weights=kept.weights, lengths=kept.lengths)
            return dataclasses.replace(rows, num_seen=kept.num_seen)
        if self.num_samples is None and not can_be_read_again(self.x):
            errors.refuse_one_shot(type(self.x).__name__)
        rows = read(self.x, network, num_samples=self.num_samples, weights=self.sample_weight)
        if self.num_samples is not None:
            first = rows.first
            self._kept_rows = _KeptRows(self.x, self.num_samples, rows.x, first.weights, first.lengths, rows.num_seen)
        return rows

    def _warn_of_others(self) -> None:
        """Warn of callbacks of the same fit that overwrite what this one logs, or that read it too early."""
        for other in callbacks_before(self):
            if isinstance(other, SensitivityCallback) and other.name == self.name:
                errors.warn_same_name(self.name)
            monitored = getattr(other, "monitor", None)
            if isinstance(monitored, str) and is_logged(monitored.removeprefix(self._prefix)):
                errors.warn_monitored_before(type(other).__name__, monitored)

    # --- a loop of fits ---------------------------------------------------------------------------------------------

    def _continued(self) -> int:
        """How many epochs went before, where this fit of one epoch goes on from where the last one ended; else 0."""
        standing = self._standing
        if standing is None or (self.params or {}).get("epochs") != 1 or self._stands(standing.epoch) != standing:
            return 0
        return standing.epoch + 1

    def _stands(self, epoch: int) -> _Standing | None:
        """Where the network stands now; None without an optimizer, by which it could be told."""
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is None:
            return None
        return _Standing(weakref.ref(self.model), int(keras.ops.cast(optimizer.iterations, "int64")), epoch)

    # --- a look -----------------------------------------------------------------------------------------------------

    def _look(self, epoch: int) -> None:
        """Measure, remember, tell."""
        if self._live is None:
            return
        self._tried = epoch
        with self._harmless(epoch):
            with untouched_randomness():
                self._live.measurement.renew()
                look = self._live.measurement.look()
            if self._logged:
                self._trajectory = restored(self._logged, look, self.dead_feature_monitor)
                self._logged = []
            self._trajectory = trajectory = self._trajectory.after(epoch, look)
            events = trajectory.events_at(epoch)
            if self._live.writer is not None:
                threshold, deaths = trajectory.threshold, trajectory.record
                self._live.writer.write(look, epoch, trajectory.scalars, threshold=threshold, deaths=deaths)
            told = [summary(events, trajectory.pending)] if events or self.verbose >= 2 else []
            if self.verbose >= 2:
                told.append(f"most important: {in_words(look.features, most=5)}")
            if any(told):
                self._say(1, f"{self._title}, epoch {epoch}: {'; '.join(filter(None, told))}")

    @contextlib.contextmanager
    def _harmless(self, epoch: int) -> Iterator[None]:
        """Whatever fails in the block ends no fit: numbers that are not finite cost a look, all else switches off."""
        try:
            yield
        except FloatingPointError as error:
            self._skip(epoch, error)
        except Exception as error:  # noqa: BLE001
            with contextlib.suppress(Exception):
                self._switch_off()
            self._is_off = True
            errors.warn_switched_off(epoch, error)

    def _skip(self, epoch: int, error: FloatingPointError) -> None:
        """Tell, once a fit, that numbers are not finite."""
        if not self._has_skipped:
            self._has_skipped = True
            errors.warn_skipped_look(epoch, error)

    @property
    def _scalars(self) -> dict[str, float]:
        """What the newest look adds to the logs, at its epoch and until the next one: never NaN."""
        scalars = self._trajectory.scalars | self._trajectory.shares(self.log_importances)
        return {self._prefix + key: value for key, value in scalars.items()}

    @property
    def _prefix(self) -> str:
        return f"{self.name}_" if self.name else ""

    @property
    def _title(self) -> str:
        return f"SensitivityCallback {self.name}" if self.name else "SensitivityCallback"

    def _switch_off(self) -> None:
        """Close the files and let go of the model; until the next fit every look is skipped."""
        live, self._live = self._live, None
        if live is not None and live.writer is not None:
            self._run = live.writer.run
            live.writer.close()

    def _say(self, verbosity: int, line: str) -> None:
        """Note a line, to be printed when Keras' progress bar is at its end."""
        if self.verbose >= verbosity:
            self._lines.append(line)

    def _tell(self) -> None:
        lines, self._lines = self._lines, []
        with contextlib.suppress(OSError, UnicodeError):  # nobody listens, or not to such letters
            for line in lines:
                print(line, flush=True)

    # --- copies -----------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        """All but the model and what lives only during a fit: Keras sets the model anew at each fit."""
        return vars(self) | {"_live": None, "_model": None, "_standing": None}

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled.

        Raises:
            TypeError: If x cannot be, such as a `tf.data.Dataset`; without it (``watch.x = None``) the looks can.
        """
        check_picklable(self.x)
        kept = self._kept_rows
        return self._state() | {"_kept_rows": kept if kept is not None and kept.stream is self.x else None}

    def __copy__(self) -> SensitivityCallback:
        """A copy that shares everything."""
        duplicate = type(self).__new__(type(self))
        duplicate.__dict__.update(self._state())
        return duplicate

    def __sklearn_clone__(self) -> SensitivityCallback:
        """What `sklearn.base.clone` asks for: another one with the same arguments, that has seen no fit."""
        names = list(inspect.signature(SensitivityCallback.__init__).parameters)[1:]
        return type(self)(**{name: getattr(self, name) for name in names})

    def __deepcopy__(self, memo: dict[int, Any]) -> SensitivityCallback:
        """A copy that shares x and y, which are only read: tuners copy their callbacks for every trial."""
        duplicate = type(self).__new__(type(self))
        memo[id(self)] = duplicate
        memo[id(self.x)] = self.x
        memo[id(self.y)] = self.y
        memo[id(self._kept_rows)] = self._kept_rows
        duplicate.__dict__.update(copy.deepcopy(self._state(), memo))
        return duplicate
