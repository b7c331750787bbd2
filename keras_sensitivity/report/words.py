"""How it was measured, in words: the definition, a sentence for each of its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_sensitivity.definition import Definition
    from keras_sensitivity.importance import Importance

__all__ = ["MEASURE", "SOURCE", "of_definition", "of_importance"]

MEASURE = (
    "Each feature has a size: how far the output moves, in units of the output, when the feature takes the values that "
    "it has in the rows. Its importance is its part of the sum of all sizes, in percent. A standard error says how far "
    "another sample of as many rows would move it, not what another training would."
)

SOURCE = (
    "Source: E. Horel, V. Mison, T. Xiong, K. Giesecke, L. Mangu (2018), Sensitivity based Neural Networks "
    "Explanations, arXiv 1812.01029."
)

SCALES = {
    "path": "By derivatives, a feature is followed along the path of its values, from the smallest to the largest: its "
    "size is the standard deviation, over the rows, of how far the output has travelled there.",
    "std": "By derivatives, the size of a feature is the root mean square of the derivative of the output with respect "
    "to it, times its standard deviation.",
    None: "By derivatives, the size of a feature is the root mean square of the derivative of the output with respect "
    "to it, for a change by 1 of the input as the network gets it: sizes depend on the units of measure of the inputs.",
}
BY_HAND = (
    "By derivatives, the size of a feature is the root mean square of the derivative of the output with respect to it, "
    "times a factor that was set by hand."
)

SWAPPED = (
    "By real changes, a feature gets the value that it has in another row: its size is the root mean square of what "
    "that does to the output, divided by the root of 2."
)

LAGS = {
    "all": "Over time, the size of a feature is its mean over all lags.",
    "current": "Over time, the newest step alone counts; what only older steps move is not seen.",
}


def of_definition(definition: Definition) -> list[str]:
    """What is differentiated, and how it is scaled.

    >>> from keras_sensitivity.definition import Definition
    >>> for sentence in of_definition(Definition(output=1, logits=True, scale="std"))[:2]:
    ...     print(sentence)
    Measured is output 1 of the network.
    It is taken before the last softmax or sigmoid, as logits.
    """
    output = definition.output
    which = "all outputs of the network together, as the root of the sum of their squares"
    if output is not None:
        which = f"output {output} of the network"
    scale = definition.scale
    return [
        f"Measured is {which}.",
        "It is taken before the last softmax or sigmoid, as logits."
        if definition.logits
        else "It is taken as the network returns it.",
        SCALES[scale] if scale is None or isinstance(scale, str) else BY_HAND,
    ]


def of_importance(importance: Importance) -> list[str]:
    """All that `of_definition` says, and what of the rest was the case here."""
    sentences = of_definition(importance.definition)
    num_swapped = int((importance.table["change"] == "swap").sum())
    if len(importance.units) == 1:
        sentences[0] = f"Measured is the network's {importance.unit_labels[0]}."
    if num_swapped == len(importance.features):
        sentences[2:] = [SWAPPED]
    elif num_swapped:
        sentences += [SWAPPED, f"{num_swapped:,} of {len(importance.features):,} features were changed so."]
    if importance.lags is not None:
        sentences.append(LAGS[importance.definition.lags])
    return sentences
