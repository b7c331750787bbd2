"""The tab "Sensitivity" in TensorBoard: a backend that reads records, and static files that draw them.

TensorBoard finds it by the entry point ``tensorboard_plugins``. What the browser asks for is in `plugin`, in which form
it gets it in `bundle`; `static` holds hand-written modules, which the browser loads as they are.
"""
