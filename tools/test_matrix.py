"""Installs the versions that the metadata allow, the oldest and the newest, and runs tests: `make test-matrix`.

An interpreter that is not on this machine is said to be missing, and its row is left out. What was found is written to
a small file, from which the page on what can be relied on has its table.
"""

from __future__ import annotations

import argparse
import csv
import pathlib
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results" / "versions.csv"
SHOWN = ("tensorflow", "keras", "numpy", "pandas", "scipy", "matplotlib", "tensorboard")

# What every room of the house has a test of, in a few minutes; pages, types and peers are tried in the newest only.
TESTS = (
    "test_borrowing", "test_callback", "test_changes", "test_comparison", "test_dead_features", "test_definition",
    "test_explanation", "test_functions", "test_heads", "test_importance", "test_interactions", "test_laws",
    "test_logits", "test_look", "test_masks", "test_measurement", "test_moments", "test_path", "test_pipelines",
    "test_plots", "test_probes", "test_records", "test_removal", "test_rows", "test_runs", "test_saved_models",
    "test_shapes", "test_swaps", "test_tensorboard_plugin", "test_time",
)  # fmt: skip


class Case(NamedTuple):
    """Versions that are installed together.

    Attributes:
        name: Of the case, and of its environment.
        python: The version of Python.
        pins: What pip is asked for beside the package.
    """

    name: str
    python: str
    pins: tuple[str, ...] = ()


OLDEST = ("tensorflow==2.18.*", "keras==3.10.*", "tensorboard==2.18.*", "numpy==1.26.*")
CASES = (
    Case("oldest", "3.10", (*OLDEST, "pandas==2.1.*", "scipy==1.11.*", "matplotlib==3.7.*")),
    Case("oldest for 3.12", "3.12", (*OLDEST, "pandas==2.1.*", "scipy==1.11.*", "matplotlib==3.8.*")),
    Case("numpy 2.0", "3.11", ("tensorflow==2.19.*", "keras==3.12.*", "numpy==2.0.*", "pandas==2.2.*")),
    Case("newest", "3.11"),
    Case("newest for 3.13", "3.13"),
)


def interpreter(version: str) -> str | None:
    """Where a version of Python is; None if nowhere."""
    pyenv = pathlib.Path.home() / ".pyenv" / "versions"
    found = [shutil.which(f"python{version}"), *sorted(map(str, pyenv.glob(f"{version}.*/bin/python")), reverse=True)]
    for path in filter(None, found):
        told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
        if told.startswith(f"Python {version}."):
            return path
    return None


def install(case: Case, python: str, folder: pathlib.Path) -> str:
    """Make an environment with these versions, if it is not there; its Python."""
    path = folder / case.name.replace(" ", "_")
    inside = str(path / "bin" / "python")
    if not (path / ".ready").exists():
        subprocess.run([python, "-m", "venv", "--clear", path], check=True)
        subprocess.run([inside, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True)
        wanted = ["--editable", ".[examples,tensorflow,test]", *case.pins]
        subprocess.run([inside, "-m", "pip", "install", "--quiet", *wanted], check=True, cwd=ROOT)
        (path / ".ready").touch()
    return inside


def versions(python: str) -> dict[str, str]:
    """What is installed, by name."""
    asked = f"from importlib.metadata import version; print(*(version(name) for name in {SHOWN!r}))"
    told = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    release = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    return {"python": release, **dict(zip(SHOWN, told, strict=True))}


def tested(python: str) -> dict[str, str]:
    """How the tests end: how many passed and failed."""
    paths = [f"tests/{name}.py" for name in TESTS]
    done = subprocess.run([python, "-m", "pytest", "-q", *paths], capture_output=True, text=True, check=False, cwd=ROOT)
    counts = {what: re.search(rf"(\d+) {what}", done.stdout.splitlines()[-1]) for what in ("passed", "failed", "error")}
    found = {what: "0" if count is None else count[1] for what, count in counts.items()}
    if done.returncode != 0:
        print(done.stdout[-6000:], done.stderr[-2000:], flush=True)
    return {"passed": found["passed"], "failed": str(int(found["failed"]) + int(found["error"]))}


def main() -> int:
    """Run each case; 1 if any test failed, or nothing could be tried."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "runs" / "matrix", help="of the environments")
    parser.add_argument("--cases", nargs="*", help="names; all, if none")
    parser.add_argument("--install-only", action="store_true")
    given = parser.parse_args()
    rows = []
    for case in CASES:
        if given.cases and case.name not in given.cases:
            continue
        python = interpreter(case.python)
        if python is None:
            print(f"{case.name}: there is no Python {case.python} here.", flush=True)
            continue
        inside = install(case, python, given.folder)
        row = {"case": case.name, **versions(inside)}
        if not given.install_only:
            row |= tested(inside)
        print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        rows.append(row)
    if rows and not given.cases and not given.install_only:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        with RESULTS.open("w", newline="", encoding="utf-8") as file:
            file.write("# make test-matrix\n")
            table = csv.DictWriter(file, rows[0], lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
    return int(not rows or any(row.get("failed", "0") != "0" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
