"""What a reviewer reads before deciding."""

import json
import re
from html import unescape
from typing import Any

from approvals import execute, rejudge
from approvals import reconcile as reconciling
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest
from tests import courses
from tests.journeys.scenes import HOSTILE
from tests.people.asking import leaves
from tests.views.conftest import SignIn
from tests.world import REFUND, World


def shown(sign_in: SignIn, request: ApprovalRequest, who: str = "lena") -> str:
    return sign_in(who).get(f"/requests/{request.pk}/").content.decode()


def section(page: str, name: str) -> str:
    return page.split(f'aria-labelledby="{name}"')[1].split("</section>")[0]


def text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_claim_and_facts_stand_apart(web: World, sign_in: SignIn) -> None:
    page = shown(sign_in, web.submit())
    claimed, computed = section(page, "claimed"), section(page, "computed")
    assert str(REFUND["reason"]) in claimed
    assert str(REFUND["reason"]) not in computed
    assert "remaining 129.00 USD 12900" in text(computed)
    assert "remaining" not in claimed


def test_money_is_shown_for_people_and_exactly(web: World, sign_in: SignIn) -> None:
    page = text(shown(sign_in, web.submit(payment_id="pay_10007", amount_minor=18400, currency="JPY")))
    assert "18,400 JPY" in page
    assert "exactly 18400 minor units of JPY" in page


def test_every_argument_is_there_exactly(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    claimed = section(shown(sign_in, request), "claimed")
    assert f"amount 129.00 USD {REFUND['amount_minor']}" in text(claimed)
    assert "payment id pay_10001" in text(claimed)
    (canonical,) = re.findall(r"<pre><code>(.*)</code></pre>", claimed)
    assert unescape(canonical) == request.arguments
    assert request.arguments_sha256 in claimed


def test_nested_arguments_are_shown_one_by_one(web: World, sign_in: SignIn) -> None:
    address = {
        "name": "Bruno Beispiel",
        "line1": "Rue des Exemples 12",
        "city": "Lyon",
        "postal_code": "69001",
        "country": "FR",
    }
    request = web.submit(
        "change_shipping_address", order_id="ord_10003", address=address, reason="The customer has moved."
    )
    claimed = text(section(shown(sign_in, request), "claimed"))
    for name, value in address.items():
        label = {"line1": "line 1"}.get(name, name.replace("_", " "))
        assert f"address {label} {value}" in claimed
    assert "address line 2 empty" in claimed
    assert "shipped no false" in text(section(shown(sign_in, request), "computed"))


def test_a_fact_of_the_same_name_says_whether_the_claim_holds(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    assert "currency USD as claimed" in text(section(shown(sign_in, request), "computed"))
    facts = json.dumps({**json.loads(request.facts), "currency": "EUR"})
    with web.processes.acting_as("migrator"), tenant_scope(request.tenant_id):
        ApprovalRequest.objects.filter(pk=request.pk).update(facts=facts)
    assert "currency EUR claimed: USD" in text(section(shown(sign_in, request), "computed"))


def test_a_line_break_inside_a_value_is_seen(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    facts = json.dumps({**json.loads(request.facts), "currency": "EUR\nUSD"})
    with web.processes.acting_as("migrator"), tenant_scope(request.tenant_id):
        ApprovalRequest.objects.filter(pk=request.pk).update(facts=facts)
    computed = section(shown(sign_in, request), "computed")
    assert '<bdi class="said">EUR\nUSD</bdi>' in computed
    assert '<bdi class="said">USD</bdi>' in computed  # what was claimed


def test_an_agents_text_is_text(web: World, sign_in: SignIn) -> None:
    page = shown(sign_in, web.submit(reason=HOSTILE))
    assert "<script>" not in page
    assert "&lt;script&gt;alert(&#x27;approve&#x27;)&lt;/script&gt;" in page


def test_hidden_characters_are_named_and_none_is_left(web: World, sign_in: SignIn) -> None:
    page = shown(sign_in, web.submit(reason=HOSTILE))
    reason = section(page, "claimed")
    assert "U+202E RIGHT-TO-LEFT OVERRIDE" in reason
    assert "U+200B ZERO WIDTH SPACE \u00d73" in reason
    assert "U+E0041 TAG LATIN CAPITAL LETTER A" in reason
    assert "characters that you would not see" in reason
    for hidden in "\u202e\u202c\u200b\U000e0041":
        assert hidden not in page


def test_ordinary_text_carries_no_warning(web: World, sign_in: SignIn) -> None:
    page = shown(sign_in, web.submit(reason="Élodie schrieb: 花子さんの注文です。\nמחכה לתשובה"))
    assert "characters that you would not see" not in page
    assert 'class="unseen"' not in page


def test_the_rule_that_asked_is_named_with_its_reason_and_version(web: World, sign_in: SignIn) -> None:
    rule = text(section(shown(sign_in, web.submit(payment_id="pay_10008", amount_minor=74900)), "rule"))
    assert "large · policy version 1" in rule
    assert "A refund above 500.00 needs support and finance." in rule
    assert "support lead 0 of 1 agreed" in rule
    assert "finance 0 of 1 agreed" in rule


def test_who_voted_is_shown_with_their_words(web: World, sign_in: SignIn) -> None:
    request = web.submit(payment_id="pay_10008", amount_minor=74900)
    web.vote(request, "approve", "lena", comment="The crack is on the photograph.")
    rule = text(section(shown(sign_in, request, "felix"), "rule"))
    assert "Approved Lena" in rule
    assert "The crack is on the photograph." in rule


def test_threats_and_reversibility_come_before_the_buttons(web: World, sign_in: SignIn) -> None:
    page = shown(sign_in, web.submit())
    threat, undone, buttons = (
        page.index(words)
        for words in ("talks the agent into a refund", "A refund leaves for the", 'class="choices"')
    )
    assert threat < buttons
    assert undone < buttons


def test_what_can_be_undone_names_how(web: World, sign_in: SignIn) -> None:
    address = {"name": "B", "line1": "Hof 1", "city": "Berlin", "postal_code": "10115", "country": "DE"}
    request = web.submit(
        "change_shipping_address", order_id="ord_10003", address=address, reason="Wrong house number."
    )
    assert "Yes, by another request: Change a shipping address." in text(shown(sign_in, request))


def test_who_asked_and_who_answers_for_it(web: World, sign_in: SignIn) -> None:
    assert "Asked by Support bot , which belongs to Otto" in text(shown(sign_in, web.submit()))


def test_somebody_who_asked_through_their_own_program_is_named_once(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    with web.processes.cursor("admin") as shell:
        shell.execute("UPDATE approval_request SET on_behalf_of_id = owner_id WHERE id = %s", (request.pk,))
    page = text(shown(sign_in, request))
    assert "belongs to Otto, on their behalf" in page
    assert "on behalf of Otto" not in page


def test_facts_have_labels_that_are_words(web: World, sign_in: SignIn) -> None:
    computed = text(section(shown(sign_in, web.submit()), "computed"))
    assert "card ending in" in computed
    assert "last4" not in computed


def test_somebody_who_may_not_decide_gets_the_reason_instead_of_the_form(web: World, sign_in: SignIn) -> None:
    page = shown(sign_in, web.submit(), "otto")
    assert "You cannot decide this request" in page
    assert 'name="decision"' not in page


def test_what_the_worker_did_is_shown_with_the_shops_reference(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    web.vote(request, "approve", "lena")
    with web.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    outcome = text(section(shown(sign_in, request), "outcome"))
    (entry,) = web.ledger(request)
    assert entry["id"] in outcome
    assert "succeeded (201)" in outcome


def test_an_unclear_result_warns_against_doing_it_by_hand(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    web.vote(request, "approve", "lena")
    web.shop.arm("drop_after_commit", method="POST")
    with web.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    assert "Do not repeat it by hand." in section(shown(sign_in, request), "outcome")


def test_the_look_up_that_settled_a_lost_answer_is_among_what_the_worker_did(
    web: World, sign_in: SignIn
) -> None:
    request = web.submit()
    web.vote(request, "approve", "lena")
    web.shop.arm("drop_after_commit", method="POST")
    with web.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
        reconciling.run(request.pk, request.tenant_id)
    outcome = text(section(shown(sign_in, request), "outcome"))
    (entry,) = web.ledger(request)
    assert "129.00 USD refunded, found by our reference" in outcome
    assert f"what became of it · it had happened {entry['id']}" in outcome
    assert outcome.index("uncertain") < outcome.index("it had happened")
    assert "Try again" not in outcome


def test_a_look_up_that_found_nothing_says_so(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    web.vote(request, "approve", "lena")
    web.shop.arm("error_500", method="POST")
    with web.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
        reconciling.run(request.pk, request.tenant_id)
    assert "what became of it · no record of it" in text(section(shown(sign_in, request), "outcome"))


def test_what_can_only_be_denied_does_not_read_as_waiting_for_a_yes(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    web.vote(request, "approve", "lena")
    web.refund_elsewhere("pay_10001", 3000)
    with web.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
        rejudge.reopen(request.pk, request.tenant_id)
    page = shown(sign_in, request)
    assert "the policy refuses it now, so it can only be denied" in text(section(page, "outcome"))
    assert "approved before" in text(section(page, "outcome"))
    assert "The rule that refuses" in section(page, "rule")


def test_a_rule_that_asks_nobody_is_in_the_present_only_while_it_waits(web: World, sign_in: SignIn) -> None:
    credit: dict[str, Any] = {
        "customer_id": "cus_1001",
        "amount_minor": 500,
        "currency": "USD",
        "reason": "The parcel was late.",
    }
    request = web.submit("issue_store_credit", **credit)
    assert "approves if the rule still asks nobody" in section(shown(sign_in, request), "rule")
    with web.processes.acting_as("worker"):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    rule = section(shown(sign_in, request), "rule")
    assert "No person approved this" in rule
    assert "still asks nobody" not in rule


def test_a_request_outlives_its_action(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    with web.processes.cursor("admin") as shell:
        shell.execute("UPDATE approval_request SET action = 'retired' WHERE id = %s", (request.pk,))
    page = text(shown(sign_in, request))
    assert request.headline in page
    assert "This action is no longer offered." in page


def test_the_shops_internal_fields_reach_no_page(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    for path in (f"/requests/{request.pk}/", f"/requests/{request.pk}/trail/", "/"):
        assert "internal" not in sign_in("lena").get(path).content.decode().lower()


def test_what_the_policys_author_noted_stands_beside_the_reason(web: World, sign_in: SignIn) -> None:
    rule = text(section(shown(sign_in, web.submit(payment_id="pay_10008", amount_minor=74900)), "rule"))
    assert "A refund above 500.00 needs support and finance." in rule
    assert (
        "author noted: Above 500.00 two people look at it: one who knows the customer, "
        "one who knows the books." in rule
    )
    other = web.submit("cancel_order", order_id="ord_10001", reason="The customer changed their mind.")
    assert "noted" not in text(section(shown(sign_in, other), "rule"))


def test_what_a_rule_asked_for_stands_on_when_its_approver_has_left(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    mara, page = sign_in("mara"), f"/requests/{request.pk}/"
    assert "support lead 0 of 1 agreed" in text(mara.get(page).content.decode())
    web.vote(request, "approve", "lena")
    courses.run(web, request)
    leaves(web, "lena")
    shown = text(mara.get(page).content.decode())
    assert "Carried out, exactly once." in shown
    assert "of 1 agreed" not in shown
    assert "support lead asked for 1" in shown
    assert "Approved Lena" in shown


def test_what_could_not_be_done_is_told_by_its_outcome_and_no_more_is_claimed(
    web: World, sign_in: SignIn
) -> None:
    request = courses.failed(web)
    shown = text(sign_in("lena").get(f"/requests/{request.pk}/").content.decode())
    assert "Approved, but it could not be done. outcome" in shown
    assert "nothing was changed" not in shown
