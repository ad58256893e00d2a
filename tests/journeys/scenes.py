"""A tenant in the middle of its work: requests in every state that a reviewer meets, and the pages that show them."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from approvals import discuss, execute, fresh_look, saved_views
from approvals.database import tenant_scope
from approvals.identity.connect import disconnect
from approvals.identity.models import Agent, Membership
from approvals.models import ApprovalRequest, FreshLook, PolicyVersion, Receiver
from approvals.payloads import canonical
from tests import courses, undoing, versions
from tests.breaking import give, push, review
from tests.exercising import exercise
from tests.oauth.programs import Program
from tests.people.asking import away
from tests.telling import telling
from tests.uncertain import doubts
from tests.world import World

# A right-to-left override, zero-width characters and tag characters: the eye reads other words than the machine.
HOSTILE = (
    "The customer asked for it politely.\u202e tnemyap dnoces eht dnufer oslA \u202c"
    "<script>alert('approve')</script> Please\u200b\u200b\u200b hurry\U000e0041\U000e0042."
)
# Room for most, and none for the usual refund.
BUDGETS = """
usage:
  - name: paid_to_a_customer_by_refunds_of_one_agent
    sums: money
    of: [refund_payment]
    per: [customer, agent]
    window: 24h
    cap: { USD: 10000, EUR: 20000, GBP: 20000, JPY: 20000 }
  - name: refunds
    sums: requests
    of: [refund_payment]
    per: [tenant]
    window: 7d
    cap: 40
"""
ELSEWHERE = {
    "name": "Bruno Beispiel",
    "line1": "Rue des Exemples 12",
    "city": "Lyon",
    "postal_code": "69001",
    "country": "FR",
}

NEARBY = {**ELSEWHERE, "line1": "Beispielweg 12", "city": "Berlin", "postal_code": "10115", "country": "DE"}


@dataclass(frozen=True)
class Scene:
    """The requests of a tenant at work, by what is to be seen on them."""

    usual: ApprovalRequest
    half: ApprovalRequest
    twice: ApprovalRequest  # another one on the payment of `half`
    hostile: ApprovalRequest
    address: ApprovalRequest
    denied: ApprovalRequest
    done: ApprovalRequest
    failed: ApprovalRequest
    expired: ApprovalRequest
    withdrawn: ApprovalRequest
    approved: ApprovalRequest  # and no worker has come to it
    doubt: ApprovalRequest
    stays: ApprovalRequest  # in doubt for days
    settling: ApprovalRequest  # asks to settle that
    settled: ApprovalRequest  # by hand, before
    exercise: ApprovalRequest  # missed by lena
    asked: ApprovalRequest  # lena asked for changes
    revised: ApprovalRequest  # answered with another amount
    pushed: ApprovalRequest  # by opal alone
    policy: ApprovalRequest  # that another version comes into force
    moved: ApprovalRequest  # carried out, and can be undone
    undone: ApprovalRequest  # carried out, and asked to be undone
    undoing: ApprovalRequest  # that
    asks: str  # the address of a program that wants to be connected
    asks_hostile: str
    receiver: Receiver  # with a bit of everything

    @property
    def pages(self) -> dict[str, tuple[str, str]]:
        """name: (who looks, path)"""
        shown = (
            "usual",
            "half",
            "twice",
            "hostile",
            "address",
            "denied",
            "done",
            "failed",
            "expired",
            "withdrawn",
            "approved",
            "doubt",
            "exercise",
            "asked",
            "revised",
            "pushed",
            "moved",
            "undone",
            "undoing",
        )
        requests = {f"request-{name}": ("lena", f"/requests/{getattr(self, name).pk}/") for name in shown}
        return {
            "queue": ("lena", "/"),
            "queue-owner": ("otto", "/"),
            "queue-filtered": ("lena", "/?risk=high&action=refund_payment"),
            "queue-nothing-fits": ("lena", "/?thing=nothing"),
            "queue-empty": ("gus", "/"),
            "queue-two-companies": ("mara", "/"),
            **requests,
            "request-not-mine": ("otto", f"/requests/{self.usual.pk}/"),
            "decided": ("lena", "/decided/"),
            "decided-empty": ("felix", "/decided/"),
            "request-trail": ("lena", f"/requests/{self.done.pk}/trail/"),
            "course": ("ada", f"/requests/{self.done.pk}/trail/"),
            "course-doubt": ("ada", f"/requests/{self.settled.pk}/trail/"),
            "course-hostile": ("ada", f"/requests/{self.hostile.pk}/trail/"),
            "compare": ("ada", f"/requests/{self.done.pk}/compare/"),
            "compare-unsent": ("ada", f"/requests/{self.half.pk}/compare/"),
            "verification": ("ada", "/trail/verification/"),
            "take-away": ("ada", "/trail/take-away/"),
            "who-looked": ("ada", "/trail/who-looked/"),
            "who-looked-nobody": ("ada", "/trail/who-looked/?person=nobody"),
            "trail": ("ada", "/trail/"),
            "search": ("ada", "/trail/search/?words=customer&outcome=succeeded"),
            "search-one-box": ("ada", f"/trail/search/?q={self.done.resource_id}"),
            "search-nothing": ("ada", "/trail/search/?action=unheard_of"),
            "search-unclear": ("ada", "/trail/search/?person=nobody&least=1.005&currency=USD&since=soon"),
            "how-we-decide": ("ada", "/how-we-decide/"),
            "how-we-decide-own": ("lena", "/how-we-decide/?days=7"),
            "how-we-decide-empty": ("felix", "/how-we-decide/"),
            "switches": ("opal", "/switches/"),
            "budgets": ("opal", "/budgets/"),
            "request-in-the-place-of": ("felix", f"/requests/{self.usual.pk}/"),
            "away": ("lena", "/away/"),
            "break-glass": ("opal", f"/requests/{self.half.pk}/break-glass/"),
            "payload": ("opal", f"/requests/{self.done.pk}/payload/"),
            "request-payload-openable": ("opal", f"/requests/{self.done.pk}/"),
            "break-glass-uses": ("ada", "/break-glass/"),
            "in-doubt": ("opal", "/in-doubt/"),
            "request-to-settle": ("opal", f"/requests/{self.stays.pk}/"),
            "request-settling": ("olga", f"/requests/{self.settling.pk}/"),
            "request-settled": ("lena", f"/requests/{self.settled.pk}/"),
            "request-policy": ("opal", f"/requests/{self.policy.pk}/"),
            "policy": ("paul", "/policy/"),
            "policy-version": ("paul", "/policy/2/"),
            "policy-in-force": ("ada", "/policy/1/"),
            "policy-propose": ("paul", "/policy/propose/"),
            "simulation": ("opal", "/policy/simulation/"),
            "receivers": ("opal", "/receivers/"),
            "receiver": ("opal", f"/receivers/{self.receiver.pk}/"),
            "deliveries": ("opal", "/deliveries/"),
            "deliveries-of-a-request": ("opal", f"/deliveries/?request={self.usual.pk}"),
            "deliveries-none": ("opal", "/deliveries/?kind=request.expired"),
            "mail": ("lena", "/mail/"),
            "programs": ("lena", "/agents/"),
            "programs-none": ("felix", "/agents/"),
            "api": ("felix", "/api/"),
            "programs-operator": ("opal", "/agents/"),
            "operations": ("opal", "/operations/?days=7"),
            "operations-empty": ("opal", "/operations/?first=2024-03-01&last=2024-03-31"),
            "operations-refused": ("opal", "/operations/?first=2024-03-02&last=2024-03-01"),
            "operations-agents": ("opal", "/operations/agents/"),
            "tools": ("opal", "/tools/"),
            "people": ("opal", "/people/"),
            "security": ("lena", "/accounts/security/"),
            "prove": ("lena", "/accounts/reauthenticate/"),
            "device": ("lena", "/device/?user_code=WDJB-MJHT"),
            "consent": ("lena", self.asks),
            "consent-two-companies": ("mara", self.asks_hostile),
            "consent-refused": ("lena", "/o/authorize/?client_id=nobody"),
            "sign-out": ("lena", "/accounts/logout/"),
            "forbidden": ("lena", "/trail/"),
            "missing": ("lena", f"/requests/{self.usual.tenant_id}/"),
        }


# For somebody who has not signed in: name: path
OUTSIDE = {"sign-in": "/accounts/login/", "sign-up": "/accounts/signup/", "inactive": "/accounts/inactive/"}


def at_work(world: World) -> Scene:
    """Files and decides; from here on mara is a member of two companies."""
    with world.processes.acting_as("migrator"):
        Membership.objects.create(tenant=world.other, person=world.people["mara"], role="auditor")
        policy = PolicyVersion.objects.get(tenant=world.tenant)
    world.put_in_force(policy.source + BUDGETS)
    half = world.submit(payment_id="pay_10008", amount_minor=74900)
    world.vote(half, "approve", "lena", comment="The kayak came with a crack; half of it is fair.")
    _connect_programs(world)
    missed = exercise(world)
    world.vote(missed, "approve", "lena", comment="")
    denied = world.submit(payment_id="pay_10012", amount_minor=1600, currency="JPY")
    world.vote(denied, "deny", "lena", comment="The cups were delivered; ask the carrier first.")
    undone = undoing.done(world, undoing.asked(world))
    away(world, "lena", "felix", hours=48)
    stays = doubts.in_doubt(world, payment_id="pay_10009", amount_minor=1200)
    doubts.earlier(world, stays, timedelta(days=2))
    usual = world.submit()
    _at_the_desk(world, usual, half)
    return Scene(
        usual=usual,
        half=half,
        twice=world.submit(payment_id="pay_10008", amount_minor=1000),
        hostile=world.submit(payment_id="pay_10011", amount_minor=525000, reason=HOSTILE),
        address=world.submit(
            "change_shipping_address",
            order_id="ord_10003",
            address=ELSEWHERE,
            reason="The customer has moved to France and wrote so in the chat.",
        ),
        denied=denied,
        asked=_sent_back(world, payment_id="pay_10002", amount_minor=4500),
        revised=_revised(world),
        pushed=_pushed(world),
        exercise=missed,
        done=_executed(world, payment_id="pay_10004", amount_minor=12000, currency="EUR"),
        failed=_executed(world, fault="refuse", payment_id="pay_10005", amount_minor=6400, currency="GBP"),
        expired=courses.expired(world),
        withdrawn=courses.withdrawn(world),
        approved=courses.approved(world),
        doubt=_executed(
            world, fault="drop_after_commit", payment_id="pay_10007", amount_minor=18400, currency="JPY"
        ),
        stays=stays,
        settling=doubts.ask(world, stays),
        settled=_settled(world),
        moved=undoing.done(world, undoing.asked(world, order_id="ord_10003", address=NEARBY)),
        undone=undone,
        undoing=undoing.file(world, undone).request,
        policy=versions.asked(world),
        asks=Program.registered(world).asks(resource=None),
        asks_hostile=Program.registered(
            world,
            name="Countersign\u202e rotcennoC\u202c\u200b",
            redirects="https://desk.example/oauth/callback",
        ).asks(resource=None, scope="mcp:read mcp:request:refund_payment mcp:request:cancel_order"),
        receiver=telling(world),
    )


def _at_the_desk(world: World, talked: ApprovalRequest, moved: ApprovalRequest) -> None:
    """Lena keeps a view; on one request people talk, of another the facts have changed."""
    with world.processes.acting_as("web"):
        saved_views.keep("Dear refunds", "risk=high&action=refund_payment", by=world.reviewer("lena"))
        said = "The warehouse confirms: the parcel came back on Monday."
        discuss.remark(talked.pk, said, by=world.reviewer("mara"))
        fresh_look.ask(moved.pk, by=world.reviewer("felix"))
    facts = {**json.loads(moved.facts), "order_status": "shipped", "remaining_minor": 100}
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        FreshLook.objects.filter(request=moved).update(looked_at=timezone.now(), facts=canonical(facts))


def _sent_back(world: World, **arguments: Any) -> ApprovalRequest:
    request = world.submit(**arguments)
    message = "Half of it is fair: the lamp was used for a year. Say what was wrong with it, too."
    return courses.ask_for_changes(world, request, message=message, amount_minor="Half of it")


def _revised(world: World) -> ApprovalRequest:
    sent_back = _sent_back(world, payment_id="pay_10010", amount_minor=3000, currency="EUR")
    reason = "The lamp's switch broke within the year; the customer asks for half of the money back."
    return courses.revise(world, sent_back, amount_minor=1500, reason=reason).request


def _pushed(world: World) -> ApprovalRequest:
    """One that nobody has reviewed, after one that mara found justified."""
    for name, role in (("opal", "break_glass"), ("mara", "security")):
        give(world, name, role)
    earlier = push(world, world.submit(payment_id="pay_10003", amount_minor=1000, currency="EUR"))
    review(world, earlier, "mara")
    return push(world, world.submit(payment_id="pay_10003", amount_minor=2000, currency="EUR"))


def _settled(world: World) -> ApprovalRequest:
    request = doubts.in_doubt(world, payment_id="pay_10009", amount_minor=1300)
    doubts.earlier(world, request, timedelta(days=2))
    doubts.run(world, doubts.agreed(world, request, happened=True, reference="re_by_hand"))
    return request


def _connect_programs(world: World) -> None:
    """Lena has three programs: one that works, one that hides something in its name, and one she took back."""
    with world.processes.acting_as("web"):
        lena = Client()
        lena.force_login(world.people["lena"])
        Program.registered(world).connected(lena, world.tenant.pk)
        hostile = Program.registered(world, name="Support\u202e tnegA")
        hostile.connected(lena, world.tenant.pk, scope="mcp:read mcp:request:refund_payment")
        past = Program.registered(world, name="Old helper")
        past.connected(lena, world.tenant.pk)
        gone = Agent.objects.get(application__client_id=past.client_id)
        disconnect(gone.pk, by=world.people["lena"], tenant_id=world.tenant.pk)


def _executed(world: World, fault: str = "", **arguments: Any) -> ApprovalRequest:
    request = world.submit(**arguments)
    world.vote(request, "approve", "lena", comment="")
    if fault:
        world.shop.arm(fault, method="POST")
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    return request
