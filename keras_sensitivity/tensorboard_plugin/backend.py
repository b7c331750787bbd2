"""`Backend`: answers what the tab in the browser asks for."""

from __future__ import annotations

import importlib.resources
import mimetypes
from collections.abc import Callable
from typing import Any

import numpy as np
from tensorboard import errors as tensorboard_errors
from tensorboard import plugin_util
from tensorboard.data import provider
from werkzeug import wrappers

from keras_sensitivity.records import reading
from keras_sensitivity.records.explanation_record import EXPLANATION, ExplanationRecord
from keras_sensitivity.records.reading import Written
from keras_sensitivity.records.record import HEADER, LOOK, PLUGIN, Header, look_tag
from keras_sensitivity.tensorboard_plugin.bundle import bundle

__all__ = ["Backend"]

Array = np.ndarray[Any, Any]

# What of a look goes to the browser with all looks, and what look by look.
SMALL, WIDE = ("importance", "standard_error", "rms", "usage", "lags"), ("by_lag", "by_output")

# More steps of a tag than TensorBoard ever keeps.
EVERY_STEP = 100_000


class Backend:
    """An application that reads through TensorBoard's data provider alone.

    Args:
        data_provider: TensorBoard's.
    """

    def __init__(self, data_provider: Any) -> None:
        self._provider = data_provider
        self._answers: dict[str, Callable[[Any, str, Any], bytes]] = {
            "runs": self._runs, "run": self._run, "look": self._look, "explanation": self._explanation,
        }  # fmt: skip

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer a request, by the last part of its path."""
        name = environ["PATH_INFO"].rpartition("/")[2]
        answer = self._answers.get(name)
        response = _static(name) if answer is None else _answered(answer, wrappers.Request(environ))
        return response(environ, start_response)

    # --- answers ----------------------------------------------------------------------------------------------------

    def _runs(self, context: Any, experiment: str, _: Any) -> bytes:
        """The runs, and what there is in each."""
        every = self._tags(context, experiment)
        headers = self._read(context, experiment, list(every), [HEADER])
        found = []
        for run, tags in sorted(every.items()):
            kinds = {"looks": any(map(reading.is_ours, tags)), "explanation": EXPLANATION in tags}
            if any(kinds.values()):
                newest = max(series.max_wall_time for series in tags.values())
                found.append({"run": run, "newest": newest, "features": _features(headers, run), **kinds})
        return bundle({"runs": found}, {})

    def _run(self, context: Any, experiment: str, arguments: Any) -> bytes:
        """All looks of a run: what is small enough to be drawn over time."""
        run = arguments.get("run", "")
        looks = reading.looks(self._written(context, experiment, run, reading.is_ours), run)
        if not looks:
            raise tensorboard_errors.NotFoundError(f"{run!r} has no look yet.")
        newest = looks[-1]
        same = [look for look in looks if look.header == newest.header]
        names = [name for name in SMALL if name in newest.record.arrays]
        scalars = {key: None for look in same for key in look.record.scalars}
        described = {
            "run": run,
            "features": newest.header.features,
            "units": newest.header.units,
            "epochs": [look.epoch for look in same],
            "wall_times": [look.wall_time for look in same],
            "scalars": {key: [look.record.scalars.get(key) for look in same] for key in scalars},
            "events": [event for look in same for event in look.record.events],
            "in_looks": [name for name in WIDE if name in newest.record.arrays],
        }
        return bundle(described, {name: np.stack([look.record.arrays[name] for look in same]) for name in names})

    def _look(self, context: Any, experiment: str, arguments: Any) -> bytes:
        """One look, with all that was kept of it."""
        run, epoch = arguments.get("run", ""), arguments.get("epoch", "")
        tags = {HEADER, LOOK, *([look_tag(int(epoch))] if epoch.isdecimal() else [])}  # no more is read for one look
        for look in reading.looks(self._written(context, experiment, run, tags.__contains__), run):
            if str(look.epoch) == epoch:
                arrays = {name: array for name, array in look.record.arrays.items() if name in SMALL + WIDE}
                return bundle({"run": run, "epoch": look.epoch}, arrays)
        raise tensorboard_errors.NotFoundError(f"{run!r} has no look at the epoch {epoch!r}.")

    def _explanation(self, context: Any, experiment: str, arguments: Any) -> bytes:
        """What `explain` wrote to a run."""
        run = arguments.get("run", "")
        written = self._written(context, experiment, run, lambda tag: tag == EXPLANATION)
        if not written:
            raise tensorboard_errors.NotFoundError(f"{run!r} has no explanation.")
        newest = max(written, key=lambda each: each.wall_time)
        record = ExplanationRecord.decoded(newest.strings, run)
        return bundle({"run": run, "wall_time": newest.wall_time, **record.described}, record.arrays)

    # --- the data provider ------------------------------------------------------------------------------------------

    def _tags(self, context: Any, experiment: str) -> Any:
        """Run -> tag -> what there is."""
        return self._provider.list_tensors(context, experiment_id=experiment, plugin_name=PLUGIN)

    def _written(self, context: Any, experiment: str, run: str, is_asked: Callable[[str], bool]) -> list[Written]:
        """The tensors of a run with some tags, in no order."""
        tags = [tag for tag in self._tags(context, experiment).get(run, ()) if is_asked(tag)]
        return self._read(context, experiment, [run], tags).get(run, []) if tags else []

    def _read(self, context: Any, experiment: str, runs: list[str], tags: list[str]) -> dict[str, list[Written]]:
        """The tensors of runs with these tags, in no order."""
        read = self._provider.read_tensors(
            context,
            experiment_id=experiment,
            plugin_name=PLUGIN,
            downsample=EVERY_STEP,
            run_tag_filter=provider.RunTagFilter(runs=runs, tags=tags),
        )
        return {
            run: [Written(datum.wall_time, datum.step, tag, datum.numpy) for tag in data for datum in data[tag]]
            for run, data in read.items()
        }


def _features(headers: dict[str, list[Written]], run: str) -> list[str]:
    """The features of a run; none where that cannot be read, as its own answer tells."""
    newest = max(headers.get(run, ()), key=lambda each: each.wall_time, default=None)
    try:
        return [] if newest is None else Header.decoded(newest.strings, run).features
    except Exception:  # noqa: BLE001
        return []


def _answered(answer: Callable[[Any, str, Any], bytes], request: wrappers.Request) -> wrappers.Response:
    """The response with an answer: what cannot be read becomes a message, not a broken tab."""
    context, experiment = plugin_util.context(request.environ), plugin_util.experiment_id(request.environ)
    try:
        data, status = answer(context, experiment, request.args), 200
    except tensorboard_errors.NotFoundError as error:
        data, status = bundle({"error": str(error)}, {}), 404
    except Exception as error:  # noqa: BLE001
        words = f"What was written there cannot be read. {type(error).__name__}: {error}"
        data, status = bundle({"error": words}, {}), 422
    return _response(data, "application/octet-stream", status)


def _static(name: str) -> wrappers.Response:
    """The response with a static file, which the package brings."""
    folder = importlib.resources.files("keras_sensitivity.tensorboard_plugin") / "static"
    if name not in {file.name for file in folder.iterdir()}:
        return _response(b"", "text/plain", 404)
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    kind = "text/javascript" if name.endswith(".js") else kind  # which some systems' tables do not say
    return _response((folder / name).read_bytes(), kind, 200)


def _response(data: bytes, kind: str, status: int) -> wrappers.Response:
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return wrappers.Response(data, status, headers, content_type=kind)
