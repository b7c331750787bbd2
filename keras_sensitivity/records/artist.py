"""`Artist`: pictures of looks, drawn beside the training, at so few looks that they take hardly any of its time."""

from __future__ import annotations

import concurrent.futures
import functools
import io
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from keras_sensitivity import plots
from keras_sensitivity.records.event_file import Summary
from keras_sensitivity.records.pages import MOST_FEATURES, Pictures, escaped

if TYPE_CHECKING:
    from keras_sensitivity.importance import Importance

__all__ = ["Artist"]

# Of the time of a fit that drawing may take, before the last look; and seconds that a first look's pictures take at the
# most, with all that is loaded for them: a fit of less than five minutes has those of its last look alone.
PART, FIRST_SECONDS = 0.01, 3.0


class Artist:
    """Draws looks, one at a time, in a thread of its own.

    A look that is drawn becomes, at the step of its epoch:

    - an image ``ranking``: bars with standard errors; a text ``ranking_table``: the same in numbers;
    - a histogram ``rms`` of the rms sensitivities, one count for each output unit and feature;
    - with a time axis, images ``lags``, the profile, and ``lags_and_features``, a heat map;
    - for images as inputs, an image ``map``: the importance of each pixel.

    Args:
        write: Writes a summary at the step of an epoch.
    """

    def __init__(self, write: Callable[[Summary, int], None]) -> None:
        self._write_at = write
        self._epoch = 0
        self._pictures = Pictures(self._write)
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "keras_sensitivity", _ignore_missing_letters)
        self._begun = time.monotonic()
        self._spent, self._expected = 0.0, FIRST_SECONDS
        self._newest: tuple[Importance, int] | None = None  # that is not drawn
        self._drawing: concurrent.futures.Future[None] | None = None

    def offer(self, importance: Importance, epoch: int) -> None:
        """Begin to draw a look, if there is time for it; it is drawn at the end, if it is the last."""
        self._newest = importance, epoch
        if self._drawing is not None and not self._drawing.done():
            return
        self._tell()
        if self._spent + self._expected <= PART * (time.monotonic() - self._begun):
            self._begin()

    def finish(self) -> None:
        """Draw the newest look, wait until all is on the disk, and end the thread."""
        self._begin()
        self._thread.shutdown()
        self._tell()

    def _tell(self) -> None:
        """Warn of what failed, in the thread of the training."""
        error = self._drawing.exception() if self._drawing is not None and self._drawing.done() else None
        if error is not None:
            self._pictures.fail("ranking", error)
        self._pictures.tell()

    def _begin(self) -> None:
        if self._newest is None:
            return
        try:
            self._drawing = self._thread.submit(self._draw, *self._newest)
        except RuntimeError as error:  # the system has no more threads
            self._pictures.fail("ranking", error)
        self._newest = None

    def _write(self, summary: Summary) -> None:
        self._write_at(summary, self._epoch)

    def _draw(self, importance: Importance, epoch: int) -> None:
        """Write the pictures of a look; of another thread nothing is taken over, so all is set here."""
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb
        from tensorboard.plugins.text.summary_v2 import text_pb

        start = time.monotonic()
        self._epoch = epoch
        is_exact = importance.estimation_error is None
        sizes = importance.rms_by_output.to_numpy().ravel() if is_exact else importance.rms
        # What `tf.summary` writes, without TensorFlow's operations, which take longer than a picture.
        for summary in (text_pb("ranking_table", _markdown(importance)), histogram_pb("rms", sizes)):
            self._write(Summary.FromString(summary.SerializeToString()))
        draw, bars = self._pictures.write, min(MOST_FEATURES + 1, len(importance.features))
        draw("ranking", functools.partial(plots.ranking, importance, top=MOST_FEATURES), 1.0 + 0.27 * bars)
        if importance.lags is not None:
            draw("lags", functools.partial(plots.lag_profile, importance), 3.2)
            draw("lags_and_features", functools.partial(plots.heat_map, importance), 1.4 + 0.3 * bars, width=6.0)
        if importance.map is not None:
            draw("map", functools.partial(plots.image_map, importance), 4.0)
        self._expected = time.monotonic() - start
        self._spent += self._expected


def _ignore_missing_letters() -> None:
    """Let matplotlib draw boxes for letters that no font has.

    Warnings are filtered for the whole process: a thread can add a filter, but not give back what it found without
    taking away what the others have set meanwhile.
    """
    warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)


def _markdown(importance: Importance) -> str:
    """The ranking as a Markdown table of the 20 most important features."""
    table = importance.table.sort_values("rank")
    text = io.StringIO()
    text.write("| rank | feature | importance, % | ± standard error | rms |\n|---:|:---|---:|---:|---:|\n")
    for name, row in table[:MOST_FEATURES].iterrows():
        text.write(f"| {row['rank']:.0f} | {escaped(name)} | {row['importance']:.2f} | {row['standard_error']:.2f} "
                   f"| {row['rms']:.4g} |\n")  # fmt: skip
    if len(table) > MOST_FEATURES:
        rest = table[MOST_FEATURES:]["importance"].sum()
        text.write(f"| | the other {len(table) - MOST_FEATURES:,} | {rest:.2f} | | |\n")
    return text.getvalue()
