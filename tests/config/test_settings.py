"""Where settings come from, which wins, and what is refused."""

from pathlib import Path

import pytest

from beluga_nb.config.settings import LARGEST_NUMBER, LOOPBACK, SERVICE, Settings, checked_base_url, load
from beluga_nb.engines.backend import EMBEDDED_URL, Backend
from beluga_nb.engines.pipeline import source_of
from beluga_nb.engines.room import engine_room
from beluga_nb.errors import SettingsError, UnknownNameError
from beluga_nb.redaction import Secret


@pytest.fixture
def project(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)
    return tmp_path


def write(folder, text):
    (folder / "beluga.toml").write_text(text, "utf-8")


# --- precedence


def test_no_settings_mean_the_service_and_the_defaults(tmp_path):
    assert load({}, tmp_path) == Settings(store=tmp_path / "beluga_store")
    assert Settings().base_url == "https://api.belugapi.com/v1"
    assert (Settings().mode, Settings().model, Settings().bridge) == ("auto", "gpt-image-2", "thread")
    assert (Settings().timeout, Settings().connect_timeout, Settings().max_in_flight) == (330.0, 10.0, 4)


def test_the_file_outranks_the_defaults(project):
    write(project, 'model = "flux-2.0"\nmode = "replay"')
    settings = load({}, project)
    assert (settings.model, settings.mode, settings.response_format) == ("flux-2.0", "replay", "b64_json")


def test_the_environment_outranks_the_file(project):
    write(project, 'model = "flux-2.0"\nmode = "replay"')
    settings = load({"BELUGA_MODEL": "seedream-4.5"}, project)
    assert (settings.model, settings.mode) == ("seedream-4.5", "replay")


def test_the_call_outranks_the_environment(project):
    settings = load({"BELUGA_MODEL": "seedream-4.5"}, project).with_(model="wan2.7-image", mode=None)
    assert (settings.model, settings.mode) == ("wan2.7-image", "auto")


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_says_nothing(tmp_path, value):
    assert load({"BELUGA_MODEL": value}, tmp_path).model == "gpt-image-2"


@pytest.mark.parametrize(
    ("environ", "text", "mode"),
    [
        ({"CI": "true"}, "", "replay"),
        ({"CI": "1"}, "", "replay"),
        ({"CI": ""}, "", "auto"),
        ({"CI": "false"}, "", "auto"),
        ({"CI": "0"}, "", "auto"),
        ({"CI": "true"}, 'mode = "auto"', "replay"),
        ({"CI": "true", "BELUGA_MODE": "auto"}, 'mode = "replay"', "auto"),
        ({"CI": "true", "BELUGA_MODE": "refresh"}, "", "refresh"),
    ],
)
def test_under_ci_the_mode_is_replay_unless_the_person_says_otherwise(project, environ, text, mode):
    write(project, text)
    assert load(environ, project).mode == mode


# --- the file


def test_the_file_of_the_git_project_counts_in_every_folder_of_it(project):
    write(project, 'model = "flux-2.0"')
    assert load({}, project / "notebooks" / "deep").model == "flux-2.0"


def test_the_nearest_file_counts(project):
    write(project, 'model = "flux-2.0"')
    write(project / "notebooks", 'model = "seedream-4.5"')
    assert load({}, project / "notebooks" / "deep").model == "seedream-4.5"


def test_a_file_beyond_the_git_project_is_not_read(tmp_path):
    write(tmp_path, 'base_url = "https://elsewhere.example/v1"')
    (tmp_path / "project" / ".git").mkdir(parents=True)
    assert load({}, tmp_path / "project").provider == "belugapi"


def test_without_a_git_project_only_the_folder_itself_is_looked_at(tmp_path):
    write(tmp_path, 'model = "flux-2.0"')
    (tmp_path / "inner").mkdir()
    assert load({}, tmp_path / "inner").model == "gpt-image-2"
    assert load({}, tmp_path).model == "flux-2.0"


def test_the_store_of_a_file_lies_beside_the_file(project):
    write(project, 'store = "pictures"')
    assert load({}, project / "notebooks").store == project / "pictures"


def test_the_store_of_the_environment_lies_in_the_folder(project):
    assert load({"BELUGA_STORE": "pictures"}, project / "notebooks").store == project / "notebooks/pictures"


def test_an_absolute_store_stays_where_it_is(project):
    assert load({"BELUGA_STORE": "/srv/pictures"}, project).store == Path("/srv/pictures")


def test_a_folder_that_is_given_relatively_is_found_all_the_same(project, monkeypatch):
    write(project, 'store = "pictures"')
    monkeypatch.chdir(project)
    assert load({}, Path("notebooks")).store == project / "pictures"


@pytest.mark.parametrize("name", ["key", "api_key", "BELUGA_API_KEY", "apikey"])
def test_a_key_in_a_file_is_refused_and_not_repeated(project, name):
    write(project, f'{name} = "bapi_sentinel-sentinel"')
    with pytest.raises(SettingsError) as caught:
        load({}, project)
    assert str(caught.value) == (
        f"beluga.toml holds a key ('{name}').\nFiles get committed: set BELUGA_API_KEY instead."
    )


def test_an_unknown_name_in_a_file_is_refused_with_the_one_that_was_meant(project):
    write(project, 'modell = "flux-2.0"')
    with pytest.raises(UnknownNameError) as caught:
        load({}, project)
    assert caught.value.message == "No setting 'modell'."
    assert caught.value.hint.startswith("Did you mean 'model'? Available: aliases, base_url, bridge,")


def test_a_file_may_not_say_where_its_base_url_came_from(project):
    write(project, 'base_url = "https://elsewhere.example/v1"\norigin = "environment"')
    with pytest.raises(UnknownNameError):
        load({}, project)


def test_an_unreadable_file_is_named(project):
    write(project, "model = ")
    with pytest.raises(SettingsError, match=r"beluga\.toml cannot be read"):
        load({}, project)


def test_a_file_that_is_no_text_is_named(project):
    (project / "beluga.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"beluga\.toml cannot be read"):
        load({}, project)


# --- values


@pytest.mark.parametrize(
    ("given", "message", "nearest"),
    [
        ({"mode": "replya"}, "No value 'replya' for mode.", "replay"),
        ({"bridge": "threads"}, "No value 'threads' for bridge.", "thread"),
        ({"response_format": "b64"}, "No value 'b64' for response_format.", "b64_json"),
        ({"mode": 7}, "No value '7' for mode.", None),
    ],
)
def test_an_unknown_value_is_refused_with_the_one_that_was_meant(given, message, nearest):
    with pytest.raises(UnknownNameError) as caught:
        Settings().with_(**given)
    assert (caught.value.message, caught.value.nearest) == (message, nearest)


def test_an_unknown_name_in_a_call_is_refused_with_the_one_that_was_meant():
    with pytest.raises(UnknownNameError) as caught:
        Settings().with_(time_out=3)
    assert (caught.value.message, caught.value.nearest) == ("No setting 'time_out'.", "timeout")


@pytest.mark.parametrize("name", ["timeout", "connect_timeout", "max_in_flight"])
@pytest.mark.parametrize("value", [0, -1, True, "5", float("nan")])
def test_a_number_that_is_not_above_zero_is_refused(name, value):
    with pytest.raises(SettingsError, match=f"The setting {name} is"):
        Settings().with_(**{name: value})


@pytest.mark.parametrize("name", ["timeout", "connect_timeout", "max_in_flight"])
def test_a_number_of_seconds_or_requests_has_a_bound(name):
    assert getattr(Settings().with_(**{name: LARGEST_NUMBER}), name) == LARGEST_NUMBER
    for value in (LARGEST_NUMBER + 1, float("inf"), 10**400):
        with pytest.raises(SettingsError, match=f"The setting {name} is"):
            Settings().with_(**{name: value})


def test_requests_in_flight_are_counted_whole():
    with pytest.raises(SettingsError, match=r"The setting max_in_flight is 2\.5"):
        Settings(max_in_flight=2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["store", "model"])
def test_a_text_that_is_a_number_is_refused(name):
    with pytest.raises(SettingsError, match=f"The setting {name} is 5"):
        Settings().with_(**{name: 5})


# --- the base URL


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("https://api.belugapi.com/v1", "https://api.belugapi.com/v1"),
        ("https://api.belugapi.com/v1/", "https://api.belugapi.com/v1"),
        ("https://images.example:8443/openai/v1", "https://images.example:8443/openai/v1"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_a_safe_base_url_is_taken_without_its_last_slash(url, checked):
    assert checked_base_url(url) == checked


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "The base URL is not an http or https URL."),
        ("api.belugapi.com/v1", "The base URL is not an http or https URL."),
        ("ftp://api.belugapi.com", "The base URL is not an http or https URL."),
        ("file:///etc/passwd", "The base URL is not an http or https URL."),
        ("https://", "The base URL is not an http or https URL."),
        ("https://[::1/v1", "The base URL is not an http or https URL."),
        ("https://images.example:port/v1", "The base URL is not an http or https URL."),
        ("https://images.example:99999/v1", "The base URL is not an http or https URL."),
        ("https://images.example/v1\nx", "The base URL is not an http or https URL."),
        ("https://images.example/v\x011", "The base URL is not an http or https URL."),
        ("https://images .example/v1", "The base URL is not an http or https URL."),
        (5, "The base URL is not an http or https URL."),
        (
            "https://me:secret@images.example/v1",
            "The base URL holds a user name, a password, a query or a fragment.",
        ),
        (
            "https://me@images.example/v1",
            "The base URL holds a user name, a password, a query or a fragment.",
        ),
        ("https://@images.example/v1", "The base URL holds a user name, a password, a query or a fragment."),
        ("https://:pw@images.example", "The base URL holds a user name, a password, a query or a fragment."),
        (
            "https://images.example/v1?key=1",
            "The base URL holds a user name, a password, a query or a fragment.",
        ),
        ("https://images.example/v1?", "The base URL holds a user name, a password, a query or a fragment."),
        ("https://images.example/v1#x", "The base URL holds a user name, a password, a query or a fragment."),
        ("http://images.example/v1", "The base URL uses http for images.example, which is not encrypted."),
        (
            "http://localhost.example/v1",
            "The base URL uses http for localhost.example, which is not encrypted.",
        ),
        ("http://10.0.0.5/v1", "The base URL uses http for 10.0.0.5, which is not encrypted."),
    ],
)
def test_s13_an_unsafe_base_url_is_refused_without_repeating_a_password(url, message):
    with pytest.raises(SettingsError) as caught:
        checked_base_url(url)
    assert caught.value.message == message
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "provider", "loopback"),
    [
        ("https://api.belugapi.com/v1", "belugapi", False),
        ("https://images.example:8443/v1", "images.example", False),
        ("http://127.0.0.1:8000/v1", "127.0.0.1", True),
        ("http://localhost/v1", "localhost", True),
    ],
)
def test_the_provider_is_belugapi_or_the_host(url, provider, loopback):
    settings = Settings(base_url=url)
    assert (settings.provider, settings.loopback) == (provider, loopback)


def test_the_source_of_each_setting_is_known(project):
    write(project, 'model = "flux-2.0"')
    loaded = load({"BELUGA_MODE": "replay"}, project / "nowhere" / "else").with_(timeout=5)
    assert loaded.places == {"model": "../../beluga.toml", "mode": "the environment", "timeout": "the call"}
    assert load({}, project).places == {"model": "beluga.toml"}


@pytest.mark.parametrize(
    ("given", "faults"),
    [("1", True), ("true", True), ("ON", True), ("0", False), ("no", False), (" ", False)],
)
def test_faults_are_switched_by_the_environment(tmp_path, given, faults):
    assert load({"BELUGA_FAULTS": given}, tmp_path).faults is faults


def test_faults_are_off_by_themselves_and_on_where_the_file_says_so(tmp_path):
    assert load({}, tmp_path).faults is False
    (tmp_path / "beluga.toml").write_text("faults = true\n")
    assert load({}, tmp_path).faults is True
    assert load({"BELUGA_FAULTS": "0"}, tmp_path).faults is False


def test_progress_is_on_by_itself_and_off_where_the_environment_says_so(tmp_path):
    assert load({}, tmp_path).progress is True
    assert load({"BELUGA_PROGRESS": "false"}, tmp_path).progress is False


def test_faults_are_a_yes_or_a_no(tmp_path):
    with pytest.raises(SettingsError, match="BELUGA_FAULTS is 'maybe'"):
        load({"BELUGA_FAULTS": "maybe"}, tmp_path)
    with pytest.raises(SettingsError, match="The setting faults is 'yes'"):
        Settings(faults="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
@pytest.mark.parametrize("host", ["api.belugapi.com", "API.belugapi.com", "Api.BelugAPI.Com"])
@pytest.mark.parametrize("port", ["", ":443", ":0443"])
@pytest.mark.parametrize("end", ["", "/", "//"])
def test_a_server_is_the_same_however_its_address_is_spelled(scheme, host, port, end):
    settings = Settings(base_url=f"{scheme}://{host}{port}/v1{end}")
    assert (settings.base_url, settings.provider) == (SERVICE, "belugapi")


@pytest.mark.parametrize(
    ("url", "usual"),
    [
        ("http://127.0.0.1:80/v1", "http://127.0.0.1/v1"),
        ("http://LOCALHOST:8080/V1/", "http://localhost:8080/V1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("https://Lab.example:8443", "https://lab.example:8443"),
        ("https://lab.example:80/v1", "https://lab.example:80/v1"),
    ],
)
def test_what_is_another_server_stays_another(url, usual):
    assert Settings(base_url=url).base_url == usual


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
@pytest.mark.parametrize("host", [*sorted(LOOPBACK - {"::1"}), "LocalHost", "[::1]"])
@pytest.mark.parametrize("port", ["", ":80", ":080", ":8080"])
@pytest.mark.parametrize("path", ["", "/v1", "/v1/"])
def test_a_server_of_this_machine_is_never_taken_for_the_embedded_one(scheme, host, port, path):
    settings = Settings(base_url=f"{scheme}://{host}{port}{path}")
    backend = Backend(settings=settings, key=Secret("a-key-of-this-server", "a test"))
    assert not source_of(backend, engine_room()).is_free


def test_nothing_can_be_set_to_the_address_of_the_embedded_server():
    with pytest.raises(SettingsError):
        Settings(base_url=EMBEDDED_URL)
    with pytest.raises(SettingsError):
        Settings(endpoints={"lab": {"base_url": EMBEDDED_URL}})
