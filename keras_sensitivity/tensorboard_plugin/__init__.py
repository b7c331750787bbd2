"""The tab "Sensitivity" in TensorBoard: a backend that reads records, and static files that draw them.

TensorBoard finds it by an entry point, `keras_sensitivity_tab`. What the browser asks for is in `backend`, in which
form it gets it in `bundle`; `static` holds hand-written modules, which the browser loads as they are.
"""
