"""A refund by Stripe, against a stand-in that checks what it is sent. None of this ever ran against Stripe itself."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from approvals import actions, attempts, execute, outbox, reconcile, submit
from approvals.actions.refund_by_stripe import RefundByStripe
from approvals.connectors.stripe import Stripe
from approvals.errors import (
    BackingRefused,
    CountersignError,
    CredentialNotTaken,
    Doomed,
    NoAnswer,
    NothingFound,
    NotReached,
    SettingMissing,
    TryLater,
)
from approvals.management.ports import any_free
from approvals.models import ApprovalRequest
from tests.connectors.fake_stripe import READ_KEY, WRITE_KEY, Fake, error, listening
from tests.scan.known import secret
from tests.test_settings import manage
from tests.test_settings import payload_keys_file as payload_keys_file
from tests.world import TRACE, World

PAYMENT = "pi_3MtwBwLkdIwHu7ix28a3tqPa"
CHARGE = PAYMENT.replace("pi_", "ch_")
ASKED: dict[str, Any] = {"payment_id": PAYMENT, "amount_minor": 12900, "currency": "USD"}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    secret("the key that reads at Stripe", READ_KEY)
    secret("the key that refunds at Stripe", WRITE_KEY)
    with listening() as found:
        found.pay(PAYMENT, 12900)
        monkeypatch.setattr(settings, "STRIPE_URL", found.url)
        yield found


def keys(folder: Path, slug: str) -> tuple[str, str]:
    """The folders of the keys that read and of those that write."""
    for may, key in (("read", READ_KEY), ("write", WRITE_KEY)):
        (folder / may).mkdir(exist_ok=True)
        (folder / may / slug).write_text(f"{key}\n")
    return str(folder / "read"), str(folder / "write")


@pytest.fixture
def reader(fake: Fake, tmp_path: Path) -> Stripe:
    return Stripe("acme", keys(tmp_path, "acme")[0], "STRIPE_READ_KEYS")


@pytest.fixture
def writer(fake: Fake, tmp_path: Path) -> Stripe:
    return Stripe("acme", keys(tmp_path, "acme")[1], "STRIPE_WRITE_KEYS")


def refund(writer: Stripe, reference: str = "ref-1", payment: str = PAYMENT) -> str:
    return writer.refund(payment, 12900, reference=reference, key=reference).id


# --- what is sent -----------------------------------------------------------------------------------------


def test_a_refund_is_asked_for_in_stripes_own_words_under_our_key(fake: Fake, writer: Stripe) -> None:
    """Names, kinds, version and content type are checked by the stand-in."""
    assert refund(writer) == "re_1"
    (call,) = fake.calls
    assert (call.method, call.path) == ("POST", "/v1/refunds")
    assert call.params == {
        "amount": "12900",
        "payment_intent": PAYMENT,
        "metadata[countersign_request]": "ref-1",
    }
    assert call.headers["Idempotency-Key"] == "ref-1"
    assert call.headers["Authorization"] == f"Bearer {WRITE_KEY}"
    assert "X-Stripe-Client-Telemetry" not in call.headers
    assert "telemetry_id" not in call.headers["X-Stripe-Client-User-Agent"]


def test_a_charge_is_refunded_as_a_charge(fake: Fake, reader: Stripe, writer: Stripe) -> None:
    assert reader.payment(CHARGE) == reader.payment(PAYMENT)
    refund(writer, payment=CHARGE)
    assert fake.calls[-1].params["charge"] == CHARGE
    found = reader.refund_of(CHARGE, 12900, reference="ref-1")
    assert found is not None and found.id == "re_1"


def test_under_one_key_stripe_refunds_once(fake: Fake, writer: Stripe) -> None:
    assert refund(writer) == refund(writer)
    assert len(fake.refunds) == 1


def test_a_key_that_was_used_for_another_call_leaves_doubt(fake: Fake, writer: Stripe) -> None:
    """The other call may have moved the money, so it is no refusal."""
    refund(writer)
    with pytest.raises(NoAnswer) as doubt:
        writer.refund(PAYMENT, 100, reference="ref-1", key="ref-1")
    assert doubt.value.details["status"] == 400


# --- what is answered -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (error(402, "insufficient_funds", "card_error"), BackingRefused),
        (error(400, "charge_already_refunded", "invalid_request_error"), BackingRefused),
        (error(404, "resource_missing", "invalid_request_error"), NothingFound),
        (error(401), CredentialNotTaken),
        (error(403), CredentialNotTaken),
        (error(429, "rate_limit"), TryLater),
        (error(429, "lock_timeout", "invalid_request_error"), TryLater),
        (error(409, "lock_timeout", "invalid_request_error"), TryLater),
        (error(409, "idempotency_key_in_use", "idempotency_error"), NoAnswer),
        (error(500), NoAnswer),
        (error(503), NoAnswer),
        ((302, {}), NoAnswer),
        ((200, {}), NoAnswer),
        ((200, {"object": "refund", "id": "re_9", "amount": 1, "metadata": {}}), NoAnswer),
        ((402, {"message": "no error of Stripe's"}), NoAnswer),
        (b"<html>not Stripe</html>", NoAnswer),
        (b"[" * 100_000, NoAnswer),
        (b"\xff\xfe", NoAnswer),
        ("drop", NoAnswer),
    ],
    ids=str,
)
def test_what_stripe_answers_is_refused_later_or_in_doubt(
    fake: Fake, writer: Stripe, fault: object, expected: type[CountersignError]
) -> None:
    fake.faults.append(fault)
    with pytest.raises(CountersignError) as told:
        refund(writer)
    assert type(told.value) is expected
    assert str(told.value).startswith("Stripe ")
    assert len(fake.calls) == 1  # the library repeats nothing
    if expected is TryLater:
        wanted = 7 if fault[0] == 429 else 5  # type: ignore[index]
        assert told.value.details["seconds"] == wanted


def test_where_nobody_listens_nothing_was_done(writer: Stripe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "STRIPE_URL", f"http://127.0.0.1:{any_free()}")
    with pytest.raises(NotReached, match="Stripe could not be reached"):
        refund(writer)


def test_a_payment_says_what_stripe_knows_and_no_more(fake: Fake, reader: Stripe) -> None:
    known = reader.payment(PAYMENT)
    assert (known.order_id, known.card_last4, known.currency) == ("ord_10001", "4242", "USD")
    fake.pay(
        "pi_by_debit",
        500,
        currency="eur",
        customer=None,
        metadata={},
        payment_method_details={"type": "sepa_debit"},
    )
    known = reader.payment("pi_by_debit")
    assert (known.order_id, known.customer_id, known.card_last4) == ("", "", None)


def test_a_payment_that_was_not_asked_for_is_no_answer(fake: Fake, reader: Stripe) -> None:
    fake.pay("pi_other", 1)
    fake.payments[PAYMENT] = fake.payments["pi_other"]
    with pytest.raises(NoAnswer):
        reader.payment(PAYMENT)


def test_a_refund_is_found_on_whichever_page_it_stands(fake: Fake, reader: Stripe) -> None:
    fake.pay("pi_large", 10_000)
    for number in range(5):
        fake.refund("pi_large", 100, f"ref-{number}")
    fake.refund("pi_large", 100)  # somebody's in Stripe's dashboard, without our reference
    found = reader.refund_of("pi_large", 100, reference="ref-0")
    assert found is not None and found.id == "re_1"
    assert reader.refund_of("pi_large", 100, reference="ref-9") is None
    assert reader.refund_of(PAYMENT, 100, reference="ref-0") is None


def test_a_refund_of_another_amount_under_our_reference_proves_nothing(fake: Fake, reader: Stripe) -> None:
    """Of an earlier revision, that arrived when nobody thought it could: people look into it."""
    fake.refund(PAYMENT, 100, "ref-1")
    with pytest.raises(NoAnswer):
        reader.refund_of(PAYMENT, 90, reference="ref-1")


# --- keys -------------------------------------------------------------------------------------------------


def test_a_key_at_stripe_rotates_without_a_restart(fake: Fake, writer: Stripe, tmp_path: Path) -> None:
    refund(writer)
    fake.pay("pi_next", 12900)
    fake.writes = secret("the renewed key at Stripe", "rk_test_renewed_4242")
    with pytest.raises(CredentialNotTaken, match="STRIPE_WRITE_KEYS"):
        refund(writer, "ref-2", "pi_next")
    (tmp_path / "write" / "acme").write_text(fake.writes)
    assert refund(writer, "ref-3", "pi_next")
    (tmp_path / "write" / "acme").unlink()
    with pytest.raises(SettingMissing, match="STRIPE_WRITE_KEYS"):
        refund(writer, "ref-4", "pi_next")


def test_no_key_of_stripes_is_logged_or_told(
    fake: Fake, reader: Stripe, writer: Stripe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refund(writer)
    told = []
    for fault in (error(401), error(500), b"nothing", "drop"):
        fake.faults.append(fault)
        with pytest.raises(CountersignError) as refused:
            reader.payment(PAYMENT)
        told.append(f"{refused.value} {refused.value.details}")
    assert not any(key in text for key in (READ_KEY, WRITE_KEY) for text in (*told, caplog.text))


# --- the whole way ----------------------------------------------------------------------------------------


@pytest.fixture
def at_stripe(world: World, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same house, where Stripe refunds: as `discover` makes it where REFUNDS_BY says so."""
    reads, writes = keys(tmp_path, world.tenant.slug)
    monkeypatch.setattr(settings, "STRIPE_READ_KEYS", reads)
    monkeypatch.setattr(settings, "STRIPE_WRITE_KEYS", writes)
    monkeypatch.setitem(actions._ACTIONS, "refund_payment", RefundByStripe())
    return world


def approved(world: World, **changes: Any) -> ApprovalRequest:
    return world.vote(world.submit(**{**ASKED, **changes}), "approve", "lena")


def run(world: World, request: ApprovalRequest) -> ApprovalRequest:
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    return world.reload_as("web", request)


def reconciled(world: World, request: ApprovalRequest, monkeypatch: pytest.MonkeyPatch) -> ApprovalRequest:
    monkeypatch.setattr(attempts, "unproven", lambda *_: 0.0)
    with world.processes.acting_as("worker"):
        reconcile.run(request.pk, request.tenant_id)
    return world.reload_as("web", request)


def test_a_refund_goes_the_whole_way_to_stripe(at_stripe: World, fake: Fake) -> None:
    request = approved(at_stripe)
    assert request.headline == "Refund 129.00 USD of order ord_10001 to the card it was paid with"
    done = run(at_stripe, request)
    assert (done.status, done.backing_reference, done.outcome) == ("succeeded", "re_1", "129.00 USD refunded")
    (made,) = fake.refunds
    assert made["metadata"] == {"countersign_request": str(request.pk)}
    assert at_stripe.ledger(request) == []  # nothing at the shop
    (write,) = [call for call in fake.calls if call.method == "POST"]
    assert {call.headers["Authorization"] for call in fake.calls if call is not write} == {
        f"Bearer {READ_KEY}"
    }


def test_what_stripe_does_not_know_is_shown_as_not_known(at_stripe: World, fake: Fake) -> None:
    fake.pay("pi_by_debit", 12900, customer=None, metadata={}, payment_method_details={"type": "sepa_debit"})
    request = at_stripe.submit(**{**ASKED, "payment_id": "pi_by_debit"})
    assert request.headline == "Refund 129.00 USD of payment pi_by_debit to where it was paid from"
    with at_stripe.processes.acting_as("web"):
        browser = Client()
        browser.force_login(at_stripe.people["lena"])
        page = browser.get(f"/requests/{request.pk}/").content.decode()
    assert page.count("not known") >= 2  # the order's status, and the card


def test_a_lost_answer_is_settled_by_listing_the_payments_refunds(
    at_stripe: World, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(at_stripe)
    fake.faults += [None, "drop"]  # the look-up goes well
    assert run(at_stripe, request).status == "uncertain"
    done = reconciled(at_stripe, request, monkeypatch)
    assert (done.status, done.backing_reference) == ("succeeded", "re_1")
    assert len(fake.refunds) == 1


@pytest.mark.parametrize("fault", [error(429, "rate_limit"), error(402, "insufficient_funds", "card_error")])
def test_what_stripe_did_not_take_moved_nothing(at_stripe: World, fake: Fake, fault: object) -> None:
    request = approved(at_stripe)
    fake.faults += [None, fault]
    if fault[0] == 429:  # type: ignore[index]
        with pytest.raises(outbox.Postponed):
            run(at_stripe, request)
        assert run(at_stripe, request).status == "succeeded"
    else:
        done = run(at_stripe, request)
        assert (done.status, done.outcome) == ("failed", "Stripe refused: as if insufficient_funds")
        assert fake.refunds == []


def test_a_key_that_disappears_in_between_moves_nothing(
    at_stripe: World, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read right before anything is sent, so its absence leaves no doubt."""
    request, folder = approved(at_stripe), tmp_path / "write"
    looked_up = RefundByStripe.look_up

    def and_then_it_goes(self: RefundByStripe, *what: object) -> object:
        (folder / at_stripe.tenant.slug).rename(folder / "elsewhere")
        return looked_up(self, *what)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(RefundByStripe, "look_up", and_then_it_goes)
        with pytest.raises(outbox.Postponed, match="STRIPE_WRITE_KEYS"):
            run(at_stripe, request)
    assert at_stripe.status(request) == "executing"
    (folder / "elsewhere").rename(folder / at_stripe.tenant.slug)
    assert run(at_stripe, request).status == "succeeded"


@pytest.mark.parametrize(
    ("status", "ends", "words"),
    [
        ("pending", "succeeded", "it is on its way, and not there yet"),
        ("requires_action", "succeeded", "the customer has to do something first"),
        ("failed", "failed", "was not refunded: Stripe took it, and it failed (lost_or_stolen_card)"),
        ("canceled", "failed", "was not refunded: it was cancelled at Stripe"),
    ],
)
@pytest.mark.parametrize("is_lost", [False, True], ids=["answered", "lost"])
def test_the_outcome_says_how_far_stripe_has_come(
    at_stripe: World,
    fake: Fake,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    ends: str,
    words: str,
    is_lost: bool,
) -> None:
    request = approved(at_stripe)
    fake.refund_status = status
    fake.faults += [None, "drop"] if is_lost else []
    done = run(at_stripe, request)
    if is_lost:
        done = reconciled(at_stripe, request, monkeypatch)
    assert done.status == ends
    assert words in done.outcome
    assert done.backing_reference == "re_1"
    assert at_stripe.events(request)[-1] == f"execution.{ends}"


@pytest.mark.parametrize("status", ["new_one", ""])
@pytest.mark.parametrize("is_lost", [False, True], ids=["answered", "lost"])
def test_a_status_that_says_nothing_to_us_leaves_doubt(
    at_stripe: World, fake: Fake, monkeypatch: pytest.MonkeyPatch, status: str, is_lost: bool
) -> None:
    """Whether the money moved, it does not say: so nothing is called done, and nothing is sent again."""
    request = approved(at_stripe)
    fake.refund_status = status
    fake.faults += [None, "drop"] if is_lost else []
    assert run(at_stripe, request).status == "uncertain"
    with pytest.raises(outbox.Postponed):
        reconciled(at_stripe, request, monkeypatch)
    assert at_stripe.status(request) == "uncertain"
    assert len(fake.refunds) == 1
    fake.refunds[0]["status"] = "succeeded"
    assert reconciled(at_stripe, request, monkeypatch).status == "succeeded"


def test_stripe_is_never_asked_for_a_refund_in_another_currency(at_stripe: World, fake: Fake) -> None:
    """Stripe has one currency a payment and would refund in that one, whatever was approved."""
    with pytest.raises(Doomed, match="cannot be refunded in EUR"):
        at_stripe.submit(**{**ASKED, "currency": "EUR"})
    for code in ("isk", "mga", "ugx"):
        fake.pay(f"pi_in_{code}", 12900, currency=code)
        with pytest.raises(Doomed, match="another unit"):
            at_stripe.submit(**{**ASKED, "payment_id": f"pi_in_{code}", "currency": code.upper()})


def test_another_tenant_has_no_key_of_this_ones(at_stripe: World, fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "read" / at_stripe.other.slug).unlink()  # its credential of the shop's
    with at_stripe.processes.acting_as("door"), pytest.raises(SettingMissing, match="STRIPE_READ_KEYS"):
        submit.submit(
            "refund_payment",
            {**ASKED, "reason": "The customer returned the parcel."},
            by=at_stripe.other_agent,
            trace_id=TRACE,
        )
    assert fake.calls == []


def test_a_key_that_is_not_taken_says_nothing_about_the_payment(at_stripe: World, fake: Fake) -> None:
    """It is not told as a payment that is not there, and what people agreed to is not asked for again."""
    request = approved(at_stripe)
    fake.reads = secret("a key at Stripe that nobody was given", "rk_test_of_nobody_4242")
    with pytest.raises(CredentialNotTaken, match="STRIPE_READ_KEYS"):
        at_stripe.submit(**ASKED)
    with pytest.raises(outbox.Postponed, match="does not take the credential"):
        run(at_stripe, request)
    fake.reads = READ_KEY
    assert run(at_stripe, request).status == "succeeded"


def test_a_library_that_reads_is_not_one_that_repeats(fake: Fake, reader: Stripe) -> None:
    fake.faults += [error(503), error(503)]
    with pytest.raises(NoAnswer):
        reader.refund_of(PAYMENT, 100, reference="ref-1")
    assert len(fake.calls) == 1


def test_an_unknown_payment_reads_as_not_found(at_stripe: World) -> None:
    with pytest.raises(CountersignError, match="There is no payment pi_nowhere here"):
        at_stripe.submit(**{**ASKED, "payment_id": "pi_nowhere"})


# --- settings ---------------------------------------------------------------------------------------------


def test_the_setting_chooses_who_refunds() -> None:
    show = (
        "from django.conf import settings; from approvals import actions;"
        "print(actions.get('refund_payment').where, repr(settings.STRIPE_WRITE_KEYS))"
    )
    chosen = {"REFUNDS_BY": "stripe", "STRIPE_WRITE_KEYS": "/run/secrets/stripe"}
    for process in ("door", "worker"):
        shown = manage("shell", "-c", show, COUNTERSIGN_PROCESS=process, **chosen)
        assert "Stripe" in shown.stdout, shown.stderr
        assert ("/run/secrets/stripe" in shown.stdout) == (process == "worker")
    assert "The company's system ''" in manage("shell", "-c", show).stdout


@pytest.mark.parametrize(
    ("name", "value"), [("REFUNDS_BY", "paypal"), ("STRIPE_URL", "http://api.stripe.com")]
)
def test_a_setting_that_means_nothing_stops_the_process(name: str, value: str) -> None:
    refused = manage("check", **{name: value})
    assert refused.returncode != 0
    assert f"The setting {name}" in refused.stderr
