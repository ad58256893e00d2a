"""What the page of a request says of budgets, before somebody decides."""

import pytest

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.models import PolicyVersion
from approvals.queries import spent
from approvals.queries.budgets import _share
from tests.budgets.conftest import SetPolicy, file_as, set_policy, usage
from tests.views.conftest import SignIn, add_role
from tests.views.test_request_page import section, shown, text
from tests.world import World

__all__ = ["set_policy"]  # the fixture


def computed(sign_in: SignIn, *about: object) -> str:
    return text(section(shown(sign_in, *about), "computed"))  # type: ignore[arg-type]


def test_the_page_says_what_is_used_what_this_takes_and_what_remains(
    web: World, sign_in: SignIn, set_policy: SetPolicy
) -> None:
    set_policy(
        usage("refunds", per="customer, agent", cap="{ USD: 20000 }"),
        usage("asked", of="", per="tenant", cap="9", sums="requests"),
    )
    web.vote(web.submit(amount_minor=6000), "approve", "lena")
    second = web.submit(amount_minor=5000)
    page = computed(sign_in, second)
    assert (
        "refunds Used 60.00 USD of 200.00 USD in 24 hours, for this customer, by this requester. "
        "This takes 50.00 USD, and 90.00 USD remain." in page
    )
    assert (
        "asked Used 1 request of 9 requests in 24 hours, by the whole company. "
        "This takes 1 request, and 7 requests remain." in page
    )
    assert "no room" not in page
    web.vote(second, "deny", "lena", comment="Not today.")
    assert "refunds" not in computed(sign_in, second)


def test_the_page_says_in_words_that_there_is_no_room_and_why_a_vote_was_not_taken(
    web: World, sign_in: SignIn, set_policy: SetPolicy
) -> None:
    set_policy(usage("refunds", per="order", cap="{ USD: 10000 }"))
    web.vote(web.submit(amount_minor=6000), "approve", "lena")
    second = web.submit(amount_minor=5000)
    wanted = "This takes 50.00 USD, which is 10.00 USD too much: it cannot be approved now."
    assert f"refunds no room Used 60.00 USD of 100.00 USD in 24 hours, for this order. {wanted}" in computed(
        sign_in, second
    )
    assert "whoever gives the last approval will be refused" in text(shown(sign_in, second))
    browser = sign_in("lena")
    seen = shown(sign_in, second).split('name="seen" value="')[1].split('"')[0]
    answer = browser.post(
        f"/requests/{second.pk}/decide/", {"decision": "approve", "seen": seen, "comment": "Fine."}
    )
    assert answer.status_code == 409
    page = text(answer.content.decode())
    assert (
        "The budget “refunds” has 40.00 USD left of 100.00 USD in 24 hours, and this takes 50.00 USD." in page
    )
    assert "Nothing was decided." in page
    assert web.status(second) == "pending"


def test_without_budgets_the_page_says_nothing_of_them(web: World, sign_in: SignIn) -> None:
    assert "Budgets" not in computed(sign_in, web.submit())


def test_budgets_that_cannot_be_read_are_said_to_be_unknown(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    web.put_in_force("policy: 99\nusage: []\n")
    assert "what its budgets leave is not known" in computed(sign_in, request)


# --- the page of all budgets ------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["opal", "ada"])
def test_operators_and_auditors_see_how_much_of_each_budget_is_used(
    web: World, sign_in: SignIn, set_policy: SetPolicy, who: str
) -> None:
    set_policy(
        usage("refunds", per="agent", cap="{ USD: 6000 }"),
        usage("asked", of="", per="tenant", cap="9", sums="requests"),
    )
    web.vote(web.submit(amount_minor=6000), "approve", "lena")
    web.submit(amount_minor=100)
    page = text(sign_in(who).get("/budgets/").content.decode())
    assert (
        "refunds requester Support bot in 24 hours 60.00 USD used up 60.00 USD used of 60.00 USD; 0.00 USD left"
        in page
    )
    assert (
        "asked the whole company in 24 hours 1 request 1 request used of 9 requests; 8 requests left" in page
    )


def test_nobody_else_sees_them_and_the_trail_says_who_wanted_to(web: World, sign_in: SignIn) -> None:
    assert sign_in("lena").get("/budgets/").status_code == 403
    with tenant_scope(web.tenant.pk):
        event = Event.objects.get(kind="access.denied")
        assert '"wanted":"budgets"' in event.text


def test_another_company_sees_only_its_own(web: World, sign_in: SignIn, set_policy: SetPolicy) -> None:
    set_policy(usage("refunds", per="customer", cap="{ USD: 6000 }"))
    with web.processes.acting_as("migrator"):
        theirs = PolicyVersion.objects.get(tenant=web.tenant, is_active=True).source
    web.put_in_force(theirs, web.other)
    web.vote(web.submit(amount_minor=6000), "approve", "lena")
    add_role(web, "gus", web.other, "auditor")
    page = sign_in("gus").get("/budgets/").content.decode()
    assert "Nothing is used of any budget" in page
    assert "cus_1001" not in page


def test_every_key_is_on_one_page_and_only_one(web: World, set_policy: SetPolicy) -> None:
    set_policy(
        usage("all", of="", per="customer, agent", cap="{ USD: 6000, EUR: 6000 }"),
        usage("asked", of="", per="tenant", cap="9", sums="requests"),
        usage("orders", per="order", cap="{ USD: 6000, EUR: 6000 }"),
    )
    for payment, currency in (("pay_10001", "USD"), ("pay_10002", "USD"), ("pay_10003", "EUR")):
        filed = file_as(web, web.agent, payment_id=payment, amount_minor=100, currency=currency)
        web.vote(filed, "approve", "lena")
    by, after, seen = web.reviewer("opal"), "", []
    for _ in range(7):
        page = spent(by, after=after, rows=1)
        seen += [(row.name, *[value for _, value in row.whose]) for row in page.rows]
        if not (after := page.next):
            break
    assert seen == [
        ("all", "cus_1001", "Support bot"),
        ("all", "cus_1002", "Support bot"),
        ("asked",),
        ("orders", "ord_10001"),
        ("orders", "ord_10002"),
        ("orders", "ord_10003"),
    ]


@pytest.mark.parametrize("mark", ["x", "0~", "0~{}", "0~5", '0~["a"]', "9~[]", "1~[[[", '0~["\\u0000"]'])
def test_a_mark_that_is_none_reads_as_a_page(
    web: World, sign_in: SignIn, set_policy: SetPolicy, mark: str
) -> None:
    set_policy(usage("all", of="", per="agent", cap="{ USD: 6000 }"))
    web.vote(web.submit(amount_minor=6000), "approve", "lena")
    assert sign_in("opal").get("/budgets/", {"after": mark}).status_code == 200


def test_the_caps_are_listed_before_anything_is_used(
    web: World, sign_in: SignIn, set_policy: SetPolicy
) -> None:
    set_policy(
        usage("refunds", per="customer, agent", cap="{ USD: 20000 }"),
        usage("asked", of="", per="tenant", cap="9", sums="requests"),
    )
    page = text(sign_in("opal").get("/budgets/").content.decode())
    assert "refunds : 200.00 USD in 24 hours, for each customer, for each requester" in page
    assert "asked : 9 requests in 24 hours, for the whole company" in page


def test_a_policy_without_caps_is_said_to_have_none(web: World, sign_in: SignIn) -> None:
    page = text(sign_in("opal").get("/budgets/").content.decode())
    assert "The policy in force has no caps" in page


def test_the_gauge_is_as_long_as_the_words_say(web: World, sign_in: SignIn, set_policy: SetPolicy) -> None:
    set_policy(usage("refunds", per="customer, agent", cap="{ USD: 20000 }"))
    web.vote(web.submit(amount_minor=6000), "approve", "lena")
    gauge = section(shown(sign_in, web.submit(amount_minor=5000)), "computed").split('class="gauge"')[1]
    assert '<rect class="used" width="30"' in gauge
    assert '<rect class="takes" x="30" width="25"' in gauge


@pytest.mark.parametrize(
    ("part", "whole", "share"),
    [(0, 300, 0), (1, 300, 0), (299, 300, 99), (300, 300, 100), (301, 300, 100), (0, 0, 100)],
)
def test_only_what_is_full_looks_full(part: int, whole: int, share: int) -> None:
    assert _share(part, whole) == share
