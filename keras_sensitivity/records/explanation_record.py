"""What an event file holds of an explanation besides pictures: every number of the samples that are drawn.

A tensor of strings, which no stock tab shows: the first is JSON, the others are the bytes of the arrays it names.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_sensitivity import errors, plots
from keras_sensitivity.records.record import FORMAT

if TYPE_CHECKING:
    from keras_sensitivity.explanation import Explanation

__all__ = ["EXPLANATION", "ExplanationRecord"]

Array = np.ndarray[Any, Any]

EXPLANATION = "sensitivity/explanation"

# Features of which the values are kept, and of which anything is.
MOST_VALUES, MOST_FEATURES = 300, 4096


class ExplanationRecord(NamedTuple):
    """What was found at some samples.

    Attributes:
        described: By name: "features", their names; "units", what the output units are called; "samples", what each
            sample is called; "values", of each sample by feature, in words, "" of what is no single column.
        arrays: By name: "share", percent, and "sign" of the derivative, NaN where it has none, shape (num_samples,
            num_features); "prediction", shape (num_samples, num_units); with a time axis "lags", percent, shape
            (num_samples, num_lags).
    """

    described: dict[str, Any]
    arrays: dict[str, Array]

    @classmethod
    def of(cls, explanation: Explanation, most: int) -> ExplanationRecord | None:
        """The record of the first samples; None of too many features."""
        names = list(explanation.features.columns)
        if len(names) > MOST_FEATURES:
            return None
        count = min(most, len(explanation))
        described = {
            "features": names,
            "units": list(explanation.unit_labels),
            "samples": [str(label) for label in explanation.features.index[:count]],
            "values": [_values(explanation, sample) for sample in range(count)] if len(names) <= MOST_VALUES else [],
        }
        found: dict[str, Any] = {
            "share": explanation.features,
            "sign": explanation.signs,
            "prediction": explanation.predictions,
        }
        if explanation.lags is not None:
            found["lags"] = explanation.lags
        return cls(described, {name: np.asarray(value, "<f4")[:count] for name, value in found.items()})

    def encoded(self) -> list[bytes]:
        """As it stands in a file."""
        shapes = {name: array.shape for name, array in self.arrays.items()}
        text = json.dumps({"format": FORMAT, "shapes": shapes, **self.described}, separators=(",", ":"))
        return [text.encode(), *map(np.ndarray.tobytes, self.arrays.values())]

    @classmethod
    def decoded(cls, strings: Sequence[bytes], source: Any) -> ExplanationRecord:
        """What `encoded` returned.

        Raises:
            ValueError: If a newer version wrote it.
        """
        text, *found = strings
        described = json.loads(text)
        errors.check_record_format(source, described.pop("format"), FORMAT)
        shapes = described.pop("shapes")
        arrays = {
            name: np.frombuffer(data, "<f4").reshape(shape)
            for (name, shape), data in zip(shapes.items(), found, strict=True)
        }
        return cls(described, arrays)


def _values(explanation: Explanation, sample: int) -> list[str]:
    """The values of the features of a sample, in words."""
    values = explanation.values(sample)
    return ["" if values.get(name) is None else plots.value(values[name]) for name in explanation.features.columns]
