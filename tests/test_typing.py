"""What users write passes their type checker: the code of the README, strictly."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent

# Keras has no types; of an installed package its own faults are not told.
SETTINGS = """[mypy]
strict = True
[mypy-keras.*]
ignore_missing_imports = True
[mypy-keras_sensitivity.*]
follow_imports = silent
"""


def checked(code, folder):
    """What mypy says of a file, and whether it is content."""
    (folder / "mypy.ini").write_text(SETTINGS, encoding="utf-8")
    (folder / "example.py").write_text(code, encoding="utf-8")
    arguments = ["--config-file", "mypy.ini", "--cache-dir", str(ROOT / ".mypy_cache" / "examples"), "example.py"]
    environment = os.environ | {"MYPYPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr, done.returncode == 0


@pytest.mark.slow
def test_the_readme_is_typed(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) >= 3
    code = "\n".join(blocks)
    assert "watch.importance.table" in code
    said, is_content = checked(code, tmp_path)
    assert is_content, said
    # It looks at what we export: a name that is not there is told, and so is a wrong type.
    said, is_content = checked(
        code + "\nwatch.importance.no_such_name\nks.measure(model, x, num_samples='all')\n", tmp_path
    )
    assert not is_content
    assert '"Importance" has no attribute "no_such_name"' in said
    assert 'Argument "num_samples" to "measure" has incompatible type "str"' in said
