"""The page on which a person chooses what they are written: their own, and kept apart by company."""

import json
from datetime import timedelta

import pytest
from django.db.models import Q
from django.test import Client
from django.utils import timezone

from approvals import outbox
from approvals.audit.models import Event, Personal
from approvals.database import tenant_scope
from approvals.models import MailChoice
from tests.attacks.test_roles import REFUSED, attempt
from tests.notifications.conftest import Post
from tests.views.conftest import SignIn, add_role
from tests.world import World

FORM = {
    "new_requests": "daily",
    "reminders": "on",
    "quiet_from": "22:00",
    "quiet_until": "07:00",
    "time_zone": "Europe/Berlin",
    "digest_at": "08:30",
}


def kept(web: World) -> list[MailChoice]:
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        return list(MailChoice.objects.all())


def test_a_person_chooses_and_sees_what_they_chose(web: World, sign_in: SignIn) -> None:
    client = sign_in("lena")
    page = client.get("/mail/").content.decode()
    assert web.people["lena"].email in page
    assert 'value="off" checked' in page
    page = client.post("/mail/", FORM, follow=True).content.decode()
    assert "It holds from the next event on." in page
    assert 'value="daily" checked' in page
    assert 'value="22:00"' in page
    assert "<option selected>Europe/Berlin</option>" in page
    (row,) = kept(web)
    assert (row.person_id, row.reminders) == (web.people["lena"].pk, True)
    assert row.digest_due_at
    assert "Alarms never wait" in page


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"quiet_from": "late"}, "Write hours as 22:00."),
        ({"digest_at": ""}, "Say at which hour."),
        ({"quiet_until": ""}, "both a beginning and an end"),
        ({"time_zone": "Mars/Olympus"}, "a time zone of the list"),
        ({"new_requests": "hourly"}, "off, at once or once a day"),
        ({"new_requests": "nul\0byte"}, "Null characters"),
    ],
)
def test_what_makes_no_sense_is_said_and_what_was_typed_is_kept(
    web: World, sign_in: SignIn, wrong: dict[str, str], said: str
) -> None:
    answer = sign_in("lena").post("/mail/", FORM | wrong)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert "Nothing was changed." in page
    assert 'value="08:30"' in page or "digest_at" in wrong
    assert kept(web) == []


def test_everybody_has_their_own_in_each_company(web: World, sign_in: SignIn) -> None:
    sign_in("lena").post("/mail/", FORM)
    assert 'value="off" checked' in sign_in("mara").get("/mail/").content.decode()
    add_role(web, "lena", web.other, "support_lead")
    client = sign_in("lena")
    client.post("/tenant/", {"tenant": str(web.other.pk)})
    assert 'value="off" checked' in client.get("/mail/").content.decode()


def test_reading_changes_nothing_and_no_other_site_does(web: World, sign_in: SignIn) -> None:
    sign_in("lena").get("/mail/", FORM)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(web.people["lena"])
    assert strict.post("/mail/", FORM).status_code == 403
    assert Client().post("/mail/", FORM).status_code == 302
    assert kept(web) == []


def test_a_web_process_taken_over_reads_no_choice_but_of_the_person_it_names(
    web: World, sign_in: SignIn
) -> None:
    sign_in("lena").post("/mail/", FORM)
    assert attempt(web, "web", "SELECT * FROM mail_choice") == 0
    assert attempt(web, "web", "UPDATE mail_choice SET new_requests = 'at_once'") == 0
    for process in ("web", "sweeper", "door"):
        with pytest.raises(REFUSED):
            attempt(web, process, "SELECT address_of(%s)", web.people["lena"].pk)
    with pytest.raises(REFUSED):
        attempt(web, "sweeper", "SELECT quiet_from FROM mail_choice")


def test_nothing_tells_others_what_somebody_chose(web: World, sign_in: SignIn) -> None:
    """Neither an event nor a page for auditors or members; operators see which letters were sent to whom."""
    form = FORM | {"new_requests": "at_once", "quiet_from": "", "quiet_until": "", "digest_at": "06:37"}
    sign_in("lena").post("/mail/", FORM)
    sign_in("lena").post("/mail/", form)
    request, post = web.submit(), Post(web)
    for topic in ("announce", "mail"):
        for row in post.rows(topic):
            post.work(row)
    with tenant_scope(web.tenant.pk):
        events = Event.objects.filter(Q(kind="mail.chosen") | Q(kind__startswith="notification."))
        said = {one.kind: json.loads(one.text) for one in events.filter(tenant_id=web.tenant.pk)}
        chosen = events.filter(kind="mail.chosen").values("pk")
        names = set(Personal.objects.filter(event_id__in=chosen).values_list("field", "value"))
    assert said["mail.chosen"]["data"] == {}
    assert names == {("name", web.people["lena"].name)}
    delivered = said["notification.delivered"]["data"]
    assert delivered == {"receiver_id": "mail", "kind": "request.created", "attempt": 1}
    auditor, member = sign_in("ada"), sign_in("mara")
    of_one = f"/requests/{request.pk}/"
    pages = (auditor.get("/trail/"), member.get(of_one), member.get(f"{of_one}trail/"))
    for page in pages:
        text = page.content.decode()
        assert not [told for told in ("at_once", "Europe/Berlin", "22:00", "06:37") if told in text]
    assert "by mail to" in sign_in("opal").get("/deliveries/").content.decode()
    assert "operators see which letters were sent to you" in sign_in("lena").get("/mail/").content.decode()


def test_no_operator_reads_until_when_a_letter_waits_or_that_it_is_wanted_no_more(
    web: World, sign_in: SignIn
) -> None:
    now, post = timezone.now(), Post(web)
    ends = (now + timedelta(hours=2)).time().replace(second=0, microsecond=0)
    quiet = {"quiet_from": f"{now - timedelta(hours=1):%H:%M}", "quiet_until": f"{ends:%H:%M}"}
    lena, opal = sign_in("lena"), sign_in("opal")
    lena.post("/mail/", FORM | quiet | {"new_requests": "at_once", "time_zone": "UTC"})
    web.submit()
    post.work(post.rows("announce")[0])
    post.make_due()
    post.work(post.rows("mail")[0])
    (row,) = post.rows("mail")
    assert (row.attempts, row.last_error) == (1, "these are quiet hours")
    page = opal.get("/deliveries/").content.decode()
    assert "by mail to" in page
    hidden = ("quiet hours", "next attempt", "1 attempt", f"{ends:%H:%M}", "not tried yet")
    assert not [told for told in hidden if told in page]
    lena.post("/mail/", FORM | {"new_requests": "off", "reminders": "on"})
    post.make_due()
    post.work(row)
    assert post.rows("mail")[0].done_at
    page = opal.get("/deliveries/").content.decode()
    assert outbox.NOT_WRITTEN in page
    assert "does not want" not in page
    assert [one["because"] for one in post.told()] == [outbox.NOT_WRITTEN]


def test_a_worker_reads_the_address_of_nobody_who_did_not_choose_it(web: World, sign_in: SignIn) -> None:
    sign_in("lena").post("/mail/", FORM)
    for who, there in (("lena", True), ("mara", False), ("gus", False)):
        with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
            from approvals.notifications.personal import _address_of

            assert bool(_address_of(web.people[who].pk)) is there
    sign_in("lena").post("/mail/", FORM | {"new_requests": "off", "reminders": ""})
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        assert _address_of(web.people["lena"].pk) == ""
