"""Who gets to see which page."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from approvals import judge
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.identity.models import Membership, Tenant
from approvals.models import ApprovalRequest
from tests.views.conftest import SignIn, add_role
from tests.world import World

# For everybody: signing in, saying that one is well, and what OAuth clients talk to.
OPEN = {
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/inactive/",
    "/accounts/sso/",
    "/accounts/sso/callback/",
    "/healthz",
    "/o/device-authorization/",
    "/o/register/",
    "/o/token/",
    "/o/revoke_token/",
    "/api/",  # where a problem leads, also the one that asks who you are
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource/api",
}
OF_A_REQUEST = ("/requests/{}/", "/requests/{}/decide/", "/requests/{}/trail/")


def addresses(patterns: list[Any], prefix: str = "/") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield prefix + str(pattern.pattern)


def all_addresses() -> list[str]:
    known = str(uuid4())
    numbered = (re.sub("<int:[a-z_]+>", "1", path) for path in addresses(get_resolver().url_patterns))
    return [re.sub("<uuid:[a-z_]+>", known, path) for path in numbered]


def test_every_page_asks_a_stranger_to_sign_in(web: World) -> None:
    # The API answers with a problem (tests/api/test_callers.py).
    closed = [path for path in all_addresses() if path not in OPEN and not path.startswith("/api/v1/")]
    assert len(closed) >= 8
    for path in closed:
        for method in ("get", "post"):
            answer = getattr(Client(), method)(path)
            if answer.status_code == 405:
                continue
            assert answer.status_code == 302, f"{method} {path}"
            assert answer["Location"].startswith("/accounts/login/"), f"{method} {path}"


def test_no_other_endpoint_of_the_libraries_is_served(web: World) -> None:
    for path in (
        "/accounts/password/reset/",
        "/accounts/email/",
        "/o/introspect/",
        "/o/device/",
        "/o/applications/",
    ):
        assert Client().get(path).status_code == 404, path


@pytest.mark.parametrize(
    ("method", "address"),
    [("get", "/requests/{}/"), ("get", "/requests/{}/trail/"), ("post", "/requests/{}/decide/")],
)
def test_another_companys_request_reads_like_a_missing_one(
    web: World, sign_in: SignIn, method: str, address: str
) -> None:
    request, missing = web.submit(), uuid4()
    stranger = sign_in("gus")
    body = {"decision": "approve", "seen": judge.seen(request)} if method == "post" else {}
    foreign = getattr(stranger, method)(address.format(request.pk), body)
    nobodys = getattr(stranger, method)(address.format(missing), body)
    assert foreign.status_code == nobodys.status_code == 404
    assert page(foreign).replace(str(request.pk), "ID") == page(nobodys).replace(str(missing), "ID")
    assert web.status(request) == "pending"


def page(answer: Any) -> str:
    """The page without its CSRF tokens, which are never twice the same."""
    lines: list[str] = answer.content.decode().splitlines()
    return "\n".join(line for line in lines if "csrfmiddlewaretoken" not in line)


@pytest.mark.parametrize("address", ["/requests/{}/", "/requests/{}/trail/"])
def test_only_the_trail_knows_that_somebody_tried_a_foreign_id(
    web: World, sign_in: SignIn, address: str
) -> None:
    request = web.submit()
    sign_in("gus").get(address.format(request.pk))
    assert "access.denied" not in web.events()
    with tenant_scope(web.other.pk):
        denied = Event.objects.get(tenant_id=web.other.pk, kind="access.denied")
    assert str(request.pk) in denied.text
    assert denied.request_id is None


def test_a_get_changes_no_request(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    before = row(request)
    for path in ("/", *(address.format(request.pk) for address in OF_A_REQUEST)):
        assert sign_in("lena").get(path).status_code in (200, 302)
    assert row(request) == before
    assert [kind for kind in web.events(request) if kind != "request.created"] == []


def row(request: ApprovalRequest) -> dict[str, Any]:
    with tenant_scope(request.tenant_id):
        return dict(ApprovalRequest.objects.filter(pk=request.pk).values().get())


def test_the_whole_trail_is_for_auditors(web: World, sign_in: SignIn) -> None:
    answer = sign_in("lena").get("/trail/")
    assert answer.status_code == 403
    assert "The whole trail is for auditors." in answer.content.decode()
    assert "access.denied" in web.events()
    assert sign_in("ada").get("/trail/").status_code == 200


def test_every_member_sees_the_queue_and_the_requests(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    for path in ("/", f"/requests/{request.pk}/", f"/requests/{request.pk}/trail/"):
        assert sign_in("ada").get(path).status_code == 200


def test_a_person_without_a_company_is_told_so(web: World, sign_in: SignIn) -> None:
    with web.processes.acting_as("migrator"):
        Membership.objects.filter(person=web.people["lena"]).delete()
    answer = sign_in("lena").get("/")
    assert answer.status_code == 403
    assert "You belong to no company here" in answer.content.decode()


def test_a_switched_off_person_has_no_roles_and_no_pages(web: World, sign_in: SignIn) -> None:
    client = sign_in("lena")
    with web.processes.acting_as("migrator"):
        person = web.people["lena"]
        person.is_active = False
        person.save()
    assert client.get("/")["Location"].startswith("/accounts/login/")


def test_a_person_of_two_companies_switches_between_them(web: World, sign_in: SignIn) -> None:
    add_role(web, "lena", web.other, "support_lead")
    request = web.submit()
    client = sign_in("lena")
    assert client.get(f"/requests/{request.pk}/").status_code == 200
    assert client.post("/tenant/", {"tenant": web.other.pk}).status_code == 302
    assert client.get(f"/requests/{request.pk}/").status_code == 404
    client.post("/tenant/", {"tenant": web.tenant.pk})
    assert client.get(f"/requests/{request.pk}/").status_code == 200


def test_a_get_switches_no_company(web: World, sign_in: SignIn) -> None:
    add_role(web, "lena", web.other, "support_lead")
    client = sign_in("lena")
    client.get("/tenant/", {"tenant": str(web.other.pk)})
    assert "tenant" not in client.session


@pytest.mark.parametrize("wanted", ["foreign", "missing", "nonsense"])
def test_nobody_switches_to_a_company_that_is_not_theirs(web: World, sign_in: SignIn, wanted: str) -> None:
    named = {"foreign": str(web.other.pk), "missing": str(uuid4()), "nonsense": "\x00'--"}[wanted]
    client = sign_in("lena")
    assert client.post("/tenant/", {"tenant": named}).status_code == 404
    assert "tenant" not in client.session
    assert "access.denied" in web.events()


def test_a_session_that_names_a_company_left_behind_opens_nothing_of_it(web: World, sign_in: SignIn) -> None:
    """The session's word is checked against today's memberships on each page."""
    theirs = Tenant.objects.get(pk=web.other.pk)
    client = sign_in("lena")
    session = client.session
    session["tenant"] = str(theirs.pk)
    session.save()
    assert theirs.name not in client.get("/").content.decode()
