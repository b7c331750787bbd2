"""Elements of HTML: what is put into one is escaped, unless it is one."""

from __future__ import annotations

import html
import importlib.resources
import re
from collections.abc import Iterable

__all__ = ["Html", "document", "element", "joined", "section", "sentences"]

# Elements that have no content, and no end.
VOID = {"br", "img", "meta"}

# What XML has no place for: control characters, and halves of letters.
NO_LETTER = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: object, **attributes: object) -> Html:
    """An element; attributes that are None are left out, and an underscore at the end of their names.

    The result is XML, too, so that any reader of either finds every element closed.

    >>> element("p", "a < b", element("br"), "R & D", class_="note")
    '<p class="note">a &lt; b<br/>R &amp; D</p>'
    """
    given = "".join(f' {key.rstrip("_")}="{_escaped(value)}"' for key, value in attributes.items() if value is not None)
    return Html(f"<{name}{given}/>" if name in VOID else f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*children: object) -> Html:
    """One after the other, those that are not None.

    >>> joined("1 < 2", None, Html("<br/>"))
    '1 &lt; 2<br/>'
    """
    return Html(
        "".join(child if isinstance(child, Html) else _escaped(child) for child in children if child is not None)
    )


def _escaped(text: object) -> str:
    return html.escape(NO_LETTER.sub("\N{REPLACEMENT CHARACTER}", str(text)))


def section(heading: str, *children: object) -> Html | None:
    """A heading and what stands below; None where nothing does."""
    below = joined(*children)
    return element("section", element("h2", heading), below) if below else None


def sentences(texts: Iterable[str]) -> Html:
    """A list, a sentence each."""
    return element("ul", *(element("li", text) for text in texts))


def document(title: str, *children: object) -> str:
    """A whole page, which loads nothing."""
    style = importlib.resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(style)),
    )
    page = element("html", head, element("body", element("main", *children)), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"
