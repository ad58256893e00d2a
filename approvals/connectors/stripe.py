"""Stripe, by its official library: a payment, a refund of it, and the refunds that carry our reference.

The library writes and reads Stripe's language; the bytes go over our own client, so that the same holds as for the
company's API: sent once, bounded, no redirect, no proxy, and "never reached" apart from "no answer".
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, NoReturn
from urllib.parse import urlsplit

import stripe
from django.conf import settings
from opentelemetry.trace import SpanKind
from stripe.params import RefundCreateParams, RefundListParams

from approvals.backing import Backing, asked_alone, seconds_to_wait
from approvals.errors import (
    BackingRefused,
    CredentialNotTaken,
    NoAnswer,
    NothingFound,
    NotReached,
    TryLater,
)
from approvals.tracing import span

WHERE = "Stripe"
REFERENCE = "countersign_request"  # the key in a refund's metadata
_PAGE = 100  # the most that Stripe lists at once
# It would note down on disk which machine this is, and send how long the call before this one took.
stripe.enable_telemetry = False


@dataclass(frozen=True)
class Payment:
    """What Stripe says of one; amounts in the smallest unit as Stripe counts it. "" and None: it does not know."""

    status: str
    currency: str  # three capital letters
    paid_minor: int
    refunded_minor: int
    customer_id: str
    order_id: str
    card_last4: str | None


@dataclass(frozen=True)
class Refund:
    id: str
    status: str
    failure_reason: str


class Stripe(Backing):
    """One tenant's account, with one key."""

    def payment(self, payment_id: str) -> Payment:
        """A PaymentIntent (`pi_...`) or a charge. Raises as `Backing.one` does."""
        with self._speaking() as client:
            if payment_id.startswith("pi_"):
                return _of_intent(
                    client.v1.payment_intents.retrieve(payment_id, {"expand": ["latest_charge"]}), payment_id
                )
            return _of_charge(client.v1.charges.retrieve(payment_id), payment_id)

    def refund(self, payment_id: str, amount_minor: int, *, reference: str, key: str) -> Refund:
        """Ask for a refund under an idempotency key. Raises as `Backing.write` does.

        Stripe says yes to more than it has carried out: `status` tells.
        """
        params: RefundCreateParams = {"amount": amount_minor, "metadata": {REFERENCE: reference}}
        params[_kind(payment_id)] = payment_id
        with self._speaking() as client:
            made = client.v1.refunds.create(params, {"idempotency_key": key})
            if (_reference(made), made.amount) != (reference, amount_minor):
                raise NoAnswer(where=WHERE, status=self.last_status)  # it answered something else
            return _refund(made)

    def refund_of(self, payment_id: str, amount_minor: int, *, reference: str) -> Refund | None:
        """The refund that carries our reference, or None when the payment has none. Raises as `Backing.get` does, and
        NoAnswer where it is of another amount than was asked for: that is for people to look into.

        All of the payment's refunds are listed: Stripe's search is behind its own records by a minute or more.
        """
        params: RefundListParams = {"limit": _PAGE}
        params[_kind(payment_id)] = payment_id
        with self._speaking() as client:
            for found in client.v1.refunds.list(params).auto_paging_iter():
                if _reference(found) == reference:
                    if found.amount != amount_minor:
                        raise NoAnswer(where=WHERE, status=self.last_status)
                    return _refund(found)
        return None

    @contextmanager
    def _speaking(self) -> Iterator[stripe.StripeClient]:
        """A client with the key as it is now; what comes back is told in our errors."""
        client = stripe.StripeClient(
            self._credential.read(),
            base_addresses={"api": settings.STRIPE_URL},
            http_client=_Wire(self),
            max_network_retries=0,  # an attempt of ours is one call of theirs
        )
        try:
            yield client
        except stripe.StripeError as error:
            self._refused(error)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise NoAnswer(where=WHERE, status=self.last_status) from error  # no object of Stripe's

    def _refused(self, error: stripe.StripeError) -> NoReturn:
        """Stripe's errors as ours. What is not plainly a refusal leaves doubt.

        Stripe keeps what it answered under an idempotency key, refusals and its own failures too.
        """
        code = error.code or (error.error.code if error.error else None) or ""
        if isinstance(error, stripe.RateLimitError) or code == "lock_timeout":
            seconds = seconds_to_wait(error.headers.get("retry-after") if error.headers else None)
            raise TryLater(where=WHERE, seconds=seconds) from error
        if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
            about = {"setting": self._credential.setting, "status": error.http_status}
            raise CredentialNotTaken(where=WHERE, backing_code="", **about) from error
        if isinstance(error, stripe.CardError | stripe.InvalidRequestError):
            kind = NothingFound if error.http_status == HTTPStatus.NOT_FOUND else BackingRefused
            said = {"backing_code": code[:60], "message": str(error.user_message)[:300]}
            raise kind(where=WHERE, status=error.http_status, **said) from error
        # Also where the key was used for another call, or is in use now: the other call may have moved the money.
        raise NoAnswer(where=WHERE, status=error.http_status) from error


class _Wire(stripe.HTTPClient):
    """Carries the library's calls over our own client."""

    name = "countersign"

    def __init__(self, of: Stripe) -> None:
        super().__init__()
        self._of = of

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        about = {"http.request.method": method.upper(), "url.path": urlsplit(url).path}
        with span(method.upper(), kind=SpanKind.CLIENT, about=about) as call:
            try:
                answer = asked_alone(method.upper(), url, headers or {}, post_data)
                text = answer.body.decode()
            except NotReached as error:
                raise NotReached(where=WHERE) from error
            except (NoAnswer, UnicodeDecodeError) as error:
                raise NoAnswer(where=WHERE) from error
            self._of.last_status = answer.status
            call.set_attribute("http.response.status_code", answer.status)
            # A notice would be printed: Stripe's words to whoever develops with it.
            kept = {name.lower(): value for name, value in answer.headers.items()}
            return (
                text,
                answer.status,
                {name: value for name, value in kept.items() if name != "stripe-notice"},
            )

    def close(self) -> None:
        """Each call had a connection of its own."""


def _kind(payment_id: str) -> Literal["payment_intent", "charge"]:
    return "payment_intent" if payment_id.startswith("pi_") else "charge"


def _of_intent(intent: stripe.PaymentIntent, asked_for: str) -> Payment:
    charge = intent.latest_charge
    if charge is not None and not isinstance(charge, stripe.Charge):
        raise TypeError("it was to be expanded")
    return Payment(
        status=intent.status,
        currency=intent.currency.upper(),
        paid_minor=intent.amount_received,
        refunded_minor=charge.amount_refunded if charge else 0,
        customer_id=_id(intent.customer),
        order_id=_order(intent, asked_for),
        card_last4=_last4(charge) if charge else None,
    )


def _of_charge(charge: stripe.Charge, asked_for: str) -> Payment:
    return Payment(
        status=charge.status,
        currency=charge.currency.upper(),
        paid_minor=charge.amount_captured,
        refunded_minor=charge.amount_refunded,
        customer_id=_id(charge.customer),
        order_id=_order(charge, asked_for),
        card_last4=_last4(charge),
    )


def _order(found: stripe.PaymentIntent | stripe.Charge, asked_for: str) -> str:
    """What the company wrote into the payment's metadata as it was made, under `order_id`."""
    if found.id != asked_for:
        raise ValueError("it answered about another payment")
    return str(found.metadata["order_id"]) if "order_id" in found.metadata else ""


def _id(customer: str | stripe.Customer | None) -> str:
    return customer if isinstance(customer, str) else customer.id if customer else ""


def _last4(charge: stripe.Charge) -> str | None:
    details = charge.payment_method_details
    return details.card.last4 if details and details.type == "card" and details.card else None


def _reference(refund: stripe.Refund) -> str:
    return str(refund.metadata[REFERENCE]) if refund.metadata and REFERENCE in refund.metadata else ""


def _refund(found: stripe.Refund) -> Refund:
    return Refund(found.id, found.status or "", found.failure_reason or "")
