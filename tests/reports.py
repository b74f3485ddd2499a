"""What Sentry hears of calls that fail, with the integrations that everybody has: `python reports.py FOLDER`.

They patch the libraries of a process for good, so it has one of its own.
"""

import json
import logging
import sys
from pathlib import Path

import httpx
import sentry_sdk
from echoes import echoing
from leaks import KEY, holds
from sentry_sdk.integrations.logging import LoggingIntegration
from test_frames import FAILURES, failure

HEARD: list[bytes] = []


class Kept(sentry_sdk.transport.Transport):
    def capture_envelope(self, envelope):
        HEARD.append(envelope.serialize())


def crumb(given, _):
    HEARD.append(json.dumps(given, default=repr).encode())  # of every thread, whichever report it goes into
    return given


def set_up():
    sentry_sdk.init(
        "http://nobody@127.0.0.1:9/1",
        transport=Kept,
        before_breadcrumb=crumb,
        event_scrubber=None,
        send_default_pii=True,
        include_local_variables=True,
        max_value_length=10**6,
        traces_sample_rate=1.0,
        integrations=[LoggingIntegration(level=logging.DEBUG)],
    )
    for name in ("httpx", "httpcore", "beluga_nb", "asyncio"):
        logging.getLogger(name).setLevel(logging.DEBUG)


def heard_of(call):
    """Everything that is heard while a call runs and its error is reported."""
    HEARD.clear()
    with sentry_sdk.start_transaction(name="a cell"):
        if error := call():
            sentry_sdk.capture_exception(error)
    return b"\n".join(HEARD)


def asks_with_httpx():
    with echoing("a reason", lambda key: key) as base_url:
        httpx.get(base_url, headers={"authorization": f"Bearer {KEY}"})


def main(folder):
    set_up()
    silent, leaked = [], []
    for number, name in enumerate(FAILURES):
        (place := folder / str(number)).mkdir()
        heard = heard_of(lambda name=name, place=place: failure(name, place))
        silent += [] if heard else [name]
        leaked += [(name, heard)] if holds(heard) else []
    for name, heard in leaked:
        print(f"{name}: {heard.decode(errors='replace')}")
    print(f"{len(FAILURES)} calls, {len(silent)} not heard of, {len(leaked)} with the key")
    # Proof that what would be told of ours is heard.
    print("heard" if holds(heard_of(asks_with_httpx)) else "deaf")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
