"""What the page of a request says of budgets, before somebody decides."""

from approvals.models import PolicyVersion
from tests.budgets.conftest import SetPolicy, set_policy, usage
from tests.views.conftest import SignIn
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
    with web.processes.acting_as("migrator"):
        PolicyVersion.objects.filter(tenant=web.tenant).update(source="policy: 99\nusage: []\n")
    assert "what its budgets leave is not known" in computed(sign_in, request)
