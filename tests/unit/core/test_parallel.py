"""Work is shared out over threads, in order, each computing alone."""

import threading

import pytest
import torch

from grokhop.core.parallel import one_thread_each, spread


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_the_order_of_the_work(threads: int) -> None:
    assert spread(lambda n: n * n, range(50), threads) == [n * n for n in range(50)]


def test_two_pieces_are_worked_on_at_once() -> None:
    """Each waits for the other to have begun."""
    met = threading.Barrier(2, timeout=10)
    assert sorted(spread(lambda _: met.wait(), [0, 1], 2)) == [0, 1]


@pytest.mark.parametrize("threads", [1, 2])
def test_within_a_piece_torch_computes_on_one_thread_and_after_it_as_before(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert set(spread(lambda _: torch.get_num_threads(), range(4), threads)) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_fails_fails_here(threads: int) -> None:
    def fail(_: int) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        spread(fail, [1, 2], threads)


def test_the_number_of_threads_comes_back_when_something_fails() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="no"), one_thread_each():
        raise ValueError("no")
    assert torch.get_num_threads() == before


def test_callers_that_overlap_each_get_their_threads_back() -> None:
    """The first comes, the second comes, the first leaves, the second leaves."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    both_in, first_out = threading.Barrier(2, timeout=10), threading.Event()
    after: dict[str, int] = {}

    def caller(name: str) -> None:
        with one_thread_each():
            both_in.wait()
            if name == "second":
                assert first_out.wait(10)
        after[name] = torch.get_num_threads()
        first_out.set()

    callers = [threading.Thread(target=caller, args=(name,)) for name in ("first", "second")]
    try:
        for one in callers:
            one.start()
        for one in callers:
            one.join()
        assert after == {"first": 2, "second": 2}
        assert spread(lambda _: torch.get_num_threads(), range(4), 2) == [1, 1, 1, 1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
