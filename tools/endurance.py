"""What days of use would show, in an hour or so, one check after the other: `make endurance`.

Each prints a line that says what it found; these are kept in docs/results/endurance.txt.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "endurance.txt"

PYTEST = [sys.executable, "-m", "pytest", "-q", "-s", "--numprocesses", "0"]
COMMANDS = (
    [*PYTEST, "-m", "endurance", "tests"],
    [*PYTEST, "tests/test_properties.py"],
    [sys.executable, "tools/mutants.py"],
)

# What a line that is kept has in it, and what it is about.
KINDS = {
    "nothing lost, torn or doubled": "killed at random moments",
    "epochs: memory": "two thousand epochs",
    "malformed inputs:": "malformed inputs",
    "examples:": "random models",
    "mutants were caught": "broken on purpose",
}


def main() -> int:
    """Run the checks; 1 if any failed."""
    kept, failed = ["# make endurance"], False
    for command in COMMANDS:
        # The mutants are asked of the quick tests, which try few examples.
        environment = os.environ | (
            {"KERAS_SENSITIVITY_EXAMPLES": "all"} if "tests/test_properties.py" in command else {}
        )
        print("$", " ".join(map(str, command[1:])), flush=True)
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            for line in running.stdout:
                print(line, end="", flush=True)
                kept += [line.strip() for mark in KINDS if mark in line]
        failed |= running.returncode != 0
    RESULTS.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
