"""Pictures for pages: pixels and HTML, drawn without matplotlib's global state."""

from __future__ import annotations

import base64
import html as escaping
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["html", "pixels"]


def pixels(draw: Callable[..., Any], width: float, height: float) -> np.ndarray[Any, Any]:
    """What ``draw(ax=axes)`` draws, as pixels of shape (height, width, 3); width and height in inches."""
    figure = _figure(draw, width, height)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]


def html(draw: Callable[..., Any], heading: str, table: pd.DataFrame, *, note: str, height: float = 3.6) -> str:
    """A picture and a table side by side, for a notebook."""
    picture = io.BytesIO()
    _figure(draw, 6.4, height).savefig(picture, format="png")
    encoded = base64.b64encode(picture.getvalue()).decode()
    heading, note = escaping.escape(heading), escaping.escape(note)
    return (
        f"<div><b>{heading}</b>"
        '<div style="display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start">'
        f'<img alt="{heading}" style="width: 32em; max-width: 100%" src="data:image/png;base64,{encoded}">'
        f"<div>{table.to_html(border=0)}<small>{note}</small></div></div></div>"
    )


def _figure(draw: Callable[..., Any], width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    draw(ax=figure.subplots())
    return figure
