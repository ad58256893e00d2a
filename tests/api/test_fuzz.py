"""schemathesis over the whole document, against a real web process with its database role: whatever is sent, by
whomever, is answered as the document says, and never by a failure of ours.

Bounded, and the same each time: the examples are derived from the document alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from django.conf import settings
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from approvals.models import ApprovalRequest
from tests.api.calling import agent_token, person_token
from tests.journeys.site import PASSWORD, give_passwords, serving
from tests.oauth.installation import hidden
from tests.world import World

EXAMPLES = 8  # for each operation, of what fits the document and of what does not
# That what fits is taken: an amount needs its currency, which a document cannot say.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
QUIETLY = how(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Site:
    """A web process, its operations, and ids that are there."""

    url: str
    world: World
    ids: dict[str, str]
    statuses: set[tuple[str, int]] = field(default_factory=set)

    @property
    def operations(self) -> list[Any]:
        # Who asks is each test's to say.
        config = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
        schema = schemathesis.openapi.from_url(f"{self.url}/api/v1/schema/", config=config)
        return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]

    def probe_both(self, caller: httpx.Client, operation: Any) -> None:
        self.probe(caller, operation, GenerationMode.POSITIVE)
        said = operation.definition.raw
        if said.get("parameters") or said.get("requestBody"):  # else nothing can be wrong
            self.probe(caller, operation, GenerationMode.NEGATIVE)

    def probe(self, caller: httpx.Client, operation: Any, mode: GenerationMode) -> None:
        @QUIETLY
        @given(case=operation.as_strategy(generation_mode=mode), is_known=st.booleans())
        def probed(case: Any, is_known: bool) -> None:
            if is_known and mode is GenerationMode.POSITIVE:
                known = {name: self.ids[name] for name in case.path_parameters or {}}
                case.path_parameters = known or case.path_parameters
            headers = dict(caller.headers) | {"Accept": "application/json"}
            answer = case.call(base_url=self.url, headers=headers, cookies=dict(caller.cookies), timeout=30)
            self.statuses.add((operation.label, answer.status_code))
            case.validate_response(answer, checks=CHECKS, headers=headers)

        probed()


@pytest.fixture
def site(world: World, tmp_path: Path) -> Iterator[Site]:
    give_passwords(world)
    request: ApprovalRequest = world.submit()
    with serving(world, tmp_path / "web.log", LIMIT_API_CALLS_A_MINUTE="0") as url:
        ids = {
            "request_id": str(request.pk),
            "number": "1",
            "agent_id": str(world.agent.id),
            "switch_id": str(request.pk),
        }
        yield Site(url, world, ids)


def browser(site: Site, name: str) -> httpx.Client:
    """Signed in through the form, as people are."""
    client = httpx.Client(base_url=site.url, trust_env=False, timeout=30)
    page = client.get("/accounts/login/")
    form = hidden(page.text) | {"login": site.world.people[name].email, "password": PASSWORD}
    signed_in = client.post("/accounts/login/", data=form, headers={"Referer": str(page.url)})
    assert signed_in.status_code == 302, signed_in.text
    client.get("/agents/")
    client.headers = httpx.Headers({"X-CSRFToken": client.cookies["csrftoken"]})
    return client


def program(site: Site, raw: str) -> httpx.Client:
    client = httpx.Client()
    client.headers = httpx.Headers({"Authorization": f"Bearer {raw}"})
    return client


def probe_everything(site: Site, caller: httpx.Client) -> dict[str, set[int]]:
    """The statuses of each operation."""
    operations = site.operations
    assert len(operations) == 15
    for operation in operations:
        site.probe_both(caller, operation)
    found: dict[str, set[int]] = {}
    for label, status in site.statuses:
        found.setdefault(label, set()).add(status)
    return found


@pytest.fixture(autouse=True)
def for_this_process(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    """Tokens name the address that the process has by now."""
    monkeypatch.setattr(settings, "API_URL", f"{site.url}/api")


def test_a_persons_browser_is_answered_as_the_document_says(site: Site) -> None:
    found = probe_everything(site, browser(site, "ada"))
    reads = [statuses for label, statuses in found.items() if label.startswith("GET")]
    assert sum(200 in statuses for statuses in reads) >= 9 and any(422 in one for one in reads)
    assert set().union(*found.values()) <= {200, 201, 204, 400, 403, 404, 409, 422}


@pytest.mark.parametrize(
    ("who", "where", "status"), [("opal", "switches", 201), ("opal", "agents", 404), ("lena", "votes", 409)]
)
def test_who_may_change_something_is_answered_as_the_document_says(
    site: Site, who: str, where: str, status: int
) -> None:
    caller = browser(site, who)
    for operation in site.operations:
        if where in operation.path:
            site.probe_both(caller, operation)
    assert status in {found for label, found in site.statuses if label.startswith("POST")}


@pytest.mark.parametrize("who", ["ada", None], ids=["in somebody's name", "by itself"])
def test_a_token_is_answered_as_the_document_says_and_changes_nothing(site: Site, who: str | None) -> None:
    raw = person_token(site.world, who) if who else agent_token(site.world)
    found = probe_everything(site, program(site, raw))
    for label, statuses in found.items():
        # 404: what is no id is no address.
        assert 403 in statuses <= {403, 404} or label.startswith("GET"), (label, statuses)


def test_nobody_gets_in_without_showing_who_they_are(site: Site) -> None:
    found = probe_everything(site, httpx.Client())
    assert all(401 in statuses <= {401, 404} for statuses in found.values()), found
