"""The command `keras-sensitivity`: measures, compares and reports saved models on files of rows.

`line` is the way from the arguments to an exit code. `arguments` says what is asked for, `files` reads what is named,
`columns` finds the inputs of a model in a table, `tables` writes the results.
"""

from keras_sensitivity.command.line import main

__all__ = ["main"]
