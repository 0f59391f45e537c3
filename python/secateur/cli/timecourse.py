"""``secateur timecourse``: a network's features to a MEG or EEG recording, at every time point."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from ..arguments import check_share
from .app import app, checked_destination, exit_with_message, log, print_files, print_text, refuse_bad_input
from .options import (
    DEFAULTS,
    Control,
    Fixed,
    Folds,
    Joint,
    LeftOut,
    Overwrite,
    Pruning,
    Repeats,
    argument,
    check_left_out,
    check_store,
    fixed_features,
    flag,
    matched_controls,
    option,
    run_settings,
    with_pruning,
)

if TYPE_CHECKING:
    import xarray

    from ..features import Features
    from ..files import Loaded
    from ..pruning import Pruner
    from ..validation import Over

__all__ = ["timecourse"]


@dataclass(frozen=True)
class _Study:
    """What to compute."""

    features: Features
    movies: Any
    title: str
    inputs: list[dict[str, Any]]
    synthetic: bool = False
    notes: list[str] = field(default_factory=list)
    controls: list[Any] | None = None
    over: str = "stimuli"
    recording: dict[str, Any] = field(default_factory=dict)  # how patterns became matrices


@app.command()
@with_pruning()
def timecourse(
    features: Annotated[
        str | None, argument("FEATURES", "Features of a network, stimuli × features: FILE or FILE:KEY.")
    ] = None,
    recordings: Annotated[
        list[str] | None,
        argument(
            "RECORDINGS", "A folder of subjects (sub-*), a file for each subject, or one of all; RDM movies will do."
        ),
    ] = None,
    out: Annotated[Path, option("DIR", "Folder for the results.")] = Path("secateur-timecourse"),
    demo: Annotated[bool, flag("--demo", "Use a synthetic recording in place of files.")] = False,
    pattern: Annotated[
        str, option("GLOB", "Which files of a folder of subjects, one per subject.")
    ] = "sub-*/**/*_epo.fif",
    picks: Annotated[str | None, option("TYPE", "Sensors of .fif and .set files: mag, grad, meg or eeg.")] = None,
    rdm: Annotated[str, option("METRIC", "Dissimilarity of two patterns: correlation or euclidean.")] = "correlation",
    windows: Annotated[
        str | None, option("LIST", "Average in windows: 0.175-0.185,0.275-0.285 (seconds) or 175-185ms.")
    ] = None,
    smoothing: Annotated[
        str | None, option("WIDTH", "Width of a running mean over the matrices: 0.02 (seconds) or 20ms.")
    ] = None,
    control: Control = None,
    pruning: Pruning = DEFAULTS,
    joint: Joint = "each",
    over: LeftOut = "stimuli",
    fixed: Fixed = None,
    cv: Folds = 5,
    repeats: Repeats = 1,
    generalise: Annotated[
        bool,
        flag("--generalise", "Score the features kept at each time at all other times too (temporal generalisation)."),
    ] = False,
    alpha: Annotated[float, option("P", "Significance level of the tests over subjects.")] = 0.05,
    flips: Annotated[
        int, option("N", "Sign flips for the null distribution of the cluster test over subjects.", min=1)
    ] = 1000,
    permutations: Annotated[
        int, option("N", "Permutations of the stimuli for a test of the features; 0 for none.", min=0)
    ] = 0,
    seed: Annotated[
        int, option("N", "Random seed of folds, flips and permutations: the same seed gives the same result.", min=0)
    ] = 0,
    store: Annotated[
        Path | None,
        option(
            "ZARR",
            "Keep what is done in this Zarr store, and of --permutations in the folder ZARR.null beside it: a killed "
            "run, given again, goes on from there.",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Prune the features of a network to a MEG or EEG recording at every time point, and test over subjects.

    Recordings: .fif (MNE epochs or evoked), .mat (FieldTrip), .set (EEGLAB), .npy, .npz, .nc, .zarr. Where FEATURES
    names its stimuli they are looked for by name. RDM movies, with dims (subject, time, pair), come as .nc or .zarr.
    """
    with exit_with_message(f"what was done is in {store}" if store else "nothing was written"):
        from ..timecourse.movies import read_seconds, read_windows

        with refuse_bad_input():
            pruner = pruning.pruner("dissimilarity")
            pruner.set_params(joint=joint).settings()
            check_left_out(over, joint)
            check_store(store, out)
            if over != "stimuli" and (generalise or permutations):
                asked = "--generalise" if generalise else "--permutations"
                raise ValueError(f"{asked} must be left out where --over is {over}, got it")
            if over == "stimuli" and joint != "each":
                raise ValueError(f"--joint must be each where --over is stimuli, got {joint}")
            if demo == bool(features or recordings):
                raise ValueError("timecourse must be given FEATURES and RECORDINGS, or --demo, got both or neither")
            if not demo and not recordings:
                raise ValueError("RECORDINGS must be given after FEATURES, got none")
            if demo and (control or fixed):
                raise ValueError("--control and --fixed must come with FEATURES, got one with --demo")
            check_share("--alpha", alpha)
            how: dict[str, Any] = {"metric": rdm, "threads": pruning.threads}
            how["windows"] = None if windows is None else read_windows(windows, "--windows")
            how["smoothing"] = None if smoothing is None else read_seconds(smoothing, "--smoothing")
        checked_destination(out, overwrite)
        study = _planted(how, seed) if demo else _read(str(features), recordings or [], pattern, picks, how, control)
        if fixed:
            with refuse_bad_input():
                fixed_features(fixed, study.features, pruner)
        study = replace(study, over=over)
        _run(study, pruner, (cv, repeats, seed), generalise, alpha, (flips, permutations), store, out, overwrite)


def _planted(how: dict[str, Any], seed: int) -> _Study:
    """A recording that was made up, in which ten of forty features drive the patterns from 200 to 350 ms."""
    from ..features import read_features
    from ..timecourse import rdm_movies, simulate

    log("Making up a recording: 12 subjects, 48 stimuli, 60 sensors, signal from 200 to 350 ms.")
    patterns, truth = simulate(48, subjects=12, sensors=60, seed=seed)
    with refuse_bad_input():
        movies = rdm_movies(patterns, **how)
    title = "Ten planted features, found again"
    return _Study(read_features(truth.X), movies, title, [], synthetic=True, recording=_measured(how, None, movies))


def _read(
    place: str, recordings: list[str], pattern: str, picks: str | None, how: dict[str, Any], control: list[str] | None
) -> _Study:
    """Features and movies from files, one recording in memory at a time."""
    from ..features import read_features
    from ..files import read_features_file, read_target_file
    from ..timecourse import rdm_movie, rdm_movies
    from ..timecourse.movies import BY_POSITION

    with refuse_bad_input():
        embedding = read_features_file(place)
    with refuse_bad_input(embedding.path.name):
        features = replace(read_features(embedding.values), stimuli=embedding.stimuli, names=embedding.names)
    movies: dict[Any, Any] = {}
    notes: list[str] = []
    inputs: list[dict[str, Any]] = [{"role": "features", **embedding.record()}]
    stimuli = None if features.stimuli is None else list(features.stimuli)
    controls: list[Any] = []
    for given in control or ():
        with refuse_bad_input():
            held = read_target_file(given)
            ((matrix, note),) = matched_controls([held], embedding)
        controls.append(matrix)
        inputs.append({"role": "control", **held.record()})
        said = [*held.notes, *([note] if note else [])]
        for sentence in said:
            log(f"note: {sentence}.")
        notes += said
    with refuse_bad_input():
        files = _files(recordings, pattern)
    for subject, path in files.items():
        inputs.append({"role": "recording", "subject": subject, **_record(path)})
        with refuse_bad_input(str(path)):  # every subject's file may have the same name
            made = _movies_in(path)
            if made is not None:
                if len(files) > 1:
                    raise ValueError("RDM movies must come as one file of all subjects, got several files")
                if picks or how["metric"] != "correlation" or how["windows"] or how["smoothing"]:
                    raise ValueError(
                        "--picks, --rdm, --windows and --smoothing must be left out for RDM movies, got one"
                    )
                _note_times(made.time.values if "time" in made.coords else [0], path)
                inputs[-1] |= _read_from(made)
                said = made.coords["stimulus"].values if "stimulus" in made.coords else made.attrs.get("stimuli")
                notes += _order_note(embedding, path, said)
                title = f"{embedding.path.stem} pruned to {path.stem}"
                return _Study(features, made, title, inputs, notes=notes, controls=controls or None)
            recording = _recording(path, stimuli, picks)
            if not movies:
                _note_times(recording.time.values, path)
            if "subject" in recording.dims:
                if len(files) > 1:
                    raise ValueError("RECORDINGS must be one file where it holds several subjects, got several files")
                movies = rdm_movies(recording, **how)
                continue
            known = recording.stimulus.values.tolist() if "stimulus" in recording.coords else None
            if not movies:
                silent = BY_POSITION in recording.attrs
                notes += _order_note(embedding, path, None if silent else known)
            inputs[-1] |= _read_from(recording, stimuli)
            if stimuli is None and known is not None:
                stimuli = known
            movies[subject] = rdm_movie(recording, **how)
    name = Path(recordings[0]).stem if len(recordings) == 1 else f"{len(files)} recordings"
    title = f"{embedding.path.stem} pruned to {name}"
    measured = _measured(how, picks, movies)
    return _Study(features, movies, title, inputs, notes=notes, controls=controls or None, recording=measured)


def _measured(how: dict[str, Any], picks: str | None, movies: dict[Any, Any]) -> dict[str, Any]:
    """How patterns became matrices, for ``settings.json``; seconds."""
    times = next(iter(movies.values())).time.values
    ends = {"first_time": float(times[0]), "last_time": float(times[-1]), "times": len(times)}
    windows = None if how["windows"] is None else [list(map(float, one)) for one in how["windows"]]
    return {"dissimilarity": how["metric"], "picks": picks, "smoothing": how["smoothing"], "windows": windows, **ends}


def _read_from(recording: xarray.DataArray, asked: list[str] | None = None) -> dict[str, Any]:
    """What a file held, for ``settings.json``: shape, first stimuli, sensors, channels that were left out."""
    from ..timecourse.movies import BAD

    names = recording["stimulus"].values if "stimulus" in recording.coords else recording.attrs.get("stimuli")
    names = None if asked is not None else names  # which are then in the order that was asked for, not the file's
    found: dict[str, Any] = {"shape": list(recording.shape)}
    found["first_stimuli"] = None if names is None else [str(name) for name in list(names)[:3]]
    if "sensor" in recording.dims:
        found |= {"sensors": recording.sizes["sensor"], BAD: list(recording.attrs.get(BAD, ()))}
    return found


def _order_note(embedding: Loaded, path: Path, names: Any) -> list[str]:
    """What is taken for granted where features or recording name no stimuli, said and kept."""
    from ..files import order_taken

    if names is not None and embedding.stimuli is not None:
        note = f"the stimuli of {path.name} were looked for by name, in the order of {embedding.path.name}"
    elif names is None and embedding.stimuli is not None:
        note = order_taken(path.name, embedding.path.name, embedding.stimuli)
    else:
        note = order_taken(embedding.path.name, path.name, names)
    log(f"note: {note}.")
    return [note]


def _files(recordings: list[str], pattern: str) -> dict[Any, Path]:
    """One file per subject."""
    from ..timecourse.recordings import SUBJECT, subject_files

    paths = [Path(words) for words in recordings]
    for path in paths:
        if not path.exists():
            raise ValueError(f"RECORDINGS must be files or a folder, got {str(path)!r}, which does not exist")
    folders = [path for path in paths if path.is_dir() and path.suffix != ".zarr"]
    if folders and len(paths) > 1:
        raise ValueError(f"RECORDINGS must be one folder or files, got the folder {str(folders[0])!r} among others")
    if folders:
        return dict(subject_files(folders[0], pattern))
    found: dict[Any, Path] = {}
    for path in paths:
        labels = SUBJECT.findall(str(path))
        subject = labels[-1] if labels and len(paths) > 1 else path.stem
        if subject in found:
            raise ValueError(f"RECORDINGS must be of one subject each, got {found[subject].name} and {path.name}")
        found[subject] = path
    return found


def _record(path: Path) -> dict[str, Any]:
    """Name and hash of a file, for ``settings.json``; a Zarr store is known by its name."""
    from ..provenance import file_digest

    return {"file": str(path)} | ({} if path.is_dir() else {"sha256": file_digest(path)})


def _recording(path: Path, stimuli: list[str] | None, picks: str | None) -> xarray.DataArray:
    from ..timecourse import read_recording

    recording = read_recording(path, stimuli=stimuli, picks=picks)
    if "time" not in recording.coords:
        raise ValueError("recordings must hold their times in seconds, got none: an .npz can have them beside patterns")
    return recording


def _note_times(times: Any, path: Path) -> None:
    """Say so where times can hardly be seconds."""
    first, last = float(times[0]), float(times[-1])
    if last - first > 60:
        log(
            f"note: the times of {path.name} run from {first:g} to {last:g} s: if they are milliseconds, divide them "
            "by 1000."
        )


def _movies_in(path: Path) -> Any:
    """RDM movies, where a netCDF file or a Zarr store holds them in place of patterns."""
    if path.suffix not in (".nc", ".zarr"):
        return None
    import xarray

    from ..reading import ReadError, netcdf_array
    from ..timecourse.codecs import check_zarr

    try:
        if path.suffix == ".nc":
            return netcdf_array(path, dims=("pair", "stimulus2"))[1]
        check_zarr(path)
        opened = xarray.open_zarr(path)
    except (OSError, ValueError) as error:
        if isinstance(error, ReadError) and error.kind.startswith("SIG"):  # once is enough of what ends its reader
            raise ValueError(f"it could not be read as a .nc file: {error}") from error
        return None  # whoever reads it as a recording says why
    fit = [name for name, array in opened.data_vars.items() if {"pair", "stimulus2"} & set(array.dims)]
    if len(fit) == 1:
        return opened[fit[0]]
    opened.close()
    return None


def _run(
    study: _Study,
    pruner: Pruner,
    folds: tuple[int, int, int],
    generalise: bool,
    alpha: float,
    counts: tuple[int, int],
    store: Path | None,
    out: Path,
    overwrite: bool,
) -> None:
    """Prune, test, print the table, write the folder, name its files."""
    from ..report import folder, tables
    from ..similarity import OpposedWarning
    from ..timecourse import group_test, noise_ceiling, permutation_test, prune
    from ..validation import SmallFoldsWarning

    (cv, repeats, seed), (flips, permutations) = folds, counts
    d, n = study.features.d, study.features.n
    over = cast("Over", study.over)
    folds_of = "" if over == "subjects" else f", in {cv * repeats} folds of {n} stimuli"
    on = "of every subject" if over == "stimuli" else "on all subjects but one at a time"
    log(f"Pruning {d} features at every time {on}{folds_of}.")
    with refuse_bad_input():
        course = prune(
            study.features, study.movies, pruner, cv, repeats, seed, control=study.controls, over=over,
            generalise=generalise, store=store,
        )  # fmt: skip
    if study.synthetic:
        course.attrs["synthetic"] = "true"
    test = ceiling = null = None
    if course.sizes["subject"] > 1:
        log(f"Testing over {course.sizes['subject']} subjects.")
        with refuse_bad_input():
            test = group_test(course, alpha=alpha, n=flips, seed=seed)
            among = None if over == "subjects" else cv
            bounds: dict[str, Any] = {"repeats": repeats, "seed": seed, "control": study.controls}
            ceiling = noise_ceiling(study.movies, pruner.comparator, cv=among, **bounds)
    if permutations:
        log(f"Pruning again for each of {permutations} relabellings of the stimuli.")
        terms = (permutations, pruner, cv, repeats, seed)
        more: dict[str, Any] = {"control": study.controls, "alpha": alpha}
        more["store"] = None if store is None else store.with_name(f"{store.name}.null")
        with refuse_bad_input(), warnings.catch_warnings():
            for category in (OpposedWarning, SmallFoldsWarning):
                warnings.simplefilter("ignore", category)  # it was said of the same folds
            null = permutation_test(study.features, study.movies, *terms, **more)
    heading = f"Synthetic recording: {study.title}" if study.synthetic else study.title
    print_text(f"{heading}\n\n{tables.course_text(course, test, null)}")
    log("Drawing and writing.")
    how: dict[str, Any] = {"device": pruner.device, "alpha": alpha, "flips": flips, "permutations": permutations}
    how |= {} if over == "stimuli" else {"over": over, "joint": pruner.joint}
    how |= {"recording": study.recording} if study.recording else {}
    settings = run_settings(study.inputs, study.notes, **how)
    files = folder.write_course(
        out, course, test, ceiling, null, title=study.title, settings=settings, overwrite=overwrite
    )
    print_files(out, files, folder.COURSE_CONTENTS)
