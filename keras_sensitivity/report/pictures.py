"""Pictures of a page, as drawings inside of it: sharp at every size, and on paper."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from keras_sensitivity import plots
from keras_sensitivity.report.elements import Html, element

__all__ = ["MOST_BARS", "figure"]

# Bars, and rows of colours, at the most.
MOST_BARS = 20

# Inches of a picture that is as wide as the page.
WIDTH = 7.0


def figure(
    draw: Callable[..., Any], words: str, *, height: float, width: float = WIDTH, caption: str | None = None
) -> Html:
    """What ``draw(ax=axes)`` draws, in inches; ``words`` say what it shows to those who do not see it."""
    drawing = base64.b64encode(plots.svg(draw, width, height).encode()).decode()
    image = element("img", src=f"data:image/svg+xml;base64,{drawing}", alt=words, width=f"{96 * width:.0f}")
    return element("figure", image, None if caption is None else element("figcaption", caption))
