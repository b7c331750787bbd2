"""`Importance` -> TensorBoard event files, look by look: every number, and now and then pictures."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.dead_features import DeathRecord
from keras_sensitivity.records.artist import Artist
from keras_sensitivity.records.event_file import EventFile, Summary, Values
from keras_sensitivity.records.reading import Look, has_looks_before, looks, written_in
from keras_sensitivity.records.record import HEADER, Header, Record, look_tag
from keras_sensitivity.records.runs import new_run, runs_in

if TYPE_CHECKING:
    import pandas as pd

    from keras_sensitivity.importance import Importance

__all__ = ["LookWriter"]

# Thousands of curves freeze TensorBoard. Features, or lags, of which each has one, at the most.
MOST_CURVES = 50


class LookWriter:
    """Writes the looks of a fit to a run of its own in ``log_dir``, or with a name in ``log_dir/name``.

    The first fit's run is ``sensitivity``, that of the next ``sensitivity_2``; a fit that goes on where another one
    ended (``initial_epoch``) goes on in its run, which has looks before it. Each look becomes one event, at the step of
    its epoch:

    - scalars ``importance/<feature>``, percent, of up to 50 features, else of the 50 most important at the first look,
      so that a curve has a point at every look; with a time axis ``lag/<lag>`` likewise; the given ones; and with
      `NoiseProbes` the noise band, ``noise/lower``, ``noise/level`` and ``noise/upper``, percent;
    - a `Record` of all features, with a `Header` at the first look.

    The last look, and of a long fit a few before, have pictures: see `Artist`.

    Args:
        log_dir: A folder, also one that only TensorFlow can reach, such as ``gs://bucket/logs``.
        name: Of the callback.
        run: That of the callback's fit before, in which one that goes on goes on; None: the newest one.

    Attributes:
        run: The name of the run; None before the first look.

    A look that cannot be written, as where a disk is full, is kept and written with the next one that can be, or at
    the end, to another file, as the end of the first may be torn; it is warned of once.

    Raises:
        OSError: If no file can be written there.
    """

    def __init__(self, log_dir: str | os.PathLike[str], name: str | None = None, run: str | None = None) -> None:
        errors.check_folder(log_dir)
        self._folder = tf.io.gfile.join(os.fspath(log_dir), name or "")
        tf.io.gfile.makedirs(self._folder)
        self.run: str | None = None
        self._before = run
        self._curves = _Curves()
        self._file: EventFile | None = None
        self._unwritten: list[_Unwritten] = []
        self._has_warned = False
        self._is_apart = False
        self._lost_picture: OSError | None = None
        self._artist = Artist(self._draw)

    def write(
        self,
        importance: Importance,
        epoch: int,
        scalars: Mapping[str, float],
        *,
        threshold: float | None = None,
        deaths: DeathRecord | None = None,
    ) -> None:
        """Write one look, down to the disk.

        Args:
            importance: The look.
            epoch: When it was.
            scalars: Those of the fit log, by their names there.
            threshold: Below which features die, percent; None: nobody says.
            deaths: What is known of deaths and revivals at the look; None: nobody judges.
        """
        numbers = {**scalars, **_noise(importance)}
        known = numbers if threshold is None else {**numbers, "threshold": threshold}
        record = Record.of(importance, known, deaths or DeathRecord(), epoch)
        values: Values = {look_tag(epoch): record.encoded(), **self._curves.of(importance), **numbers}
        header = {HEADER: Header.of(record, importance).encoded()}
        self._unwritten.append(_Unwritten(values, epoch, time.time(), header))
        self._catch_up()
        self._artist.offer(importance, epoch)

    def looks_before(self, epoch: int) -> list[Look]:
        """The looks before an epoch of the run in which a fit goes on from there; none of a new run."""
        run = self._run_before
        if run is None or epoch == 0:
            return []
        folder = tf.io.gfile.join(self._folder, run)
        try:
            return [look for look in looks(written_in(folder), folder) if look.epoch < epoch]
        except Exception as error:  # noqa: BLE001  (whatever stands in files of this name)
            errors.warn_unreadable_run(folder, error)
            self._is_apart = True
            return []

    def _catch_up(self) -> None:
        """Write what is not written yet; what cannot be stays for the next time."""
        file = self._file  # of which the artist may let go meanwhile
        try:
            if self.run is None:
                self.run = self._run_of(self._unwritten[0].epoch)
            file = file or EventFile(tf.io.gfile.join(self._folder, self.run))
            for each in self._unwritten:
                file.write(each.values, each.epoch, wall_time=each.wall_time, once=each.header)
            self._unwritten.clear()
            self._file = file
        except Exception as error:  # noqa: BLE001  (whatever it is, the look is kept)
            self._file = None
            if file is not None:
                file.abandon()
            if not self._has_warned:
                self._has_warned = True
                errors.warn_not_written(self._folder, self._unwritten[0].epoch, error)

    def _run_of(self, epoch: int) -> str:
        """The run: only the epoch of the first look tells whether another fit goes on."""
        before = None if self._is_apart else self._run_before
        goes_on = before is not None and has_looks_before(epoch, tf.io.gfile.join(self._folder, before))
        return before if before is not None and goes_on else new_run(self._folder)

    @property
    def _run_before(self) -> str | None:
        """That of the callback's fit before, or the newest one."""
        return self._before or next(reversed(runs_in(self._folder)), None)

    def _draw(self, summary: Summary, epoch: int) -> None:
        """Write a picture, from another thread; beside looks that are not written there is none."""
        file = self._file
        if file is not None:
            try:
                file.write_summary(summary, epoch)
            except OSError as error:
                self._file = None  # which may be torn
                self._lost_picture = error

    def close(self) -> None:
        """Write what is left, draw the last look, and close the file."""
        if self._unwritten:
            self._catch_up()
        self._artist.finish()
        try:
            if self._file is not None:
                self._file.close()
        except OSError as error:
            self._lost_picture = self._lost_picture or error
        if self._lost_picture is not None and not self._has_warned:
            errors.warn_no_picture("ranking", self._lost_picture)


class _Unwritten(NamedTuple):
    """A look on its way to the disk.

    Attributes:
        values: What is written of it, by tag.
        epoch: When it was.
        wall_time: The same in seconds since 1970.
        header: What each file has to have before it.
    """

    values: Values
    epoch: int
    wall_time: float
    header: Values


class _Curves:
    """The features and lags that have a curve: the same at all looks."""

    def __init__(self) -> None:
        self._chosen: dict[str, pd.Index[Any]] = {}

    def of(self, importance: Importance) -> dict[str, float]:
        """The points of the curves, by their tags."""
        every = {"importance": importance.features}
        if importance.lags is not None:
            every["lag"] = importance.lags
        points: dict[str, float] = {}
        for kind, found in every.items():
            chosen = self._chosen.setdefault(kind, found.nlargest(MOST_CURVES).index)
            points |= {f"{kind}/{name}": float(share) for name, share in found[chosen].items()}
        return points


def _noise(importance: Importance) -> dict[str, float]:
    """Between which importances pure noise would lie, and its own; nothing without probes."""
    if importance.noise_band is None or importance.noise_level is None:
        return {}
    lower, upper = importance.noise_band
    return {"noise/lower": float(lower), "noise/level": float(importance.noise_level), "noise/upper": float(upper)}
