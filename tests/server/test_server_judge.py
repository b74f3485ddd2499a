"""The judge of the embedded server: `POST /v1/chat/completions` about what the painter drew."""

import base64
import json

import jsonschema
import openai
import pytest
from conftest import KEY, drawn
from test_app import ask

from beluga_nb.painter import paint
from beluga_nb.request import Request
from beluga_nb.server.app import CHAT_LIMIT, create_app
from beluga_nb.server.openapi import document
from beluga_nb.server.previews import previews

PATH = "/v1/chat/completions"
FOXES = paint("three red foxes in the snow at night, no rain", model="flux-2.0", size=(64, 64))
YES_OR_NO = {"enum": ["yes", "no"]}


def url_of(data, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


PNG = url_of(FOXES.png())


def body(words, *urls, verdict=YES_OR_NO, **more):
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls or [PNG]]
    wanted = {"type": "json_schema", "json_schema": {"schema": {"properties": {"verdict": verdict}}}}
    content = [{"type": "text", "text": words}, *parts]
    return {
        "model": "any",
        "messages": [{"role": "user", "content": content}],
        "response_format": wanted,
    } | more


def post(asked, **options):
    return ask(create_app(previews), "POST", PATH, **(options or {"json": asked}))


def verdict(*words, **options):
    answer = post(body(*words, **options))
    assert answer.status_code == 200, answer.text
    return json.loads(answer.json()["choices"][0]["message"]["content"])


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Does it show three foxes?", "yes"),
        ("Does it show 3 foxes in the snow?", "yes"),
        ("Does it show two foxes?", "no"),
        ("Is it a fox at night?", "yes"),
        ("Is it a cat?", "no"),
        ("Is there a fox and no cat?", "yes"),
        ("Is there no fox?", "no"),
    ],
)
@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/webp"])
def test_a_question_is_read_as_a_prompt_and_compared_with_what_was_drawn(question, expected, kind):
    found = verdict(question, url_of(FOXES.encoded(kind), kind))
    assert found["verdict"] == expected
    assert found["reason"].startswith("No model judged: the built-in painter drew this")
    assert "subject fox; count 3" in found["reason"]


def test_a_scale_counts_what_is_shown_and_its_ends_are_no_count():
    asked = {"verdict": {"minimum": 1, "maximum": 10}}
    assert verdict("From 1 to 10: is it snow at night?", **asked)["verdict"] == 10
    assert verdict("Is it snow by day?", **asked)["verdict"] == 5.5


def test_two_pictures_are_compared():
    cat = url_of(paint("a cat in the snow", model="flux-2.0", size=(64, 64)).png())
    pair = {"verdict": {"enum": ["first", "second", "tie"]}}
    assert verdict("Which shows a cat?", PNG, cat, **pair)["verdict"] == "second"
    assert verdict("Which shows a cat?", cat, PNG, **pair)["verdict"] == "first"
    assert verdict("Which shows snow?", cat, PNG, **pair)["verdict"] == "tie"
    assert verdict("Which is any good?", cat, PNG, **pair)["verdict"] == "tie"


def test_what_the_painter_cannot_know_is_refused_in_the_apis_own_field():
    message = post(body("Is it any good?")).json()["choices"][0]["message"]
    assert message["content"] is None
    assert message["refusal"].startswith("The painter knows no word of the question.")


def test_without_a_schema_it_answers_in_words_and_openais_package_reads_it():
    answer = post(body("a fox?", response_format=None))
    parsed = openai.types.chat.ChatCompletion.model_validate(answer.json())
    assert parsed.choices[0].message.content.startswith("No model judged")
    assert answer.headers["x-beluga-engine"] == "procedural"


def parts(*content):
    return {"model": "any", "messages": [{"role": "user", "content": [*content]}]}


def picture(url):
    return {"type": "image_url", "image_url": {"url": url}}


WRONG = {
    "no object": [],
    "nothing": {},
    "no messages": {"model": "any"},
    "no model": {"messages": []},
    "a model that is no text": {"model": 3, "messages": []},
    "messages in an object": {"model": "any", "messages": {}},
    "a message that is text": {"model": "any", "messages": ["a"]},
    "no picture": parts({"type": "text", "text": "a fox?"}),
    "a part without a type": parts({"text": "a fox?"}),
    "a part that is text": parts("a fox?"),
    "a picture without an address": parts({"type": "image_url"}),
    "a picture elsewhere": parts(picture("https://pictures.example/fox.png")),
    "a file of this machine": parts(picture("file:///etc/passwd")),
    "no base64": parts(picture("data:image/png;base64,###")),
    "no picture's type": parts(picture("data:text/html;base64,AAAA")),
    "no picture's bytes": parts(picture("data:image/png;base64,AAAA")),
    "half a picture": parts(picture(url_of(FOXES.png()[:200]))),
    "a picture of others": parts(picture(url_of(drawn(Request(prompt="a fox", model="m"), 0)))),
    "too many pictures": parts(*[picture(PNG)] * 9),
    "a schema that is a list": body("a fox?", response_format={"json_schema": {"schema": []}}),
    "another schema": body("a fox?", verdict={"type": "string"}),
    "no choices": body("a fox?", verdict={"enum": []}),
    "a scale of words": body("a fox?", verdict={"minimum": "a", "maximum": "b"}),
    "a scale without an end": body("a fox?", verdict={"minimum": 1}),
}


SCHEMAS = document(secured=False)["components"]["schemas"]


def fits(value, name):
    return jsonschema.Draft202012Validator(SCHEMAS[name]).is_valid(value)


def test_the_document_describes_what_is_asked_and_answered():
    text = [{"role": "user", "content": "a fox?"}, {"content": [picture(PNG)]}]
    for asked in (
        body("Is it a fox?"),
        body("Is it any good?"),
        body("a fox?", response_format=None),
        body("Which shows a cat?", PNG, PNG, verdict={"enum": ["first", "second", "tie"]}, temperature=0),
        {"model": "any", "messages": text},
    ):
        answer = post(asked)
        assert answer.status_code == 200, answer.text
        assert fits(asked, "ChatRequest"), asked
        assert fits(answer.json(), "ChatCompletion"), answer.text
    assert not fits(answer.json() | {"choices": []}, "ChatCompletion")


UNSAID = {
    *("no picture", "no base64", "no picture's bytes", "half a picture", "a picture of others"),
    *("too many pictures", "another schema", "no choices", "a scale of words", "a scale without an end"),
}
"""What the document says in words alone."""


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_answered_is_400_with_the_error_object(what):
    assert fits(WRONG[what], "ChatRequest") == (what in UNSAID)
    answer = post(WRONG[what])
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["message"]


def test_a_body_that_is_no_json_or_too_long_or_without_a_key_is_refused():
    as_json = {"content-type": "application/json"}
    assert post(None, content=b"{", headers=as_json).status_code == 400
    assert post(None, content=b"[" * 100_000, headers=as_json).status_code == 400
    assert post(None, content=b"{}").status_code == 415
    assert post(None, content=b" " * (CHAT_LIMIT + 1), headers=as_json).status_code == 413
    assert ask(create_app(previews, key=KEY), "POST", PATH, json=body("a fox?")).status_code == 401
