"""The operators' page of what was sent: filtered, paged without gaps, by an index; and sending it again."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals import notifications
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Outbox, Receiver
from approvals.queries import SoughtMessages, deliveries
from approvals.queries.paging import mark
from tests.views.conftest import SignIn, add_role
from tests.world import World

URL = "https://hooks.example.com/"


@pytest.fixture
def told(web: World) -> tuple[Receiver, Receiver, ApprovalRequest]:
    """Two receivers and a request that both are told of: the first took it, the second did not."""
    with web.processes.acting_as("migrator"):
        first, second = (
            notifications.add_receiver(web.tenant, "webhook", name, URL, notifications.new_secret())
            for name in ("Tickets", "Archive")
        )
    request = web.submit()
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        notifications.announce(Outbox.objects.get(topic="announce"))
        rows = Outbox.objects.filter(topic="deliver")
        rows.filter(receiver=first).update(done_at="2026-01-02T03:04:05.678901Z", attempts=1)
        rows.filter(receiver=second).update(
            gave_up_at="2026-01-03T00:00Z", attempts=8, last_error="it answered 404"
        )
    return first, second, request


def rows_of(page: str) -> list[str]:
    return re.findall(r"<span>to ([A-Za-z]+)</span>", page)


def test_each_message_is_listed_with_its_end_and_its_reason(
    web: World, sign_in: SignIn, told: tuple[Receiver, Receiver, ApprovalRequest]
) -> None:
    page = sign_in("opal").get("/deliveries/").content.decode()
    assert sorted(rows_of(page)) == ["Archive", "Tickets"]
    assert "A request was filed, or has come back" in page
    assert "it answered 404" in page
    assert "8 attempts" in page
    assert "2 Jan 2026, 03:04 UTC" in page
    assert told[2].headline in page


def test_it_is_filtered_by_receiver_end_kind_and_request(
    web: World, sign_in: SignIn, told: tuple[Receiver, Receiver, ApprovalRequest]
) -> None:
    client, (first, _, request) = sign_in("opal"), told
    for query, names in (
        (f"receiver={first.pk}", ["Tickets"]),
        ("state=failed", ["Archive"]),
        ("state=delivered", ["Tickets"]),
        ("state=waiting", []),
        ("receiver=mail", []),
        ("kind=request.denied", []),
        (f"state=failed&receiver={first.pk}", []),
        (f"request={request.pk}&state=failed&kind=request.created", ["Archive"]),
        (f"request={uuid4()}", []),
    ):
        assert rows_of(client.get(f"/deliveries/?{query}").content.decode()) == names, query
    for nonsense in ("state=lost", "receiver=nobody", "kind=nothing", "request=7"):
        assert client.get(f"/deliveries/?{nonsense}").status_code == 400


def test_the_trail_of_a_request_leads_an_operator_to_who_was_told(
    web: World, sign_in: SignIn, told: tuple[Receiver, Receiver, ApprovalRequest]
) -> None:
    path, link = f"/requests/{told[2].pk}/trail/", f"/deliveries/?request={told[2].pk}"
    add_role(web, "opal", web.tenant, "auditor")
    client = sign_in("opal")
    assert link in client.get(path).content.decode()
    assert "Who was told of one request" in client.get(link).content.decode()
    assert link not in sign_in("ada").get(path).content.decode()


def test_a_message_is_sent_again_once_and_what_was_looked_for_stays(
    web: World, sign_in: SignIn, told: tuple[Receiver, Receiver, ApprovalRequest]
) -> None:
    client = sign_in("opal")
    page = client.get("/deliveries/?state=delivered").content.decode()
    (path,) = re.findall(r'action="(/deliveries/[^"]+again/[^"]*)"', page)
    (ended,) = re.findall(r'name="ended" value="([^"]+)"', page)
    answer = client.post(path, {"ended": ended})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/deliveries/?state=delivered")
    twice = client.post(path, {"ended": ended})
    assert twice.status_code == 409
    assert "on its way again already" in twice.content.decode()
    assert web.events().count("notification.sent_again") == 1
    assert client.post(path, {"ended": "yesterday"}).status_code == 400
    assert client.get(path).status_code == 302


def test_what_others_were_told_is_neither_seen_nor_sent(
    web: World, sign_in: SignIn, told: tuple[Receiver, Receiver, ApprovalRequest]
) -> None:
    add_role(web, "gus", web.other, "operator")
    client = sign_in("gus")
    assert rows_of(client.get("/deliveries/").content.decode()) == []
    assert rows_of(client.get(f"/deliveries/?receiver={told[0].pk}").content.decode()) == []
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        theirs = Outbox.objects.get(receiver=told[0])
    for pk in (theirs.pk, uuid4()):
        answer = client.post(f"/deliveries/{pk}/again/", {"ended": "2026-01-02T03:04:05.678901"})
        assert answer.status_code == 404
    with tenant_scope(web.other.pk):
        assert Event.objects.filter(tenant_id=web.other.pk, kind="access.denied").count() == 2
    assert sign_in("lena").post(f"/deliveries/{theirs.pk}/again/").status_code == 403


def test_a_receivers_name_hides_nothing_in_the_list_to_choose_from(
    web: World, sign_in: SignIn, told: tuple[Receiver, Receiver, ApprovalRequest]
) -> None:
    with web.processes.acting_as("migrator"):
        Receiver.objects.filter(pk=told[0].pk).update(name="Tickets\u202egpj")
    page = sign_in("opal").get("/deliveries/").content.decode()
    assert "\u202e" not in page
    (option,) = re.findall(rf'<option value="{told[0].pk}">(.*?)</option>', page)
    assert "U+202E" in option


# --- many -------------------------------------------------------------------------------------------------

MANY = """
INSERT INTO outbox SELECT another.* FROM outbox o, generate_series(1, 3000) n,
    jsonb_populate_record(o, jsonb_build_object('id', md5('sent ' || n)::uuid, 'announcement_id', md5('of ' || n)::uuid,
        'kind', CASE WHEN n %% 100 = 0 THEN 'policy.error' ELSE 'request.created' END,
        'receiver_id', CASE WHEN n %% 100 = 1 THEN %(rare)s::uuid ELSE o.receiver_id END,
        'gave_up_at', CASE WHEN n %% 100 = 2 THEN now() END,
        'done_at', CASE WHEN n %% 100 NOT IN (2, 3) THEN now() END,
        'created_at', now() - n * interval '1 second')) another
    WHERE o.receiver_id = %(receiver)s
"""


# The other way round: no letter at all, and next to nothing that was delivered.
ANOTHER_KIND = (
    "UPDATE outbox SET last_error = 'nothing was left to tell' WHERE receiver_id = %s AND id::text > '01'"
)


@pytest.mark.parametrize(
    ("sought", "index"),
    [
        (SoughtMessages(), "outbox_told"),
        (SoughtMessages(kind="policy.error"), "outbox_told_kind"),
        (SoughtMessages(state="failed"), "outbox_failed"),
        (SoughtMessages(state="waiting"), "outbox_waiting"),
        (SoughtMessages(state="delivered"), "outbox_delivered"),
        (SoughtMessages(state="dropped"), "outbox_dropped"),
        (SoughtMessages(receiver="mail"), "outbox_mail"),
        (SoughtMessages(receiver="rare"), "outbox_receiver"),
        (SoughtMessages(kind="nothing.such", state="delivered"), "outbox_told_kind"),
    ],
)
def test_a_page_asks_an_index_whatever_it_is_filtered_by(
    web: World, told: tuple[Receiver, Receiver, ApprovalRequest], sought: SoughtMessages, index: str
) -> None:
    first, rare, _ = told
    if sought.receiver == "rare":
        sought = SoughtMessages(receiver=rare.pk)
    by, after = web.reviewer("opal"), mark(timezone.now() - timedelta(minutes=20), uuid4())
    with CaptureQueriesContext(connection) as queries:
        deliveries(by, sought)
        deliveries(by, sought, after=after)
    asked = [query["sql"] for query in queries if "ORDER BY" in query["sql"]]
    assert len(asked) == 2
    with web.processes.cursor("admin") as shell:
        shell.execute("ALTER TABLE outbox DISABLE TRIGGER ALL")
        shell.execute(MANY, {"receiver": first.pk, "rare": rare.pk})
        if sought.state == "delivered":
            shell.execute(ANOTHER_KIND, [first.pk])
        shell.execute("ANALYZE outbox")
        shell.execute("SELECT set_config('countersign.tenant', %s, true)", [str(web.tenant.pk)])
        shell.execute(f'SET LOCAL ROLE "{web.processes.prefix}_web"')
        for sql in asked:
            shell.execute(f"EXPLAIN {sql}")
            plan = "\n".join(row[0] for row in shell.fetchall())
            assert re.search(rf"using {index}\b", plan) or re.search(rf"on {index}\b", plan), plan
            assert "Seq Scan on outbox" not in plan
        shell.connection.rollback()


def test_pages_follow_each_other_without_gaps(
    web: World, told: tuple[Receiver, Receiver, ApprovalRequest]
) -> None:
    for payment in ("pay_10002", "pay_10008", "pay_10009"):
        web.submit(payment_id=payment, amount_minor=900)
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        for row in Outbox.objects.filter(topic="announce"):
            notifications.announce(row)
        every = set(Outbox.objects.filter(topic="deliver").values_list("id", flat=True))
    by, seen, after = web.reviewer("opal"), [], ""
    while True:
        page = deliveries(by, SoughtMessages(), after=after, rows=3)
        seen += [one.id for one in page.rows]
        after = page.next
        if not after:
            break
    assert len(seen) == len(set(seen)) == len(every)
    assert set(seen) == every
