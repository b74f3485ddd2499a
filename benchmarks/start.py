"""What a first use costs, each time in a new interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial

from benchmarks.rows import KEY, MODEL, Job, Measures, Row, environment

TIMED = """
import json, sys, time
{before}
began, used = time.perf_counter(), time.process_time()
{code}
measures = {{"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}}
import resource
measures["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
measures["modules"] = len(sys.modules)
print(json.dumps(measures), flush=True)
"""

SHELL = """
from IPython.core.interactiveshell import InteractiveShell
import ipykernel.ipkernel
shell = InteractiveShell.instance()
"""

OPENAI_PICTURE = """
import base64, io, openai
from PIL import Image
client = openai.OpenAI(api_key={key!r}, base_url={url!r})
answer = client.images.generate(model={model!r}, prompt="a whale", response_format="b64_json")
Image.open(io.BytesIO(base64.b64decode(answer.data[0].b64_json))).load()
"""

PICTURE = f"""
import beluga_nb
beluga_nb.generate("a whale", model={MODEL!r})[0].load()
"""


def in_a_new_process(code: str, before: str, job: Job, **variables: str) -> Measures:
    """Return what some code costs in an interpreter that did nothing else than `before`."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(before=before, code=code)],
        cwd=job.folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("BELUGA_")}
        | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "BELUGA_MODE": "auto"}
        | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    measures: Measures = json.loads(done.stdout.splitlines()[-1])
    return measures


def code(text: str, job: Job, *, before: str = "") -> Measures:
    """Measure some code."""
    return in_a_new_process(text, before, job)


def keyless(job: Job) -> Measures:
    """The first picture without a key: the painter's, recorded."""
    return in_a_new_process(PICTURE, "", job)


def with_key(job: Job) -> Measures:
    """The first picture of a service, recorded."""
    return in_a_new_process(PICTURE, "", job, **environment(job))


def openai_picture(job: Job) -> Measures:
    """The first picture of a service by openai's client."""
    return in_a_new_process(OPENAI_PICTURE.format(key=KEY, url=job.url(), model=MODEL), "", job)


ROWS = {
    "load": Row(
        "load in a kernel",
        {
            "%load_ext beluga_nb": partial(
                code, "shell.run_line_magic('load_ext', 'beluga_nb')", before=SHELL
            ),
            "import httpx": partial(code, "import httpx", before=SHELL),
            "import openai": partial(code, "import openai", before=SHELL),
        },
        rounds=5,
        needs={"import openai": "openai"},
    ),
    "import": Row(
        "import in a new interpreter",
        {
            "beluga_nb": partial(code, "import beluga_nb"),
            "beluga_nb.generate": partial(code, "import beluga_nb; beluga_nb.generate"),
            "httpx": partial(code, "import httpx"),
            "openai": partial(code, "import openai; openai.OpenAI"),
            "aiohttp": partial(code, "import aiohttp"),
            "litellm": partial(code, "import litellm; litellm.image_generation"),
        },
        rounds=5,
        quick_subjects=("beluga_nb", "beluga_nb.generate", "httpx", "openai"),
        needs={"openai": "openai", "aiohttp": "aiohttp", "litellm": "litellm"},
    ),
    "first": Row(
        "the first picture in a new interpreter, imports included",
        {
            "beluga_nb, with a key": with_key,
            "beluga_nb, without": keyless,
            "openai": openai_picture,
        },
        rounds=5,
        needs={"openai": "openai"},
    ),
}
