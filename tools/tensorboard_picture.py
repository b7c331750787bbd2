"""Takes a picture of the tab "Sensitivity" in TensorBoard: `make pictures` calls it.

    python tools/tensorboard_picture.py LOG_DIR PICTURE [--state JSON] [--height PIXELS]

The state is what a link of the tab brings along, such as {"view": "lags"}. Chromium or Chrome must be on the path; it
draws the page without a screen.
"""

import argparse
import pathlib
import shutil
import sys
import urllib.parse

from tensorboard import program

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "chrome"]
WIDTH = 1400


def browser() -> str | None:
    """The path of the first browser that there is."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def take(log_dir: pathlib.Path, picture: pathlib.Path, state: str, height: int) -> None:
    """Start TensorBoard on the folder, open the tab, and save what it shows."""
    from playwright import sync_api

    path = browser()
    if path is None:
        sys.exit(f"No browser found: install one of {', '.join(BROWSERS)}.")
    tensorboard = program.TensorBoard()
    tensorboard.configure(logdir=str(log_dir), port=0, load_fast="false")
    address = f"{tensorboard.launch()}?darkMode=false#sensitivity&p.sensitivity.state={urllib.parse.quote(state)}"
    with sync_api.sync_playwright() as playwright:
        # In a container, root has no sandbox.
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = opened.new_page(viewport={"width": WIDTH, "height": height})
        for _ in range(30):  # until TensorBoard has read the files
            page.goto("about:blank")
            page.goto(address)
            frame = page.frame_locator("iframe")
            frame.locator("body[data-ready]").wait_for()
            if frame.locator("aside .runs li").count():
                break
            page.wait_for_timeout(1000)
        frame.locator(".page svg").first.wait_for()
        page.wait_for_timeout(1000)
        page.screenshot(path=picture)
        opened.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log_dir", type=pathlib.Path)
    parser.add_argument("picture", type=pathlib.Path)
    parser.add_argument("--state", default="{}", help="what is chosen, as JSON")
    parser.add_argument("--height", type=int, default=800, help="pixels")
    arguments = parser.parse_args()
    take(arguments.log_dir, arguments.picture, arguments.state, arguments.height)
    print(f"Picture: {arguments.picture}")
