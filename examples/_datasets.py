"""Public data for the examples: read from a folder, or else downloaded once from the publisher.

A file is looked for in the folder named by the environment variable KERAS_SENSITIVITY_DATA (where it is not set, in
../shared/data, seen from this repository), then in the cache of an earlier download.
"""

import gzip
import hashlib
import http.client
import importlib.util
import io
import os
import pathlib
import urllib.request
import zipfile

import pandas as pd

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
CACHE = pathlib.Path.home() / ".cache" / "keras_sensitivity"
SECONDS = 60

CREDIT_FILE = "uci_credit_default/default_of_credit_card_clients.csv.gz"
CREDIT_PAGE = "https://archive.ics.uci.edu/dataset/350/default+of+credit+card+clients"
CREDIT_ZIP = "https://archive.ics.uci.edu/static/public/350/default+of+credit+card+clients.zip"
BIKE_FILE = "bike_sharing/hour.csv.gz"
BIKE_PAGE = "https://archive.ics.uci.edu/dataset/275/bike+sharing+dataset"
BIKE_ZIP = "https://archive.ics.uci.edu/static/public/275/bike+sharing+dataset.zip"
BIKE_SHA256 = "e03de4ee4ef4dc376ac6e04bf829673c6269e8eba5c60fa121640fa2f829504f"  # of the uncompressed table
CREDIT_SHA256 = "4edce6da569b2c30788a85fd98a9bafb1a983e8ca1a7aac875dd7ff853cbd0bb"  # of the table written as CSV


def credit_default() -> tuple[pd.DataFrame, pd.Series]:
    """The 23 features of 30,000 credit card customers, and who defaulted the month after (1) or not (0).

    Source: Yeh, I. (2009), Default of Credit Card Clients, UCI Machine Learning Repository,
    https://doi.org/10.24432/C55S3H, licence CC BY 4.0.
    """
    path = _find(CREDIT_FILE)
    if path is None:
        path = CACHE / CREDIT_FILE
        table = _download_credit_default()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"part-{path.name}")
        table.to_csv(part, index=False)
        part.replace(path)  # so that an interrupted run leaves no half file to be read the next time
        print(f"Kept for the next time: {path}")
    table = pd.read_csv(path, index_col="ID")
    return table.drop(columns=table.columns[-1]), table[table.columns[-1]]


def bike_sharing() -> pd.DataFrame:
    """Bike rentals of 17,379 hours in 2011 and 2012 with the weather; the index is the time.

    Source: Fanaee-T, H., and Gama, J. (2013), Event labeling combining ensemble detectors and background knowledge,
    UCI Machine Learning Repository, https://doi.org/10.24432/C5W894, licence CC BY 4.0.
    """
    path = _find(BIKE_FILE)
    if path is None:
        path = CACHE / BIKE_FILE
        with zipfile.ZipFile(io.BytesIO(_download(BIKE_ZIP, BIKE_PAGE))) as archive:
            content = archive.read("hour.csv")
        if hashlib.sha256(content).hexdigest() != BIKE_SHA256:
            raise SystemExit(f"What {BIKE_ZIP} holds is not the table that this example was written for.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content))
        print(f"Kept for the next time: {path}")
    table = pd.read_csv(path, index_col="instant")
    return table.set_index(pd.to_datetime(table["dteday"]) + pd.to_timedelta(table["hr"], unit="h"))


def _find(name: str) -> pathlib.Path | None:
    """The file in the data folder or in the cache; None where it is in neither."""
    folders = pathlib.Path(os.environ.get("KERAS_SENSITIVITY_DATA") or FOLDER), CACHE
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _download_credit_default() -> pd.DataFrame:
    """The publisher's workbook as a table, checked against its known content."""
    if importlib.util.find_spec("xlrd") is None:
        raise SystemExit(
            f"{CREDIT_FILE} was found neither in $KERAS_SENSITIVITY_DATA nor in {CACHE}.\n"
            f"It can be downloaded from {CREDIT_PAGE}, but that is an .xls workbook, and reading it needs xlrd.\n"
            "Install it into this Python environment (pip install 'xlrd>=2.0.1') and run this again, or set\n"
            "KERAS_SENSITIVITY_DATA to a folder that has the file."
        )
    with zipfile.ZipFile(io.BytesIO(_download(CREDIT_ZIP, CREDIT_PAGE))) as archive:
        (workbook,) = (name for name in archive.namelist() if name.endswith(".xls"))
        # The first of the two header rows only says X1, X2, ...
        table = pd.read_excel(io.BytesIO(archive.read(workbook)), header=1)
    text = table.to_csv(index=False, lineterminator="\n")
    if hashlib.sha256(text.encode()).hexdigest() != CREDIT_SHA256:
        raise SystemExit(
            f"What {CREDIT_ZIP} holds is not the table that this example was written for. Nothing is kept."
        )
    return table


def _download(address: str, page: str) -> bytes:
    """The bytes at an address, in memory."""
    print(f"Downloading {address}\n(from the page {page})", flush=True)
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as response:
            return response.read()
    except (OSError, http.client.HTTPException) as error:
        raise SystemExit(
            f"The download failed: {error}\n"
            "Where there is no network, set KERAS_SENSITIVITY_DATA to a folder that has the data."
        ) from error
