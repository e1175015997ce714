"""Time in tests, where no event of the server can be awaited."""
import concurrent.futures
import time

from .client import PATIENCE


def until(moment):
    """Sleeps until time.monotonic() has that value."""
    while (left := moment - time.monotonic()) > 0:
        time.sleep(left)


def eventually(question, timeout=PATIENCE):
    """The first true answer of the question, asked every 20 ms."""
    deadline = time.monotonic() + timeout
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not within {timeout} s; last answer {answer!r}"
        time.sleep(0.02)
    return answer


def together(*jobs):
    """Runs the functions in threads of their own; their results, or the first exception."""
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]
