"""Results as pages: one HTML file each, with nothing outside of it, made to be read on paper and signed.

A page for each result: `importance`, `comparison`, `explanation`. What it is made of: `elements`, which escape whatever
is no HTML; `tables` and `pictures`. What stands on every page: `context`. What a reader must know beside the numbers:
`words`, how it was measured; `caveats`, what is to be minded here; `provenance`, of which files, with which versions.
"""

from keras_sensitivity.report.comparison import comparison_page
from keras_sensitivity.report.context import Context, written
from keras_sensitivity.report.explanation import explanation_page
from keras_sensitivity.report.importance import importance_page

__all__ = ["Context", "comparison_page", "explanation_page", "importance_page", "written"]
