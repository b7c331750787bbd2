"""Of results: what `Importance`, `Explanation` and the plots refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np

from keras_sensitivity.errors.wording import axes, fail, listed, shown, similar


def refuse_archive(path: object, error: Exception, kind: str) -> NoReturn:
    """Say that a file is none that the ``save`` of this kind of result wrote, or not the whole of it."""
    try:
        fail(
            f"{path} holds no {kind}.",
            expected=f"a file written by {kind}.save, from its beginning to its end",
            received=f"what raises {type(error).__name__} when it is read",
            fix=f"pass the path given to {kind}.save; if it is that, the file is damaged: measure and save again",
        )
    except ValueError as worded:
        raise worded from error


def refuse_file(path: object, error: Exception, kind: str) -> NoReturn:
    """Say that the file of a result cannot be opened."""
    kinds = (FileNotFoundError, TypeError, ValueError)
    fail(
        f"There is no {kind} to read." if isinstance(error, FileNotFoundError) else f"The {kind} cannot be read.",
        expected=f"the path of a file written by {kind}.save",
        received=f"{shown(path)} ({type(error).__name__}: {error})",
        fix=f"pass the path given to {kind}.save",
        error=next((each for each in kinds if isinstance(error, each)), OSError),
    )


def check_drawn(value: object, kind: str) -> None:
    """Refuse to draw what is not of this class, which is named as in an annotation, such as "pd.DataFrame"."""
    name = kind.rpartition(".")[2]
    if name not in {each.__name__ for each in type(value).__mro__}:
        fail(
            f"What is to be drawn is no {name}.",
            expected=f"what returns one, as a {name}" if name != "DataFrame" else "a pandas.DataFrame",
            received=f"{shown(value)} of type {type(value).__name__}",
            fix="pass the result itself, such as plots.ranking(measure(model, x)), plots.trajectory(watch.trajectory)",
            error=TypeError,
        )


def check_numbers_to_draw(shape: Sequence[int], are_numbers: bool) -> None:
    """Refuse a table without rows or columns, or of something else than numbers."""
    if 0 in shape or not are_numbers:
        fail(
            "The table to be drawn has no numbers.",
            expected="at least one row and one column, all of numbers, over an index of numbers",
            received=f"a table of {shape[0]} rows and {shape[1]} columns"
            + ("" if are_numbers else ", not all numbers"),
            fix="pass watch.trajectory after the first look, or what load_trajectory returns",
        )


def refuse_condensed(done: str) -> NoReturn:
    """Say that a look keeps no moments any more."""
    fail(
        f"A condensed importance cannot be {done}.",
        expected="an importance with the moments that it was derived from",
        received="its numbers alone, as of all looks of a SensitivityCallback but the newest",
        fix="take watch.importance at the epoch in question, or measure(model, x)",
    )


def check_format(path: object, received: object, expected: int) -> None:
    """Refuse a file of another version."""
    if received != expected:
        fail(
            f"{path} was written by another version of keras_sensitivity.",
            expected=f"format {expected}",
            received="no format number" if received is None else f"format {received}",
            fix="read it with that version, or measure and save again",
        )


def check_mergeable(one: Mapping[str, object], other: Mapping[str, object]) -> None:
    """Refuse to merge what was not measured alike."""
    different = [name for name in one if one[name] != other[name]]
    if different:
        name = different[0]
        fix = "measure both with the same arguments, on rows of the same columns"
        if different == ["swapped"]:
            fix = "pass the same background= to both: by it is chosen what is swapped"
        fail(
            f"The two importances cannot be merged: they differ in {listed(different)}.",
            expected=f"the same model, features and definition: {name} {one[name]}",
            received=f"{name} {other[name]}",
            fix=fix,
        )


def check_member(name: str, value: object, names: Sequence[str]) -> int:
    """The position of a unit that is given by its name or index; refuse what is neither."""
    if isinstance(value, str) and value in names:
        return names.index(value)
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not integer or not 0 <= value < len(names):  # type: ignore[operator]
        fail(
            f"There is no {name} {value!r}.",
            expected=f"an index from 0 to {len(names) - 1}, or one of {listed(names)}",
            received=f"{shown(value)}",
            fix=f"pass for example {name}={names[0]!r}{similar(value, names)}",
        )
    return int(value)  # type: ignore[call-overload, no-any-return]


def check_one_unit(units: Sequence[str]) -> None:
    """Refuse several units where a derivative has to have a direction."""
    if len(units) > 1:
        fail(
            f"There is no direction of {len(units)} outputs together.",
            expected="one unit",
            received=f"{len(units)} units: {listed(units)}",
            fix="pass unit=, its name or its index, or explain with Definition(output=...)",
        )


def check_single_units(num_draws: int | None, num_units: int) -> None:
    """Refuse to tell units apart whose sum was estimated by random signs."""
    if num_draws is not None:
        fail(
            "The output units were not measured one by one.",
            expected="so few units that a look takes a backward pass for each",
            received=f"{num_units:,} units, of which {num_draws} random signs a row estimate the sum",
            fix="measure the units that matter by themselves, with Definition(output=...)",
        )


def check_sample(value: object, count: int) -> None:
    """Refuse what is not the position of one of ``count`` explained samples."""
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not integer or not -count <= value < count:  # type: ignore[operator]
        fail(
            f"There is no sample {value!r}.",
            expected=f"the position of an explained row, from 0 to {count - 1}",
            received=f"{shown(value)}",
            fix="pass for example sample=0",
        )


def refuse_no_look_yet() -> NoReturn:
    """Say that a callback has not looked yet."""
    fail(
        "There is no look yet.",
        expected="a SensitivityCallback that was in a fit: it looks at the end of epoch 0",
        received="no looks",
        fix="pass it to model.fit(..., callbacks=[watch]) first; watch.history is an empty list until then",
        error=RuntimeError,
    )


def refuse_no_lags() -> NoReturn:
    """Say that what was measured without a time axis has no lags to draw."""
    fail(
        "There are no lags to draw: the model was measured without a time axis.",
        expected="an Importance or Explanation whose lags are not None",
        received="lags=None",
        fix="measure a model with inputs of shape (num_samples, num_steps, num_features), or draw plots.ranking",
    )


def refuse_no_map() -> NoReturn:
    """Say that the model's input is no image."""
    fail(
        "There is no map to draw: the model's input is no image.",
        expected="inputs of shape (num_samples, height, width, channels)",
        received="map=None",
        fix="draw plots.ranking or plots.local_bars",
    )


def check_path(name: str, *, num_entries: int, is_swapped: bool, has_bins: bool, scale: object) -> None:
    """Refuse the effect curve of a feature that has no values on one line, or no bins along them."""
    expected = "a single column of numbers whose derivative was taken along its path"
    if is_swapped:
        fail(
            f"There is no effect curve of {name!r}: it was exchanged between rows.",
            expected=expected,
            received="a feature of few values or of codes, or change='swap'",
            fix="read its importance and Importance.variance; or, of numbers, measure with change='derivative'",
        )
    if num_entries > 1:
        fail(
            f"There is no effect curve of {name!r}: it is no single column.",
            expected=expected,
            received=f"a group, or codes that are looked up, of {num_entries} entries",
            fix="measure without groups=, and draw its columns",
        )
    if not has_bins:
        fail(
            f"There is no effect curve of {name!r}: the look has no bins along its values.",
            expected="Definition(scale='path'), and no more than 4,096 derivatives (units x lags x entries) of a row",
            received=f"scale={scale!r}" if scale != "path" else "more derivatives than that",
            fix="measure with the default scale" if scale != "path" else "measure one unit: Definition(output=...)",
        )


def refuse_codes_near(name: str) -> NoReturn:
    """Say that there is no expansion between codes."""
    fail(
        "There is no first-order expansion of a model with codes.",
        expected="inputs that are all numbers",
        received=f"codes in {name!r}, which have no values near each other",
        fix="compare the predictions themselves",
    )


def check_near(received: Sequence[int], expected: Sequence[int]) -> None:
    """Refuse rows that do not fit those that were explained."""
    one = expected[0] == 1
    if tuple(received[1:]) != tuple(expected[1:]) or not (one or received[0] == expected[0]):
        fail(
            "`x_near` does not fit the explained rows.",
            expected=f"x_near of shape {axes((None, *expected[1:])) if one else tuple(expected)}",
            received=f"x_near of shape {tuple(received)}",
            fix="pass one row near each explained row; to compare many rows with one, explain that one alone",
        )
