"""The operators' pages of receivers: adding, choosing, renewing, testing; and what they never show."""

import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.utils import timezone

from approvals import notifications, tasks
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.models import Outbox, Receiver, ReceiverSecret
from approvals.payloads import unseal
from tests.scan.known import secret as known_secret
from tests.views.conftest import SignIn, add_role
from tests.world import World

URL = "https://hooks.example.com/services/T0PLANTED0PATH"
ACTIONS = ("hears", "off", "on", "test", "secret", "secret/end")


def form(**changes: str) -> dict[str, str]:
    return {"key": str(uuid4()), "kind": "webhook", "name": "Tickets", "url": URL} | changes


def add(web: World, name: str = "Tickets", kind: str = "webhook") -> Receiver:
    secret = notifications.new_secret() if kind == "webhook" else ""
    with web.processes.acting_as("migrator"):
        return notifications.add_receiver(web.tenant, kind, name, URL, secret)


def kept(web: World) -> list[Receiver]:
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        return list(Receiver.objects.order_by("created_at"))


def denials(web: World) -> int:
    with tenant_scope(web.tenant.pk):
        return Event.objects.filter(tenant_id=web.tenant.pk, kind="access.denied").count()


def work(web: World) -> None:
    with web.processes.acting_as("worker"):
        with tenant_scope(web.tenant.pk):
            rows = list(Outbox.objects.filter(topic="deliver", done_at=None))
        for row in rows:
            tasks.deliver(str(row.pk), str(row.tenant_id))


def shown_secret(page: str) -> str:
    (found,) = re.findall(r"whsec_[A-Za-z0-9+/=]+", page)
    return known_secret("a receiver's secret", found)


def test_a_program_is_added_and_its_secret_is_shown_once(web: World, sign_in: SignIn) -> None:
    client = sign_in("opal")
    answer = client.post("/receivers/add/", form())
    secret = shown_secret(answer.content.decode())
    assert "no-store" in answer.headers["Cache-Control"]
    (receiver,) = kept(web)
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        assert unseal(ReceiverSecret.objects.get(receiver=receiver).sealed) == secret
    for path in ("/receivers/", f"/receivers/{receiver.pk}/", "/deliveries/"):
        page = client.get(path).content.decode()
        assert "Tickets" in page
        assert "whsec_" not in page
        assert "PLANTED" not in page
    assert "hooks.example.com" in client.get("/receivers/").content.decode()


def test_a_form_that_is_sent_twice_adds_one(web: World, sign_in: SignIn) -> None:
    client, sent = sign_in("opal"), form()
    client.post("/receivers/add/", sent)
    again = client.post("/receivers/add/", sent)
    assert again.status_code == 409
    assert "was added already" in again.content.decode()
    assert "whsec_" not in again.content.decode()
    assert len(kept(web)) == 1


def test_a_slack_channel_is_added_without_a_secret(web: World, sign_in: SignIn) -> None:
    page = sign_in("opal").post("/receivers/add/", form(kind="slack"), follow=True).content.decode()
    assert "It is told from the next event on." in page
    assert "Its secret" not in page
    assert [one.kind for one in kept(web)] == ["slack"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "http://hooks.example.com/PLANTED"}, "its URL must begin with https://"),
        ({"url": ""}, "its URL must begin with https://"),
        ({"url": f"https://{'h' * 261}/PLANTED"}, "the name of its host has 253 characters at most"),
        ({"url": f"https://{'h' * 64}.example/PLANTED"}, "has 1 to 63 characters"),
        ({"url": "https://a..b.example/PLANTED"}, "has 1 to 63 characters"),
        ({"url": "https://.example/PLANTED"}, "has 1 to 63 characters"),
        ({"url": f"https://{'h.' * 140}example/PLANTED"}, "the name of its host has 253 characters at most"),
        ({"name": "  "}, "its name has 1 to 100 characters"),
        ({"name": "n" * 101}, "its name has 1 to 100 characters"),
    ],
)
def test_what_cannot_be_added_is_said_and_the_address_is_not_repeated(
    web: World, sign_in: SignIn, wrong: dict[str, str], said: str
) -> None:
    answer = sign_in("opal").post("/receivers/add/", form(**wrong))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert "PLANTED" not in page
    assert f'value="{wrong.get("name", "Tickets")}"' in page
    assert kept(web) == []


def test_what_it_hears_is_chosen_in_words(web: World, sign_in: SignIn) -> None:
    client, receiver = sign_in("opal"), add(web)
    page = client.get(f"/receivers/{receiver.pk}/").content.decode()
    assert page.count("checked") == 11
    assert "For safety these cannot be switched off" in page
    assert "Break-glass: one person pushed a request through alone" in page
    chosen = {"hears": ["request.created", "request.failed"]}
    page = client.post(f"/receivers/{receiver.pk}/hears/", chosen, follow=True).content.decode()
    assert "It holds from the next event on." in page
    assert page.count("checked") == 2
    bad = client.post(f"/receivers/{receiver.pk}/hears/", {"hears": ["request.break_glass"]})
    assert bad.status_code == 400


def test_a_test_is_sent_and_the_page_says_how_it_went(web: World, sign_in: SignIn) -> None:
    client, receiver = sign_in("opal"), add(web)
    page = client.post(f"/receivers/{receiver.pk}/test/", follow=True).content.decode()
    assert "The test is on its way" in page
    assert f'href="/receivers/{receiver.pk}/"' in page
    again = client.post(f"/receivers/{receiver.pk}/test/")
    assert again.status_code == 409
    assert "on its way to this receiver already" in again.content.decode()
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        Outbox.objects.filter(receiver=receiver).update(
            gave_up_at="2026-01-01T00:00Z", last_error="it answered 404"
        )
    page = client.get(f"/receivers/{receiver.pk}/").content.decode()
    assert "The test did not arrive" in page
    assert "it answered 404" in page


def test_a_secret_is_renewed_on_the_page_and_the_overlap_ended(web: World, sign_in: SignIn) -> None:
    client, receiver = sign_in("opal"), add(web)
    here = f"/receivers/{receiver.pk}/"
    (current,) = re.findall(r'name="secret" value="([^"]+)"', client.get(here).content.decode())
    shown_secret(client.post(here + "secret/", {"secret": current}).content.decode())
    page = client.get(here).content.decode()
    assert "The earlier secret signs as well, until" in page
    assert "whsec_" not in page
    again = client.post(here + "secret/", {"secret": current})
    assert (again.status_code, "whsec_" in again.content.decode()) == (409, False)
    (earlier,) = re.findall(r'name="secret" value="([^"]+)"', page)
    assert earlier == current
    page = client.post(here + "secret/end/", {"secret": earlier}, follow=True).content.decode()
    assert "Only the new secret signs from now on." in page
    assert "signs as well" not in page


def test_it_is_switched_off_and_on(web: World, sign_in: SignIn) -> None:
    client, receiver = sign_in("opal"), add(web)
    here = f"/receivers/{receiver.pk}/"
    page = client.post(here + "off/", follow=True).content.decode()
    assert "Off. It hears no more." in page
    assert "It is off, so nothing is sent to it." in page
    assert client.post(here + "off/").status_code == 409
    assert client.post(here + "test/").status_code == 409
    assert "On again" in client.post(here + "on/", follow=True).content.decode()
    assert kept(web)[0].is_active


def test_the_list_says_when_it_last_delivered_and_what_failed(web: World, sign_in: SignIn) -> None:
    receiver = add(web)
    web.submit()
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        row = Outbox.objects.filter(topic="announce").get()
        notifications.announce(row)
        mine = Outbox.objects.filter(receiver=receiver)
        assert mine.count() == 1
    client = sign_in("opal")
    page = client.get("/receivers/").content.decode()
    assert "Nothing delivered yet" in page
    assert "1 waiting" in page
    now, long_ago = timezone.now(), timezone.now() - timedelta(days=31)
    with web.processes.acting_as("migrator"):
        mine.update(gave_up_at=now, created_at=long_ago)  # sent again today, as it were
    page = client.get("/receivers/").content.decode()
    assert "1 given up in 30 days" in page
    assert "On, with failures" in page
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        mine.update(gave_up_at=long_ago)
    assert "given up in 30 days" not in client.get("/receivers/").content.decode()
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        mine.update(gave_up_at=None, done_at="2026-01-02T03:04Z")
    assert "2 Jan 2026, 03:04 UTC" in client.get("/receivers/").content.decode()


@pytest.mark.parametrize("who", ["lena", "ada", "paul"])
def test_who_is_no_operator_is_told_so_and_leaves_an_event(web: World, sign_in: SignIn, who: str) -> None:
    client, receiver = sign_in(who), add(web)
    here = f"/receivers/{receiver.pk}/"
    answers = [client.get("/receivers/"), client.get(here), client.get("/deliveries/")]
    answers += [client.post("/receivers/add/", form())]
    answers += [client.post(f"{here}{one}/", {"secret": str(uuid4())}) for one in ACTIONS]
    assert {answer.status_code for answer in answers} == {403}
    assert all("Who is told is for operators." in answer.content.decode() for answer in answers)
    assert denials(web) == len(answers)
    assert len(kept(web)) == 1
    assert 'href="/receivers/"' not in client.get("/").content.decode()


def test_a_receiver_of_another_company_reads_as_one_that_is_not_there(web: World, sign_in: SignIn) -> None:
    receiver = add(web)
    add_role(web, "gus", web.other, "operator")
    client = sign_in("gus")
    assert "Tickets" not in client.get("/receivers/").content.decode()
    for pk in (receiver.pk, UUID(int=7)):
        here, secret = f"/receivers/{pk}/", {"secret": str(uuid4())}
        answers = [client.get(here), *(client.post(f"{here}{one}/", secret) for one in ACTIONS)]
        assert {answer.status_code for answer in answers} == {404}
    (same,) = kept(web)
    assert (same.is_active, same.mutes) == (True, [])
    with tenant_scope(web.other.pk):
        assert Event.objects.filter(tenant_id=web.other.pk, kind="access.denied").count() == 14


def test_reading_changes_nothing_and_no_other_site_does(web: World, sign_in: SignIn) -> None:
    client, receiver = sign_in("opal"), add(web)
    here = f"/receivers/{receiver.pk}/"
    for path in ("/receivers/add/", *(f"{here}{one}/" for one in ACTIONS)):
        assert client.get(path).status_code == 302
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(web.people["opal"])
    for path in ("/receivers/add/", *(f"{here}{one}/" for one in ACTIONS)):
        assert strict.post(path, form()).status_code == 403
    (same,) = kept(web)
    assert (same.is_active, same.mutes) == (True, [])


def test_a_name_that_hides_something_is_shown_for_what_it_is(web: World, sign_in: SignIn) -> None:
    client, receiver = sign_in("opal"), add(web, name="Pay\u202e<script>alert(1)</script>")
    for path in ("/receivers/", f"/receivers/{receiver.pk}/"):
        page = client.get(path).content.decode()
        assert "U+202E RIGHT-TO-LEFT OVERRIDE" in page
        assert "<script>alert" not in page
