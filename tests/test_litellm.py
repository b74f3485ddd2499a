"""A real LiteLLM proxy, in an environment of its own, between our client and our own server.

To install it takes long: every check tries its dialect, with a server that reads a body as it does.
"""

import contextlib
import json
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import KEY, ask, drawing, service
from installed import Environment

from beluga_nb.errors import APIStatusError
from beluga_nb.request import Request
from beluga_nb.session.session import Session

pytestmark = [pytest.mark.environment, pytest.mark.whole]

PROXY_KEY = "sk-the-proxys-own-key"
START = 90  # seconds: nothing of it is compiled yet


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return Environment(
        tmp_path_factory.mktemp("litellm") / "env", "-r", str(Path(__file__).with_name("litellm.txt"))
    )


def configured(folder, base_url):
    there = {"model": "openai/flux-2.0", "api_base": base_url, "api_key": KEY}
    options = {
        "model_list": [{"model_name": "whale", "litellm_params": there}],
        "general_settings": {"master_key": PROXY_KEY},
    }
    (folder / "proxy.yaml").write_text(json.dumps(options))  # JSON is YAML


@contextlib.contextmanager
def proxy(installed, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "uvicorn", "litellm.proxy.proxy_server:app", "--port", str(port)]
    environ = installed.environ(
        CONFIG_FILE_PATH=str(folder / "proxy.yaml"), LITELLM_LOCAL_MODEL_COST_MAP="True"
    )
    with (
        (folder / "proxy.log").open("w") as log,
        subprocess.Popen(
            [installed.python, *words], cwd=folder, env=environ, stdout=log, stderr=log
        ) as running,
    ):
        try:
            _wait(running, f"http://127.0.0.1:{port}/health/liveliness", folder / "proxy.log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            running.terminate()
            running.wait(20)


def _wait(running, url, log):
    until = time.monotonic() + START
    while time.monotonic() < until:
        assert running.poll() is None, log.read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.2)
    raise TimeoutError(log.read_text())


@pytest.fixture(scope="module")
def lab(installed, tmp_path_factory):
    """A folder whose beluga.toml names the proxy."""
    folder = tmp_path_factory.mktemp("lab")
    with service(drawing) as base_url:
        configured(folder, base_url)
        with proxy(installed, folder) as proxied:
            (folder / "beluga.toml").write_text(
                f'[endpoints.lab]\nbase_url = "{proxied}"\ndialect = "litellm"\nmodel = "whale"\n'
            )
            yield folder


def session(folder, **options):
    return Session(
        environ={"BELUGA_LAB_API_KEY": PROXY_KEY, "BELUGA_TRUST": str(folder)}, folder=folder, **options
    )


@pytest.mark.parametrize("size", [None, "16:9", "3:4", "21:9"])
@pytest.mark.parametrize("quality", [None, "hd"])
def test_what_comes_through_the_proxy_is_what_the_engine_gave(lab, size, quality):
    parameters = {name: value for name, value in {"size": size, "quality": quality}.items() if value}
    # Ours is the default size of the API, which LiteLLM does not say.
    expected = ask(drawing, Request(prompt="a whale, really?", model="flux-2.0", **parameters))
    result = session(lab).generate("a whale, really?", endpoint="lab", mode="off", **parameters)
    assert [picture.data for picture in result.pictures] == [picture.data for picture in expected.pictures]
    assert result.recipe.request.model == "lab:whale"


def test_what_the_proxy_gave_is_recorded_under_its_name(lab):
    first = session(lab).generate("a fox", endpoint="lab", n=2)
    assert len(first) == 2
    assert Session(environ={}, folder=lab).generate("a fox", endpoint="lab", n=2, mode="replay") == first


def test_the_proxy_lists_what_it_has(lab):
    assert [model.id for model in session(lab).models(endpoint="lab").named] == ["lab:whale"]


@pytest.mark.parametrize(
    ("environ", "model", "status"),
    [
        ({"BELUGA_LAB_API_KEY": "sk-another-key-1234"}, "lab:whale", {400, 401, 403}),
        ({"BELUGA_LAB_API_KEY": PROXY_KEY}, "lab:whelk", {400, 404}),
    ],
)
def test_what_the_proxy_refuses_is_one_error(lab, environ, model, status):
    with pytest.raises(APIStatusError) as failed:
        Session(environ=environ | {"BELUGA_TRUST": str(lab)}, folder=lab).generate(
            "a boat", model=model, mode="off"
        )
    assert failed.value.status in status
    assert failed.value.message
    assert "\n" not in failed.value.message
