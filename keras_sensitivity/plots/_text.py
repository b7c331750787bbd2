"""Text in pictures: names as they are, in letters that the fonts have, and never read as formulas."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec

from keras_sensitivity import errors
from keras_sensitivity.labels import labels, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

__all__ = ["fonts", "picture", "short", "written"]

P = ParamSpec("P")

# Fonts with many letters, of which those that are installed step in for letters that the chosen fonts have not.
WIDE_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Source Han Sans", "Hiragino Sans", "PingFang SC", "Yu Gothic",
              "Microsoft YaHei", "Malgun Gothic", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback",
              "Arial Unicode MS", "Segoe UI Emoji", "Noto Emoji", "Symbola")  # fmt: skip


def short(names: Iterable[object], most: int = 32) -> list[str]:
    """Different labels for different names, of at most ``most`` letters; those that no font has are escapes.

    >>> short(["annual_income_after_taxes_and_transfers"])
    ['annual_income_a…es_and_transfers']
    """
    return labels(names, most, is_shown=_is_shown)


def written(name: object) -> str:
    r"""A name in its whole length.

    >>> written("first\nsecond")
    'first\\nsecond'
    """
    return printable(name, _is_shown)


def picture(draw: Callable[P, Axes]) -> Callable[P, Axes]:
    """What a function draws, with all its words drawn as they stand, whatever matplotlib is set to.

    With ``text.usetex`` every word needs LaTeX, without it a name with two dollars is read as a formula, and a wrong
    one stops the drawing. What stood on the axes before is left as it is. What is drawn, and how much, is checked.
    """
    first, *others = inspect.signature(draw).parameters.values()
    counts = [each.name for each in others if each.annotation == "int" and each.default]

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Axes:
        from matplotlib.axes import Axes

        errors.check_drawn(args[0] if args else kwargs.get(first.name), first.annotation)
        for name in counts:
            errors.check_whole_number(name, kwargs.get(name, 1), least=0)
        given = [each for each in (*args, *kwargs.values()) if isinstance(each, Axes)]
        before = {text: text.get_text() for each in given for text in _texts(each)}
        ax = draw(*args, **kwargs)
        for each in _with_colour_bars(ax):
            _plain_numbers(each)
        for text in _texts(ax):
            if not text.get_text() or before.get(text) != text.get_text():
                _as_it_stands(text)
        return ax

    return drawn


def _with_colour_bars(ax: Any) -> list[Any]:
    return [ax, *(each.colorbar.ax for each in (*ax.images, *ax.collections) if each.colorbar is not None)]


def _texts(ax: Axes) -> list[Text]:
    """All texts of axes and of their colour bars; ticks that are still to come are made like the first."""
    from matplotlib.text import Text

    return [text for each in _with_colour_bars(ax) for text in each.findobj(Text)]


def _plain_numbers(ax: Any) -> None:
    """Numbers at the ticks that are no formulas either."""
    from matplotlib.ticker import ScalarFormatter

    for axis in (ax.xaxis, ax.yaxis):
        formatter: Any = axis.get_major_formatter()
        if isinstance(formatter, ScalarFormatter):
            formatter.set_useMathText(False)
            vars(formatter)["_usetex"] = False  # older versions of matplotlib have no method for it


def _as_it_stands(text: Text) -> None:
    text.set_usetex(False)
    text.set_parse_math(False)
    if not text.get_text().isascii():
        text.set_fontfamily(fonts())


def _is_shown(letter: str) -> bool:
    if letter.isascii():
        return letter.isprintable()
    return letter.isprintable() and any(ord(letter) in _letters(name) for name in fonts())


def fonts() -> list[str]:
    """The installed fonts in which a letter is looked for, in this order: those chosen, those with many letters."""
    import matplotlib
    from matplotlib import font_manager

    settings: Any = matplotlib.rcParams
    kinds = font_manager.font_family_aliases
    families = [settings.get(f"font.{each}", ()) if each in kinds else (each,) for each in settings["font.family"]]
    names = dict.fromkeys([*itertools.chain(*families), *WIDE_FONTS])
    return [name for name in names if _letters(name)] or ["DejaVu Sans"]


@functools.cache
def _letters(family: str) -> frozenset[int]:
    """The letters that a font has, by their numbers; none where it is not installed, or cannot be read."""
    from matplotlib import font_manager

    try:
        path = font_manager.findfont(font_manager.FontProperties(family=family), fallback_to_default=False)
        return frozenset(font_manager.get_font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()
