"""From the command line to an exit code: what each command does."""

from __future__ import annotations

import argparse
import importlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from keras_sensitivity import errors, report
from keras_sensitivity.command import tables
from keras_sensitivity.command.arguments import PROGRAM, parser
from keras_sensitivity.command.files import is_importance, is_model, load_model, load_rows
from keras_sensitivity.command.measuring import Found, context_of, measured, rows_of, together
from keras_sensitivity.comparison import compare
from keras_sensitivity.importance import Importance
from keras_sensitivity.records.trajectories import load_trajectory
from keras_sensitivity.report import provenance

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Those of the command line; None: those that Python was started with.

    Returns:
        0 where all went well; 1 where something failed, which one line on standard error tells.

    Raises:
        SystemExit: With 2 for arguments that make no sense, with 0 for ``--help`` and ``--version``.
    """
    version = importlib.import_module("keras_sensitivity").__version__
    given = parser(version, measure=_measure, compare=_compare, report=_report).parse_args(arguments)
    given.command = shlex.join([PROGRAM, *(sys.argv[1:] if arguments is None else arguments)])
    try:
        given.run(given)
    except Exception as error:
        if given.debug:
            raise
        _say("error", str(error) or type(error).__name__)
        return 1
    return 0


def _say(kind: str, text: str) -> None:
    """One line on standard error, whatever the number of lines of the text."""
    line = ". ".join(part.strip().rstrip(".") for part in text.splitlines() if part.strip())
    print(f"{PROGRAM}: {kind}: {line}", file=sys.stderr)


def _told(found: Found) -> Importance:
    """The importance, after what is to be said of it."""
    for note in found.notes:
        _say("warning", note)
    return found.importance


def _measure(given: argparse.Namespace) -> None:
    """``measure``: one importance, on the terminal or in a file."""
    model, sample = load_model(given.model), rows_of(given, given.data)
    found = measured(given, model, sample, is_checked=given.verbose)
    importance = _told(found)
    if given.out is None:
        tables.print_importance(importance)
    elif given.out.suffix.lower() == ".html":
        report.written(report.importance_page(importance, context_of(given, model, sample, found)), given.out)
    else:
        tables.write_importance(importance, given.out)


def _report(given: argparse.Namespace) -> None:
    """``report``: a page with all that is known of one importance."""
    trajectory = None if given.log_dir is None else load_trajectory(given.log_dir)
    events = None if given.events is None else load_rows(given.events, given.separator)
    model, sample = load_model(given.model), rows_of(given, given.data)
    found = measured(given, model, sample, is_checked=True)
    context = context_of(given, model, sample, found)._replace(
        title=given.title,
        trajectory=trajectory,
        events=events if isinstance(events, pd.DataFrame) else None,
        is_signed=True,
    )
    report.written(report.importance_page(_told(found), context), given.out)


def _compare(given: argparse.Namespace) -> None:
    """``compare``: saved importances, and models at rows, side by side."""
    saved = [path for path in given.files if is_importance(path)]
    models = [path for path in given.files if is_model(path)]
    files = [path for path in given.files if path not in saved and path not in models]
    errors.check_files_to_compare(len(saved), len(models), len(files))
    looks: dict[tuple[Path, ...], Importance] = {(path,): Importance.load(path) for path in saved}
    rows = {path: rows_of(given, path) for path in files}
    notes: list[str] = []
    for path in models:
        model = load_model(path)
        for file, sample in rows.items():
            found = measured(given, model, sample, background=together(rows.values()))
            looks[path, file] = _told(found)
            notes += found.notes
    comparison = compare(dict(zip(_names(list(looks), len(models), len(files)), looks.values(), strict=True)))
    if given.out is None:
        tables.print_comparison(comparison)
    elif given.out.suffix.lower() == ".html":
        context = report.Context(
            caveats=list(dict.fromkeys(notes)),
            data={path.name: provenance.of_file(path)["SHA-256"] for path in (*saved, *files)},
            model={path.name: provenance.of_file(path)["SHA-256"] for path in models},
            command=given.command,
        )
        report.written(report.comparison_page(comparison, context), given.out)
    else:
        tables.write_comparison(comparison, given.out)


def _names(looks: Sequence[tuple[Path, ...]], num_models: int, num_files: int) -> list[str]:
    """What tells the looks apart: the model, the rows, or both; whole paths where that is not enough.

    >>> _names([(Path("a.keras"), Path("young.csv")), (Path("a.keras"), Path("old.csv"))], 1, 2)
    ['young', 'old']
    >>> _names([(Path("may.npz"),), (Path("a.keras"), Path("old.csv"))], 1, 1)
    ['may', 'a']
    >>> _names([(Path("a/net.keras"), Path("x.csv")), (Path("b/net.keras"), Path("x.csv"))], 2, 1)
    ['a/net.keras', 'b/net.keras']
    """
    parts = slice(0, 1) if num_files < 2 else slice(1, 2) if num_models < 2 else slice(0, 2)
    chosen = [look if len(look) == 1 else look[parts] for look in looks]
    names = [", ".join(path.stem for path in paths) for paths in chosen]
    if len(set(names)) == len(names):
        return names
    return [", ".join(str(path) for path in paths) for paths in chosen]
