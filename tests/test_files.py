"""Files of results: whole or not at all, and nothing that another has made does harm."""

import io
import json
import os
import pickle
import resource
import zipfile

import keras
import numpy as np
import pandas as pd
import pytest

import keras_sensitivity as ks
from keras_sensitivity.files import whole_file


def importance():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)])
    return ks.measure(model, np.random.default_rng(0).normal(size=(60, 3)), feature_names=["a", "ü", "x" * 40])


def interactions():
    x = np.random.default_rng(0).normal(size=(60, 3))
    return ks.interactions(lambda x: np.tanh(x[:, 0] * x[:, 1]) + x[:, 2], x)


RESULTS = {"Importance": importance, "Interactions": interactions}


@pytest.fixture(params=RESULTS)
def saved(request, tmp_path):
    """A result, the way to read it, and its file."""
    result, path = RESULTS[request.param](), tmp_path / "result.npz"
    result.save(path)
    return result, type(result).load, path


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def rewritten(path, files, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def npy(array, **how):
    file = io.BytesIO()
    np.save(file, array, **how)
    return file.getvalue()


# --- writing --------------------------------------------------------------------------------------------------------


def test_any_program_reads_a_file(saved):
    _, _, path = saved
    with np.load(path, allow_pickle=False) as archive:
        assert json.loads(str(archive["description"]))
        assert all(archive[name].dtype.kind in "biufU" for name in archive.files)


@pytest.mark.parametrize("part", [0, 0.5, 0.99])
def test_what_cannot_be_written_leaves_the_file_before(saved, part):
    """A full disk in the middle of it."""
    result, load, path = saved
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(part * len(before)), limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            result.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert load(path).table.equals(result.table)
    assert os.listdir(path.parent) == [path.name]


def test_an_interrupt_leaves_the_file_before(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt), whole_file(path) as file:  # noqa: PT012
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_stays_a_link(tmp_path, saved):
    result, load, path = saved
    link = tmp_path / "link"
    link.symlink_to(path.name)
    path.write_bytes(b"")
    result.save(link)
    assert link.is_symlink()
    assert load(path).table.equals(result.table)


# --- reading what another has made ----------------------------------------------------------------------------------


def refused(load, path):
    with pytest.raises(ValueError, match="To fix it: ") as raised:
        load(path)
    return str(raised.value)


def test_every_beginning_of_a_file_is_refused(saved):
    _, load, path = saved
    whole = path.read_bytes()
    for end in [*range(0, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:end])
        assert "holds no I" in refused(load, path)


def test_a_changed_byte_is_refused_or_changes_nothing(saved):
    result, load, path = saved
    whole = path.read_bytes()
    rng, num_refused = np.random.default_rng(0), 0
    for place in rng.integers(len(whole), size=400):
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            found = load(path)
        except ValueError as error:
            num_refused += 1
            assert "To fix it: " in str(error)  # noqa: PT017
        else:
            pd.testing.assert_frame_equal(found.table, result.table, check_exact=True)
    assert num_refused > 300


class Runs:
    """Runs when it is unpickled."""

    ran = False

    def __reduce__(self):
        return setattr, (Runs, "ran", True)


def test_nothing_is_run(saved):
    _, load, path = saved
    files = contents(path)
    some = next(name for name in files if name != "description.npy")
    objects = npy(np.array([Runs()], dtype=object), allow_pickle=True)
    for name in ("description.npy", some):
        rewritten(path, files | {name: objects})
        refused(load, path)
    path.write_bytes(pickle.dumps(Runs()))
    refused(load, path)
    assert not Runs.ran


def declared(shape, dtype="<f8"):
    """A file of NumPy's that says it has an array of some shape, and holds none of it."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def test_no_more_memory_is_asked_for_than_the_file_has(saved):
    """A shape that is not there, a file that unpacks to gigabytes, a text of millions of names."""
    _, load, path = saved
    files = contents(path)
    some = next(name for name in files if name != "description.npy")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for shape in ((2**40,), (2**62, 2**62), (-1,), (2**28,)):
        rewritten(path, files | {some: declared(shape)})
        refused(load, path)
    rewritten(path, files | {some: declared((2**28,)) + bytes(2**28)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    refused(load, path)
    rewritten(path, files | {"more.npy": declared((2**28,), "|u1") + bytes(2**28)}, zipfile.ZIP_DEFLATED)
    refused(load, path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("description.npy", files["description.npy"])
    refused(load, path)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 2**29 + 2**27  # what this test itself has made, and no gigabyte


DESCRIPTIONS = {
    "a number": "3",
    "nothing": "",
    "a list": "[]",
    "no JSON": "{",
    "deep": "[" * 100_000 + "]" * 100_000,
    "a long number": '{"format": ' + "9" * 10_000 + "}",
}


@pytest.mark.parametrize("text", DESCRIPTIONS)
def test_other_descriptions(saved, text):
    _, load, path = saved
    rewritten(path, contents(path) | {"description.npy": npy(np.array(DESCRIPTIONS[text]))})
    refused(load, path)


VALUES = [None, -1, 0, 1, 10**12, 1.5, "x", [], [[]], {}, ["x"] * 3, [0] * 3, [10**9], [-1], True, {"a": None}]


def test_other_values_in_the_description(saved):
    """Each value in each place: refused, or what it says has no say."""
    _, load, path = saved
    files = contents(path)
    described = json.loads(str(np.load(io.BytesIO(files["description.npy"]))))
    for key in described:
        for value in VALUES:
            changed = described | {key: value}
            rewritten(path, files | {"description.npy": npy(np.array(json.dumps(changed)))})
            try:
                found = load(path)
            except ValueError as error:
                assert "To fix it: " in str(error), (key, value)  # noqa: PT017
            else:
                assert len(found.table) == 3, (key, value)
                repr(found)


def test_one_kind_of_result_is_no_other(tmp_path):
    importance().save(tmp_path / "importance.npz")
    interactions().save(tmp_path / "interactions.npz")
    refused(ks.Interactions.load, tmp_path / "importance.npz")
    refused(ks.Importance.load, tmp_path / "interactions.npz")


def test_a_newer_version_is_told(saved):
    _, load, path = saved
    files = contents(path)
    described = json.loads(str(np.load(io.BytesIO(files["description.npy"]))))
    key = "format" if "format" in described else "interactions"
    rewritten(path, files | {"description.npy": npy(np.array(json.dumps(described | {key: 99})))})
    assert "another version" in refused(load, path)
    assert "format 99" in refused(load, path)
