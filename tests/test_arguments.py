"""Checks of single arguments: what is taken, what is refused, in which words."""

from __future__ import annotations

import re

import numpy as np
import pytest

from secateur.arguments import check_integer, check_seed, check_share


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_integers_of_python_and_numpy(value):
    found = check_integer("n", value, 3, 3)
    assert found == 3
    assert type(found) is int


@pytest.mark.parametrize("value", [2, 3.0, True, np.True_, "3", None, np.float64(3), np.nan, [3]])
def test_what_is_no_integer_or_too_small(value):
    words = re.escape(f"n must be an integer of at least 3, got {value!r}")
    with pytest.raises(ValueError, match=f"^{words}$"):
        check_integer("n", value, 3)


def test_ranges_and_none():
    assert check_integer("n", None, 1, optional=True) is None
    with pytest.raises(ValueError, match=r"^n must be an integer of at least 1 or None, got 0$"):
        check_integer("n", 0, 1, optional=True)
    with pytest.raises(ValueError, match=r"^n must be an integer from 1 to 4, got 5$"):
        check_integer("n", 5, 1, 4)


def test_shares():
    assert check_share("alpha", np.float32(0.5)) == 0.5
    assert check_share("share", 1, one=True) == 1.0
    for value in (0, 1, -0.1, np.nan, np.inf, True, "0.5", None):
        with pytest.raises(ValueError, match=rf"^alpha must be above 0 and below 1, got {re.escape(repr(value))}$"):
            check_share("alpha", value)
    with pytest.raises(ValueError, match=r"^share must be above 0 and at most 1, got 1\.5$"):
        check_share("share", 1.5, one=True)


def test_seeds_leave_room_for_redraws():
    assert check_seed(2**32 - 1) == 2**32 - 1
    with pytest.raises(ValueError, match=r"^seed must be an integer from 0 to 4294967293, got 4294967294$"):
        check_seed(2**32 - 2, redraws=3)
