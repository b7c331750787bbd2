"""Takes the picture of TensorBoard that the documents show: `make pictures` calls it.

    python tools/tensorboard_picture.py LOG_DIR PICTURE

Chromium or Chrome must be on the path; it draws the page without a screen.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

from tensorboard import program

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "chrome"]


def browser() -> str:
    """The path of the first browser that there is."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        sys.exit(f"No browser found: install one of {', '.join(BROWSERS)}.")
    return found


def take(log_dir: pathlib.Path, picture: pathlib.Path) -> None:
    """Start TensorBoard on the folder, open it, and save what it shows."""
    tensorboard = program.TensorBoard()
    tensorboard.configure(logdir=str(log_dir), port=0, load_fast="false")
    address = tensorboard.launch()
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                # In a container, root has no sandbox.
                browser(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
                "--window-size=1500,760", "--virtual-time-budget=60000", f"--screenshot={picture.resolve()}",
                f"{address}?darkMode=false#scalars",
            ],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log_dir", type=pathlib.Path)
    parser.add_argument("picture", type=pathlib.Path)
    arguments = parser.parse_args()
    take(arguments.log_dir, arguments.picture)
    print(f"Picture: {arguments.picture}")
