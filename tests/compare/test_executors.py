"""Calls on real executors: processes, threads, interpreters and a Dask cluster of two workers."""

import concurrent.futures
import multiprocessing
import sys
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from dots import dying, twice

from beluga_nb.compare.executors import each
from beluga_nb.errors import RequestError


def spawned(workers=2):
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def results(executor, count=20, **how):
    found = dict(each(twice, ((number,) for number in range(count)), executor=executor, **how))
    return [found[number] for number in range(count)]


EXECUTORS = {"processes": spawned, "threads": lambda: ThreadPoolExecutor(2)}
if sys.version_info >= (3, 14):
    EXECUTORS["interpreters"] = lambda: concurrent.futures.InterpreterPoolExecutor(2)


@pytest.mark.parametrize("kind", EXECUTORS)
def test_every_executor_gives_the_same_and_stays_open(kind):
    with EXECUTORS[kind]() as executor:
        assert results(executor) == results(None) == [2 * number for number in range(20)]
        assert executor.submit(twice, 4).result() == 8


def test_a_process_that_died_is_an_error_of_two_lines():
    with spawned(1) as executor:
        with pytest.raises(RequestError) as caught:
            list(each(dying, [(1,)] * 3, executor=executor, in_flight=1))
        assert caught.value.message.startswith("The executor takes no more work: ")
        assert caught.value.hint == "Pass another one; what was done is kept."


class Slow(ThreadPoolExecutor):
    """An executor that begins nothing: it counts what it was given, and lets a test end it."""

    def __init__(self):
        super().__init__(1)
        self.given = []

    def submit(self, _, *arguments):
        future = Future()
        self.given.append((future, arguments))
        return future


def test_no_more_calls_are_under_way_than_one_says_and_arguments_come_as_they_are_needed():
    slow, taken = Slow(), []

    def arguments():
        for number in range(10):
            taken.append(number)
            yield (number,)

    found = each(twice, arguments(), executor=slow, in_flight=3)

    while_waiting = threading.Thread(
        target=lambda: (wait_for(lambda: len(slow.given) == 3), slow.given[0][0].set_result("first"))
    )
    while_waiting.start()
    assert next(found) == (0, "first")
    while_waiting.join()
    assert len(slow.given) == 3
    assert taken == [0, 1, 2, 3]  # the fourth was read, and waits
    found.close()
    assert all(future.cancelled() for future, _ in slow.given[1:])


def wait_for(claim):
    event = threading.Event()
    while not claim():
        event.wait(0.01)


def test_an_interrupt_cancels_what_has_not_begun_and_shuts_nothing_down():
    slow = Slow()

    def interrupted():
        yield (0,)
        yield (1,)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(each(twice, interrupted(), executor=slow))
    assert [future.cancelled() for future, _ in slow.given] == [True, True]
    assert not slow._shutdown


def test_an_exception_stands_in_the_place_of_its_result():
    with ThreadPoolExecutor(2) as executor:
        for pool in (None, executor):
            found = dict(each(lambda value: 1 / value, [(1,), (0,), (2,)], executor=pool))
            assert (found[0], found[2]) == (1, 0.5)
            assert isinstance(found[1], ZeroDivisionError)


def test_nothing_at_once_is_no_bound():
    with pytest.raises(RequestError, match="in_flight is 0"):
        each(twice, [], in_flight=0)
