"""Of names: those of features, of columns and of groups."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set

from keras_sensitivity.errors.wording import fail, items, listed, shown, similar

_GROUPS_FIX = "pass for example groups={'colour': ['colour_red', 'colour_blue']}"


def check_feature_names(names: object, count: int) -> None:
    """Refuse names that are not ``count`` different strings."""
    given = items(names)
    if given is None:
        fail(
            "`feature_names` is not a list of names.",
            expected=f"a list of {count} strings",
            received=f"{shown(names)}",
            fix="pass feature_names=[...], one name a column",
            error=TypeError,
        )
    names = given
    if len(names) != count:
        fail(
            "`feature_names` does not match the columns of x.",
            expected=f"{count} names, one for each column of x",
            received=f"{len(names)} names: {listed(names)}",
            fix="pass one name a column, in the order of the columns",
        )
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        fail(
            "`feature_names` has names that are not strings.",
            expected="strings",
            received=f"{listed(wrong)}",
            fix="pass [str(name) for name in names]",
            error=TypeError,
        )
    check_unique_names("`feature_names`", names)


def check_output_names(names: object) -> None:
    """Refuse names of output units that are not different strings, before any model is known."""
    if names is None:
        return
    expected = "a list of different strings, one for each output unit"
    given = None if isinstance(names, Set) or not isinstance(names, Collection) else items(names)
    if not given:
        fail(
            "`output_names` is not a list of names.",
            expected=expected,
            received=f"{shown(names)}",
            fix="pass output_names=[...], one name for each unit, in the order of the output",
            error=ValueError if isinstance(names, (list, tuple)) else TypeError,
        )
    wrong = [name for name in given if not isinstance(name, str)]
    if wrong:
        fail(
            "`output_names` has names that are not strings.",
            expected=expected,
            received=f"{listed(wrong)}",
            fix="pass [str(name) for name in names]",
            error=TypeError,
        )
    repeated = sorted({name for name in given if given.count(name) > 1})
    if repeated:
        fail(
            "`output_names` has the same name for several units.",
            expected=expected,
            received=f"more than one {listed(repeated)}",
            fix="rename them",
        )


def check_num_output_names(names: Sequence[str], units: Sequence[str]) -> None:
    """Refuse names that are not one for each measured unit; ``units`` are what these are called without names."""
    if len(names) != len(units):
        fail(
            "`output_names` does not match the outputs of the model.",
            expected=f"{len(units)} names, one for each measured unit: {listed(units)}",
            received=f"{len(names)} names: {listed(names)}",
            fix="pass one name a unit, in this order; with Definition(output=index) the names of all, or of the one",
        )


def check_unique_names(where: str, names: Sequence[str]) -> None:
    """Refuse names that stand for more than one column."""
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        fail(
            f"{where} has the same name for several columns.",
            expected="a different name for each column",
            received=f"more than one {listed(repeated)}",
            fix="rename them, or pass feature_names=[...]",
        )


def check_same_columns(name: str, received: Sequence[str] | None, expected: Sequence[str] | None) -> None:
    """Refuse a DataFrame with the columns of another in another order, or with others; None has no names."""
    if received is not None and expected is not None and list(received) != list(expected):
        fail(
            f"`{name}` has other columns than x.",
            expected=f"the columns {listed(expected)}",
            received=f"the columns {listed(received)}",
            fix=f"pass {name}[x.columns]",
        )


def check_groups(value: object, names: Sequence[str]) -> None:
    """Refuse groups that are not a partition of some of the columns called ``names``."""
    expected = "a dict from a new name to a list of columns, each column in at most one group"
    if not isinstance(value, Mapping):
        fail("`groups` is not a dict.", expected=expected, received=f"{shown(value)}", fix=_GROUPS_FIX, error=TypeError)
    seen: dict[str, str] = {}
    for group, members in value.items():
        of_group = items(members)
        if not isinstance(group, str) or not of_group:
            fail(
                f"The group {group!r} is not a name with a list of columns.",
                expected=expected,
                received=f"{shown(group)}: {shown(members)}",
                fix=_GROUPS_FIX,
                error=TypeError if of_group is None or of_group else ValueError,
            )
        for member in of_group:
            if not isinstance(member, str) or member not in names:
                fail(
                    f"The group {group!r} has a column that x has not.",
                    expected=f"columns of x: {listed(names)}",
                    received=f"{member!r}",
                    fix=f"correct the name{similar(member, names)}",
                )
            if member in seen:
                fail(
                    f"The column {member!r} stands in more than one place in `groups`.",
                    expected=expected,
                    received=f"{member!r} in {seen[member]!r} and in {group!r}",
                    fix="leave it in one group",
                )
            seen[member] = group
    for group in value:
        if group in names and group not in value[group]:
            fail(
                f"The group {group!r} is called like a column outside of it.",
                expected="a name that no other column has",
                received=f"the group {group!r} beside the column {group!r}",
                fix="rename the group",
            )
