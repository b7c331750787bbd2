"""What a reader has to mind, of all that could be said of such numbers only that which applies here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from keras_sensitivity.report.lists import listed, quoted

if TYPE_CHECKING:
    from keras_sensitivity.importance import Importance

__all__ = ["correlated", "of_importance"]

Array = np.ndarray[Any, Any]

# From this correlation on, columns say nearly the same, and the network may use either.
ALIKE = 0.8

# Rows and columns among which such are looked for at the most, and pairs that are named.
MOST_ROWS, MOST_COLUMNS, MOST_PAIRS = 10_000, 300, 6

# A path has its full resolution from this number of rows on.
FULL_ROWS = 1024

# Part of the rows without any derivative that is worth a word.
FLAT_PART = 0.01

ALWAYS = (
    "An importance says what this network uses near these rows, as a share. It does not say what causes what, nor how "
    "well the network predicts: no label was used."
)


def of_importance(importance: Importance) -> list[str]:
    """Sentences, the general one last."""
    found = [
        *_of_noise(importance),
        *_of_agreement(importance),
        *_of_values(importance),
        *_of_rows(importance),
        *_of_ranks(importance),
    ]
    return [*found, ALWAYS]


def _of_noise(importance: Importance) -> list[str]:
    band = importance.noise_band
    if band is None:
        return []
    usage = importance.usage
    below = list(usage.index[usage <= band[1]])
    if not below:
        return [f"All features lie above what pure noise would get in this network, {band[1]:.2g} %."]
    return [f"Not told from pure noise, which gets up to {band[1]:.2g} % in this network: {quoted(below)}."]


def _of_agreement(importance: Importance) -> list[str]:
    agreement = importance.agreement
    if agreement is None or not agreement["differs"].any():
        return []
    differing = list(agreement.index[agreement["differs"]])
    why = "small changes of these tell little of large ones. Both numbers stand below."
    return [f"Real changes give another share than the one in the ranking to {quoted(differing)}: {why}"]


def _of_values(importance: Importance) -> list[str]:
    names, caution = importance.features.index, importance.table["caution"]
    sentences = {
        "Heavy tails, where few far values make most of the spread": list(names[caution.str.contains("heavy")]),
        "Nearly always the same value, so that few rows say what a change does": list(
            names[caution.str.contains("rare")]
        ),
        "The same value in every measured row, so that nothing can be said of": list(names[importance.is_constant]),
    }
    return [f"{words}: {quoted(found)}." for words, found in sentences.items() if found]


def _of_rows(importance: Importance) -> list[str]:
    found = []
    if importance.flat_part > FLAT_PART:
        found.append(
            f"At {importance.flat_part:.0%} of the rows every derivative is exactly 0. They count as rows at which "
            "nothing moves the output; a saturated softmax or sigmoid, or hidden units that are off, may be the reason."
        )
    error = importance.estimation_error
    if error is not None:
        found.append(
            f"The sum over the {len(importance.units):,} outputs is estimated by random signs; by that alone, sizes "
            f"may be off by up to {error.max():.1f} %."
        )
    if importance.num_samples < FULL_ROWS:
        found.append(f"Only {importance.num_samples:,} rows were measured: the numbers are coarse.")
    return found


def _of_ranks(importance: Importance) -> list[str]:
    """Neighbours in the ranking, among the leading features, whose order another sample of rows might turn round."""
    if importance.map is not None:  # of pixels there is no ranking
        return []
    table = importance.table.sort_values("rank").loc[lambda frame: frame["importance"] >= 1][:10]
    share, error = table["importance"].to_numpy(), table["standard_error"].to_numpy()
    close = share[:-1] - share[1:] < 2 * np.hypot(error[:-1], error[1:])
    pairs = [_both(*table.index[place : place + 2]) for place in np.flatnonzero(close)]
    if not pairs:
        return []
    return [f"Closer to each other than two standard errors, so that their order may be chance: {listed(pairs)}."]


def correlated(frame: pd.DataFrame) -> list[str]:
    """A sentence on the columns that go together, in the rows that were measured; none where there are none.

    >>> steps = np.arange(50.0)
    >>> correlated(pd.DataFrame({"income": steps, "salary": steps**2, "age": steps % 3}))[0][:67]
    'Columns go together: “income” and “salary” (rank correlation 1.00).'
    """
    numbers = frame.select_dtypes(["number", "bool"]).iloc[:MOST_ROWS, :MOST_COLUMNS]
    numbers = numbers.astype(float)
    ranks = numbers.loc[:, numbers.max() > numbers.min()].rank()
    if ranks.shape[1] < 2:
        return []
    correlations = np.corrcoef(ranks.to_numpy(), rowvar=False)
    first, second = np.triu_indices(len(correlations), k=1)
    sizes = np.abs(correlations[first, second])
    order = np.argsort(-sizes, kind="stable")[: int((sizes >= ALIKE).sum())]
    if not len(order):
        return []
    pairs = [
        f"{_both(ranks.columns[one], ranks.columns[other])} (rank correlation {correlations[one, other]:.2f})"
        for one, other in zip(first[order], second[order], strict=True)
    ]
    why = "so that the share of one alone says little, and a real change of one alone makes rows that there never were"
    return [f"Columns go together: {listed(pairs, MOST_PAIRS)}. The network may use either, {why}."]


def _both(one: object, other: object) -> str:
    return f"“{one}” and “{other}”"
