"""Functions that an executor's processes can import."""

import os
import time


def red(image):
    """The mean red of a picture."""
    return image.convert("RGB").resize((1, 1)).getpixel((0, 0))[0]


def failing(image):
    """Fails for pictures of one kind."""
    if image.width > 100:
        raise ValueError("too wide for me")
    return image.width


def where(image):
    """The process that looks at a picture."""
    return os.getpid()


def twice(value):
    return 2 * value


def dying(value):
    os._exit(1)


def resting(seconds):
    """Keeps its process busy for a while, so that another one takes the next call."""
    time.sleep(seconds)
    return os.getpid()


def dying_once(path, value):
    """Ends its process if it is the first that is asked."""
    if os.path.exists(path):
        os.unlink(path)
        os._exit(1)
    return value


def is_running(dask_worker):
    """Whether a worker's nanny has seen it start; one that dies earlier is not started again."""
    return dask_worker.status.name == "running"
