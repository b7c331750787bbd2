"""`Look`: all that is kept of a look at a network, an open mapping from a name to moments."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_sensitivity.moments import KINDS, Mergeable

__all__ = ["FORMAT", "Look"]

Array = np.ndarray[Any, Any]

# Of what `arrays` returns. A new name needs no new number; a name that changes its meaning does.
FORMAT = 3


# The axis of the lags, of what has one.
LAG_AXES = {
    "derivatives": -2,
    "same_step": -2,
    "inputs": -2,
    "probes": -2,
    "noise": -2,
    "path": -3,
    "same_step_path": -3,
}


class Look(Mapping[str, Any]):
    """Moments by name, from which every importance is derived.

    A look does not know what its moments mean: the pass that sums them up and the formula that reads them do. So a new
    statistic is a new name there, and nothing changes here. Looks at parts of the rows merge, name by name, to the look
    at all of them; the laws are those of `keras_sensitivity.moments`.

    The names in use. Without a time axis there is one lag. With one, lag 0 is the newest step. Rows in which a lag is
    masked or does not exist weigh 0 there.

    ============== =====================================================================================================
    samples        how many rows have a weight above 0
    flat           how many of these have derivatives that are all exactly 0
    derivatives    of the derivatives g of the newest output step, shape (num_units, num_lags, num_entries)
    same_step      of the derivatives of each output step with respect to the same input step, of the same shape, the
                   steps numbered like lags; many-to-many networks only
    inputs         of the input entries, shape (num_lags, num_entries)
    outputs        of what is differentiated, at the newest output step, shape (num_units,)
    probes         of the derivatives of the newest output step with respect to the noise of probes, shape
                   (num_units, num_lags, num_probes); networks with probes only
    noise          of that noise itself, shape (num_lags, num_probes)
    squares        of h = sum over units of g**2 (0 where a lag does not exist), flattened to shape
                   (num_lags * num_entries,): for the standard errors. Of many-to-many networks, of the same step
    background     of the entries over rows and steps of a background, shape (num_entries,); where there is one
    spread         of the values in each bin, all lags together, shape (num_bins, num_entries), those of probes, too; of
                   the background where there is one; for ``scale="path"``, as the two that follow
    path           means of the squared derivatives in each bin, shape (num_units, num_lags, num_bins, num_entries)
    same_step_path the same of "same_step"
    swaps          means over pairs of rows of half the squared change of each unit when a feature is swapped, shape
                   (num_units, num_swapped)
    lag_swaps      the same when all features of a lag are, shape (num_units, num_lags)
    pairs          of the changes summed over the units, (num_swapped,), the sum of the squared outputs, (1,), the
                   outputs, (num_units,), and, where they are few, of what "squares" is of, (num_lags * num_entries,)
    check          the same as "swaps" of all features, on some rows, shape (num_units, num_features); NaN of those that
                   were not swapped for it; where it was asked whether derivatives and real changes agree
    columns        of the entries over rows and steps, with their covariances, shape (num_entries,); of networks with
                   probes and at most 256 entries, as the next
    joint          means of the products of the derivatives with respect to two entries, summed over the units, shape
                   (num_entries, num_entries)
    loss_changes   means over rows of how the loss changes when a feature is swapped, and then each probe, shape
                   (num_features + num_probes,); NaN of features that cannot be; where labels are known
    ============== =====================================================================================================

    Where the sum over many units is estimated by random signs, it is the only unit of "derivatives", "same_step",
    "probes" and the paths, with a mean of 0; "outputs", "swaps" and "pairs" have all units.

    Example:

    >>> import numpy as np
    >>> from keras_sensitivity.moments import Moments
    >>> first, second = (Look({"inputs": Moments.empty((1,)).update(np.array([[value]]))}) for value in (1.0, 3.0))
    >>> first.merge(second)["inputs"].mean
    array([2.])
    """

    def __init__(self, moments: Mapping[str, Mergeable]) -> None:
        self._moments = dict(moments)

    def __getitem__(self, name: str) -> Any:
        return self._moments[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._moments)

    def __len__(self) -> int:
        return len(self._moments)

    def with_lags(self, num_lags: int) -> Look:
        """The same beside rows that have more lags: no row of this look has them."""
        before = self.num_lags
        if before == num_lags:
            return self
        return Look({name: _with_lags(moments, name, num_lags, before) for name, moments in self._moments.items()})

    @property
    def num_lags(self) -> int:
        """How many lags there are; 1 without a time axis."""
        return int(self["derivatives"].mean.shape[1])

    def merge(self, other: Look) -> Look:
        """The look at the rows of both; what only one of them has says nothing of these."""
        return Look({name: moments.merge(other[name]) for name, moments in self._moments.items() if name in other})

    def arrays(self) -> dict[str, Array]:
        """All numbers, by "name/kind/field", for an archive."""
        return {
            f"{name}/{type(moments).__name__}/{field.name}": np.asarray(getattr(moments, field.name))
            for name, moments in self._moments.items()
            for field in dataclasses.fields(moments)  # type: ignore[arg-type]
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Look:
        """The look whose `arrays` these are; KeyError if they are not whole."""
        kinds = dict(key.split("/")[:2] for key in arrays)
        return cls(
            {
                name: KINDS[kind](*(arrays[f"{name}/{kind}/{field.name}"] for field in dataclasses.fields(KINDS[kind])))
                for name, kind in kinds.items()
            }
        )


def _with_lags(moments: Any, name: str, num_lags: int, before: int) -> Any:
    """Moments with lags appended: no row has them, but in "squares", where all rows have 0."""
    if name == "squares":
        widths = {"mean": 1, "m2": moments.m2.ndim}
        more = len(moments.mean) // before * (num_lags - before)
        padded = {field: np.pad(getattr(moments, field), [(0, more)] * rank) for field, rank in widths.items()}
        return dataclasses.replace(moments, **padded)
    if name not in LAG_AXES:
        return moments
    fields = {field.name: getattr(moments, field.name) for field in dataclasses.fields(moments)}
    return type(moments)(**{key: _longer(array, LAG_AXES[name], num_lags) for key, array in fields.items()})


def _longer(array: Array, axis: int, num_lags: int) -> Array:
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, num_lags - array.shape[axis])
    return np.pad(array, widths)
