"""Files of strangers: damaged, endless, too large or pointing elsewhere, each ends in one sentence and no code runs."""

from __future__ import annotations

import io
import math
import os
import re
import signal
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import xarray
from typer.testing import CliRunner

from secateur import cli, files, reading
from secateur.files import FileError, read_features_file
from secateur.networks.images import natural, read_images
from secateur.reading import Reader, ReadError, limits
from secateur.report.folder import check_destination
from secateur.timecourse import read_recording, recordings

X = np.random.default_rng(0).normal(size=(12, 5))


def refusal(place: Any) -> str:
    """What the command line says of a file of features: one sentence, exit code 2."""
    outcome = CliRunner().invoke(cli.app, ["prune", str(place), str(place), "--out", str(Path(place).parent / "out")])
    assert outcome.exit_code == 2, outcome.output
    (told,) = outcome.stderr.splitlines()
    assert told.startswith("secateur: ")
    assert told.endswith(".")
    assert not (Path(place).parent / "out").exists()
    return told


# MATLAB ---------------------------------------------------------------------------------------------------------


def damaged_mat(path: Path) -> Path:
    """Values of type 521, of which there is none: SciPy's reader looks it up behind the end of its table."""
    scipy.io.savemat(path, {"X": X})
    content = bytearray(path.read_bytes())
    at = content.index(struct.pack("<II", 9, X.nbytes))
    content[at + 1] = 2
    path.write_bytes(content)
    return path


def test_a_mat_file_that_crashes_its_reader(tmp_path: Path) -> None:
    place = damaged_mat(tmp_path / "bad.mat")
    assert "bad.mat could not be read as a .mat file: " in refusal(place)
    with pytest.raises(ValueError, match=r"path must be a \.mat file, got bad\.mat, which can't be read"):
        read_recording(place)


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0", bytes(200)], ids=["empty", "cut", "zeros"])
def test_a_mat_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.mat").write_bytes(content)
    said = refusal(tmp_path / "x.mat")  # SciPy before 1.15 reads zeros as an array of nothing
    assert re.search(r"x\.mat (could not be read as a \.mat file|must hold an array for FEATURES, .* got 0 × 0)", said)


def same(one: Any, other: Any) -> bool:
    """Whether two variables of SciPy's are the same, whatever is in them."""
    if isinstance(one, np.void):
        return all(same(one[name], other[name]) for name in one.dtype.names)
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape or one.dtype.names != other.dtype.names:
        return False
    if one.dtype.names is not None or one.dtype == object:
        return all(same(a, b) for a, b in zip(one.ravel(), other.ravel(), strict=True))
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


def test_variables_come_back_as_scipy_reads_them(tmp_path: Path) -> None:
    cells = np.empty((2, 2), dtype=object)
    cells[:] = [["a", np.arange(3)], [np.zeros((0, 4)), {"deep": "ü", "er": 1 + 2j}]]
    deep = {"a": {"b": X[0], "w": ["one", "three"]}, "n": np.int8(3)}
    content = {"x": X, "c": cells, "s": deep, "e": np.zeros((0, 0)), "flag": np.array([True, False])}
    scipy.io.savemat(tmp_path / "a.mat", content)
    expected = {name: v for name, v in scipy.io.loadmat(tmp_path / "a.mat").items() if not name.startswith("__")}
    with Reader(tmp_path / "a.mat") as reader:
        held = reader.ask("variables", names=None)
        again = reader.ask("variables", names=["x"])
    assert list(held) == list(expected)
    for name in held:
        assert same(held[name], expected[name]), name
    np.testing.assert_array_equal(again["x"], X)


# HDF5 and netCDF ------------------------------------------------------------------------------------------------


def endless(path: Path) -> Path:
    """A kilobyte that holds 360 000 chunks of one value each, none of them there: reading it takes its time."""
    with h5py.File(path, "w") as file:
        file.create_dataset("X", shape=(600, 600), chunks=(1, 1), dtype="i1")
    return path


@pytest.mark.skipif(os.name == "nt", reason="processor time is limited as POSIX does")
def test_a_reader_that_does_not_end(tmp_path: Path) -> None:
    place = endless(tmp_path / "slow.h5")
    with limits(seconds=0.1), pytest.raises(FileError, match=r"slow\.h5 could not be read .* takes more than 0\.1 s"):
        read_features_file(str(place))


def test_a_recording_that_ends_its_reader_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not again as patterns where it may hold RDM movies: each time may take all the time that there is."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    Path("bad.nc").write_bytes(b"")
    asked = []

    def ended(path: Path, *_: Any, **__: Any) -> Any:
        asked.append(path.name)
        raise ReadError("it takes more than 10 s of processor time", kind="SIGXCPU")

    monkeypatch.setattr(reading, "netcdf_array", ended)
    monkeypatch.setattr(recordings, "netcdf_array", ended)
    outcome = CliRunner().invoke(cli.app, ["timecourse", "x.npy", "bad.nc", "--out", "out"])
    assert outcome.exit_code == 2
    (told,) = outcome.stderr.splitlines()
    assert told.endswith("bad.nc: it could not be read as a .nc file: it takes more than 10 s of processor time.")
    assert asked == ["bad.nc"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX stops processes")
def test_a_reader_that_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does whose disk has gone: it uses no processor time."""
    scipy.io.savemat(tmp_path / "x.mat", {"X": X})
    monkeypatch.setattr(reading.process, "GRACE", 0.1)
    with limits(seconds=0.1), Reader(tmp_path / "x.mat") as reader:
        os.kill(reader.process.pid, signal.SIGSTOP)
        with pytest.raises(ReadError, match=r"its reader takes more than 0\.4\d* s"):
            reader.ask("entries")


def test_the_reader_is_gone_afterwards(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "x.mat", {"X": X})
    with Reader(tmp_path / "x.mat") as reader:
        reader.ask("entries")
        assert reader.process.poll() is None
    assert reader.process.poll() is not None
    with pytest.raises(KeyboardInterrupt), Reader(tmp_path / "x.mat") as reader:
        raise KeyboardInterrupt
    assert reader.process.poll() is not None


def test_a_reader_that_dies_in_between(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "x.mat", {"X": X})
    with Reader(tmp_path / "x.mat") as reader:
        reader.process.kill()
        reader.process.wait()
        with pytest.raises(ReadError):
            reader.ask("entries")


def test_values_in_other_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["X"] = X
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["deep/X"] = h5py.ExternalLink("other.h5", "X")
        file["own"] = X
    (tmp_path / "raw").write_bytes(X.tobytes())
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset("X", X.shape, "f8", external=[(str(tmp_path / "raw"), 0, X.nbytes)])
    told = refusal(tmp_path / "link.h5")
    assert "link.h5 must hold its arrays itself, got a link to another file at 'deep/X'" in told
    told = refusal(tmp_path / "raw.h5")
    assert "raw.h5 must hold its arrays itself, got values in another file for 'X'" in told


def test_virtual_arrays(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "part.h5", "w") as file:
        file["X"] = X
    for name, source in (("whole", ("part.h5", "X")), ("lost", ("gone.h5", "X")), ("torn", ("part.h5", "Y"))):
        layout = h5py.VirtualLayout(X.shape, "f8")
        layout[:] = h5py.VirtualSource(*source, shape=X.shape)
        with h5py.File(tmp_path / f"{name}.nc", "w") as file:
            file.create_virtual_dataset("X", layout, fillvalue=0)
    np.testing.assert_array_equal(read_features_file(str(tmp_path / "whole.nc")).values, X)
    for name, missing in (("lost", "'gone.h5' is missing"), ("torn", "part.h5:Y is missing")):
        assert missing in refusal(tmp_path / f"{name}.nc")
        with pytest.raises(ValueError, match="virtual array 'X', whose source"):
            read_recording(tmp_path / f"{name}.nc")


def test_a_recording_comes_back_as_xarray_reads_it(tmp_path: Path) -> None:
    array = xarray.DataArray(
        np.random.default_rng(1).normal(size=(3, 4, 2)).astype(np.float32),
        {"stimulus": ["a", "bé", "c"], "time": ("time", [0.1, 0.2], {"units": "s"}), "epochs": ("stimulus", [3, 4, 5])},
        ("stimulus", "sensor", "time"), "pattern", {"scale": 2.5, "list": [1, 2]},
    )  # fmt: skip
    array.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with xarray.open_dataarray(tmp_path / "a.nc", engine="h5netcdf") as expected:
        names, held = reading.netcdf_array(tmp_path / "a.nc")
        assert names == ["pattern"]
        xarray.testing.assert_identical(held, expected.assign_attrs(list=[1, 2]).load())


# Sizes ----------------------------------------------------------------------------------------------------------


def npy(shape: tuple[int, ...], values: bytes = b"") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue() + values


def test_what_a_header_says_is_checked_before_values_are_read(tmp_path: Path) -> None:
    huge = (1 << 40, 4)
    (tmp_path / "a.npy").write_bytes(npy(huge))
    assert "a.npy must hold arrays of at most" in refusal(tmp_path / "a.npy")
    (tmp_path / "cut.npy").write_bytes(npy((12, 5), bytes(100)))
    assert "it is cut off: its header says 480 bytes of values, got 100" in refusal(tmp_path / "cut.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", npy(huge, bytes(1 << 20)))
    assert "a.npz:X must hold arrays of at most" in refusal(tmp_path / "a.npz")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("X", huge, "f8", chunks=(1024, 4))
    assert "a.h5:X must hold arrays of at most" in refusal(tmp_path / "a.h5")
    with pytest.raises(ValueError, match=r"a\.npy must hold arrays of at most"):
        read_recording(tmp_path / "a.npy")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".h5"])
def test_a_limit_and_what_lifts_it(tmp_path: Path, suffix: str) -> None:
    place = str(tmp_path / f"x{suffix}")
    if suffix == ".npy":
        np.save(place, X)
    elif suffix == ".npz":
        np.savez(place, X=X)
    elif suffix == ".mat":
        scipy.io.savemat(place, {"X": X})
    else:
        with h5py.File(place, "w") as file:
            file["X"] = X
    with limits(size=479):
        with pytest.raises(FileError, match=r"must hold arrays of at most 479 .*--any-size"):
            read_features_file(place)
        with limits(size=math.inf):
            np.testing.assert_array_equal(read_features_file(place).values, X)
    with limits(size=480):
        np.testing.assert_array_equal(read_features_file(place).values, X)


def test_any_size_at_the_command_line(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "s.npy", X @ X.T)
    words = ["prune", str(tmp_path / "x.npy"), str(tmp_path / "s.npy"), "--cv", "3", "--out", str(tmp_path / "out")]
    with limits(size=10):
        assert "at most 10 B" in CliRunner().invoke(cli.app, words).stderr
        assert CliRunner().invoke(cli.app, ["--any-size", *words]).exit_code == 0


@pytest.mark.parametrize("limit", [0, -1, math.nan])
def test_limits_are_above_0(limit: float) -> None:
    with pytest.raises(ValueError, match="size must be above 0"), limits(size=limit):
        pass


def png(width: int, height: int) -> bytes:
    """The head of a picture, and no pixels."""

    def chunk(kind: bytes, held: bytes) -> bytes:
        return struct.pack(">I", len(held)) + kind + held + struct.pack(">I", zlib.crc32(kind + held))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", bytes(100))


def test_pictures_that_are_too_large(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "bomb.png").write_bytes(png(60000, 60000))
    with pytest.raises(ValueError, match=r"at most 178956970 pixels, got 60000 × 60000 in .*bomb\.png"):
        read_images(tmp_path)
    Image.new("RGB", (20, 10)).save(tmp_path / "bomb.png")
    with limits(pixels=199), pytest.raises(ValueError, match=r"at most 199 pixels, got 20 × 10 .*: --any-size"):
        read_images(tmp_path)
    with limits(pixels=200):
        assert len(read_images(tmp_path)) == 1
    assert Image.MAX_IMAGE_PIXELS is not None


# Others ---------------------------------------------------------------------------------------------------------


def test_an_npy_header_that_ends_within_a_bracket(tmp_path: Path) -> None:
    content = npy((12, 5), X.tobytes())
    (tmp_path / "x.npy").write_bytes(content.replace(b"}", b" ", 1))
    assert "x.npy could not be read as a .npy file: its header is no array's" in refusal(tmp_path / "x.npy")
    with pytest.raises(ValueError, match="which numpy can't read"):
        read_recording(tmp_path / "x.npy")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npy")
    assert "which is a pipe or a device" in refusal(tmp_path / "x.npy")


def test_digits_that_are_no_numbers(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("10²5", "9", "10"):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    assert read_images(tmp_path).names == ("9", "10", "10²5")
    assert natural("a10²5") == [(1, 0, "a"), (0, 10, "10"), (1, 0, "²"), (0, 5, "5")]


@pytest.mark.parametrize("damage", ["call", "storage"])
def test_weights_that_trip_torch(tmp_path: Path, damage: str) -> None:
    torch = pytest.importorskip("torch")
    from secateur.networks.weights import read_weights

    place = tmp_path / "w.pth"
    weight = torch.zeros(20, 20)
    torch.save({"a": weight}, place, _use_new_zipfile_serialization=False)
    content = place.read_bytes()
    if damage == "call":  # a tuple is asked of an empty stack
        content = content.replace(b"_rebuild_tensor_v2\nq", b"_rebuild_tensor_v2\ns", 1)
    else:  # the list of storages names another
        key = str(weight.untyped_storage()._cdata).encode()
        before, _, after = content.rpartition(key)
        content = before + b"9" * len(key) + after
    assert content != place.read_bytes()
    place.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights must be a (whole )?file of weights saved by torch, got w\.pth"):
        read_weights(place)


# Names ----------------------------------------------------------------------------------------------------------


def test_names_that_can_not_be_stored_are_refused_before_work(tmp_path: Path) -> None:
    names = np.array([f"s{i}" for i in range(12)], dtype="U9")
    names[3] = "s\0x"
    np.savez(tmp_path / "x.npz", X=X, labels=names)
    assert "x.npz must hold names that can be stored, without NUL and in Unicode, got 's\\x00x'" in refusal(
        tmp_path / "x.npz"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes")
def test_file_names_that_are_not_utf_8(tmp_path: Path) -> None:
    from PIL import Image

    place = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.npy")
    np.save(place, X)
    words = [place, place, "--out", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-m", "secateur.cli", "prune", *words], capture_output=True)
    assert done.returncode == 2
    assert b"FEATURES must have a name that is UTF-8 text, to be kept in the results, got '" in done.stderr
    assert b"caf\\udce9.npy'" in done.stderr
    with pytest.raises(ValueError, match="out must have a name that is UTF-8 text"):
        check_destination(place)
    os.remove(place)
    Image.new("RGB", (4, 4)).save(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    with pytest.raises(ValueError, match=r"images must have names that are UTF-8 text, .* got 'caf\\udce9'"):
        read_images(tmp_path)


def test_hash_signs_in_tables(tmp_path: Path) -> None:
    table = "# made by hand; twice\nname,a,b\n#1,1,2\nx,3,4\n#2,5,6\n"
    (tmp_path / "x.csv").write_text(table)
    held = files.read_features_file(str(tmp_path / "x.csv"))
    assert held.stimuli == ("#1", "x", "#2")
    assert held.names == ("a", "b")
    np.testing.assert_array_equal(held.values, [[1, 2], [3, 4], [5, 6]])
    (tmp_path / "bare.csv").write_text("#1,1,2\n#2,3,4\nx,5,6\n")
    assert files.read_features_file(str(tmp_path / "bare.csv")).stimuli == ("#1", "#2", "x")
    (tmp_path / "g.csv").write_text("# groups\nstimulus,group\n#1,a\nx,b\n#2,a\n")
    groups = files.read_groups_file(str(tmp_path / "g.csv"), 3, held.stimuli)
    assert groups.values.tolist() == ["a", "b", "a"]
