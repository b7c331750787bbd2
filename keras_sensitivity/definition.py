"""What exactly is measured: what is differentiated, how it is scaled, and what is really changed."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from keras_sensitivity import errors

__all__ = ["PAPER", "Definition"]


@dataclasses.dataclass(frozen=True)
class Definition:
    """What is differentiated, how it is scaled, and what is really changed.

    A definition is a value: two with the same settings are equal and have the same hash, and nothing changes one.

    Args:
        output: Which output units are measured. None: all of them, combined as the root of the sum of their squares.
            An int: the unit with this index, from 0. A str: the head with this name. The sum over more than 64 units is
            estimated, see `Importance.estimation_error`.
        logits: False differentiates what the model returns, as in the paper. True differentiates what goes into a
            final softmax or sigmoid: large networks saturate, and the derivative of a probability near 0 or 1
            vanishes where that of its logit does not.
        lags: "all" takes the mean over all lags, "current" the newest step only, as in the paper. Without a time
            axis the two are the same.
        scale: What makes the derivatives of features in different units of measure comparable. "path" takes the spread
            of the data along an axis that is stretched by how sensitive the network is there: see
            `keras_sensitivity.shares.path_squares`. "std" multiplies each derivative by the standard deviation of its
            feature: the same where the sensitivity does not depend on the value, too much where a few far values make
            the deviation and the middle the sensitivity. "path" is "std" for what codes are looked up as, where a row
            has more than 4,096 derivatives (units x lags x entries), and in `explain`. None does not scale, as in the
            paper, which assumes standardised inputs. An array of shape (num_features,) sets the factors by hand, one
            for each column of x.
        mode: What the axes are. "auto": an input of shape (num_samples, num_steps, num_features) has a time axis; the
            model is many-to-many if an output has three axes or more and its second is that of the input's steps, which
            is read from how the model is made, not from its length; else each number that it returns is a unit.
            "static": there is no time axis, each step of each column is a feature. The others set it by hand.
            "many-to-one": where the output has the input's steps, its newest alone. "many-to-many": the output has
            them. "all-steps": every step of the output is a unit, as in a forecast of several steps; lags count back
            from the newest step of the input. They take an input of shape (num_samples, num_steps) for one feature
            over time. `Importance.mode` says what "auto" was taken for.
        change: What a feature is changed by. "derivative": infinitesimally, as in the paper. "swap": really, to the
            value that it has in another row, which costs a forward pass a feature and needs no labels; of sequences all
            lags at once, of images groups of entries only, crossed features never. "auto" swaps columns of a table that
            have few values among the measured rows, at most 32 and each in four rows on the average, and codes: between
            these there is nothing, and a slope there is an accident. Of all others, and of whatever has a time axis, it
            takes the derivative, and of all where more than 64 would be swapped. With a ``scale`` other than "path" the
            numbers would not be comparable, and "auto" is the derivative throughout.
        step: How far a function that is no Keras model is moved for a derivative, in standard deviations of the column,
            up and down. Trees are made of steps, so that a short move says nothing: below 0.1 they come out wrong.

    Raises:
        TypeError, ValueError: At once, where an argument has none of these values.

    Example:

    >>> import keras_sensitivity as ks
    >>> ks.Definition(output=1, logits=True)
    Definition(output=1, logits=True, lags='all', scale='path', mode='auto', change='auto', step=0.25)
    >>> ks.PAPER == ks.Definition(lags="current", scale=None)
    True
    """

    output: int | str | None = None
    logits: bool = False
    lags: Literal["all", "current"] = "all"
    scale: Any = "path"
    mode: Literal["auto", "static", "many-to-one", "many-to-many", "all-steps"] = "auto"
    change: Literal["auto", "derivative", "swap"] = "auto"
    step: float = 0.25

    def __post_init__(self) -> None:
        errors.check_output_argument(self.output)
        errors.check_one_of("logits", self.logits, (False, True))
        errors.check_one_of("lags", self.lags, ("all", "current"))
        errors.check_scale_argument(self.scale)
        errors.check_one_of("mode", self.mode, ("auto", "static", "many-to-one", "many-to-many", "all-steps"))
        errors.check_one_of("change", self.change, ("auto", "derivative", "swap"))
        errors.check_step(self.step)
        if isinstance(self.output, np.integer):
            object.__setattr__(self, "output", int(self.output))
        if not isinstance(self.scale, str) and self.scale is not None:
            # An array has no hash; nested tuples have.
            object.__setattr__(self, "scale", _nested_tuple(np.asarray(self.scale, dtype=float).tolist()))

    @property
    def may_swap(self) -> bool:
        """Whether any feature may be swapped."""
        return self.change == "swap" or (self.change == "auto" and self.scale == "path")


def _nested_tuple(values: Any) -> Any:
    return tuple(_nested_tuple(value) for value in values) if isinstance(values, list) else values


PAPER = Definition(lags="current", scale=None)
"""The definition of Horel et al. (2018): raw derivatives of what the model returns, at the newest step."""
