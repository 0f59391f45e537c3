"""Files are whole or absent."""

from __future__ import annotations

import pytest

from secateur.atomic import whole_file


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
