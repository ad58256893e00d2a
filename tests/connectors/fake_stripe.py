"""A stand-in for Stripe that listens on this machine and believes nothing that it is sent.

It was written from the official library alone: what may stand in a request are the names and kinds of
`stripe.params`, what it answers with are fields of the library's own objects. It is not Stripe.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import stripe
from stripe._request_options import RequestOptions
from stripe.params import (
    ChargeRetrieveParams,
    PaymentIntentRetrieveParams,
    RefundCreateParams,
    RefundListParams,
)

from tests.answering import answering

READ_KEY, WRITE_KEY = "rk_test_only_reads_4242", "rk_test_may_refund_4242"


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]


@dataclass
class Fake:
    url: str
    reads: str = READ_KEY
    writes: str = WRITE_KEY
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: list[dict[str, Any]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    # What befalls the next calls, the first one first: a status with an error's body, or "drop" after it was done.
    faults: list[Any] = field(default_factory=list)
    refund_status: str = "succeeded"
    page: int = 2
    answered: dict[str, tuple[dict[str, str], tuple[int, dict[str, Any]]]] = field(default_factory=dict)

    def pay(self, intent: str, amount: int, *, currency: str = "usd", **changes: Any) -> None:
        """A card payment, as its PaymentIntent and its charge."""
        card = {"type": "card", "card": {"last4": "4242"}}
        charge = _object(
            stripe.Charge,
            id=intent.replace("pi_", "ch_"),
            amount=amount,
            amount_captured=amount,
            amount_refunded=0,
            currency=currency,
            customer="cus_NffrFeUfNV2Hib",
            status="succeeded",
            payment_intent=intent,
            payment_method_details=changes.pop("payment_method_details", card),
            metadata={"order_id": "ord_10001"},
        )
        self.payments[str(charge["id"])] = charge
        self.payments[intent] = (
            _object(
                stripe.PaymentIntent,
                id=intent,
                amount=amount,
                amount_received=amount,
                currency=currency,
                customer="cus_NffrFeUfNV2Hib",
                status="succeeded",
                latest_charge=charge,
                metadata={"order_id": "ord_10001"},
            )
            | changes
        )

    def refund(self, payment_id: str, amount: int, reference: str = "") -> dict[str, Any]:
        charge = self._charge(payment_id)
        made = _object(
            stripe.Refund,
            id=f"re_{len(self.refunds) + 1}",
            amount=amount,
            charge=charge["id"],
            payment_intent=charge["payment_intent"],
            currency=charge["currency"],
            metadata={"countersign_request": reference} if reference else {},
            status=self.refund_status,
            failure_reason="lost_or_stolen_card" if self.refund_status == "failed" else None,
        )
        if self.refund_status not in ("failed", "canceled"):
            charge["amount_refunded"] += amount
        self.refunds.insert(0, made)
        return made

    def answer(self, call: Call) -> tuple[int, dict[str, Any]]:
        """What Stripe would say, as its library expects it to be said."""
        if call.headers["Authorization"] not in (f"Bearer {self.reads}", f"Bearer {self.writes}"):
            return _error(401, "invalid_request_error", "Invalid API Key provided: rk_test_****4242")
        if call.method == "POST" and call.headers["Authorization"] != f"Bearer {self.writes}":
            return _error(403, "invalid_request_error", "This key may not refund.")
        if call.method == "POST":
            return self._once(call)
        if call.path == "/v1/refunds":
            return self._list(call)
        found = self.payments.get(call.path.rpartition("/")[2])
        _check(call.params, PaymentIntentRetrieveParams if "intent" in call.path else ChargeRetrieveParams)
        if found is None:
            return _error(404, "invalid_request_error", "No such payment_intent", "resource_missing")
        is_expanded = call.params.get("expand[0]") == "latest_charge"
        if "latest_charge" in found and not is_expanded:
            found = found | {"latest_charge": found["latest_charge"]["id"]}
        return 200, found

    def _once(self, call: Call) -> tuple[int, dict[str, Any]]:
        key = call.headers["Idempotency-Key"]
        if key not in self.answered:
            self.answered[key] = (call.params, self._create(call))
        sent, answer = self.answered[key]
        if sent != call.params:
            return _error(400, "idempotency_error", "Keys can only be used with the same parameters.")
        return answer

    def _create(self, call: Call) -> tuple[int, dict[str, Any]]:
        _check(call.params, RefundCreateParams)
        assert ("payment_intent" in call.params) != ("charge" in call.params)
        payment = call.params.get("payment_intent") or call.params["charge"]
        if payment not in self.payments:
            return _error(404, "invalid_request_error", "No such payment", "resource_missing")
        charge, amount = self._charge(payment), int(call.params["amount"])
        if charge["amount_refunded"] + amount > charge["amount"]:
            message = f"Refund amount ({amount}) is greater than unrefunded amount on charge."
            return _error(400, "invalid_request_error", message, "charge_already_refunded")
        return 200, self.refund(payment, amount, call.params["metadata[countersign_request]"])

    def _list(self, call: Call) -> tuple[int, dict[str, Any]]:
        """Short pages, whatever was asked for, so that there is a next one."""
        _check(call.params, RefundListParams)
        assert int(call.params["limit"]) <= 100
        wanted = {name: call.params[name] for name in ("charge", "payment_intent") if name in call.params}
        mine = [one for one in self.refunds if wanted.items() <= one.items()]
        after = call.params.get("starting_after")
        start = [one["id"] for one in mine].index(after) + 1 if after else 0
        page = mine[start : start + self.page]
        more = start + self.page < len(mine)
        return 200, {"object": "list", "data": page, "has_more": more, "url": "/v1/refunds"}

    def _charge(self, payment_id: str) -> dict[str, Any]:
        found = self.payments[payment_id]
        charge: dict[str, Any] = found.get("latest_charge", found)
        return charge


@contextmanager
def listening() -> Iterator[Fake]:
    class Answering(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            at, body = urlsplit(self.path), self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command == "POST":
                assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
            sent = parse_qsl(body.decode() if self.command == "POST" else at.query, strict_parsing=True)
            call = Call(self.command, at.path, dict(sent), dict(self.headers))
            assert call.headers["Stripe-Version"] == stripe.api_version
            fake.calls.append(call)
            fault = fake.faults.pop(0) if fake.faults else None
            status, answer = fault if isinstance(fault, tuple) else fake.answer(call)
            if fault == "drop":
                return
            text = fault if isinstance(fault, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Request-Id", f"req_{len(fake.calls)}")
            self.send_header("Content-Length", str(len(text)))
            if status == 429:
                self.send_header("Retry-After", "7")
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = handle_any  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    with answering(Answering) as url:
        fake = Fake(url)
        yield fake


def _object(kind: Any, **values: Any) -> dict[str, Any]:
    """One of Stripe's objects. Only fields that the library knows, so that nothing is read that is not there."""
    unknown = values.keys() - kind.__annotations__.keys()
    assert not unknown, f"{kind.__name__} has no {unknown}"
    return {"object": kind.OBJECT_NAME, **values}


def _error(status: int, kind: str, message: str, code: str = "") -> tuple[int, dict[str, Any]]:
    return status, {"error": {"type": kind, "message": message, "code": code or None}}


def error(status: int, code: str = "", kind: str = "api_error") -> tuple[int, dict[str, Any]]:
    """A fault: this status, in Stripe's words for errors."""
    return _error(status, kind, f"as if {code or kind}", code)


def _check(sent: dict[str, str], params: Any) -> None:
    """Each name is one of the library's for this call, and its value of the kind that the library says."""
    known = {name: str(kind) for name, kind in params.__annotations__.items()}
    for written, value in sent.items():
        name, _, inner = written.partition("[")
        assert name in known and name not in RequestOptions.__annotations__, f"{params.__name__}: {written}"
        kind = known[name]
        if inner:
            assert ("List" in kind) if inner.rstrip("]").isdecimal() else ("Dict" in kind), written
        else:
            assert value.isdecimal() if "int" in kind else "str" in kind or "Literal" in kind, (
                f"{written}={value}: {kind}"
            )
