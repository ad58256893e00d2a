"""The pages of policies: who reads them, what is kept of what was typed, and that people ask and others decide."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils.html import strip_tags

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.identity.models import Membership
from approvals.models import ApprovalRequest, PolicyVersion
from policies.documents import shipped
from tests.versions import (
    LAXER,
    STRICTER,
    WHY,
    activated,
    agreed,
    asked,
    in_force,
    propose,
    reopen,
    run,
    stored,
)
from tests.views.conftest import SignIn, add_role
from tests.world import World


def said(answer: Any) -> str:
    """What a person reads, blanks folded."""
    return " ".join(strip_tags(answer.content.decode()).split())


def proposed(client: Client, text: str = STRICTER, **changes: Any) -> HttpResponse:
    form = {"text": text, "because": WHY, "based_on": "1", **changes}
    return client.post("/policy/propose/", form, follow=True)  # type: ignore[return-value]


def ask_for(client: Client, number: int, **changes: Any) -> HttpResponse:
    form = {"reason": WHY, "key": str(uuid4()), **changes}
    return client.post(f"/policy/{number}/activate/", form, follow=True)  # type: ignore[return-value]


def test_a_version_is_proposed_asked_for_and_agreed_to_on_pages_alone(web: World, sign_in: SignIn) -> None:
    paul, opal = sign_in("paul"), sign_in("opal")
    shown = said(proposed(paul))
    assert "Stored as version 2. It is not in force" in shown
    assert "Written by Paul" in shown
    assert "made from version 1" in shown
    assert "From version 1 to version 2 · 1 line added (+), 1 removed (\N{MINUS SIGN})" in shown
    assert in_force(web) == 1
    shown = said(ask_for(paul, 2))
    assert "Put policy version 2 in force, in the place of version 1" in shown
    assert "You cannot decide this request: you wrote what it asks for" in shown
    with tenant_scope(web.tenant.pk):
        request = ApprovalRequest.objects.get(action="activate_policy")
    page = opal.get(f"/requests/{request.pk}/")
    assert "args.amount_minor &gt; 40000" in page.content.decode()
    assert "Asked by Paul" in said(page)
    assert "agent" not in said(page).split("Agents ask.")[0]
    seen = re.search(r'name="seen" value="([^"]+)"', page.content.decode())
    assert seen
    opal.post(f"/requests/{request.pk}/decide/", {"decision": "approve", "seen": seen[1], "comment": ""})
    assert run(web, request) == "succeeded"
    assert in_force(web) == 2
    shown = said(paul.get("/policy/2/"))
    assert "asked for by Paul · agreed to by Opal" in shown
    assert "In force" in said(paul.get("/policy/"))


def test_every_line_that_is_wrong_is_told_at_once(web: World, sign_in: SignIn) -> None:
    two = STRICTER.replace("args.amount_minor > 40000", "args.amuont > 40000").replace(
        "facts.remaining_minor", "facts.left"
    )
    page = said(proposed(sign_in("paul"), two))
    told = re.findall(r"Line (\d+), column \d+: Rule '", page.replace("&#x27;", "'"))
    assert len(told) == 2 and "1 more line is wrong:" in page
    assert stored(web) == 1


def test_a_line_that_is_wrong_is_shown_and_nothing_that_was_typed_is_lost(
    web: World, sign_in: SignIn
) -> None:
    text = f"\n# As it was.   \n{STRICTER}".replace("facts.remaining_minor", "facts.left")
    answer = proposed(sign_in("paul"), text.replace("\n", "\r\n"), based_on="1")
    page = answer.content.decode()
    assert answer.status_code == 422
    assert re.search(r"Line \d+, column \d+: Rule &#x27;over-the-remainder&#x27;", page)
    assert "this line: when: args.amount_minor &gt; facts.left" in " ".join(
        re.sub("<[^>]+>", "", page).split()
    )
    kept = re.search(r'<textarea class="document"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    assert kept
    assert (
        kept[1]
        .replace("&quot;", '"')
        .replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&amp;", "&")
        .replace("&#x27;", "'")
        == text
    )
    assert f">\n{WHY}</textarea>" in page
    assert 'name="based_on" value="1"' in page
    assert stored(web) == 1


def test_what_is_stored_is_what_was_typed_to_the_letter(web: World, sign_in: SignIn) -> None:
    text = f"\n# Two blanks at the end:  \n{STRICTER}\n\n"
    proposed(sign_in("paul"), text.replace("\n", "\r\n"))
    with tenant_scope(web.tenant.pk):
        assert PolicyVersion.objects.get(number=2).source == text


def test_blanks_at_the_end_of_a_line_are_shown(web: World, sign_in: SignIn) -> None:
    proposed(sign_in("paul"), shipped().replace("name: demo\n", "name: demo  \n"))
    page = sign_in("paul").get("/policy/2/").content.decode()
    assert 'name: demo<mark class="unseen">U+0020 SPACE' in page


def test_a_proposal_without_a_reason_says_so_at_its_field(web: World, sign_in: SignIn) -> None:
    answer = proposed(sign_in("paul"), because="no")
    assert answer.status_code == 422
    assert "Say why, in 10 to 500 characters" in said(answer)
    assert 'id="because-error"' in answer.content.decode()
    assert stored(web) == 1


def test_a_proposal_begins_with_the_text_in_force_or_with_the_version_that_was_chosen(
    web: World, sign_in: SignIn
) -> None:
    activated(web)
    paul = sign_in("paul")
    assert "&gt; 40000" in paul.get("/policy/propose/").content.decode()
    assert "&gt; 50000" in paul.get("/policy/propose/?from=1").content.decode()
    assert paul.get("/policy/propose/?from=x").status_code == 400


def test_what_refuses_an_activation_is_said_with_the_reason_kept(web: World, sign_in: SignIn) -> None:
    propose(web)
    paul = sign_in("paul")
    answer = ask_for(paul, 2, reason="short")
    assert answer.status_code == 422
    assert ">\nshort</textarea>" in answer.content.decode()
    answer = ask_for(paul, 1)
    assert (answer.status_code, "Version 1 is in force already." in said(answer)) == (409, True)
    assert paul.post("/policy/2/activate/", {"reason": WHY}).status_code == 400


def test_a_form_that_is_sent_twice_asks_once(web: World, sign_in: SignIn) -> None:
    propose(web)
    paul, key = sign_in("paul"), str(uuid4())
    for _ in range(2):
        ask_for(paul, 2, key=key)
    with tenant_scope(web.tenant.pk):
        assert ApprovalRequest.objects.filter(action="activate_policy").count() == 1
    assert "Somebody has asked for it to be put in force: Paul asked" in said(paul.get("/policy/2/"))


def test_two_that_wait_show_each_other(web: World, sign_in: SignIn) -> None:
    first, _ = asked(web, STRICTER), asked(web, LAXER)
    assert "Another request on this policy:" in said(sign_in("opal").get(f"/requests/{first.pk}/"))


def test_going_back_is_asked_for_on_the_older_versions_page(web: World, sign_in: SignIn) -> None:
    activated(web)
    shown = said(sign_in("olga").get("/policy/1/"))
    assert "Go back to this version" in shown
    assert "Was in force" in shown
    shown = said(ask_for(sign_in("olga"), 1))
    assert "Put policy version 1 in force, in the place of version 2" in shown


def test_whoever_decides_reads_the_rules_and_drafts_are_for_those_who_answer_for_them(
    web: World, sign_in: SignIn
) -> None:
    for name in ("paul", "opal", "ada", "lena", "felix", "otto"):
        reads = sign_in(name)
        assert 'href="/policy/"' in reads.get("/").content.decode()
        assert [reads.get(page).status_code for page in ("/policy/", "/policy/1/")] == [200, 200]
        assert reads.get("/policy/propose/").status_code == (200 if name in ("paul", "opal", "ada") else 403)
    felix = said(sign_in("felix").get("/policy/"))
    assert "Propose a version" not in felix
    assert "Try a draft" not in felix


def test_an_auditor_reads_and_neither_proposes_nor_asks(web: World, sign_in: SignIn) -> None:
    propose(web)
    ada = sign_in("ada")
    assert "Ask for version" not in said(ada.get("/policy/2/"))
    assert proposed(ada, LAXER).status_code == 403
    assert ask_for(ada, 2).status_code == 403
    assert stored(web) == 2


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("get", "/policy/{}/"),
        ("get", "/policy/propose/?from={}"),
        ("post", "/policy/{}/activate/"),
        ("post", "/policy/propose/"),
    ],
)
def test_another_companys_version_reads_like_a_missing_one(
    web: World, sign_in: SignIn, method: str, address: str
) -> None:
    propose(web)
    add_role(web, "gus", web.other, "operator")
    gus = sign_in("gus")

    def answer(number: int) -> HttpResponse:
        form = {"reason": WHY, "key": str(uuid4()), "text": STRICTER, "because": WHY, "based_on": str(number)}
        sent = form if method == "post" else {}
        return getattr(gus, method)(address.format(number), sent)  # type: ignore[no-any-return]

    foreign, missing = answer(2), answer(9)
    assert foreign.status_code == missing.status_code == 404
    assert said(foreign).replace("version 2", "") == said(missing).replace("version 9", "")
    with tenant_scope(web.other.pk):
        denied = Event.objects.filter(tenant_id=web.other.pk, kind="access.denied").count()
    assert denied == 2


def test_a_get_proposes_and_asks_for_nothing(web: World, sign_in: SignIn) -> None:
    propose(web)
    for path in ("/policy/", "/policy/2/", "/policy/propose/", "/policy/2/activate/"):
        assert sign_in("paul").get(path).status_code in (200, 302)
    assert stored(web) == 2
    with tenant_scope(web.tenant.pk):
        assert not ApprovalRequest.objects.exists()


def test_the_button_is_the_askers_and_takes_it_back(web: World, sign_in: SignIn) -> None:
    request = asked(web)
    address = f"/requests/{request.pk}/"
    assert f"{address}withdraw/" not in sign_in("opal").get(address).content.decode()
    paul = sign_in("paul")
    assert f"{address}withdraw/" in paul.get(address).content.decode()
    shown = paul.post(f"{address}withdraw/", follow=True).content.decode()
    assert "You took it back." in shown
    assert "It was taken back. Nothing was done." in " ".join(strip_tags(shown).split())
    assert f"{address}withdraw/" not in shown
    assert web.status(request) == "withdrawn"
    again = paul.post(f"{address}withdraw/", follow=True).content.decode()
    assert "You took it back." not in again
    assert sign_in("opal").post(f"{address}withdraw/").status_code == 404


def test_an_activation_that_another_one_overtook_says_so(web: World, sign_in: SignIn) -> None:
    first, second = asked(web, STRICTER), asked(web, LAXER)
    page, warning = f"/requests/{second.pk}/", "Version 2 came into force since this was looked up."
    olga = sign_in("olga")
    assert "came into force since" not in said(olga.get(page))
    web.vote(first, "approve", "opal")
    assert run(web, first) == "succeeded"
    assert warning in said(olga.get(page))
    assert "came into force since" not in said(olga.get(f"/requests/{first.pk}/"))
    web.vote(second, "approve", "olga")
    assert "came into force since" not in said(olga.get(page))  # it is on its way
    assert run(web, second) == "stale"
    reopen(web, second)
    shown = said(olga.get(page))
    assert "Back for a decision" in shown
    assert "Put policy version 3 in force, in the place of version 2" in shown
    assert "came into force since" not in shown


def test_whoever_takes_back_an_activation_reads_who_is_told_why(web: World, sign_in: SignIn) -> None:
    """A person asked for it, and no agent."""
    request, olga = agreed(web), sign_in("olga")
    address = f"/requests/{request.pk}/"
    shown = said(olga.get(address))
    assert "Take the approval back" in shown
    assert "Whoever asked can read your reason: 3 to 1,000 characters." in shown
    shown = said(olga.post(f"{address}revoke/", {"reason": "Not on a Friday."}, follow=True))
    assert "You took the approval back. Whoever asked can read your reason; nothing is done." in shown
    assert "The agent" not in shown
    assert web.status(request) == "denied"


def test_while_an_activation_waits_its_version_is_not_offered_to_be_asked_for_again(
    web: World, sign_in: SignIn
) -> None:
    request, opal = asked(web), sign_in("opal")
    page = opal.get("/policy/2/").content.decode()
    assert "Paul asked" in page
    assert f'href="/requests/{request.pk}/"' in page
    assert "/policy/2/activate/" not in page
    sign_in("paul").post(f"/requests/{request.pk}/withdraw/")
    assert "/policy/2/activate/" in opal.get("/policy/2/").content.decode()


def test_the_list_says_which_versions_somebody_asked_for(web: World, sign_in: SignIn) -> None:
    asked(web)
    propose(web, LAXER)
    page = said(sign_in("opal").get("/policy/"))
    assert page.count("Asked for, not in force yet") == 1
    assert page.index("Version 3") < page.index("Version 2") < page.index("Asked for, not in force")


def test_whoever_could_ask_in_vain_is_told_before(web: World, sign_in: SignIn) -> None:
    propose(web)
    alone = "Nobody could agree to it if you asked: there is no other operator here."
    assert alone not in said(sign_in("opal").get("/policy/2/"))
    with web.processes.acting_as("migrator"):
        Membership.objects.filter(role="operator").exclude(person__name="Opal").delete()
    assert alone in said(sign_in("opal").get("/policy/2/"))
    assert alone not in said(sign_in("paul").get("/policy/2/"))
