"""Forty ways to fail: two lines each, the cell has failed, and its class can be caught."""

import pytest
from kernels import Kernel

LONG = "a" * 32_001

MATRIX = [
    # cell, class, how the first line goes on, what the second says
    ("%beluga -m flux2 a cat", "UnknownNameError", "No model 'flux2'.", "Did you mean 'flux-2.0'?"),
    (
        "%beluga -m seedream-4.5 -s 21:9 a cat",
        "RequestError",
        "seedream-4.5 has no size '21:9'.",
        "It takes 1:1",
    ),
    ("%beluga -s huge a cat", "UnknownNameError", "No size 'huge'.", "pixels such as 1024x1024"),
    ("%beluga -q ultra a cat", "UnknownNameError", "No quality 'ultra'.", "Available: standard, hd."),
    ("%beluga -n 0 a cat", "RequestError", "n is 0.", "Give n as a whole number from 1 on."),
    ("%beluga -n two cats", "RequestError", "-n is 'two'.", "for example -n 4"),
    ("%beluga --sample -1 a cat", "RequestError", "sample is -1.", "from 0 on"),
    ("%beluga --sise 1:1 a cat", "UnknownNameError", "No option '--sise'.", "Did you mean '--size'?"),
    ("%beluga -m", "RequestError", "--model has no value.", "%beluga models lists all models"),
    ("%beluga -o my-cat a cat", "RequestError", "'my-cat' is not a valid variable name.", "-o whale"),
    (
        "%beluga --mode later a cat",
        "UnknownNameError",
        "No value 'later' for mode.",
        "Available: auto, replay",
    ),
    ("%%beluga\n   \n", "RequestError", "The prompt is empty.", "Describe the picture"),
    ("%%beluga", "RequestError", "The prompt is empty.", "Describe the picture"),
    ("%%beluga -n 2", "RequestError", "The prompt is empty.", "Describe the picture"),
    (
        "%%beluga compare -m flux-2.0\n",
        "RequestError",
        "There is nothing to compare.",
        "Put the prompt below",
    ),
    ("%beluga --", "RequestError", "The prompt is empty.", "Describe the picture"),
    ("%beluga open", "RequestError", "%beluga open takes one file.", "For example: %beluga open study.png"),
    ("%%beluga black\na cat", "RequestError", "'black' on the first line of the cell", "the lines below are"),
    (f"%beluga {LONG}", "RequestError", "The prompt has 32,001 characters", "32,000"),
    ("%beluga a {{kat}}", "UnknownNameError", "No value for '{{kat}}'.", "Set it first"),
    ("%beluga -m {{modle}} a cat", "UnknownNameError", "No value for '{{modle}}'.", "Set it first"),
    (
        "%beluga my key is bapi_0123456789abcdefghij",
        "RequestError",
        "This cell contains a key; it was not sent",
        "Log in with %beluga login",
    ),
    (
        "%beluga -n 11 a giraffe",
        "NotConfirmedError",
        "11 new pictures are more than 10",
        "Ask for fewer at a time",
    ),
    ("%beluga --mode replay a new one", "NotRecordedError", "Not recorded:", "Use --mode auto"),
    (
        'import beluga_nb\nbeluga_nb.generate("a new one", mode="replay")',
        "NotRecordedError",
        "Not recorded:",
        'Use mode="auto"',
    ),
    (
        "%beluga config modle=flux-2.0",
        "UnknownNameError",
        "No setting 'modle'.",
        "Available: aliases, base_url",
    ),
    (
        "%beluga config mode=later",
        "UnknownNameError",
        "No value 'later' for mode.",
        "Available: auto, replay",
    ),
    (
        "%beluga config timeout=soon",
        "SettingsError",
        "The setting timeout is 'soon'.",
        "Give a number above 0.",
    ),
    (
        "%beluga config base_url=http://example.com/v1",
        "SettingsError",
        "The base URL uses http for",
        "Use https://",
    ),
    ("%beluga alias flux-2.0=-s 3:4", "RequestError", "'flux-2.0' is a model already.", "another name"),
    (
        "%beluga alias tall=-m seedream-4.5 -s 9:21",
        "RequestError",
        "seedream-4.5 has no size",
        "It takes 1:1",
    ),
    ("%beluga alias nobody=", "UnknownNameError", "No alias 'nobody'.", "%beluga alias"),
    ("%beluga sizes -m flux2", "UnknownNameError", "No model 'flux2'.", "Did you mean 'flux-2.0'?"),
    ("%beluga last", "RequestError", "There is no picture yet.", "Ask for one"),
    ("%beluga login", "SettingsError", "This environment cannot ask for a key.", "Set BELUGA_API_KEY"),
    ("%beluga open gone.png", "MetadataError", "There is no file", "."),
    ("%beluga history 0123abcd", "RequestError", "There is no run", "%beluga history lists all runs."),
    (
        "%beluga history 0123abcd 4567abcd",
        "RequestError",
        "One run can be brought back.",
        "%beluga history -o",
    ),
    ("%beluga verify gone.ipynb", "StoreError", "", ""),
    ("%beluga pack gone.ipynb", "StoreError", "", ""),
    ("%beluga unpack gone.zip", "StoreError", "", ""),
    ("%beluga fault: 401 | a cat", "AuthenticationError", "", "key"),
    ("%beluga fault: 402 | a cat", "APIStatusError", "", "Top up the balance"),
    ("%beluga fault: 403 | a cat", "APIStatusError", "", ""),
    ("%beluga fault: 500 | a cat", "OutcomeUnknownError", "", "may have been billed"),
    ("%beluga fault: 502 | a cat", "OutcomeUnknownError", "", "may have been billed"),
    ("%beluga fault: 504 | a cat", "APITimeoutError", "", "may have been billed"),
    ("%beluga fault: moderation | a cat", "APIStatusError", "", "Put it in other words"),
    ("%beluga fault: cut | a cat", "OutcomeUnknownError", "The connection broke", "may have been billed"),
    (
        "%beluga -m flux-2.0 -n 2 fault: some pictures=1 | a cat",
        "IncompleteError",
        "1 of 2 pictures arrived",
        "again",
    ),
]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    with Kernel(tmp_path_factory.mktemp("matrix"), BELUGA_FAULTS="1") as running:
        running.run(
            "%load_ext beluga_nb\nimport sys, beluga_nb\nfrom beluga_nb.result import IncompleteError"
        )
        yield running


@pytest.mark.parametrize(("cell", "name", "first", "second"), MATRIX, ids=[row[0][:40] for row in MATRIX])
def test_a_failure_takes_two_lines_that_name_the_fix_and_its_class_can_be_caught(
    kernel, cell, name, first, second
):
    shown = kernel.run(cell)
    shown.fails_with(f"{name}: {first}", second)
    assert shown.stderr == ""
    assert kernel.run(f"isinstance(sys.last_value, beluga_nb.{name})").texts == ["True"]


def test_the_whole_trace_is_there_for_who_asks(kernel):
    short = kernel.run("%beluga -m flux2 a cat")
    traced = kernel.run("%tb")
    assert "catalog.py" in traced.stdout + "\n".join(traced.error)
    shown = kernel.run("%beluga --debug -m flux2 a cat")
    assert len(shown.error) > 10
    assert shown.error[0].startswith("Traceback")
    assert shown.error[-2:] == [
        short.error[0].replace("UnknownNameError", "beluga_nb.errors.UnknownNameError"),
        short.error[1],
    ]


def test_what_arrived_before_the_failure_is_shown_and_kept_unless_it_is_to_be_quiet(kernel):
    call = "-m flux-2.0 -n 2 -o pair fault: some pictures=1 | a"
    assert len(kernel.run(f"%beluga {call} dog").bundles) == 1
    assert kernel.run(f"%beluga --quiet {call} horse").bundles == []
    assert kernel.run("len(pair), pair.request.prompt").texts == ["(1, 'fault: some pictures=1 | a horse')"]
