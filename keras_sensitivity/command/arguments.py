"""What the command is asked for: its arguments, and the definition that they make."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_sensitivity.definition import PAPER, Definition

__all__ = ["PROGRAM", "definition_of", "parser"]

PROGRAM = "keras-sensitivity"

EXAMPLES = """\
examples:
  keras-sensitivity measure model.keras rows.csv --target price
  keras-sensitivity measure model.keras rows.csv --target price --out importance.csv
  keras-sensitivity compare first.keras second.keras rows.csv --target price --out comparison.html
  keras-sensitivity report model.keras rows.csv --target price --out report.html

exit codes: 0 done, 1 failed, 2 misused
"""
MEASURE = """\
examples:
  keras-sensitivity measure model.keras rows.csv --target price
  keras-sensitivity measure model.keras rows.parquet --scale std --out importance.json
  keras-sensitivity measure classifier.keras rows.csv --exclude id --output 1 --logits --out importance.npz
"""
COMPARE = """\
examples:
  keras-sensitivity compare monday.npz tuesday.npz
  keras-sensitivity compare first.keras second.keras rows.csv --target price
  keras-sensitivity compare model.keras young.csv old.csv --target price --out segments.html
"""
REPORT = """\
examples:
  keras-sensitivity report model.keras rows.csv --target price --out report.html
  keras-sensitivity report model.keras rows.csv --out report.html --title "Price model, spring" --log-dir runs/first
"""

Subparsers = Any  # of argparse, which names its type in private


def parser(
    version: str,
    *,
    measure: Callable[[argparse.Namespace], None],
    compare: Callable[[argparse.Namespace], None],
    report: Callable[[argparse.Namespace], None],
) -> argparse.ArgumentParser:
    """The parser of the command line, which names the function for each command as ``run``."""
    words = "Which input features a Keras network relies on, from its file and a file of rows."
    whole = argparse.ArgumentParser(PROGRAM, description=words, epilog=EXAMPLES, formatter_class=_Formatter)
    whole.add_argument("--version", action="version", version=f"{PROGRAM} {version}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)

    one = _command(commands, "measure", "print or write the importance of each feature", MEASURE, measure)
    _model_and_data(one)
    _out(one, "a table (.csv, .json), a saved Importance (.npz), or a page (.html); else it is printed",
         [".csv", ".json", ".npz", ".html"])  # fmt: skip

    one = _command(commands, "compare", "set looks at models, or at parts of the rows, side by side", COMPARE, compare)
    one.add_argument("files", metavar="FILE", nargs="+", type=Path,
                     help="saved importances (.npz), or models (.keras) and the rows for each of them")  # fmt: skip
    _out(one, "a table (.csv, .json) or a page (.html); else it is printed", [".csv", ".json", ".html"])

    one = _command(commands, "report", "write one page for someone who has to sign it", REPORT, report)
    _model_and_data(one)
    _out(one, "the page (.html)", [".html"], required=True)
    one.add_argument("--title", help="of the page")
    one.add_argument("--log-dir", metavar="DIR", help="the log_dir of the training: its trajectory is drawn")
    one.add_argument("--events", metavar="FILE.csv", type=Path, help="the events of the training, saved by to_csv")
    return whole


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Examples stay as they are, and an option and its help stand on one line where they can."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=110)


def _command(
    commands: Subparsers, name: str, words: str, examples: str, run: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    """A command with the options that all of them have."""
    files = "FILE FILE .." if name == "compare" else "MODEL DATA"
    one: argparse.ArgumentParser = commands.add_parser(
        name,
        usage=f"{PROGRAM} {name} {files} [options]",
        help=words,
        description=f"{words[0].upper()}{words[1:]}.",
        epilog=examples,
        formatter_class=_Formatter,
    )
    one.set_defaults(run=run)
    rows = one.add_argument_group("rows")
    rows.add_argument(
        "--target", metavar="COLUMN", action="append", default=[], help="a label, which the model does not get"
    )
    rows.add_argument(
        "--exclude", metavar="COLUMN", action="append", default=[], help="another column that it does not get"
    )
    rows.add_argument(
        "--separator", metavar="TEXT", type=_separator, help="between the columns of a CSV file; default: a comma"
    )
    rows.add_argument("--feature-names", metavar="A,B,..", type=_names, help="names of the columns of arrays")
    rows.add_argument("--group", metavar="NAME=A,B,..", action="append", default=[], type=_group,
                      help="columns that count as one feature")  # fmt: skip
    rows.add_argument("--weight", metavar="COLUMN", help="how much each row counts, which the model does not get")
    rows.add_argument("--background", metavar="FILE", type=Path, help="rows that give the scale; default: DATA itself")
    rows.add_argument(
        "--num-samples", metavar="N", type=_count, help="rows to measure, a fixed random subset; default: all"
    )
    _definition(one.add_argument_group("definition"))
    other = one.add_argument_group("other")
    other.add_argument("--import", metavar="MODULE", dest="imported", action="append", default=[], type=_module,
                       help="a Python module that registers layers of the model")  # fmt: skip
    other.add_argument("--batch-size", metavar="N", type=_count, help="rows of one pass; default: by the model's size")
    other.add_argument("--verbose", action="store_true", help="say on standard error what is done")
    other.add_argument("--debug", action="store_true", help="show where in the code an error was raised")
    return one


def _definition(group: Any) -> None:
    group.add_argument(
        "--definition", choices=["default", "paper"], default="default", help="what the others start from"
    )
    group.add_argument(
        "--output", type=_output, metavar="UNIT", help="one output, by its index or the name of its head"
    )
    group.add_argument("--output-names", metavar="A,B,..", type=_names, help="names of all outputs, such as classes")
    group.add_argument("--logits", action="store_const", const=True, help="before the last softmax or sigmoid")
    group.add_argument("--scale", choices=["path", "std", "none"], help="of the derivatives")
    group.add_argument("--change", choices=_choices("change"), help="what the features are changed by")
    group.add_argument("--lags", choices=_choices("lags"), help="all lags, or the newest step only")
    group.add_argument("--mode", choices=_choices("mode"), help="what the axes are")


def _choices(setting: str) -> list[str]:
    """The values that a setting of the definition may have, from its type."""
    return list(typing.get_args(typing.get_type_hints(Definition)[setting]))


def _model_and_data(one: argparse.ArgumentParser) -> None:
    one.add_argument("model", metavar="MODEL", type=Path, help="a saved Keras model (.keras, .h5)")
    one.add_argument("data", metavar="DATA", type=Path, help="rows (.csv, .tsv, .parquet, .npz, .npy)")


def _out(one: argparse.ArgumentParser, words: str, suffixes: list[str], *, required: bool = False) -> None:
    def path(text: str) -> Path:
        if Path(text).suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(f"{text!r} ends in none of {', '.join(suffixes)}")
        return Path(text)

    one.add_argument("--out", metavar="FILE", type=path, required=required, help=words)


def definition_of(given: argparse.Namespace) -> Definition:
    """The definition that the arguments make."""
    names = [field.name for field in dataclasses.fields(Definition)]
    changes = {name: getattr(given, name) for name in names if getattr(given, name, None) is not None}
    if changes.get("scale") == "none":
        changes["scale"] = None
    return dataclasses.replace(PAPER if given.definition == "paper" else Definition(), **changes)


# --- the types of arguments -------------------------------------------------------------------------------------------


def _separator(text: str) -> str:
    return {"tab": "\t", "\\t": "\t"}.get(text, text)


def _names(text: str) -> list[str]:
    return text.split(",")


def _group(text: str) -> tuple[str, list[str]]:
    name, equals, columns = text.partition("=")
    if not (name and equals and columns):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=COLUMN,COLUMN,..")
    return name, columns.split(",")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _output(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _module(text: str) -> str:
    """Import the module; what it registers, Keras then knows."""
    try:
        importlib.import_module(text)
    except ImportError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be imported: {error}") from error
    return text
