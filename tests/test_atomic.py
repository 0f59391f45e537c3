"""Files and folders are whole or absent."""

from __future__ import annotations

import os
import sys

import pytest

from secateur.atomic import clear_leftovers, host_name, lock, whole_file, whole_folder


def test_a_file_appears_whole(tmp_path):
    place = tmp_path / "a.json"
    with whole_file(place) as draft:
        draft.write_text("one")
        assert not place.exists()
    with whole_file(place) as draft:
        draft.write_text("two")
        assert place.read_text() == "one"
    assert place.read_text() == "two"
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("written", [True, False])
def test_what_fails_leaves_what_was_there(tmp_path, error, written):
    place = tmp_path / "a.json"
    place.write_text("old")

    def write():
        with whole_file(place) as draft:
            if written:
                draft.write_text("ne")
            raise error

    with pytest.raises(error):
        write()
    assert place.read_text() == "old"
    assert list(tmp_path.iterdir()) == [place]


def test_a_folder_appears_whole(tmp_path):
    place = tmp_path / "deep" / "out"
    with whole_folder(place) as draft:
        (draft / "a").write_text("one")
        assert not place.exists()
    with whole_folder(place) as draft:
        (draft / "b").write_text("two")
        assert [file.name for file in place.iterdir()] == ["a"]
    assert [file.name for file in place.iterdir()] == ["b"]
    assert list(place.parent.iterdir()) == [place]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_fails_leaves_what_was_there(tmp_path, error, there):
    place = tmp_path / "deep" / "out"
    if there:
        place.mkdir(parents=True)
        (place / "a").write_text("old")

    def write():
        with whole_folder(place) as draft:
            (draft / "a").write_text("ne")
            raise error

    with pytest.raises(error):
        write()
    assert [file.name for file in place.parent.iterdir()] == ["out"] if there else not place.parent.exists()
    assert not there or (place / "a").read_text() == "old"


@pytest.mark.skipif(sys.platform == "win32", reason="folders are locked as POSIX does")
def test_a_draft_that_is_being_written_is_no_leftover(tmp_path):
    """Not even where its process seems to be gone, as one of another container does."""
    left = tmp_path / f".out-{host_name()}-{2**22 + 1}-0123abcd.partial"
    left.mkdir()
    held = lock(left)
    clear_leftovers(tmp_path / "out")
    assert left.exists()
    os.close(held)
    clear_leftovers(tmp_path / "out")
    assert not left.exists()
