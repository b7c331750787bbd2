"""Pictures for pages: pixels and HTML, always drawn alike, whatever matplotlib is set to."""

from __future__ import annotations

import base64
import contextlib
import html as escaping
import io
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_sensitivity.plots._text import fonts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["html", "pixels", "svg"]

_LOCK = threading.RLock()


def pixels(draw: Callable[..., Any], width: float, height: float) -> np.ndarray[Any, Any]:
    """What ``draw(ax=axes)`` draws, as pixels of shape (height, width, 3); width and height in inches."""
    with _page_settings():
        figure = _figure(draw, width, height)
        if len(figure.axes) == 1:
            _spread_out(figure)
        figure.canvas.draw()
        return np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]


def svg(draw: Callable[..., Any], width: float, height: float) -> str:
    """What ``draw(ax=axes)`` draws, as a drawing in SVG, the same text for the same picture; in inches."""
    import matplotlib

    drawing = io.StringIO()
    with _page_settings(), matplotlib.rc_context({"svg.hashsalt": "keras_sensitivity"}):
        _figure(draw, width, height).savefig(drawing, format="svg", metadata={"Date": None})
    return drawing.getvalue()


def html(draw: Callable[..., Any], heading: str, table: pd.DataFrame, *, note: str, height: float = 3.6) -> str:
    """A picture and a table side by side, for a notebook."""
    picture = io.BytesIO()
    with _page_settings():
        _figure(draw, 6.4, height).savefig(picture, format="png")
    encoded = base64.b64encode(picture.getvalue()).decode()
    heading, note = escaping.escape(heading), escaping.escape(note)
    return (
        f'<div class="tex2jax_ignore mathjax_ignore"><b>{heading}</b>'  # a name with dollars is no formula
        '<div style="display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start">'
        f'<img alt="{heading}" style="width: 32em; max-width: 100%" src="data:image/png;base64,{encoded}">'
        f"<div>{table.to_html(border=0)}<small>{note}</small></div></div></div>"
    )


@contextlib.contextmanager
def _page_settings() -> Iterator[None]:
    """Matplotlib's own settings but for the font, so that a page has its white ground and needs no LaTeX.

    The settings are those of the process: one thread at a time takes them, and gives back what it found.
    """
    import matplotlib
    from matplotlib import style

    with _LOCK, _without_warnings():
        chosen: Any = {"font.family": fonts()}
        with style.context("default"), matplotlib.rc_context(chosen):
            yield


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Without those of letters that no font has, and of settings that are out of date.

    The filters of warnings are those of the process, too: a thread beside the main one leaves them alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _figure(draw: Callable[..., Any], width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    draw(ax=figure.subplots())
    return figure


def _spread_out(figure: Figure) -> None:
    """Give its only axes all the room that their words leave, which are measured once; a layout does so twice."""
    layout: Any = figure.get_layout_engine()
    figure.set_layout_engine("none")
    (ax,) = figure.axes
    words: Any = ax.get_tightbbox(for_layout_only=True)
    pads = figure.dpi * np.array([layout.get()["w_pad"], layout.get()["h_pad"]])
    low, high = ax.bbox.p0 - words.p0 + pads, words.p1 - ax.bbox.p1 + pads
    size = figure.bbox.size
    if (low + high < size).all():
        ax.set_position((*(low / size), *(1 - (low + high) / size)))
