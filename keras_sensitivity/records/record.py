"""What an event file holds of a look besides curves and pictures: every number, once, for whatever reads it back.

Two tensors of strings, which no tab shows: at the first look of a file a header, which says what there is, and at each
look a record. The first string of each is JSON. The others of a record are the bytes of its arrays, in the order and of
the types and shapes that the header names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_sensitivity import errors

if TYPE_CHECKING:
    from keras_sensitivity.dead_features import DeathRecord
    from keras_sensitivity.importance import Importance

__all__ = ["FORMAT", "HEADER", "LOOK", "PLUGIN", "SCALAR", "TENSOR", "Header", "Record", "look_tag"]

Array = np.ndarray[Any, Any]

# Files without a number hold importances alone; what this version writes is format 2.
FORMAT = 2

# The tags, and the plugin whose they are. Of a tag TensorBoard keeps ten steps, or a few more, and draws lots which: so
# only a few looks share one, which is numbered.
HEADER, LOOK, PLUGIN = "sensitivity/header", "sensitivity/look", "sensitivity"
LOOKS_OF_A_TAG = 8

# What TensorBoard calls what a tag holds.
SCALAR, TENSOR = 1, 2

# Looks in a row up to which is counted, in a byte.
MOST_LOOKS = 255

# Entries of lags by features, and of units by features, that are kept at the most: 16 kB.
MOST_ENTRIES = 4096


class Header(NamedTuple):
    """What is the same at all looks.

    Attributes:
        features: Names, shape (num_features,).
        units: Names of the output units, shape (num_units,).
        arrays: Of each array of a record, by name, its type as NumPy writes it, and its shape.
    """

    features: list[str]
    units: list[str]
    arrays: dict[str, list[Any]]

    @classmethod
    def of(cls, record: Record, importance: Importance) -> Header:
        """The header of the file whose first look this is."""
        arrays = {name: [array.dtype.str, array.shape] for name, array in record.arrays.items()}
        return cls(list(importance.features.index), list(importance.outputs.index), arrays)

    def encoded(self) -> list[bytes]:
        """As it stands in a file."""
        return [_json({"format": FORMAT, **self._asdict()})]

    @classmethod
    def decoded(cls, strings: Sequence[bytes], path: Any) -> Header:
        """What `encoded` returned.

        Raises:
            ValueError: If a newer version wrote it.
        """
        try:
            described = dict(json.loads(strings[0]))
            newest = int(described.pop("format"))
        except Exception as error:  # noqa: BLE001
            errors.refuse_record(path, error)
        errors.check_record_format(path, newest, FORMAT)
        try:
            return cls(**described)
        except TypeError as error:
            errors.refuse_record(path, error)


class Record(NamedTuple):
    """What was found at a look.

    Attributes:
        arrays: By name: of each feature "importance", percent, "standard_error", percentage points, and "rms", shape
            (num_features,); with a time axis also "usage" and "lags", percent, and "by_lag", shape (num_lags,
            num_features); "by_output" of several units measured one by one, percent, shape (num_units, num_features);
            "probes", percent, shape (num_probes,). For a fit that goes on also, of each feature, "is_constant", and
            what the monitor remembers: "is_dead", "is_pending", "looks_low" and "looks_average".
        scalars: By name: those of the fit log, the "threshold" below which features die, percent, the rows that were
            measured, "num_samples", and with probes "noise/lower", "noise/level" and "noise/upper", percent.
        events: Who died or revived, as `SensitivityCallback.events` names it.
    """

    arrays: dict[str, Array]
    scalars: dict[str, float]
    events: list[dict[str, Any]]

    @classmethod
    def of(cls, importance: Importance, scalars: Mapping[str, float], deaths: DeathRecord, epoch: int) -> Record:
        """The record of a look; the importances to the last bit, the rest in float32."""
        found: dict[str, Any] = {"standard_error": importance.standard_errors, "rms": importance.rms}
        if importance.lags is not None:
            found |= {"usage": importance.usage, "lags": importance.lags}
        if importance.by_lag is not None and importance.by_lag.size <= MOST_ENTRIES:
            found["by_lag"] = importance.by_lag
        if importance.estimation_error is None:
            by_output = importance.by_output
            if len(by_output) > 1 and by_output.size <= MOST_ENTRIES:
                found["by_output"] = by_output
        if importance.probes is not None:
            found["probes"] = importance.probes
        arrays = {name: np.asarray(value, "<f4") for name, value in found.items()}
        arrays["importance"] = np.asarray(importance.features, "<f8")
        arrays |= _memory(deaths, list(importance.features.index), importance.is_constant)
        events = [event._asdict() for event in deaths.events if event.epoch == epoch]
        return cls(arrays, {**scalars, "num_samples": float(importance.num_samples)}, events)

    def encoded(self) -> list[bytes]:
        """As it stands in a file."""
        return [_json({"scalars": self.scalars, "events": self.events}), *map(np.ndarray.tobytes, self.arrays.values())]

    @classmethod
    def decoded(cls, strings: Sequence[bytes], header: Header) -> Record:
        """What `encoded` returned."""
        described, *found = strings
        arrays = {
            name: np.frombuffer(data, kind).reshape(shape)
            for (name, (kind, shape)), data in zip(header.arrays.items(), found, strict=True)
        }
        return cls(arrays, **json.loads(described))


def _memory(deaths: DeathRecord, features: Sequence[str], is_constant: Array) -> dict[str, Array]:
    """What a monitor remembers, a byte of each feature."""
    looks = {"looks_low": deaths.looks_low, "looks_average": deaths.looks_average}
    memory: dict[str, Any] = {
        "is_constant": is_constant,
        "is_dead": np.isin(features, deaths.dead),
        "is_pending": np.isin(features, deaths.pending or ()),
        **{name: [min(counts.get(each, 0), MOST_LOOKS) for each in features] for name, counts in looks.items()},
    }
    return {name: np.asarray(value, "u1") for name, value in memory.items()}


def look_tag(epoch: int) -> str:
    """The tag of the record of a look.

    >>> look_tag(17)
    'sensitivity/look/2'
    """
    return f"{LOOK}/{epoch // LOOKS_OF_A_TAG}"


def _json(described: Mapping[str, Any]) -> bytes:
    return json.dumps(described, separators=(",", ":")).encode()
