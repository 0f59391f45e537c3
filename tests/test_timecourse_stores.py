"""Zarr stores of strangers, whose codecs may run code, and of ours with something damaged in them."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray

from secateur import timecourse
from secateur.timecourse import codecs
from test_cli import refused

zarr = pytest.importorskip("zarr")

N, C, T = 12, 4, 3


class Boom:
    """What runs code when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def put_2(store, name, array, dims, *, compressor=None, filters=None, dtype=None, raw=None):
    """One array of a store of format 2, written by hand."""
    (store / name).mkdir(parents=True)
    meta = {"zarr_format": 2, "shape": array.shape, "chunks": array.shape, "dtype": dtype or array.dtype.str,
            "compressor": compressor, "fill_value": None, "order": "C", "filters": filters}  # fmt: skip
    (store / name / ".zarray").write_text(json.dumps(meta))
    (store / name / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": dims}))
    (store / name / ".".join("0" * array.ndim)).write_bytes(array.tobytes() if raw is None else raw)
    return meta


def store_2(place, kind):
    """A recording whose patterns, or whose names, ask for pickle."""
    patterns = np.random.default_rng(0).normal(size=(N, C, T))
    boom = pickle.dumps(Boom(place.parent / "ran"))
    place.mkdir()
    (place / ".zgroup").write_text('{"zarr_format": 2}')
    put_2(place, "time", np.arange(T) * 0.1, ["time"])
    how = {"compressor": {"compressor": {"id": "pickle"}}, "filter": {"filters": [{"id": "pickle"}]}}.get(kind, {})
    dims = ["stimulus", "sensor", "time"]
    meta = put_2(place, "patterns", patterns, dims, **how, raw=boom if how else None)
    if kind == "names":
        names = np.zeros(N)
        put_2(place, "stimulus", names, ["stimulus"], filters=[{"id": "pickle"}], dtype="|O", raw=boom)
    if kind == "objects":
        put_2(place, "stimulus", np.zeros(N), ["stimulus"], dtype="|O", raw=boom)
    if kind == "consolidated":
        told = {".zgroup": {"zarr_format": 2}, "patterns/.zarray": meta | {"compressor": {"id": "pickle"}}}
        (place / ".zmetadata").write_text(json.dumps({"zarr_consolidated_format": 1, "metadata": told}))
    if kind == "linked":
        shutil.move(place / "time", place.parent / "elsewhere")
        meta = json.loads((place.parent / "elsewhere" / ".zarray").read_text()) | {"filters": [{"id": "pickle"}]}
        (place.parent / "elsewhere" / ".zarray").write_text(json.dumps(meta))
        (place / "time").symlink_to(place.parent / "elsewhere")


KINDS_2 = ("compressor", "filter", "names", "objects", "consolidated", "linked")


@pytest.mark.parametrize("kind", KINDS_2)
def test_pickle_in_a_store_of_format_2_is_never_run(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "bad.zarr"
    store_2(place, kind)
    monkeypatch.setattr(xarray, "open_zarr", lambda *_, **__: pytest.fail("the store was opened"))
    asked = "'object'" if kind == "objects" else "'pickle'"
    said = rf"must be a Zarr store of plain codecs, got .*bad\.zarr', whose .* asks for {asked}"
    with pytest.raises(ValueError, match="path " + said):
        timecourse.read_recording(place)
    rng = np.random.default_rng(0)
    np.save("x.npy", rng.normal(size=(N, 5)))
    assert f"asks for {asked}" in refused("timecourse", "x.npy", "bad.zarr", "--out", "out")
    (place / "test" / ".secateur").mkdir(parents=True)
    with pytest.raises(ValueError, match="store " + said):
        timecourse.prune(rng.normal(size=(9, 5)), rng.normal(size=(2, 36)), cv=3, store=place, kind="similarity")
    with pytest.raises(ValueError, match="path " + said):
        timecourse.open_store(place)
    assert not (tmp_path / "ran").exists()


def test_the_case_is_a_case(tmp_path, monkeypatch):
    """Where numcodecs lets pickle run, it does: until 0.16 always."""
    numcodecs = pytest.importorskip("numcodecs")
    monkeypatch.setattr(numcodecs.pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)
    numcodecs.get_codec({"id": "pickle"}).decode(pickle.dumps(Boom(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


PLAIN_3 = [{"name": "bytes", "configuration": {"endian": "little"}}]
PICKLE_3 = {"name": "numcodecs.pickle", "configuration": {}}


@pytest.mark.parametrize(
    ("codecs_3", "more"),
    [
        ([*PLAIN_3, PICKLE_3], {}),
        (["pickle"], {}),
        ([{"name": "sharding_indexed", "configuration": {"codecs": [PICKLE_3], "index_codecs": PLAIN_3}}], {}),
        ([{"name": "sharding_indexed", "configuration": {"codecs": PLAIN_3, "index_codecs": [PICKLE_3]}}], {}),
        (PLAIN_3, {"storage_transformers": [{"name": "pickle"}]}),
    ],
)
def test_other_codecs_of_format_3_are_refused(codecs_3, more, tmp_path):
    array = {"zarr_format": 3, "node_type": "array", "shape": [2], "data_type": "float64", "codecs": codecs_3, **more}
    (tmp_path / "a.zarr" / "patterns").mkdir(parents=True)
    group = {"zarr_format": 3, "node_type": "group"}
    (tmp_path / "a.zarr" / "zarr.json").write_text(json.dumps(group))
    (tmp_path / "a.zarr" / "patterns" / "zarr.json").write_text(json.dumps(array))
    with pytest.raises(ValueError, match=r"whose patterns/zarr\.json asks for .*pickle"):
        timecourse.read_recording(tmp_path / "a.zarr")
    shutil.rmtree(tmp_path / "a.zarr" / "patterns")
    told = {"kind": "inline", "metadata": {"deep/patterns": array}}
    (tmp_path / "a.zarr" / "zarr.json").write_text(json.dumps(group | {"consolidated_metadata": told}))
    with pytest.raises(ValueError, match=r"whose zarr\.json asks for .*pickle"):
        timecourse.read_recording(tmp_path / "a.zarr")


@pytest.mark.filterwarnings("ignore::Warning")  # of strings of format 3, and of speed
@pytest.mark.parametrize("form", [2, 3] if int(zarr.__version__.split(".")[0]) > 2 else [2])
@pytest.mark.parametrize("consolidated", [True, False])
def test_what_xarray_writes_is_read(form, consolidated, tmp_path):
    values = np.random.default_rng(0).normal(size=(N, C, T))
    coords = {"stimulus": [f"item {i}" for i in range(N)], "time": np.arange(T) * 0.1}
    array = xarray.DataArray(values, coords, ["stimulus", "sensor", "time"], name="patterns")
    array.coords["objects"] = "stimulus", np.array(["ä"] * N, dtype=object)
    array.to_dataset().to_zarr(tmp_path / "a.zarr", zarr_format=form, consolidated=consolidated)
    codecs.check_zarr(tmp_path / "a.zarr")
    np.testing.assert_array_equal(timecourse.read_recording(tmp_path / "a.zarr"), values)


def test_every_plain_codec_is_one_that_exists():
    numcodecs = pytest.importorskip("numcodecs")
    known = set(numcodecs.registry.codec_registry) | set(numcodecs.registry.entries)
    assert {"blosc", "zstd", "vlen-utf8"} <= codecs.FORMAT_2 & known
    assert not codecs.FORMAT_2 & {"pickle", "msgpack2", "json2", "object", "categorize"}


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (".zgroup", "{", r"a\.zarr/\.zgroup can't be read as such"),
        (".zgroup", "[" * 100_000, r"a\.zarr/\.zgroup can't be read as such"),
        (".zmetadata", "{}", r"whose \.zmetadata is damaged"),
        (".zattrs", "[]", r"whose \.zattrs is no JSON object"),
        ("time/.zarray", '{"compressor": 3, "dtype": "<f8"}', r"whose time/\.zarray is damaged"),
        ("time/.zarray", '{"compressor": null, "dtype": 3}', r"whose time/\.zarray is damaged"),
    ],
)
def test_damaged_metadata_are_a_sentence(file, content, said, tmp_path):
    store_2(tmp_path / "a.zarr", "plain")
    codecs.check_zarr(tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / file).write_text(content)
    with pytest.raises(ValueError, match=rf"path must be a Zarr store.*, got .*, whose .*{said.replace('whose ', '')}"):
        timecourse.read_recording(tmp_path / "a.zarr")


def test_no_store(tmp_path):
    (tmp_path / "file.zarr").write_text("x")
    with pytest.raises(ValueError, match=r"path must be a Zarr store, a folder, got .*file\.zarr', which is none"):
        timecourse.read_recording(tmp_path / "file.zarr")
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "loop").symlink_to(tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="a folder without metadata of one"):
        timecourse.read_recording(tmp_path / "a.zarr")


# A store of ours


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A finished store, and a run that would go on with it."""
    rng = np.random.default_rng(0)
    X, movies = rng.normal(size=(9, 5)), rng.normal(size=(2, 3, 36))
    place = tmp_path_factory.mktemp("stores") / "course.zarr"

    def run(store):
        return timecourse.prune(X, movies, cv=3, chunk=2, store=store, progress=False, kind="dissimilarity")

    return place, run(place), run


def edit(file, change):
    held = json.loads(file.read_text())
    change(held)
    file.write_text(json.dumps(held))


def other_values(place, name, change):
    group = zarr.open_group(str(place), mode="r+")
    values = group[name][...]
    change(values)
    group[name][...] = values


def flip(values):
    values[0] = ~values[0]


def later(values):
    values[1] += 1


def narrower(meta):
    meta["dtype"] = "<f4"


def longer(meta):
    meta["chunks"] = [1, 1, 3]


DAMAGE = {
    "another time": (lambda p: other_values(p, "time", later), "time"),
    "other test stimuli": (lambda p: other_values(p, "test", flip), "test"),
    "another fold": (lambda p: other_values(p, "fold", later), "fold"),
    "another metric": (lambda p: edit(p / ".zattrs", lambda a: a.update(metric="dot")), "attributes"),
    "no metric": (lambda p: edit(p / ".zattrs", lambda a: a.pop("metric")), "attributes"),
    "another unit": (lambda p: edit(p / "time/.zattrs", lambda a: a.update(units="ms")), "time"),
    "no times": (lambda p: shutil.rmtree(p / "time"), "time"),
    "times emptied": (lambda p: [file.unlink() for file in (p / "time").glob("[0-9]*")], "time"),
    "no scores": (lambda p: shutil.rmtree(p / "full_test"), "full_test"),
    "a score too many": (lambda p: shutil.copytree(p / "full_test", p / "more"), "more"),
    "narrower scores": (lambda p: edit(p / "full_test/.zarray", narrower), "full_test"),
    "other chunks": (lambda p: edit(p / "full_test/.zarray", longer), "full_test"),
    "no attributes": (lambda p: (p / ".zattrs").unlink(), "attributes"),
    "no group": (lambda p: (p / ".zgroup").unlink(), "can't be opened"),
    "torn coordinate": (lambda p: (p / "subject" / "0").write_bytes(b"\x02"), "can't be opened"),
    "torn copy": (lambda p: (p / ".zmetadata").write_text("{"), "can't be read as such"),
    "no copy": (lambda p: (p / ".zmetadata").unlink(), "can't be opened"),
    "torn settings": (lambda p: (p / "test/.secateur/settings.json").write_text("{"), "settings.json can't be read"),
    "no settings": (lambda p: (p / "test/.secateur/settings.json").unlink(), "settings.json can't be read"),
    "settings of another form": (lambda p: (p / "test/.secateur/settings.json").write_text("3"), "something else"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_store_is_refused(damage, written, tmp_path):
    place, course, run = written
    if not place.exists():
        pytest.fail("the store is gone")
    copy = tmp_path / "copy.zarr"
    shutil.copytree(place, copy)
    xarray.testing.assert_identical(run(copy), course)
    change, named = DAMAGE[damage]
    change(copy)
    for name, call in (("store", run), ("path", timecourse.open_store)):
        with pytest.raises(ValueError, match=rf"{name} must be .*copy\.zarr'.*") as refusal:
            call(copy)
        assert named in str(refusal.value), str(refusal.value)
    shutil.rmtree(copy)


def test_a_store_without_its_frame_can_be_gone_on_with(written, tmp_path):
    """The call says what it has to be; who only opens it can't know."""
    place, course, run = written
    copy = tmp_path / "copy.zarr"
    shutil.copytree(place, copy)
    (copy / "test/.secateur/frame.json").unlink()
    xarray.testing.assert_identical(run(copy), course)
    with pytest.raises(ValueError, match=r"path must be as prune wrote it, got .*frame\.json can't be read"):
        timecourse.open_store(Path(copy))


def lose_a_mark(place):
    (place / "test/.secateur/done/1.json").unlink()
    lose_a_file(place)


def lose_a_file(place):
    (place / "pruned_test" / "0.1.0").unlink()  # the first subject's second chunk


def lose_all(place):
    for file in (place / "n_kept").glob("[0-9]*"):
        file.unlink()


LOSSES = {
    "a file": (lose_a_file, "pruned_test of subject 0 from 2 to 2"),
    "a file and its mark": (lose_a_mark, "pruned_test of subject 0 from 2 to 2"),
    "a variable": (lose_all, "n_kept of subject 0 from 0 to 1"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_scores_that_are_lost_are_noticed(loss, written, tmp_path):
    """Zarr reads NaN where there is no file, and so does who opens the store as any Zarr group."""
    place, course, run = written
    copy = tmp_path / "copy.zarr"
    shutil.copytree(place, copy)
    if int(zarr.__version__.split(".")[0]) > 2:
        assert not list((copy / "undefined_pairs").glob("[0-9]*"))  # none: it writes no file of zeros, which is no loss
    xarray.testing.assert_identical(timecourse.open_store(copy).load(), course)
    change, part = LOSSES[loss]
    change(copy)
    with pytest.raises(ValueError, match=r"path must be as prune wrote it, got .*copy\.zarr', whose") as refusal:
        timecourse.open_store(copy)
    assert f"whose {part} is lost: prune with the same arguments makes it again" in str(refusal.value)
    xarray.testing.assert_identical(run(copy), course)
    xarray.testing.assert_identical(timecourse.open_store(copy).load(), course)
