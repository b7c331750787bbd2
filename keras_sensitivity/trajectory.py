"""`Trajectory`: the looks of a training, and the deaths and revivals that a monitor reads from them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import pandas as pd

from keras_sensitivity.dead_features import DeadFeatureMonitor, DeathRecord, Event
from keras_sensitivity.importance import Importance

__all__ = ["Trajectory", "is_logged"]

# What the logs call the numbers of a look.
DEAD_KEY, SHIFT_KEY, SHARE_KEY = "num_dead_features", "importance_shift", "importance/"

# The shift of a first look: nothing of its importance was known before.
WHOLE = 100.0


def is_logged(key: str) -> bool:
    """Whether a key of the logs is one of a look's.

    >>> is_logged("importance/age"), is_logged("loss")
    (True, False)
    """
    return key in (DEAD_KEY, SHIFT_KEY) or key.startswith(SHARE_KEY)


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """Looks by epoch, each judged as it comes; one more look makes another trajectory.

    Attributes:
        monitor: Who judges which features are dead; None: nobody.
        looks: By epoch, the oldest first.
        record: What the monitor remembers of them.
    """

    monitor: DeadFeatureMonitor | None = None
    looks: Mapping[int, Importance] = dataclasses.field(default_factory=dict)
    record: DeathRecord = dataclasses.field(default_factory=DeathRecord)

    def after(self, epoch: int, look: Importance) -> Trajectory:
        """The trajectory with one more look; looks from its epoch on are taken again, and earlier ones condensed."""
        if any(each >= epoch for each in self.looks):
            return self.before(epoch, list(look.features.index), self.monitor).after(epoch, look)
        record = self.record if self.monitor is None else self.monitor.update(self.record, epoch, look)
        looks = {**self.looks, epoch: look}
        if self.newest is not None:
            looks[max(self.looks)] = self.newest.condensed()
        return Trajectory(self.monitor, looks, record)

    def before(self, epoch: int, features: Sequence[str], monitor: DeadFeatureMonitor | None) -> Trajectory:
        """The looks at these features before an epoch; judged anew, if any are left out or another monitor judges.

        Of looks that are condensed it is not known any more what features could stand in for each other.
        """
        if monitor == self.monitor and all(
            each < epoch and list(look.features.index) == list(features) for each, look in self.looks.items()
        ):
            return self
        kept = Trajectory(monitor)
        for each, look in self.looks.items():
            if each < epoch and list(look.features.index) == list(features):
                kept = kept.after(each, look)
        return kept

    def with_newest(self, look: Importance) -> Trajectory:
        """The trajectory with more known of its newest look."""
        return dataclasses.replace(self, looks={**self.looks, max(self.looks): look})

    @property
    def pending(self) -> tuple[str, ...]:
        """The features that were never above the noise, and are not dead yet."""
        return self.record.pending or ()

    def events_at(self, epoch: int) -> tuple[Event, ...]:
        """Who died or revived at the look of an epoch."""
        return tuple(event for event in self.record.events if event.epoch == epoch)

    @property
    def history(self) -> list[Importance]:
        """The looks, the oldest first."""
        return list(self.looks.values())

    @property
    def newest(self) -> Importance | None:
        """The newest look; None before the first."""
        return self.history[-1] if self.looks else None

    # --- of the newest look, for the logs; nothing before the first -----------------------------------------------

    @property
    def scalars(self) -> dict[str, float]:
        """How many features are dead, where they are judged, and how far the importances moved."""
        if not self.looks:
            return {}
        newest = [look.features for look in self.history[-2:]]
        shift = (newest[1] - newest[0]).abs().sum() / 2 if len(newest) == 2 else WHOLE
        dead = {} if self.monitor is None else {DEAD_KEY: float(len(self.record.dead))}
        return {**dead, SHIFT_KEY: float(shift)}

    @property
    def threshold(self) -> float | None:
        """Below which features die, percent; None if nobody judges."""
        return None if self.monitor is None or self.newest is None else self.monitor.threshold_of(self.newest)

    def shares(self, chosen: bool | Sequence[str]) -> dict[str, float]:
        """Importances of the chosen features, percent; True: of all."""
        if self.newest is None:
            return {}
        features = self.newest.features
        names = (features.index if chosen else ()) if isinstance(chosen, bool) else chosen
        return {SHARE_KEY + name: float(features[name]) for name in names}

    # --- over epochs ------------------------------------------------------------------------------------------------

    @property
    def importances(self) -> pd.DataFrame:
        """Percent: index epoch, columns features."""
        return pd.DataFrame([look.features for look in self.history], self._epochs)

    @property
    def lags(self) -> pd.DataFrame | None:
        """Percent: index epoch, columns lags; None without a time axis."""
        if self.newest is None or self.newest.lags is None:
            return None
        return pd.DataFrame([look.lags for look in self.history], self._epochs)

    @property
    def noise_level(self) -> pd.Series[float] | None:
        """Percent: index epoch; None without probes."""
        if self.newest is None or self.newest.noise_level is None:
            return None
        levels = [look.noise_level for look in self.history]
        return pd.Series(levels, self._epochs, name="noise_level", dtype=float)

    @property
    def noise_band(self) -> pd.DataFrame | None:
        """Percent: index epoch, columns lower and upper; None without probes."""
        if self.noise_level is None:
            return None
        bands = [look.noise_band or (math.nan, math.nan) for look in self.history]
        return pd.DataFrame(bands, self._epochs, columns=["lower", "upper"])

    @property
    def events(self) -> pd.DataFrame:
        """Deaths and revivals, one a row."""
        return pd.DataFrame(list(self.record.events), columns=list(Event._fields))

    @property
    def _epochs(self) -> pd.Index[int]:
        return pd.Index(list(self.looks), name="epoch", dtype="int64")
