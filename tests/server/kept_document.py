"""schemathesis tries what the OpenAPI document says: `test_openapi.py` runs it as a process of its own.

It reads the document as tests are collected, which takes seconds, and each worker collects all tests.
"""

import hypothesis
import pytest
import schemathesis
from conftest import KEY, drawing, service
from sampling import rounds
from schemathesis.checks import CHECKS, load_all_checks

from beluga_nb.chat import PATH
from beluga_nb.server.app import create_app
from beluga_nb.server.openapi import document

FEW = hypothesis.settings(
    max_examples=rounds(4, 40),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
HEADERS = {"Authorization": f"Bearer {KEY}"}

# No picture that schemathesis makes up is the painter's: those are refused, as the document says.
REFUSES_PICTURES = {
    "include-path": f"/v1{PATH}",
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400"]}},
}
CONFIG = schemathesis.Config.from_dict({"operations": [REFUSES_PICTURES]})

in_process = schemathesis.openapi.from_asgi("/openapi.json", create_app(drawing, key=KEY), config=CONFIG)


@in_process.parametrize()
@FEW
def test_the_server_keeps_its_document_in_process(case):
    case.call_and_validate(headers=HEADERS)


@pytest.fixture(scope="module")
def served():
    with service(drawing) as base_url:
        yield base_url.removesuffix("/v1")


over_a_port = schemathesis.openapi.from_dict(document(secured=True), config=CONFIG)


@pytest.mark.whole
@over_a_port.parametrize()
@FEW
def test_the_server_keeps_its_document_over_a_port(case, served):
    case.call_and_validate(base_url=served, headers=HEADERS)


@pytest.mark.parametrize("schema", [in_process, over_a_port], ids=["in process", "over a port"])
def test_every_check_that_schemathesis_has_is_on(schema):
    load_all_checks()
    operations = [each.ok() for each in schema.get_all_operations()]
    assert len(operations) >= 6
    for operation in operations:
        config = schema.config.checks_config_for(operation=operation, phase=None)
        assert [name for name in CHECKS.get_all_names() if not config.get_by_name(name=name).enabled] == []
