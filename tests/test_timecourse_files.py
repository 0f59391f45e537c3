"""Recordings from files as other programs write them: MNE, FieldTrip, EEGLAB, NumPy, netCDF, Zarr."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest
import scipy.io
import xarray

from secateur.reading import limits
from secateur.timecourse import rdm_movie, rdm_movies, read_recording, read_recordings

TIMES = np.round(np.arange(-5, 15) * 0.01, 2)
NAMES = ["zebra", "ant", "cat", "bee"]


@pytest.fixture(scope="module")
def mne():
    module = pytest.importorskip("mne")
    module.set_log_level("error")
    return module


def make_epochs(mne, *, codes=None, types=("mag",) * 6, names=NAMES, seed=0):
    """Sensors × times, some trials of each stimulus, in no order."""
    rng = np.random.default_rng(seed)
    events = rng.permutation(np.repeat(np.arange(len(names)), 4)) if codes is None else np.array(codes)
    info = mne.create_info([f"{kind} {c}" for c, kind in enumerate(types)], 100.0, list(types))
    data = rng.normal(size=(len(events), len(types), len(TIMES))) * 1e-13
    table = np.column_stack([np.arange(len(events)) * 100, np.zeros(len(events), int), events])
    event_id = {name: code for code, name in enumerate(names)}
    return mne.EpochsArray(data, info, table, tmin=TIMES[0], event_id=event_id, baseline=None), data, events


@pytest.fixture(scope="module")
def epochs(mne):
    return make_epochs(mne)


def mean_of(data, events, codes):
    return np.stack([data[events == code].mean(axis=0) for code in codes])


# MNE


def test_epochs(mne, epochs, tmp_path):
    made, data, events = epochs
    made.save(tmp_path / "sub-01_epo.fif", fmt="double")
    recording = read_recording(tmp_path / "sub-01_epo.fif")
    assert recording.dims == ("stimulus", "sensor", "time")
    assert recording.stimulus.values.tolist() == NAMES
    assert recording.sensor.values.tolist() == made.ch_names
    assert recording.time.attrs["units"] == "s"
    assert recording.epochs.values.tolist() == [4] * 4
    assert recording.attrs["source"] == "sub-01_epo.fif"
    np.testing.assert_allclose(recording.time, TIMES, atol=1e-9)
    np.testing.assert_allclose(recording, mean_of(data, events, range(4)), rtol=1e-12)
    np.testing.assert_allclose(rdm_movie(recording), rdm_movie(made), atol=1e-12)
    some = read_recording(tmp_path / "sub-01_epo.fif", stimuli=["cat", "zebra"], picks=made.ch_names[:3])
    np.testing.assert_allclose(some, mean_of(data, events, [2, 0])[:, :3], rtol=1e-12)
    assert rdm_movie(some).attrs["stimuli"] == ["cat", "zebra"]
    with pytest.raises(ValueError, match="stimuli must be names in the epochs' event_id, got 'dog'"):
        read_recording(tmp_path / "sub-01_epo.fif", stimuli=["dog", "cat"])


def test_splits_of_epochs(mne, epochs, tmp_path):
    made, data, events = epochs
    made.save(tmp_path / "a_epo.fif", fmt="double")
    recording = read_recording(tmp_path / "a_epo.fif", splits=2)
    assert recording.dims == ("split", "stimulus", "sensor", "time")
    turn = np.array([np.sum(events[:i] == code) % 2 for i, code in enumerate(events)])
    np.testing.assert_allclose(recording[1], mean_of(data[turn == 1], events[turn == 1], range(4)), rtol=1e-12)
    np.testing.assert_allclose(rdm_movie(recording, "crossnobis"), rdm_movie(made, "crossnobis", splits=2), rtol=1e-9)


def test_sensors_of_several_units_and_bad_ones(mne, tmp_path):
    types = ("mag", "grad", "grad", "eeg", "eog", "stim")
    made, data, events = make_epochs(mne, types=types)
    made.info["bads"] = ["grad 2"]
    made.save(tmp_path / "b_epo.fif", fmt="double")
    with pytest.raises(ValueError, match=r"units differ: picks='eeg' or picks='grad' or picks='mag', got none"):
        read_recording(tmp_path / "b_epo.fif")
    grad = read_recording(tmp_path / "b_epo.fif", picks="grad")
    assert grad.sensor.values.tolist() == ["grad 1"]
    np.testing.assert_allclose(grad, mean_of(data, events, range(4))[:, [1]], rtol=1e-12)
    assert read_recording(tmp_path / "b_epo.fif", picks="meg").sensor.values.tolist() == ["mag 0", "grad 1"]
    with pytest.raises(ValueError, match=r"picks must name sensors of b_epo\.fif, got 'lasers'"):
        read_recording(tmp_path / "b_epo.fif", picks="lasers")
    with pytest.raises(ValueError, match="patterns must hold sensors alone, got channels of type 'eog'"):
        read_recording(tmp_path / "b_epo.fif", picks=["mag 0", "eog 4"])


def test_evoked(mne, epochs, tmp_path):
    made, data, events = epochs
    order = ["bee", "ant", "zebra", "cat"]
    mne.write_evokeds(tmp_path / "c-ave.fif", [made[name].average() for name in order])
    recording = read_recording(tmp_path / "c-ave.fif")
    assert recording.stimulus.values.tolist() == order
    assert recording.epochs.values.tolist() == [4] * 4
    np.testing.assert_allclose(recording, mean_of(data, events, [3, 1, 0, 2]), rtol=1e-6)  # written in single
    one = read_recording(tmp_path / "c-ave.fif", stimuli=["cat", "bee"])
    np.testing.assert_array_equal(one, recording.sel(stimulus=["cat", "bee"]))
    with pytest.raises(ValueError, match="splits must be left out for evoked"):
        read_recording(tmp_path / "c-ave.fif", splits=2)
    made["cat"].average().save(tmp_path / "d-ave.fif")
    assert read_recording(tmp_path / "d-ave.fif").shape == (1, 6, 20)


def test_other_fif_files(mne, epochs, tmp_path):
    mne.io.RawArray(np.zeros((6, 50)), epochs[0].info).save(tmp_path / "e_raw.fif")
    with pytest.raises(ValueError, match=r"path must hold epochs or evoked, got raw in e_raw\.fif"):
        read_recording(tmp_path / "e_raw.fif")


def test_without_mne(tmp_path, monkeypatch):
    (tmp_path / "f_epo.fif").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "mne", None)
    with pytest.raises(ImportError, match=r"reading \.fif files needs mne: pip install 'secateur\[interop\]'"):
        read_recording(tmp_path / "f_epo.fif")


def test_a_folder_of_subjects(mne, tmp_path):
    """BIDS derivatives: every subject in the order of the first one's stimuli, whatever its own event_id says."""
    orders = {"02": NAMES, "01": NAMES[::-1], "10": [*NAMES[2:], *NAMES[:2]]}
    truth = {}
    for k, (subject, names) in enumerate(orders.items()):
        made, data, events = make_epochs(mne, names=names, seed=k)
        truth[subject] = {name: data[events == code].mean(axis=0) for code, name in enumerate(names)}
        folder = tmp_path / "derivatives" / f"sub-{subject}" / "ses-01" / "meg"
        folder.mkdir(parents=True)
        made.save(folder / f"sub-{subject}_task-view_epo.fif", fmt="double")
    found = read_recordings(tmp_path / "derivatives")
    assert list(found) == ["01", "02", "10"]
    for subject, recording in found.items():
        assert recording.stimulus.values.tolist() == NAMES[::-1]
        np.testing.assert_allclose(recording, [truth[subject][name] for name in NAMES[::-1]], rtol=1e-12)
    movies = rdm_movies(found, windows=[(0.0, 0.05)])
    np.testing.assert_array_equal(movies["10"], rdm_movie(found["10"], windows=[(0.0, 0.05)]))
    with pytest.raises(ValueError, match=r"pattern must match a file in .*, which matches none"):
        read_recordings(tmp_path / "derivatives", "sub-*/*_epo.fif")
    with pytest.raises(ValueError, match="sub-01: stimuli must be names in the epochs' event_id, got 'dog'"):
        read_recordings(tmp_path / "derivatives", stimuli=["dog"])
    made.save(folder / "sub-10_task-rest_epo.fif")
    with pytest.raises(ValueError, match=r"pattern must match one file a subject, got .*task-rest.* and .*task-view"):
        read_recordings(tmp_path / "derivatives")
    assert list(read_recordings(tmp_path / "derivatives", "sub-*/**/*view_epo.fif")) == ["01", "02", "10"]
    with pytest.raises(ValueError, match="folder must be a folder"):
        read_recordings(folder / "sub-10_task-rest_epo.fif")


# FieldTrip


def cell(things):
    """A MATLAB cell array, a row."""
    out = np.empty((1, len(things)), dtype=object)
    for k, thing in enumerate(things):
        out[0, k] = thing
    return out


def save_v73(path, held):
    """What savemat takes, as MATLAB's -v7.3 lays it out in HDF5: axes reversed, and cells and arrays of structs as
    references into #refs#."""
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")

        def referred(thing):
            return put(refs, f"r{len(refs)}", thing).ref

        def put(group, name, thing, kind=""):
            if isinstance(thing, dict):
                made = group.create_group(name)
                for field, value in thing.items():
                    put(made, field, value)
            elif isinstance(thing, list):  # an array of structs, in a row
                made = group.create_group(name)
                for field in thing[0]:
                    made.create_dataset(
                        field, data=np.array([[referred(one[field])] for one in thing], dtype=h5py.ref_dtype)
                    )
            elif isinstance(thing, str):
                made = group.create_dataset(name, data=np.array([[ord(c)] for c in thing], dtype=np.uint16))
                kind = "char"
            elif np.asarray(thing).dtype == object:
                rows = [[referred(one) for one in row] for row in np.asarray(thing).T]
                made, kind = group.create_dataset(name, data=np.array(rows, dtype=h5py.ref_dtype)), "cell"
            elif np.size(thing) == 0:
                made, kind = group.create_dataset(name, data=np.array([0, 0], dtype=np.uint64)), "double"
                made.attrs["MATLAB_empty"] = np.uint8(1)
            else:
                values = np.atleast_2d(thing)
                made = group.create_dataset(name, data=values.T)
                kind = {"f4": "single", "i8": "int64"}.get(values.dtype.str[1:], "double")
            structs = isinstance(thing, dict | list)
            made.attrs["MATLAB_class"] = np.bytes_("struct" if structs else kind)
            return made

        for name, thing in held.items():
            put(file, name, thing)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def save_mat(path, held, version):
    """A .mat file up to -v7, or of -v7.3."""
    scipy.io.savemat(path, held, appendmat=False) if version == "-v7" else save_v73(path, held)


SENSORS = [f"MEG{c:04d}" for c in range(5)]


@pytest.fixture
def trials():
    rng = np.random.default_rng(0)
    return rng.normal(size=(9, 5, len(TIMES))), np.array([12, 3, 12, 7, 3, 7, 3, 12, 7])


@pytest.mark.parametrize("version", ["-v7", "-v7.3"])
@pytest.mark.parametrize("form", ["raw", "timelock"])
def test_fieldtrip_trials(form, version, trials, tmp_path):
    data, codes = trials
    info = np.column_stack([np.arange(9), codes]).astype(float)
    if form == "raw":
        struct = {"trial": cell(list(data)), "time": cell([TIMES[None]] * 9)}
    else:
        struct = {"trial": data, "time": TIMES[None], "dimord": "rpt_chan_time", "avg": data.mean(axis=0)}
    label = np.array(SENSORS, dtype=object)[:, None]
    history = {"previous": cell([{"trials": "all"}, np.zeros((0, 0))])}
    held = {**struct, "label": label, "trialinfo": info, "fsample": 100.0, "cfg": history}
    save_mat(tmp_path / "ft.mat", {"data": held}, version)
    recording = read_recording(tmp_path / "ft.mat", column=1)
    assert recording.stimulus.values.tolist() == ["3", "7", "12"]  # ascending codes
    assert recording.sensor.values.tolist() == SENSORS
    np.testing.assert_allclose(recording, mean_of(data, codes, [3, 7, 12]), rtol=1e-12)
    np.testing.assert_allclose(recording.time, TIMES)
    assert recording.epochs.values.tolist() == [3, 3, 3]
    picked = read_recording(tmp_path / "ft.mat", column=1, picks=SENSORS[3:1:-1], stimuli=["12", "3"])
    np.testing.assert_allclose(picked, mean_of(data, codes, [12, 3])[:, [3, 2]], rtol=1e-12)
    assert read_recording(tmp_path / "ft.mat", column=1, splits=3).shape == (3, 3, 5, 20)
    with pytest.raises(ValueError, match="column must be a column of trialinfo, 9 × 2 for 9 trials, got 2"):
        read_recording(tmp_path / "ft.mat", column=2)
    with pytest.raises(ValueError, match=r"picks must name sensors of ft\.mat, got 'EEG1'"):
        read_recording(tmp_path / "ft.mat", picks=["EEG1"])


@pytest.mark.parametrize("version", ["-v7", "-v7.3"])
@pytest.mark.parametrize("form", ["cell", "variables"])
def test_fieldtrip_averages(form, version, trials, tmp_path):
    means = trials[0][:4]
    label = np.array(SENSORS, dtype=object)[:, None]
    structs = [{"avg": mean, "time": TIMES[None], "label": label, "dimord": "chan_time"} for mean in means]
    held = {"timelock": cell(structs)} if form == "cell" else dict(zip(NAMES, structs, strict=True))
    save_mat(tmp_path / "ft.mat", held, version)
    order = NAMES if version == "-v7" else sorted(NAMES)  # HDF5 holds names by the alphabet
    recording = read_recording(tmp_path / "ft.mat")
    assert recording.stimulus.values.tolist() == (["1", "2", "3", "4"] if form == "cell" else order)
    np.testing.assert_array_equal(recording, means if form == "cell" else means[[NAMES.index(name) for name in order]])
    with pytest.raises(ValueError, match="splits must be left out for averages"):
        read_recording(tmp_path / "ft.mat", splits=2)


def test_fieldtrip_refusals(trials, tmp_path):
    data, codes = trials
    label = np.array(SENSORS, dtype=object)[:, None]
    whole = {"trial": data, "time": TIMES[None], "label": label, "trialinfo": codes[:, None]}

    def refused(held, said, **how):
        scipy.io.savemat(tmp_path / "bad.mat", held)
        with pytest.raises(ValueError, match=said):
            read_recording(tmp_path / "bad.mat", **how)

    refused({"x": data}, r"path must hold a FieldTrip structure with label and trial or avg, got none in bad\.mat")
    refused({"a": whole, "b": whole}, r"key must name one of the structures of bad\.mat, a, b, got None")
    refused({"a": {k: v for k, v in whole.items() if k != "trialinfo"}}, "path must hold trialinfo")
    uneven = {**whole, "trial": cell([data[0], data[1][:, :9]]), "time": cell([TIMES[None], TIMES[None, :9]])}
    refused({"a": uneven}, "path must hold trials of the same times")
    refused({"a": {**whole, "trialinfo": codes[:5, None]}}, "5 × 1 for 9 trials")
    scipy.io.savemat(tmp_path / "two.mat", {"a": whole, "b": {**whole, "trial": -data}})
    b = read_recording(tmp_path / "two.mat", key="b")
    np.testing.assert_array_equal(b, -read_recording(tmp_path / "two.mat", key="a"))
    (tmp_path / "v73.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(512))
    with pytest.raises(ValueError, match=r"got v73\.mat, in -v7\.3, which is damaged: save it anew"):
        read_recording(tmp_path / "v73.mat")
    (tmp_path / "no.mat").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"path must be a \.mat file, got no\.mat, which can't"):
        read_recording(tmp_path / "no.mat")


def test_hostile_v73_files(tmp_path):
    """Cells that hold themselves, and cells that unfold to more than a machine holds, end in a sentence."""
    label = np.array(SENSORS, dtype=object)[:, None]
    save_v73(tmp_path / "self.mat", {"data": {"label": label, "trial": cell([np.zeros((5, 3))])}})
    with h5py.File(tmp_path / "self.mat", "r+") as file:
        file["data/trial"][:] = file["data/trial"].ref
    with pytest.raises(ValueError, match=r"got self\.mat, which can't be read: maximum recursion depth"):
        read_recording(tmp_path / "self.mat")
    save_v73(tmp_path / "bomb.mat", {"data": {"label": label, "trial": cell([np.zeros((5, 3))])}})
    with h5py.File(tmp_path / "bomb.mat", "r+") as file:
        for k in range(9):
            inner = file["data/trial"].ref if k == 0 else file[f"#refs#/level{k - 1}"].ref
            made = file["#refs#"].create_dataset(f"level{k}", data=np.full((10, 1), inner, dtype=h5py.ref_dtype))
            made.attrs["MATLAB_class"] = np.bytes_("cell")
        file.move("#refs#/level8", "bomb")
    with limits(size=1e6), pytest.raises(ValueError, match=r"must hold arrays of at most 1e\+06 bytes"):
        read_recording(tmp_path / "bomb.mat", key="bomb")


# EEGLAB


TYPES = ["face", "house", "face", "tool", "house", "face", "tool", "tool", "house"]


def eeglab(trials, /, **other):
    """EEGLAB's data set: trials of five channels from -50 ms, each with its event at 0 and a button at 40 ms."""
    points = trials.shape[-1]
    events = []
    for e, word in enumerate(TYPES):
        first = e * points + 1.0
        events += [{"type": word, "latency": first + 5, "epoch": e + 1.0}]
        events += [{"type": 32.0, "latency": first + 9, "epoch": e + 1.0}]
    channels = [{"labels": f"E{c}", "type": "EEG" if c < 4 else "EOG"} for c in range(5)]
    sizes = {"nbchan": 5.0, "pnts": float(points), "trials": 9.0, "srate": 100.0, "xmin": -0.05}
    values = np.moveaxis(trials, 0, 2).astype(np.float32)
    return {"data": values, **sizes, "xmax": 0.14, "chanlocs": channels, "event": events, "setname": "view", **other}


def in_rows(held):
    """Lists of dicts as SciPy writes arrays of structs."""
    out = dict(held)
    for name in ("chanlocs", "event"):
        fields = list(held[name][0])
        rows = [tuple(one[field] for field in fields) for one in held[name]]
        out[name] = np.array(rows, dtype=[(field, object) for field in fields])
    return out


@pytest.mark.parametrize(
    ("form", "version", "apart"),
    [("struct", "-v7", False), ("struct", "-v7.3", True), ("fields", "-v7", True), ("fields", "-v7.3", False)],
)
def test_eeglab_sets(form, version, apart, trials, tmp_path):
    held = eeglab(trials[0])
    if apart:
        np.moveaxis(trials[0], 0, 2).astype("<f4").ravel(order="F").tofile(tmp_path / "eeg.fdt")
        held["data"] = "C:\\before it was moved\\eeg.fdt"
    held = in_rows(held) if version == "-v7" else held
    save_mat(tmp_path / "eeg.set", {"EEG": held} if form == "struct" else held, version)
    with pytest.raises(ValueError, match=r"of several types: picks='eeg' or picks='eog', got none"):
        read_recording(tmp_path / "eeg.set")
    recording = read_recording(tmp_path / "eeg.set", picks="eeg")
    assert recording.stimulus.values.tolist() == ["face", "house", "tool"]
    assert recording.sensor.values.tolist() == ["E0", "E1", "E2", "E3"]
    assert recording.epochs.values.tolist() == [3, 3, 3]
    np.testing.assert_allclose(recording.time, TIMES, atol=1e-12)
    want = mean_of(trials[0].astype(np.float32).astype(float), np.array(TYPES), ["face", "house", "tool"])
    np.testing.assert_allclose(recording, want[:, :4], rtol=1e-12)
    two = read_recording(tmp_path / "eeg.set", picks=["E4", "E0"], stimuli=["tool", "face"], splits=3)
    assert two.shape == (3, 2, 2, 20)
    np.testing.assert_allclose(two.mean("split"), want[[2, 0]][:, [4, 0]], rtol=1e-12)


def test_eeglab_as_mne_reads_it(mne, trials, tmp_path):
    """The patterns are those of MNE's own reader."""
    pytest.importorskip("pymatreader", reason="MNE reads EEGLAB's sets with pymatreader")
    held = eeglab(trials[0], ref="common", epoch=[], icawinv=np.zeros((0, 0)), icaweights=np.zeros((0, 0)))
    held["event"] = [event for event in held["event"] if event["type"] != 32.0]
    for event in held["event"]:
        event["duration"] = 0.0
    held = in_rows(held)
    rows = [(e + 1.0, 0.0, word) for e, word in enumerate(TYPES)]
    held["epoch"] = np.array(rows, dtype=[(name, object) for name in ("event", "eventlatency", "eventtype")])
    scipy.io.savemat(tmp_path / "eeg.set", {"EEG": held}, appendmat=False)
    theirs = mne.read_epochs_eeglab(tmp_path / "eeg.set", verbose="error")
    ours = read_recording(tmp_path / "eeg.set", picks=theirs.ch_names)
    for name, pattern in zip(ours.stimulus.values, ours.values, strict=True):
        np.testing.assert_allclose(pattern, theirs[name].get_data().mean(axis=0) * 1e6, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.time, theirs.times, atol=1e-12)


def test_eeglab_refusals(trials, tmp_path):
    def refused(said, picks="eeg", drop=(), **other):
        held = in_rows(eeglab(trials[0], **other))
        scipy.io.savemat(tmp_path / "bad.set", {k: v for k, v in held.items() if k not in drop}, appendmat=False)
        with pytest.raises(ValueError, match=said):
            read_recording(tmp_path / "bad.set", picks=picks)

    events = eeglab(trials[0])["event"]
    refused("path must hold EEGLAB's data set, with a field 'srate', got none in bad.set", drop=["srate"])
    refused("path must hold epochs, got continuous data in bad.set", trials=1.0)
    refused(r"must hold data \(channels, times, epochs\) \(5, 19, 9\), got \(5, 20, 9\)", pnts=19.0)
    refused("an event at time 0 of each epoch, got none in epoch 2 of bad.set", event=events[:2] + events[4:])
    refused("events of epochs 1 to 9, got 10", event=[*events, {**events[0], "epoch": 10.0}])
    refused("picks must name channels of bad.set, or a type of channel, got 'mag'", picks="mag")
    refused("path must have eeg.fdt beside it", data="/etc/eeg.fdt")
    refused("path must hold its data or name a .fdt file, got 'passwd' in bad.set", data="/etc/passwd")
    (tmp_path / "eeg.fdt").write_bytes(bytes(100))
    refused(r"eeg.fdt must hold 5 × 20 × 9 numbers of bad.set in 3600 bytes, got 100", data="eeg.fdt")
    twice = [*events, {"type": "rare", "latency": 6.0, "epoch": 1.0}]
    held = in_rows(eeglab(trials[0], event=twice))
    scipy.io.savemat(tmp_path / "two.set", held, appendmat=False)
    assert read_recording(tmp_path / "two.set", picks="eeg").stimulus.values.tolist()[:2] == ["face", "face/rare"]


# Plain arrays, netCDF, Zarr


def test_arrays(trials, tmp_path):
    data = trials[0]
    np.save(tmp_path / "a.npy", data)
    plain = read_recording(tmp_path / "a.npy")
    assert "time" not in plain.coords
    np.testing.assert_array_equal(plain, data)
    timed = read_recording(tmp_path / "a.npy", times=TIMES, stimuli=[str(k) for k in range(9)])
    windows = [(0, 0.1)]
    np.testing.assert_array_equal(rdm_movie(timed, windows=windows), rdm_movie(data, times=TIMES, windows=windows))
    np.savez(tmp_path / "b.npz", patterns=np.stack([data[:4], -data[:4]]), times=TIMES, labels=NAMES, sensors=SENSORS)
    split = read_recording(tmp_path / "b.npz", stimuli=["bee", "ant"])
    assert split.dims == ("split", "stimulus", "sensor", "time")
    np.testing.assert_array_equal(split[1], -data[[3, 1]])
    assert split.sensor.values.tolist() == SENSORS
    np.savez(tmp_path / "c.npz", one=data, two=-data, times=TIMES)
    np.testing.assert_array_equal(read_recording(tmp_path / "c.npz", key="two"), -data)
    for path, how, said in (
        ("c.npz", {}, r"key must name the patterns among the arrays of c\.npz, one, two, times, got None"),
        ("a.npy", {"times": TIMES[:3]}, "times must have one entry for each of 20, got 3"),
        ("a.npy", {"stimuli": ["a"]}, "stimuli must name each of 9 stimuli, got 1 names"),
        ("b.npz", {"stimuli": ["dog"]}, "stimuli must be names in the file, got 'dog'"),
        ("a.npy", {"picks": "mag"}, r"picks must be left out for a \.npy file, got 'mag'"),
        ("a.npy", {"key": "x"}, r"key must be left out for a \.npy file"),
        ("z.npy", {}, "which does not exist"),
    ):
        with pytest.raises(ValueError, match=said):
            read_recording(tmp_path / path, **how)
    for name in ("broken.npy", "broken.npz"):
        (tmp_path / name).write_bytes(b"PK nothing")
        with pytest.raises(ValueError, match=rf"got {name}, which numpy can't read"):
            read_recording(tmp_path / name)
    (tmp_path / "a.txt").write_text("1")
    with pytest.raises(ValueError, match=r"path must end in \.fif, .* or \.zarr, got 'a\.txt'"):
        read_recording(tmp_path / "a.txt")


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_xarray_files(suffix, trials, tmp_path):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    array = xarray.DataArray(
        np.stack([trials[0][:4], -trials[0][:4]]).transpose(3, 0, 1, 2),
        dims=("times", "subject", "condition", "channel"),
        coords={"condition": NAMES, "times": TIMES, "subject": ["x", "y"]},
        name="meg",
    )
    place = tmp_path / f"all{suffix}"
    if suffix == ".nc":
        array.to_netcdf(place, engine="h5netcdf")
    else:
        array.to_dataset().to_zarr(place, zarr_format=2)
    recording = read_recording(place, stimuli=NAMES[::-1])
    assert recording.dims == ("subject", "stimulus", "sensor", "time")
    np.testing.assert_array_equal(recording[1], -trials[0][3::-1])
    movies = rdm_movies(recording)
    assert list(movies) == ["x", "y"]
    np.testing.assert_array_equal(movies["y"], rdm_movie(-trials[0][3::-1]))
    assert movies["y"].attrs["stimuli"] == NAMES[::-1]


def test_xarray_refusals(trials, tmp_path):
    dims = ("stimulus", "sensor", "frequency")
    xarray.Dataset({"a": (dims, trials[0]), "b": (dims, trials[0])}).to_netcdf(tmp_path / "d.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match=r"key must name one of the arrays of d\.nc, a, b, got None"):
        read_recording(tmp_path / "d.nc")
    with pytest.raises(ValueError, match="got stimulus, sensor, frequency"):
        read_recording(tmp_path / "d.nc", key="a")
    (tmp_path / "e.nc").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"path must be a \.nc file that xarray reads, got e\.nc"):
        read_recording(tmp_path / "e.nc")


# All subjects' movies


def test_movies_of_all(trials):
    data = trials[0]
    listed = rdm_movies([data, -data], "euclidean", times=TIMES, smoothing=0.03)
    assert list(listed) == [0, 1]
    np.testing.assert_array_equal(listed[0], rdm_movie(data, "euclidean", times=TIMES, smoothing=0.03))
    with pytest.raises(TypeError, match="recordings must be a dict or a list of one recording a subject"):
        rdm_movies(data)
    with pytest.raises(ValueError, match="recordings must hold at least one subject, got none"):
        rdm_movies({})
    broken = data.copy()
    broken[2, 1, 3] = np.nan
    with pytest.raises(ValueError, match="subject b: patterns must hold no NaN or infinity, got nan at stimulus 2"):
        rdm_movies({"a": data, "b": broken})
