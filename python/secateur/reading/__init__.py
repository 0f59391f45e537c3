"""Files of strangers: what is read of them, within limits, and how.

limits    the most that a file may hold and take, and how to lift it
arrays    .npy and .npz, whose headers are checked before their values are read
process   .mat, HDF5 and netCDF, whose readers can crash or never end: read in a process of their own
child     that process; it imports nothing of this library
names     which names can be stored
"""

from .arrays import load_npy, npy_header, npz_headers, npz_member
from .limits import LIFT, Limits, ReadError, check_size, current, limits
from .names import can_be_stored
from .process import Reader, netcdf_array, netcdf_dataset

__all__ = [
    "LIFT", "Limits", "ReadError", "Reader", "can_be_stored", "check_size", "current", "limits", "load_npy",
    "netcdf_array", "netcdf_dataset", "npy_header", "npz_headers", "npz_member",
]  # fmt: skip
