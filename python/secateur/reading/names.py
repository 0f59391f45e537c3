"""Names that a results file can hold."""

from __future__ import annotations

__all__ = ["can_be_stored"]


def can_be_stored(name: str) -> bool:
    """Whether a name can be stored in netCDF, JSON and pictures: Unicode text without NUL.

    Parameters
    ----------
    name : str
        Of a stimulus, a feature, a target, a file. The name of a file that is not UTF-8 holds lone surrogates.

    Returns
    -------
    bool

    Examples
    --------
    >>> can_be_stored("$x$"), can_be_stored("a\\0b"), can_be_stored("caf\\udce9.npy")
    (True, False, False)
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in name
