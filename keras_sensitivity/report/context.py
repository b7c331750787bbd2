"""What a result does not know of itself, and where that stands on every page."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from keras_sensitivity.files import write_text
from keras_sensitivity.report import provenance
from keras_sensitivity.report.elements import Html, document, element, section
from keras_sensitivity.report.tables import facts

__all__ = ["Context", "page", "written"]

ROLES = ("Measured by", "Reviewed by", "Approved by")


class Context(NamedTuple):
    """What a result does not know of itself.

    Attributes:
        title: Of the page; None: what the result is.
        trajectory: Importances over the epochs of the training, as in `SensitivityCallback.trajectory`.
        events: Deaths and revivals, as in `SensitivityCallback.events`.
        noise: Where noise lay, as in `SensitivityCallback.noise_band`.
        caveats: Sentences to mind beside those that the numbers give rise to.
        data: Facts on the rows, by name.
        model: Facts on the model, by name.
        command: The command that made the page.
        is_signed: Whether there is room for signatures.
    """

    title: str | None = None
    trajectory: pd.DataFrame | None = None
    events: pd.DataFrame | None = None
    noise: pd.DataFrame | None = None
    caveats: Sequence[str] = ()
    data: Mapping[str, object] = {}
    model: Mapping[str, object] = {}
    command: str | None = None
    is_signed: bool = False


def page(context: Context, title: str, lead: str, *sections: Html | None) -> str:
    """A page: its title and what it says in short, the sections of a result, and what it was made of."""
    command = None if context.command is None else element("code", context.command)
    title = context.title or title
    return document(
        title,
        _head(title, context),
        element("p", lead, class_="lead"),
        *sections,
        section("Data", facts(context.data)),
        section("Model", facts(context.model)),
        section("Software", facts({**provenance.versions(), "Command": command})),
        _signatures() if context.is_signed else None,
    )


def written(text: str, path: str | os.PathLike[str] | None) -> str:
    """The page, written to a file, where there is a path of one."""
    if path is not None:
        write_text(path, text)
    return text


def _head(title: str, context: Context) -> Html:
    """The title, and below of what and when."""
    files = [str(each["File"]) for each in (context.model, context.data) if "File" in each]
    now = f"{datetime.datetime.now().astimezone():%d %B %Y, %H:%M %Z}"
    return element("header", element("h1", title), element("p", " · ".join([*files, now]), class_="under"))


def _signatures() -> Html:
    lines = (element("div", f"{role}: name, date, signature") for role in ROLES)
    return element("div", *lines, class_="signatures")
