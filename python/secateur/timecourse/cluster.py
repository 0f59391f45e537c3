"""Calls in turn, or spread over the workers of a dask cluster: the same results, in whatever order they are ready."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable
from typing import Any

import numpy as np

__all__ = ["TRIES", "Call", "check_client", "results"]

Call = tuple[int, tuple[Any, ...]]
TRIES = 5  # how often a worker may go with what a call needs before that is an error


def results(
    function: Callable[..., Any], shared: tuple[Any, ...], calls: Iterable[Call], client: Any
) -> Generator[tuple[int, Any], None, None]:
    """``function(*shared, *arguments)`` of every (key, arguments), with its key.

    Calls are drawn when there is room for them, so that what they hold is read when it is needed. On a cluster
    ``shared`` is sent once, and arrays of dask are computed by the workers.
    """
    if client is not None:
        yield from _spread(function, shared, calls, client)
        return
    for key, arguments in calls:
        yield key, function(*shared, *arguments)


def check_client(client: Any) -> None:
    """Refuse what is no client of a cluster."""
    if client is None:
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError("client needs dask's distributed: pip install 'secateur[cluster]'") from error
    if not isinstance(client, Client):
        raise TypeError(f"client must be a dask.distributed.Client or None, got {type(client).__name__}")


def _spread(
    function: Callable[..., Any], shared: tuple[Any, ...], calls: Iterable[Call], client: Any
) -> Generator[tuple[int, Any], None, None]:
    """The calls as tasks, two for each of the workers' threads at a time."""
    import distributed

    ahead, again, tries = iter(calls), deque[Call](), Counter[int]()
    running: dict[Any, tuple[Call, Any]] = {}
    common: list[Any] = []
    untyped: Any = distributed
    completed = untyped.as_completed()

    def submit(call: Call) -> None:
        if not common or any(future.status != "finished" for future in common):
            common[:] = [_sent(thing, client, broadcast=True) for thing in shared]
        needed = [_on_workers(argument, client) for argument in call[1]]
        future = client.submit(function, *common, *needed, pure=False)
        running[future] = call, needed
        completed.add(future)

    def fill() -> None:
        room = 2 * max(1, sum(client.nthreads().values()))
        while len(running) < room:
            call = again.popleft() if again else next(ahead, None)
            if call is None:
                return
            submit(call)

    try:
        fill()
        for future in completed:
            call, _ = running.pop(future)
            made, lost = _outcome(future)
            if lost:
                tries[call[0]] += 1
                if tries[call[0]] == TRIES:
                    raise RuntimeError(f"a chunk lost its input {TRIES} times, each time with the worker that held it")
                again.append(call)
            fill()
            if not lost:
                yield call[0], made
    finally:
        client.cancel(list(running))
        completed.clear()


def _on_workers(argument: Any, client: Any) -> Any:
    """An argument where the workers find it: an array of dask is not computed here."""
    if hasattr(argument, "__dask_graph__"):
        return client.compute(argument)
    return _sent(argument, client) if isinstance(argument, np.ndarray) else argument


def _sent(thing: Any, client: Any, *, broadcast: bool = False) -> Any:
    """Something of ours in the memory of a worker, or of all; again where one ends while it takes it."""
    attempt = 0
    while True:
        client.wait_for_workers(1)
        try:
            return client.scatter([thing], broadcast=broadcast, hash=False)[0]
        except OSError:  # distributed's CommClosedError is one
            attempt += 1
            if attempt == TRIES:
                raise
            time.sleep(0.1 * 2**attempt)  # until the scheduler knows


def _outcome(future: Any) -> tuple[Any, bool]:
    """A task's result, and whether it was lost: what it needed went with a worker, so that dask gave it up."""
    from distributed import CancelledError

    if future.status == "error":
        raise future.exception()
    if future.status != "finished":
        return None, True
    try:
        return future.result(), False
    except CancelledError:
        return None, True
