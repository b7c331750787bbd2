"""Which features the model has stopped using."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.importance import Importance
from keras_sensitivity.labels import labels

__all__ = ["DeadFeatureMonitor", "DeathRecord", "Event", "summary"]

# A dead feature revives only well above the threshold; without this most false reports are one crossing by noise.
REVIVAL_FACTOR = 1.25

# Names in one line at the most.
MOST_NAMES = 3

# A network in which not even the most important feature is this many times as important as noise has learnt nothing
# yet, and says nothing of any feature.
LEARNT_FACTOR = 2.0

# The rule of thumb: this part of the share that each feature would have if all were equal.
UNIFORM_PART = 0.1


@dataclasses.dataclass(frozen=True)
class DeadFeatureMonitor:
    """When a feature counts as dead.

    A feature dies when its importance is at or below the threshold for ``patience`` looks in a row. It revives when
    its importance is above 1.25 times the threshold. A feature that has the same value in every measured row is dead
    from the first look on, with the reason "constant".

    Args:
        threshold: Percent of the importance, or "auto".

            With `NoiseProbes` in the model, "auto" is the importance that no more than one irrelevant feature in a
            hundred would exceed in this network, at this look: the upper end of `Importance.noise_band`; for a group
            of m columns the root of m times that, as m columns of noise together would have. As long as no feature is
            twice as important as noise is on average, the network has learnt nothing, and none is judged.

            Without, it is a rule of thumb: a tenth of the uniform share, ``10 / num_features`` percent. It finds
            features that a network which generalises does without, and misses most irrelevant ones: a network gives
            every input some weight. Add the layer to have them found.
        patience: Looks in a row, at least 1.

    Raises:
        ValueError, TypeError: At once, where an argument has none of these values.

    Example:

    >>> import keras_sensitivity as ks
    >>> ks.DeadFeatureMonitor(threshold=1.0, patience=5)
    DeadFeatureMonitor(threshold=1.0, patience=5)
    """

    threshold: float | Literal["auto"] = "auto"
    patience: int = 3

    def __post_init__(self) -> None:
        errors.check_threshold(self.threshold)
        errors.check_whole_number("patience", self.patience)

    def threshold_of(self, importance: Importance) -> float:
        """The threshold at one look, percent; with probes, that of features of one column."""
        if self.threshold == "auto":
            if importance.noise_band is not None:
                return importance.noise_band[1]
            return UNIFORM_PART * 100 / len(importance.features)
        return float(self.threshold)

    def update(self, record: DeathRecord, epoch: int, importance: Importance) -> DeathRecord:
        """The record after one more look; the record passed in stays as it is."""
        usage = importance.usage
        names, shares = list(usage.index), usage.to_numpy()
        if not shares.any():  # nothing is known of any feature, so none is judged
            return record
        # Noise is compared with by the column, and not before the network tells any column from it.
        noise_level = importance.noise_level if self.threshold == "auto" else None
        sizes = np.ones(len(names)) if noise_level is None else np.sqrt(importance.num_columns)
        has_learnt = noise_level is None or (shares / sizes).max() > LEARNT_FACTOR * noise_level
        thresholds = self.threshold_of(importance) * sizes
        constant = importance.is_constant
        was_dead = np.isin(names, record.dead)
        low = zip(names, has_learnt & (shares <= thresholds), strict=True)
        looks_below = {name: record.looks_below.get(name, 0) + 1 if below else 0 for name, below in low}
        long_below = np.array(list(looks_below.values())) >= self.patience
        dead = constant | np.where(was_dead, shares <= REVIVAL_FACTOR * thresholds, long_below)
        events = [
            Event(
                epoch,
                names[index],
                "died" if dead[index] else "revived",
                float(shares[index]),
                float(thresholds[index]),
                _reason(dead[index], constant[index]),
            )
            for index in np.flatnonzero(dead != was_dead)
        ]
        dead_names = tuple(name for name, is_dead in zip(names, dead, strict=True) if is_dead)
        return DeathRecord(looks_below, dead_names, (*record.events, *events))


class Event(NamedTuple):
    """A death or revival.

    Attributes:
        epoch: The look's epoch, from 0.
        feature: Its name.
        event: "died" or "revived".
        importance: Percent, at this look.
        threshold: Percent, at this look.
        reason: "constant", "below threshold" or "above threshold".
    """

    epoch: int
    feature: str
    event: Literal["died", "revived"]
    importance: float
    threshold: float
    reason: Literal["constant", "below threshold", "above threshold"]


@dataclasses.dataclass(frozen=True)
class DeathRecord:
    """What a monitor remembers between looks.

    Attributes:
        looks_below: For each feature the latest looks in a row at or below the threshold.
        dead: Names of the features that are dead now, in the model's order.
        events: All deaths and revivals so far.
    """

    looks_below: dict[str, int] = dataclasses.field(default_factory=dict)
    dead: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()


def _reason(dead: Any, constant: Any) -> Literal["constant", "below threshold", "above threshold"]:
    if not dead:
        return "above threshold"
    return "constant" if constant else "below threshold"


def summary(events: Sequence[Event]) -> str:
    """Deaths and revivals of one look in one line, of the first few with their numbers.

    >>> summary([Event(4, "age", "died", 1.2, 2.0, "below threshold"), Event(4, "sex", "died", 0.0, 2.0, "constant")])
    '2 died: age (1.20 % <= 2.00 %), sex (constant in the measured rows)'
    """
    parts = []
    for kind in ("died", "revived"):
        those = [event for event in events if event.event == kind]
        names = labels([event.feature for event in those[:MOST_NAMES]])
        told = [f"{name} ({_why(event)})" for name, event in zip(names, those, strict=False)]
        more = f" and {len(those) - MOST_NAMES} more" if len(those) > MOST_NAMES else ""
        if those:
            parts.append(f"{len(those)} {kind}: {', '.join(told)}{more}")
    return "; ".join(parts)


def _why(event: Event) -> str:
    if event.reason == "constant":
        return "constant in the measured rows"
    compared = "<= " if event.event == "died" else f"> {REVIVAL_FACTOR} x "
    return f"{event.importance:.2f} % {compared}{event.threshold:.2f} %"
