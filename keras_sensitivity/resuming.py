"""Looks that were written to a log, read back: a fit that goes on in another process has the whole trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_sensitivity.dead_features import DeadFeatureMonitor, DeathRecord, Event, recent_shares
from keras_sensitivity.importance import Importance
from keras_sensitivity.trajectory import Trajectory

if TYPE_CHECKING:
    from keras_sensitivity.records.reading import Look

__all__ = ["restored"]

# What a monitor remembers of each feature, as a record calls it.
MEMORY = ("is_dead", "is_pending", "looks_low", "looks_average")


def restored(looks: Sequence[Look], like: Importance, monitor: DeadFeatureMonitor | None) -> Trajectory:
    """The trajectory of looks of a log, as far as it tells: what it does not have of a look is NaN or None there.

    Args:
        looks: The looks, the oldest first.
        like: Another look of the same fit, of the same features and units.
        monitor: Who judges the looks that follow.

    Returns:
        A trajectory without looks, if those of the log are of other features.
    """
    features = list(like.features.index)
    own = [look for look in looks if look.header.features == features]
    importances = {look.epoch: like.restored(look.record.arrays, look.record.scalars) for look in own}
    if monitor is None or not own:
        return Trajectory(monitor, importances)
    return Trajectory(monitor, importances, _deaths(own, features, list(importances.values())))


def _deaths(looks: Sequence[Look], features: Sequence[str], importances: Sequence[Importance]) -> DeathRecord:
    """What the monitor remembered at the last of some looks."""
    arrays = looks[-1].record.arrays
    if "is_dead" not in arrays:
        return DeathRecord()
    by_feature = {name: dict(zip(features, arrays[name].tolist(), strict=True)) for name in MEMORY}
    dead, pending = (tuple(name for name in features if by_feature[kind][name]) for kind in ("is_dead", "is_pending"))
    events = tuple(Event(**event) for look in looks for event in look.record.events)
    looks_low, looks_average = by_feature["looks_low"], by_feature["looks_average"]
    return DeathRecord(looks_low, looks_average, dead, pending, events, recent_shares(importances))
