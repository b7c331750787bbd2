"""What the callback takes does not grow over thousands of epochs."""

import os
import pathlib
import subprocess
import sys

import pytest


@pytest.mark.endurance
def test_two_thousand_epochs():
    script = pathlib.Path(__file__).parent / "soak.py"
    environment = os.environ | {"PYTHONPATH": str(script.parent.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
