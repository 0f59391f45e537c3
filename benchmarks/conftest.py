"""``python -m pytest benchmarks``: which cases run, what each is told beside its times, where baselines lie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

import cases
import machine


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--small", action="store_true", help="every benchmark at a size of a moment, results compared")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "large: takes minutes or gigabytes; runs with -m large alone")
    # Another processor's baseline says nothing here: each has a folder of its own, unless one is named.
    if config.getoption("benchmark_storage") == "file://./.benchmarks":
        place = re.sub(r"\W+", "-", machine.processor()).strip("-")
        config.option.benchmark_storage = f"file://{config.rootpath / '.benchmarks' / place}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("markexpr") or config.getoption("small"):
        return
    large = [item for item in items if item.get_closest_marker("large")]
    if large:
        config.hook.pytest_deselected(items=large)
        items[:] = [item for item in items if item not in large]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "contender" not in metafunc.fixturenames:
        return
    parameters = []
    for group in cases.suite(metafunc.config.getoption("small")).values():
        for name, way in group.contenders.items():
            marks = [pytest.mark.benchmark(group=group.name, min_rounds=group.rounds if way.ours else 1)]
            marks += [pytest.mark.large] if group.large else []
            parameters.append(pytest.param(group, name, id=f"{group.name}-{name}", marks=marks))
    metafunc.parametrize(("group", "contender"), parameters)


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """Contenders of one thread are that: numpy's products too."""
    from threadpoolctl import threadpool_limits

    import numpy as np

    with threadpool_limits(1, "blas"), np.errstate(invalid="ignore", divide="ignore"):
        yield


def pytest_benchmark_generate_machine_info(config: pytest.Config) -> dict[str, Any]:
    """What ``--benchmark-compare`` warns of where it differs; levels and versions are in each benchmark's record."""
    return machine.place()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Shares of the floor: the plugin's own table has no room for them."""
    measured = [bench for bench in config._benchmarksession.benchmarks if "share_of_floor" in bench.extra_info]  # type: ignore[attr-defined]
    if not measured:
        return
    terminalreporter.section("share of the floor, of median times")
    for bench in measured:
        said = bench.extra_info
        terminalreporter.line(
            f"{said['share_of_floor']:7.1%}  of {said['floor_seconds']:.3g} s ({said['floor_binds']}): {bench.param}"
        )
