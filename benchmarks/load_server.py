"""Many callers at once on the embedded BelugAPI, in front of an engine that answers at once.

    python -m benchmarks.load_server [seconds] [callers]

`serve` runs in a child process; `wrk` (the Debian package) keeps that many connections alive and POSTs on
each as soon as the last answer is there. The server has places for 68 requests, and tells the rest to come
back (429), which `wrk` does at once. Prints requests per second, latency, statuses by count, and the
server's memory over time, which must not grow.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, Result

ROOT = Path(__file__).parent.parent
SERVE = "from benchmarks.load_server import serve; serve()"
KEY = "bapi_a-key-for-benchmarks"

SCRIPT = """
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer %(key)s"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[%(body)s]]

local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() statuses = {} end
function response(status) statuses[status] = (statuses[status] or 0) + 1 end

function done(summary, latency)
  local counts = {}
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get("statuses")) do
      counts[status] = (counts[status] or 0) + count
    end
  end
  local said = {}
  for status, count in pairs(counts) do table.insert(said, string.format('"%%d": %%d', status, count)) end
  local e = summary.errors
  io.write(string.format('\\n{"requests": %%d, "seconds": %%.2f, "bytes": %%d,',
    summary.requests, summary.duration / 1e6, summary.bytes))
  local function ms(percent) return latency:percentile(percent) / 1e3 end
  io.write(string.format(' "ms": {"50": %%.1f, "90": %%.1f, "99": %%.1f, "100": %%.1f},',
    ms(50), ms(90), ms(99), latency.max / 1e3))
  io.write(string.format(' "errors": {"connect": %%d, "read": %%d, "write": %%d, "timeout": %%d},',
    e.connect, e.read, e.write, e.timeout))
  io.write(' "statuses": {' .. table.concat(said, ", ") .. '}}\\n')
end
"""


def serve() -> None:
    from beluga_nb.server.serve import main

    data = os.urandom(2048)  # nobody decodes it here

    async def at_once(request: Request) -> Result:
        return Result.of(request, [ImagePayload(data) for _ in request.samples], engine="canned")

    sys.exit(main(["--port", "0", "--key", KEY], engine=at_once))


def memory(pid: int) -> float:
    """The resident memory of a process, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def driven(base_url: str, seconds: int, callers: int) -> dict[str, object]:
    body = json.dumps({"model": "flux-2.0", "prompt": "a whale", "response_format": "b64_json"})
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % {"key": KEY, "body": body})
        script.flush()
        words = ["wrk", "-t1", f"-c{callers}", f"-d{seconds}s", "--timeout", "10s", "-s", script.name]
        url = f"{base_url}/images/generations"
        out = subprocess.run([*words, url], capture_output=True, text=True, check=True).stdout
    said: dict[str, object] = json.loads(out.splitlines()[-1])
    return said


def main(seconds: int = 30, callers: int = 200) -> None:
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    child = [sys.executable, "-c", SERVE]
    with subprocess.Popen(child, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            [base_url] = re.findall(r"http://\S+", server.stdout.readline())
            driven(base_url, 1, 1)  # what is lazy is imported
            report(base_url, server.pid, seconds, callers)
        finally:
            server.terminate()


def report(base_url: str, pid: int, seconds: int, callers: int) -> None:
    over_time = [f"{memory(pid):.1f} at the start"]

    def watch() -> None:
        for third in (1, 2, 3):
            time.sleep(seconds / 3)
            over_time.append(f"{memory(pid):.1f} after {seconds * third / 3:.0f} s")

    watching = threading.Thread(target=watch)
    watching.start()
    said = driven(base_url, seconds, callers)
    watching.join()
    print(f"{callers} callers, {said['seconds']} s")
    print(f"requests/s      {int(str(said['requests'])) / float(str(said['seconds'])):.0f}")
    for name in ("ms", "statuses", "errors"):
        print(f"{name:15} {said[name]}")
    print(f"MiB             {', '.join(over_time)}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
