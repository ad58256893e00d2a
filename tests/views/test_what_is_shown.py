"""What you saw is what you signed: every material field is on the page whole, and the vote's digest covers it."""

import json
import re
from dataclasses import replace
from datetime import time, timedelta
from html import unescape
from typing import Any

import pytest
from django.core import signing

from approvals import actions, bulk, judge, material
from approvals.differences import differences
from approvals.models import ApprovalRequest
from approvals.payloads import canonical, salted
from approvals.templatetags.countersign import words
from policies.verdicts import Escalation, Require, Stage, from_json, to_json
from policies.windows import Window
from tests import courses
from tests.breaking import give
from tests.people.asking import FINANCE, LEAD, asking, shift
from tests.proving import session_proves
from tests.views.conftest import SignIn
from tests.world import REFUND, World

# Every kind of mark, and a word that may be broken nowhere.
STRANGE = "p\u0430ypal \u202e\u200b\u200b <b>&\"'</b> \uff26ull "
REASON = (STRANGE + "x" * 500)[:500]
LINE = (STRANGE + "y" * 100)[:100]
# As a policy's author may write it: blanks that are symbols or letters by their kind, a Cyrillic letter, a joiner.
BECAUSE = ("Every refund\u2800\u3164\u3164 is \u0430greed\u034f to. " + "w" * 500)[:500]
ADDRESS = {
    **dict.fromkeys(("name", "line1", "line2", "city", "region"), LINE),
    "postal_code": "z" * 12,
    "country": "US",
}
FILED: dict[str, dict[str, Any]] = {
    "refund_payment": REFUND,
    "cancel_order": {"order_id": "ord_10001"},
    "change_shipping_address": {"order_id": "ord_10001", "address": {**ADDRESS, "name": "Ada"}},
    "issue_store_credit": {"customer_id": "cus_1001", "amount_minor": 90000, "currency": "USD"},
}


def text_of(page: str) -> str:
    """The words of a page's main part, as somebody reads them."""
    main = page[page.index("<main") : page.index("</main>")]
    main = re.sub(r"<(script|style|svg|input|option)\b.*?(</\1>|>)", " ", main, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


def squeezed(text: str) -> str:
    """Without spaces: where a page puts them between its elements is no part of what it says."""
    return "".join(text.split())


def longest(world: World, name: str) -> ApprovalRequest:
    """A request of this action whose every text is as long as it may be, and as strange."""
    request = world.submit(name, **{**FILED[name], "reason": REASON})
    arguments, facts = json.loads(request.arguments), json.loads(request.facts)
    if "address" in arguments:
        arguments["address"] = ADDRESS
    if "amount_minor" in arguments:
        arguments["amount_minor"] = 10**12
    for key, value in facts.items():
        if isinstance(value, str) and "currency" not in key:
            facts[key] = STRANGE + "f" * 2000
    changed: dict[str, Any] = {
        "arguments": canonical(arguments),
        "facts": canonical(facts),
        "headline": (STRANGE + "h" * 300)[:300],
    }
    verdict = from_json(request.verdict)
    if isinstance(verdict, Require):
        verdict = replace(verdict, error=f"{STRANGE} is no number")
    changed["verdict"] = to_json(replace(verdict, because=BECAUSE))
    changed |= {f"{part}_sha256": salted(request.salt, changed[part]) for part in ("arguments", "facts")}
    with world.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=request.pk).update(**changed)
    return world.reload(request)


def test_the_actions_here_are_all_there_are() -> None:
    assert set(FILED) == {action.name for action in actions.every()}


def unbound(page: str) -> str:
    """Without the marks' brackets, which a page draws, and without spaces."""
    return squeezed(page.replace("[", "").replace("]", ""))


def shows_all(page: str, request: ApprovalRequest) -> None:
    """Every material field, whole."""
    words_there = unbound(text_of(page))
    rows = material.rows(request)
    assert {row.section for row in rows} == {"head", *material.SECTIONS}
    for row in rows:
        for piece in row.shown:
            assert unbound(piece) in words_there, row
        if row.section not in ("head", "rule") and row.name != material.REASON:
            assert squeezed(str(words(row.name))) in words_there, row


def value_of(page: str, name: str) -> str:
    """Of the hidden field of that name: there is one, or more that say the same."""
    (found,) = set(re.findall(rf'name="{name}" value="([^"]*)"', page))
    return unescape(found)


@pytest.mark.parametrize("name", sorted(FILED))
def test_every_material_field_is_on_the_page_whole(web: World, sign_in: SignIn, name: str) -> None:
    request = longest(web, name)
    page = sign_in("lena").get(f"/requests/{request.pk}/").content.decode()
    shows_all(page, request)
    assert value_of(page, "seen") == judge.seen(request)


@pytest.mark.parametrize("name", sorted(FILED))
def test_every_material_field_is_on_the_page_of_who_pushes_it_through_alone(
    web: World, sign_in: SignIn, name: str
) -> None:
    give(web, "opal", "break_glass")
    request, opal = longest(web, name), sign_in("opal")
    session_proves(opal, web, "opal", "totp")
    page = opal.get(f"/requests/{request.pk}/break-glass/").content.decode()
    shows_all(page, request)
    assert value_of(page, "seen") == judge.seen(request)


@pytest.mark.parametrize("name", sorted(FILED))
def test_every_material_field_is_on_the_page_of_several(web: World, sign_in: SignIn, name: str) -> None:
    """None of our actions is of low risk: these are taken for such ones."""
    request = longest(web, name)
    shift(web, request, risk="low")
    request = web.reload(request)
    page = sign_in("lena").get("/together/", {"id": [str(request.pk)]}).content.decode()
    shows_all(page, request)
    told = signing.loads(value_of(page, "shown"), salt=bulk._SALT)
    assert told["shown"] == {str(request.pk): [judge.seen(request), request.headline]}


@pytest.mark.parametrize("page", ["/requests/{}/", "/requests/{}/break-glass/", "/together/?id={}"])
def test_each_page_that_binds_says_for_whom_and_what_else_waits(
    web: World, sign_in: SignIn, page: str
) -> None:
    give(web, "lena", "break_glass")
    request, other = web.submit(), web.submit(amount_minor=100)
    shift(web, request, on_behalf_of_id=web.people["mara"].pk, risk="low")
    words_there = text_of(sign_in("lena").get(page.format(request.pk)).content.decode())
    assert "which belongs to Otto, on behalf of Mara" in words_there
    assert "Another request on this payment:" in words_there
    assert other.headline in words_there


@pytest.mark.parametrize("page", ["/requests/{}/", "/requests/{}/break-glass/", "/together/?id={}"])
def test_each_page_that_binds_says_what_changed_since_an_earlier_revision(
    web: World, sign_in: SignIn, page: str
) -> None:
    give(web, "lena", "break_glass")
    request = courses.ask_for_changes(web, web.submit(), by="mara")
    courses.revise(web, request, amount_minor=900)
    shift(web, request, risk="low")
    words_there = text_of(sign_in("lena").get(page.format(request.pk)).content.decode())
    assert "Revision 2" in words_there
    assert "What has changed since revision 1" in words_there
    assert "amount before: 129.00 USD 12900 now: 9.00 USD 900" in words_there


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("headline", "Refund 1.00 USD"),
        ("amount_minor", 1),
        ("requester_name", "Another bot"),
        ("risk", "low"),
        ("arguments", canonical({**REFUND, "reason": "Another reason."})),
        ("facts", '{"paid_minor":1}'),
        ("policy_version_id", None),
        ("revision", 2),
    ],
)
def test_the_digest_covers_all_that_is_shown(web: World, column: str, value: object) -> None:
    request = web.submit()
    before = judge.seen(request)
    setattr(request, column, value)
    assert judge.seen(request) != before


@pytest.mark.parametrize("reason", ["p\u0430ypal was right.", "paypal \u200bwas right."])
def test_a_mark_that_appears_is_another_screen(web: World, reason: str) -> None:
    """The marks are part of what is digested, and not only the letters behind them."""
    request = web.submit(reason=reason)
    row = next(row for row in material.rows(request) if row.name == material.REASON)
    assert "[" in row.shown[0]
    assert "U+" in row.shown[0]


def test_a_headline_that_is_too_long_says_that_it_was_cut(
    web: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(actions.get("refund_payment")), "headline", lambda *_: "h" * 400)
    request = web.submit()
    assert request.headline == "h" * 287 + "… (shortened)"
    judge.check_sound(request, *judge.stored(request))


def test_what_comes_with_the_asking_is_on_the_page_before_anybody_decides(
    web: World, sign_in: SignIn
) -> None:
    request = asking(
        web,
        LEAD,
        Stage("finance", 1, step=2),
        cooling_off=timedelta(minutes=2),
        windows=(Window(("mon", "tue", "wed"), time(9), time(17), "Europe/Berlin"),),
        valid_for=timedelta(hours=2),
        escalation=Escalation(timedelta(hours=4), "head_of_support"),
        step_up=True,
    )
    page = text_of(sign_in("lena").get(f"/requests/{request.pk}/").content.decode())
    assert "first support lead, then finance" in page
    assert "it may be taken back for 2 minutes before it is carried out" in page
    assert "after 4 hours without a decision head of support may decide too" in page
    assert "an approval is good for 2 hours" in page
    assert "carried out only Mon to Wed, 09:00 to 17:00 (Europe/Berlin)" in page
    assert "each decision asks for a fresh proof of who decides" in page
    for row in material.rows(request):
        assert all(squeezed(piece) in squeezed(page) for piece in row.shown), row


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("order", {"stages": (LEAD, Stage("finance", 1, step=2))}),
        ("proof", {"step_up": True}),
        ("cooling-off", {"cooling_off": timedelta(minutes=2)}),
        ("window", {"windows": (Window(("mon",), time(9), time(17), "UTC"),)}),
        ("escalation", {"escalation": Escalation(timedelta(hours=4), "head_of_support")}),
        ("validity", {"valid_for": timedelta(hours=2)}),
    ],
)
def test_what_comes_with_the_asking_is_named_where_it_changed(
    web: World, name: str, change: dict[str, Any]
) -> None:
    was = asking(web, LEAD, FINANCE)
    now = web.reload(was)
    now.verdict = to_json(replace(from_json(was.verdict), **change))
    assert [one.name for one in differences(was, now)] == [name]
    assert judge.seen(was) != judge.seen(now)
