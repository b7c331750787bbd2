"""Runs the scripts of this folder, each in a process of its own."""

import os
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parent


def output_of(script, *arguments):
    """What a script of this folder prints; an assertion fails if it does."""
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, FOLDER / script, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
