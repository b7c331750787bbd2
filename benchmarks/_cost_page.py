"""Puts the results of the benchmarks into the page on what the library costs: `python benchmarks/_cost_page.py`.

Whatever stands between the two marks of the page is replaced by tables made of docs/results/benchmark_*.csv, as far as
these exist, and the picture is drawn anew.
"""

from collections import defaultdict

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _results import ROOT, Result, Row, number, results
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_sensitivity.plots import _style

PAGE, PICTURE = ROOT / "docs" / "cost.md", ROOT / "docs" / "images" / "cost.png"
BEGIN, END = "<!-- made by `make benchmark` -->\n", "<!-- end -->"
FITS = "fits"
# What stands above the rows of each script, in the order of the page.
SECTIONS = {
    FITS: """### Whole fits

Extra time is the median difference of a fit with the callback to the same fit without, made in turns, in percent of the
median without. It is a small difference of two large times, each of which the machine disturbs; the goals are judged by
it all the same. "Inside" is the time in the callback's own methods, in the same fits, which is hardly disturbed.
"Asleep" is the extra time of a callback that only sleeps for as long at the end of each epoch: behind a pause of some
milliseconds TensorFlow at times takes a third of a second more to begin with the rows of the next epoch.""",
    "first": """### The first look, and the import

What comes once: of a process that has imported TensorFlow and done nothing yet.""",
    "look": """### A look beside its limit

The bare derivatives are one compiled function that makes the derivatives of both classes of
[the paper's credit network](paper.md) and throws them away; nothing that has them can be faster. A look also sums them
up in 64 bits, with what the standard errors and, along the path, the bins need.""",
    "sequences": """### Sequences

The bare derivatives of a many-to-one model are one forward and one backward pass; of a many-to-many model two backward
passes of one graph, of the newest step's output and of the sum over the steps. `batch_jacobian` is the plain way to the
derivatives of each step with respect to the same step.""",
    "units": """### Many output units

More than 64 units are sent back together, with [random signs](measure.md#many-units), four times; the bare pass does
that and nothing else.""",
    "changes": """### Paths and swaps

What [the path](measure.md#the-path) costs beside standard deviations, and each feature that is swapped, beside a
forward pass of the model.""",
    "explain": "### Single predictions",
    "memory": """### Memory

What is left of networks that were measured and dropped, beside those that were asked for predictions and dropped; and
what a callback keeps of its looks.""",
    "logs": """### Event files

What a look adds to the files of TensorBoard, by the plug-in that shows it; its numbers are the importance, the standard
error and the rms of each feature, 8 bytes each.""",
    "stream": """### More rows than memory holds

All rows of a `tf.data` pipeline that draws them, with `num_samples=None`. The time contains the drawing.""",
    "peers": """### Beside other libraries

The time that others take, divided by that of `measure`. Captum and neuralsens compute the same derivatives, by
PyTorch and NumPy, of the same network, and come to the same numbers; SHAP answers
[another question](beside.md).""",
}


def value(row: Row) -> str:
    """A number with its unit."""
    return f"{number(row.value)} {row.unit}" if row.verdict != "not measured" else row.verdict


def goal(row: Row) -> str:
    """A goal, and whether it is met."""
    verdict = "**missed**" if row.verdict == "missed" else row.verdict
    bound = row.goal.rsplit(" ", 1)[0]
    return f"{bound} {number(row.limit)}: {verdict}" if row.goal else ""


def table(rows: list[dict[str, str]], num_words: int) -> str:
    """A Markdown table, of which the first columns are words."""
    cells = pd.DataFrame(rows)
    align = ["left"] * num_words + ["right"] * (cells.shape[1] - num_words)
    return cells.to_markdown(index=False, disable_numparse=True, colalign=align) + "\n"


def table_of_rows(rows: list[Row]) -> str:
    """A line a number."""
    cells = [{"what": row.what, "of": row.case, "goal": goal(row), "value": value(row), "": row.note} for row in rows]
    return table(cells, 3)


def by_fit(rows: list[Row]) -> dict[str, dict[str, Row]]:
    """The rows of each fit, by what they say."""
    found: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        found[row.case][row.what] = row
    return found


def table_of_fits(rows: list[Row]) -> str:
    """A line a fit."""
    cells = []
    for case, of in by_fit(rows).items():
        line = {"fit": case, "without": value(of["the fit without the callback"])}
        for name, title in (("default", "extra"), ("log_dir", "extra with `log_dir`")):
            extra, inside = of[f"extra time, {name}"], of[f"time inside the callback, {name}"]
            spaces = " " * (name == "log_dir")  # a table has no two columns of one name
            line |= {title: value(extra), f"goal{spaces}": goal(extra), f"inside{spaces}": value(inside)}
        line["asleep"] = value(of["extra time, asleep for as long"])
        cells.append(line)
    return table(cells, 1)


def part(name: str, result: Result) -> str:
    """What a script found, in words and numbers."""
    picture = ""
    if name == FITS:
        picture = "\n![Extra time of whole fits with the callback, beside the goals](images/cost.png)\n"
    tabled = (table_of_fits if name == FITS else table_of_rows)(result.rows)
    return f"{SECTIONS[name]}\n{picture}\n{tabled}\n`{result.command}`, {result.machine}.\n"


def section(found: dict[str, Result]) -> str:
    """All results in words and tables."""
    verdicts = [row.verdict for result in found.values() for row in result.rows if row.goal]
    counts = f"{verdicts.count('met')} of {len(verdicts)} goals are met, and {verdicts.count('missed')} missed."
    if "not measured" in verdicts:
        counts += f" {verdicts.count('not measured')} could not be measured."
    parts = [part(name, found[name]) for name in SECTIONS if name in found]
    return "\n" + "\n".join([f"{counts}\n", *parts] if parts else ["Nothing was measured yet.\n"]) + "\n"


def page(text: str, found: dict[str, Result]) -> str:
    """The page with these results."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + section(found) + END + rest.split(END, 1)[1]


# --- the picture ----------------------------------------------------------------------------------------------------

HEIGHT = 0.36
BARS = {"default": ("callback", _style.BLUE, -0.2), "log_dir": ("callback with log_dir", _style.ORANGE, 0.2)}


def draw(rows: list[Row]) -> Figure:
    """Bars of the extra time of each fit, the goals as marks, and the time inside the callback as dots."""
    fits = by_fit(rows)
    figure, ax = plt.subplots(figsize=(9, 1.4 + 0.75 * len(fits)), layout="constrained")
    ax.set(yticks=range(len(fits)), yticklabels=[case.replace(", ", "\n", 1) for case in fits])
    ax.invert_yaxis()
    _style.plain(ax)
    for name, (label, colour, shift) in BARS.items():
        places = np.arange(len(fits)) + shift
        extra = [fit[f"extra time, {name}"] for fit in fits.values()]
        inside = [fit[f"time inside the callback, {name}"].value for fit in fits.values()]
        ax.barh(places, [row.value for row in extra], HEIGHT, color=colour, label=label)
        draw_marks(ax, places, extra, inside)
    ax.axvline(0, color=_style.INK, linewidth=0.8)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("extra time, percent of the fit without the callback")
    ax.set_title("What the callback adds to a fit", loc="left")
    legend = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))  # of equal labels the last
    figure.legend(legend.values(), legend, loc="outside lower center", ncols=len(legend), frameon=False)
    return figure


def draw_marks(ax: Axes, places: np.ndarray, extra: list[Row], inside: list[float]) -> None:
    """Goals, dots, and at the right edge the numbers."""
    goals = [row.limit for row in extra]
    ax.scatter(goals, places, s=260, marker="|", linewidth=2.5, color=_style.INK, zorder=3, label="goal")
    ax.scatter(inside, places, s=22, color="white", edgecolor=_style.INK, zorder=4, label="inside the callback")
    for place, row in zip(places, extra, strict=True):
        text = f"{value(row)}, goal {row.limit:g}: {row.verdict}"
        weight = "bold" if row.verdict == "missed" else "normal"
        ax.text(1.02, place, text, transform=ax.get_yaxis_transform(), va="center", fontsize=9, fontweight=weight)


def main() -> None:
    found = results()
    if FITS in found:
        draw(found[FITS].rows).savefig(PICTURE, dpi=110)
        print(PICTURE)
    PAGE.write_text(page(PAGE.read_text(), found))
    print(PAGE)


if __name__ == "__main__":
    main()
