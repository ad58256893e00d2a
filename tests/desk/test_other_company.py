"""A page that was left open in one company, and asks what is new after its person has gone to another one."""

import re
from html import unescape

import pytest
from django.test import Client

from approvals.audit.models import Event
from approvals.database import tenant_scope
from tests.views.conftest import SignIn, add_role
from tests.world import World

ASK = {"HX-Request": "true"}


@pytest.fixture
def both(web: World, sign_in: SignIn) -> Client:
    """Lena, who decides in two companies."""
    add_role(web, "lena", web.other, "support_lead")
    lena = sign_in("lena")
    lena.post("/tenant/", {"tenant": web.tenant.pk})
    return lena


def asks(page: str) -> str:
    """What the page asks for, again and again."""
    (found,) = re.findall(r'hx-get="([^"]+)"', page)
    return unescape(found)


def denials(world: World) -> list[str]:
    found = []
    for tenant in (world.tenant, world.other):
        with tenant_scope(tenant.pk):
            found += [event.text for event in Event.objects.filter(kind="access.denied")]
    return found


def test_an_open_request_of_the_one_is_no_question_to_the_other(web: World, both: Client) -> None:
    """It says so and asks no more; what somebody was writing stays where it is."""
    request = web.submit()
    address = asks(both.get(f"/requests/{request.pk}/").content.decode())
    assert both.get(address, headers=ASK).status_code in (200, 204)
    both.post("/tenant/", {"tenant": web.other.pk})
    for _ in range(2):
        told = both.get(address, headers=ASK)
        part = told.content.decode()
        assert told.status_code == 200 and "HX-Redirect" not in told.headers
        assert f"You went to {web.other.name} in another tab" in part
        assert "hx-get" not in part and request.headline not in part
    assert denials(web) == []


def test_an_open_queue_of_the_one_is_loaded_again_and_has_no_rows_of_the_other(
    web: World, both: Client
) -> None:
    web.submit()
    address = asks(both.get("/?risk=high").content.decode())
    both.post("/tenant/", {"tenant": web.other.pk})
    told = both.get(address, headers=ASK)
    assert (told.status_code, told.content, told.headers.get("HX-Refresh")) == (200, b"", "true")
    assert denials(web) == []


def test_a_page_itself_is_shown_whatever_its_address_says(web: World, both: Client) -> None:
    request = web.submit()
    shown = both.get(f"/?tenant={web.other.pk}").content.decode()
    assert request.headline in shown
    (again,) = re.findall(r"tenant=([0-9a-f-]+)", asks(shown))
    assert again == str(web.tenant.pk)
