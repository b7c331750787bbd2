"""Which features the model has stopped using."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from keras_sensitivity import errors, shares
from keras_sensitivity.importance import Importance
from keras_sensitivity.labels import labels
from keras_sensitivity.noise_rule import REVIVAL_FACTOR, Verdict, verdict

__all__ = ["DeadFeatureMonitor", "DeathRecord", "Event", "recent_shares", "summary"]

Array = np.ndarray[Any, Any]

# Names in one line at the most, and of those that can stand in for another.
MOST_NAMES, MOST_LETTERS = 3, 64

# The rule of thumb: this part of the share that each feature would have if all were equal.
UNIFORM_PART = 0.1

# Looks over which a feature that was never above the noise may rise, and the level of the prediction that it must not
# exceed: of features of noise one in five does.
RISE_LOOKS, RISE_LEVEL = 5, 0.8


@dataclasses.dataclass(frozen=True)
class DeadFeatureMonitor:
    """When a feature counts as dead.

    With `NoiseProbes` in the model, a feature is dead when it cannot be told from noise:

    - Its importance is compared with the upper end of `Importance.noise_band`, which no more than one irrelevant
      feature in a hundred would exceed in this network, at this look; for a group of m columns with the root of m times
      that, as m columns of noise together would have.
    - Of the importance counts only what is the feature's own: what the other features could stand in for, as they are
      correlated with it, does not (`keras_sensitivity.redundancy`). Of two that are nearly the same one dies.
    - It dies when it is low for ``patience`` looks in a row and not even above the average probe, or for
      ``2 * patience - 1`` looks in a row.
    - No look counts at which the network has learnt too little to tell: as long as no feature is 1.5 times above the
      noise, none is judged, and none that has risen faster, over the last five looks, than four of five features of
      noise would, unless it is a copy of others. What was never above the noise and is not dead is "not above noise
      yet".
    - It revives above 1.25 times its threshold.

    Without probes, and with a threshold in percent, a feature dies when its importance is at or below the threshold for
    ``patience`` looks in a row, and revives above 1.25 times the threshold.

    A feature that has the same value in every measured row is dead from the first look on.

    Args:
        threshold: Percent of the importance, or "auto": with probes as above; without, it is a rule of thumb, a tenth
            of the uniform share, ``10 / num_features`` percent. It finds features that a network which generalises does
            without, and misses most irrelevant ones: a network gives every input some weight. Add the layer to have
            them found.
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
        """The threshold at one look, percent; with probes, that of a feature of one column that is all its own."""
        if self.threshold == "auto":
            if importance.noise_band is not None:
                return importance.noise_band[1]
            return UNIFORM_PART * 100 / len(importance.features)
        return float(self.threshold)

    def update(self, record: DeathRecord, epoch: int, importance: Importance) -> DeathRecord:
        """The record after one more look; the record passed in stays as it is."""
        usage = importance.usage
        names = list(usage.index)
        if not usage.any():  # nothing is known of any feature, so none is judged
            return record
        beside_noise = self.threshold == "auto" and importance.noise_band is not None
        was_dead, constant = np.isin(names, record.dead), np.asarray(importance.is_constant)
        found = verdict(importance, was_dead, constant) if beside_noise else self._by_threshold(importance, was_dead)
        recent = (*record.recent, _logarithms(importance)) if beside_noise else ()
        counts = found.has_learnt & (found.is_copy | ~_is_rising(recent, len(names)))
        looks_low = _in_a_row(record.looks_low, names, found.is_low & counts)
        looks_average = _in_a_row(record.looks_average, names, found.is_low & found.is_average & counts)
        long_low = [looks_average[name] >= self.patience or looks_low[name] >= 2 * self.patience - 1 for name in names]
        dead = constant | (found.is_low & (was_dead | long_low))
        events = [
            Event(
                epoch,
                names[place],
                "died" if dead[place] else "revived",
                float(usage.iloc[place]),
                float(found.thresholds[place]),
                "constant" if dead[place] and constant[place] else _reason(found, int(place), names, beside_noise),
            )
            for place in np.flatnonzero(dead != was_dead)
        ]
        never_above = names if record.pending is None else record.pending
        above = ~found.is_low if found.has_learnt else np.zeros(len(names), bool)
        known = dict(zip(names, dead | above, strict=True))
        return DeathRecord(
            looks_low,
            looks_average,
            tuple(name for name, is_dead in zip(names, dead, strict=True) if is_dead),
            tuple(name for name in never_above if not known[name]) if beside_noise else (),
            (*record.events, *events),
            recent[-RISE_LOOKS:],
        )

    def _by_threshold(self, importance: Importance, was_dead: Array) -> Verdict:
        """Which features are at or below a threshold in percent, if they were dead not well above it."""
        shares_of = importance.usage.to_numpy()
        thresholds = np.full(len(shares_of), self.threshold_of(importance))
        is_low = shares_of <= thresholds * np.where(was_dead, REVIVAL_FACTOR, 1.0)
        return Verdict(is_low, is_low, thresholds, np.zeros_like(is_low), {}, has_learnt=True)


class Event(NamedTuple):
    """A death or revival.

    Attributes:
        epoch: The look's epoch, from 0.
        feature: Its name.
        event: "died" or "revived".
        importance: Percent, at this look.
        threshold: Percent, at this look: up to which importance the feature would be low. The more the other features
            could stand in for it, the higher it is.
        reason: Of deaths "constant": it has the same value in every measured row; "noise": it is no more important
            than noise; "redundant with a, b": the network uses it, but these, that it is correlated with, could stand
            in for it; without probes "below threshold". Of revivals "above noise" or "above threshold".
    """

    epoch: int
    feature: str
    event: Literal["died", "revived"]
    importance: float
    threshold: float
    reason: str


class Logarithms(NamedTuple):
    """The importances of the features and of the probes at a look, as logarithms."""

    features: tuple[float, ...]
    probes: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class DeathRecord:
    """What a monitor remembers between looks.

    Attributes:
        looks_low: For each feature the latest looks in a row at which it was low, as far as these count.
        looks_average: The same for looks at which it was not even above the average probe.
        dead: Names of the features that are dead now, in the model's order.
        pending: Names of those that are not, and were never above the noise; None before the first look.
        events: All deaths and revivals so far.
        recent: The importances at the last looks.
    """

    looks_low: dict[str, int] = dataclasses.field(default_factory=dict)
    looks_average: dict[str, int] = dataclasses.field(default_factory=dict)
    dead: tuple[str, ...] = ()
    pending: tuple[str, ...] | None = None
    events: tuple[Event, ...] = ()
    recent: tuple[Logarithms, ...] = ()


def _in_a_row(before: Mapping[str, int], names: Sequence[str], is_so: Array) -> dict[str, int]:
    """Looks in a row, with one more."""
    return {name: before.get(name, 0) + 1 if so else 0 for name, so in zip(names, is_so.tolist(), strict=True)}


def recent_shares(looks: Sequence[Importance]) -> tuple[Logarithms, ...]:
    """What a record remembers of the importances at the last of some looks; nothing without probes."""
    return tuple(_logarithms(look) for look in looks[-RISE_LOOKS:] if look.probes is not None)


def _logarithms(importance: Importance) -> Logarithms:
    return Logarithms(*(tuple(shares.logarithms(each).tolist()) for each in (importance.usage, importance.probes)))


def _is_rising(recent: Sequence[Logarithms], num_features: int) -> Array:
    """Whether each feature has risen, since some looks ago, by more than is predicted from how the probes have."""
    if len(recent) < 2:
        return np.zeros(num_features, bool)
    before, now = recent[0], recent[-1]
    rises, of_probes = (np.subtract(*each) for each in zip(now, before, strict=True))
    return np.asarray(rises > shares.prediction_bounds(of_probes, RISE_LEVEL)[1])


def _reason(found: Verdict, place: int, names: Sequence[str], beside_noise: bool) -> str:
    """Why a feature died, or revived."""
    is_low = found.is_low[place]
    if not beside_noise:
        return "below threshold" if is_low else "above threshold"
    if not is_low:
        return "above noise"
    others = [names[other] for other in found.stand_ins.get(place, [])[:MOST_NAMES]]
    return f"redundant with {', '.join(others)}" if others else "noise"


def summary(events: Sequence[Event], pending: Sequence[str] = ()) -> str:
    """Deaths and revivals of one look in one line, and how many features are still to show what they are.

    >>> died = [Event(4, name, "died", 1.2, 2.0, "noise") for name in ("age", "hat", "shoe")]
    >>> summary([Event(4, "sex", "died", 0.0, 2.0, "constant"), *died], pending=["debt"])
    '4 died: sex (constant in the measured rows), age, hat and 1 more; 1 not above noise yet: debt'
    """
    died, revived = ([_told(event) for event in events if event.event == kind] for kind in ("died", "revived"))
    every = {"died": died, "revived": revived, "not above noise yet": list(pending)}
    return "; ".join(f"{len(told)} {kind}: {_some(told)}" for kind, told in every.items() if told)


def _told(event: Event) -> str:
    """A feature, and why it died, where that is not that it does nothing."""
    why = {"constant": "constant in the measured rows"}.get(event.reason, event.reason)
    return f"{event.feature} ({why})" if event.reason.startswith(("constant", "redundant")) else event.feature


def _some(told: Sequence[str]) -> str:
    more = f" and {len(told) - MOST_NAMES} more" if len(told) > MOST_NAMES else ""
    return ", ".join(labels(told[:MOST_NAMES], most=MOST_LETTERS)) + more
