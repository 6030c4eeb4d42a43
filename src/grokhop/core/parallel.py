"""Threads: pieces of work side by side, each computed by one thread.

torch's own threads share out every single operation and meet after it. In a model as small as these an operation takes
a tenth of a millisecond, so waiting for each other costs more than is gained, asleep, and when they wait by spinning
anything else that wants a core holds all of them up. Shares of a batch meet once a step. What is computed then depends
on the number of shares, and not on which thread was first, so a run can be repeated to the last bit.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def threads_on(device: torch.device) -> int:
    """Among how many threads work on a device is shared out: a graphics card shares it out itself."""
    return torch.get_num_threads() if device.type == "cpu" else 1


def spread(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """`work` of each item, in order, on so many threads at once."""
    with one_thread_each():
        if threads == 1 or len(items) == 1:
            return [work(item) for item in items]
        return list(_pool(threads).map(work, items))


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let torch compute each operation on the thread that asks for it.

    Several callers may be inside at once, such as those of a server, and leave in any order: torch keeps a number for
    each of them, so that each has to set its own again, to what it was before the first came.
    """
    with _door:
        _before.append(_before[0] if _before else torch.get_num_threads())
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _door:
            before = _before.pop()
        torch.set_num_threads(before)


_door = Lock()
_before: list[int] = []
"""For each caller inside, torch's number of threads before the first of them."""


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)
