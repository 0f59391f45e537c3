"""Recordings from files that other programs' writers made: MNE, SciPy in FieldTrip's form, NumPy, netCDF, Zarr."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.io
import xarray

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


SENSORS = [f"MEG{c:04d}" for c in range(5)]


@pytest.fixture
def trials():
    rng = np.random.default_rng(0)
    return rng.normal(size=(9, 5, len(TIMES))), np.array([12, 3, 12, 7, 3, 7, 3, 12, 7])


@pytest.mark.parametrize("form", ["raw", "timelock"])
def test_fieldtrip_trials(form, trials, tmp_path):
    data, codes = trials
    info = np.column_stack([np.arange(9), codes]).astype(float)
    if form == "raw":
        struct = {"trial": cell(list(data)), "time": cell([TIMES[None]] * 9)}
    else:
        struct = {"trial": data, "time": TIMES[None], "dimord": "rpt_chan_time", "avg": data.mean(axis=0)}
    label = np.array(SENSORS, dtype=object)[:, None]
    scipy.io.savemat(tmp_path / "ft.mat", {"data": {**struct, "label": label, "trialinfo": info, "fsample": 100.0}})
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


@pytest.mark.parametrize("form", ["cell", "variables"])
def test_fieldtrip_averages(form, trials, tmp_path):
    means = trials[0][:4]
    label = np.array(SENSORS, dtype=object)[:, None]
    structs = [{"avg": mean, "time": TIMES[None], "label": label, "dimord": "chan_time"} for mean in means]
    held = {"timelock": cell(structs)} if form == "cell" else dict(zip(NAMES, structs, strict=True))
    scipy.io.savemat(tmp_path / "ft.mat", held)
    recording = read_recording(tmp_path / "ft.mat")
    assert recording.stimulus.values.tolist() == (["1", "2", "3", "4"] if form == "cell" else NAMES)
    np.testing.assert_array_equal(recording, means)
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
    with pytest.raises(ValueError, match=r"got v73\.mat in -v7\.3: save it with '-v7'"):
        read_recording(tmp_path / "v73.mat")
    (tmp_path / "no.mat").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"path must be a \.mat file, got no\.mat"):
        read_recording(tmp_path / "no.mat")


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
