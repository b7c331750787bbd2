"""The tab "Sensitivity", as TensorBoard finds it: with every start it imports each plugin that is installed.

That is why this stands outside of the package, which imports TensorFlow: TensorBoard starts as fast as before, and also
where the package cannot be imported, which is then said in the tab.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import werkzeug
from tensorboard.plugins import base_plugin

__all__ = ["SensitivityPlugin"]


class SensitivityPlugin(base_plugin.TBPlugin):
    """Tells TensorBoard of the tab, and hands on what the browser asks for.

    Args:
        context: What TensorBoard has for plugins.
    """

    plugin_name = "sensitivity"

    def __init__(self, context: base_plugin.TBContext) -> None:
        self._provider = context.data_provider
        threading.Thread(target=_backend, daemon=True).start()  # so that it is there when the tab is opened

    def get_plugin_apps(self) -> dict[str, Callable[..., Any]]:
        """What is answered, by its path under the tab's own prefix: everything there."""
        return {"/*": self._answer}

    def is_active(self) -> bool:
        """Always: an empty tab says what to do."""
        return True

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """What TensorBoard loads for the tab."""
        return base_plugin.FrontendMetadata(es_module_path="/index.js", tab_name="Sensitivity")

    def _answer(self, environ: Any, start_response: Any) -> Any:
        found = _backend()
        answer = _apology(found) if isinstance(found, Exception) else found(self._provider)
        return answer(environ, start_response)


def _backend() -> Any:
    """The class that answers; or why there is none."""
    try:
        from keras_sensitivity.tensorboard_plugin.backend import Backend
    except Exception as error:  # noqa: BLE001
        return error
    return Backend


def _apology(error: Exception) -> werkzeug.Response:
    """What the browser loads instead of the tab, and what says why."""
    words = json.dumps(f"keras_sensitivity cannot be imported where TensorBoard runs. {type(error).__name__}: {error}")
    module = f"export function render() {{ document.body.textContent = {words}; }}"
    return werkzeug.Response(module, content_type="text/javascript")
