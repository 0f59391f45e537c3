"""Fixtures for all tests: the devices, the folder of real data; one fixed stream of generated examples."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Thousands of small calls: a team of threads for each costs more than its work, and on a busy machine a thousand
# times more. Tests of threads name their number.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's job in the background ignores Ctrl-C, and so would every process that a test starts there.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "stable",
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("stable")


@pytest.fixture(scope="session", autouse=True)
def many_processors() -> Iterator[None]:
    """As many threads as a test names, on a machine of any size."""
    import secateur.execution

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secateur.execution, "processors", lambda: 16)
        yield


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each device in turn; CUDA skips with its reason where it cannot be used.

    A build with ``CUDA=EMULATED`` runs the kernels on the host here (``tests/cuda_on_host``); elsewhere it has no
    device, unless ``SECATEUR_EMULATED_CUDA=1`` is set for all.
    """
    import secateur.execution

    name: str = request.param
    if name == "cuda":
        monkeypatch.setenv("SECATEUR_EMULATED_CUDA", "1")
        usable, reason = secateur.execution.available(name)
        if not usable:
            pytest.skip(reason)
    return name


@pytest.fixture
def device_tolerance(device: str) -> float:
    """What double precision may be off by: 1e-10 from the definition, 1e-9 between devices."""
    return 1e-10 if device == "cpu" else 1e-9


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data named by the environment variable SECATEUR_DATA."""
    folder = os.environ.get("SECATEUR_DATA")
    if not folder:
        pytest.skip("SECATEUR_DATA is not set")
    path = Path(folder)
    if not (path / "kriegeskorte92.npz").is_file():
        pytest.skip(f"SECATEUR_DATA={folder} has no kriegeskorte92.npz")
    return path
