"""The people, agents and processes that tests play with."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connection

from approvals import decide, judge, submit
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.identity.models import Agent, Application, Membership, Person, Tenant
from approvals.identity.requester import Requester, Reviewer, reviewer
from approvals.models import ApprovalRequest, PolicyActivation, PolicyVersion
from policies.documents import shipped
from tests.scan.known import secret
from tests.shop.running import CREDENTIALS, RunningShop

TRACE = "0af7651916cd43dd8448eb211c80319c"
SECRET = "demo-agent-secret"
HASHED = make_password(SECRET)
REFUND = {
    "payment_id": "pay_10001",
    "amount_minor": 12900,
    "currency": "USD",
    "reason": "The customer returned the parcel unopened.",
}


@dataclass
class Processes:
    """One database, five roles: a test says as which process it acts."""

    urls: Mapping[str, str]
    admin_url: str
    database: str
    prefix: str = ""
    write_credentials: str = ""
    current: str = ""

    def connect(self, process: str) -> None:
        """From here on Django's connection, in every thread, is that of this process."""
        parts = urlsplit(self.urls[process])
        connection.close()
        connection.settings_dict.update(
            NAME=parts.path.lstrip("/"),
            USER=unquote(parts.username or ""),
            PASSWORD=unquote(parts.password or ""),
            HOST=parts.hostname or "",
            PORT=str(parts.port or ""),
        )
        settings.BACKING_WRITE_CREDENTIALS = self.write_credentials if process == "worker" else ""
        self.current = process

    def disconnect(self) -> None:
        connection.close()

    @contextmanager
    def acting_as(self, process: str) -> Iterator[None]:
        before = self.current
        self.connect(process)
        try:
            yield
        finally:
            self.connect(before or "migrator")

    @property
    def inside_url(self) -> str:
        """The server's administrator, in this database."""
        return urlsplit(self.admin_url)._replace(path=f"/{self.database}").geturl()

    @contextmanager
    def cursor(self, process: str) -> Iterator[psycopg.Cursor[Any]]:
        """A shell as the role of a process, or as the server's administrator ("admin")."""
        with psycopg.connect(self.urls.get(process, self.inside_url)) as own, own.cursor() as cursor:
            yield cursor
            own.rollback() if process != "admin" else own.commit()

    def allow_connections(self, process: str, most: int) -> None:
        """How many a process may have open at once; what is usual stands in `roles.CONNECTIONS`."""
        with self.cursor("admin") as shell:
            shell.execute(f'ALTER ROLE "{self.prefix}_{process}" CONNECTION LIMIT {most}')


@dataclass
class World:
    """One tenant, another one, and everybody in them."""

    processes: Processes
    shop: RunningShop
    tenant: Tenant
    other: Tenant
    people: dict[str, Person] = field(default_factory=dict)
    agent: Requester = None  # type: ignore[assignment]
    other_agent: Requester = None  # type: ignore[assignment]

    @classmethod
    def make(cls, processes: Processes, shop: RunningShop) -> "World":
        """lena, mara (support leads), felix (finance), otto (agent's owner and support lead), ada (auditor),
        opal (operator), paul (policy author), olga (operator)."""
        tenant, other = _tenant("north"), _tenant("south")
        world = cls(processes, shop, tenant, other)
        for name, held in {
            "lena": ("support_lead",),
            "mara": ("support_lead",),
            "felix": ("finance",),
            "otto": ("support_lead", "finance"),
            "ada": ("auditor",),
            "opal": ("operator",),
            "paul": ("policy_author",),
            "olga": ("operator",),
        }.items():
            world.people[name] = _person(name, tenant, *held)
        world.people["gus"] = _person("gus", other, "support_lead", "finance")
        _person("gail", other, "finance")  # so that its policy has somebody for each stage
        world.agent = _agent(tenant, world.people["otto"])
        world.other_agent = _agent(other, world.people["gus"])
        for each in (tenant, other):
            _policy(each)
        return world

    def reviewer(self, name: str) -> Reviewer:
        person = self.people[name]
        tenant = self.other if name == "gus" else self.tenant
        with tenant_scope(tenant.pk):
            return reviewer(person, tenant.pk)

    def submit(
        self, action: str = "refund_payment", *, key: str | None = None, **changes: Any
    ) -> ApprovalRequest:
        """The agent files a request, in the door."""
        arguments = {**(REFUND if action == "refund_payment" else {}), **changes}
        with self.processes.acting_as("door"):
            return submit.submit(action, arguments, by=self.agent, key=key, trace_id=TRACE).request

    def put_in_force(self, source: str, tenant: Tenant | None = None) -> PolicyVersion:
        """Another policy from here on, by the migrator's hand."""
        with self.processes.acting_as("migrator"):
            return _policy(tenant or self.tenant, source)

    def no_policy(self) -> None:
        """No policy is in force, which no verb brings about."""
        with self.processes.cursor("admin") as shell:
            shell.execute("ALTER TABLE policy_version DISABLE TRIGGER policy_version_written_once")
            shell.execute(
                "UPDATE policy_version SET is_active = false WHERE tenant_id = %s", (self.tenant.pk,)
            )
            shell.execute("ALTER TABLE policy_version ENABLE ALWAYS TRIGGER policy_version_written_once")

    def another_agent(self) -> Requester:
        """A second agent of the tenant."""
        with self.processes.acting_as("migrator"):
            return _agent(self.tenant, self.people["otto"])

    def vote(
        self,
        request: ApprovalRequest,
        decision: str,
        by: str,
        *,
        seen: str | None = None,
        comment: str = "No.",
    ) -> ApprovalRequest:
        """A person decides on what the page shows now, in the web process."""
        with self.processes.acting_as("web"):
            shown = seen or judge.seen(self.reload(request))
            return decide.vote(
                request.pk, decision, by=self.reviewer(by), seen=shown, comment=comment, trace_id=TRACE
            )

    def reload(self, request: ApprovalRequest) -> ApprovalRequest:
        with tenant_scope(request.tenant_id):
            return ApprovalRequest.objects.get(pk=request.pk)

    def reload_as(self, process: str, request: ApprovalRequest) -> ApprovalRequest:
        with self.processes.acting_as(process):
            return self.reload(request)

    def force_status(self, request: ApprovalRequest, status: str) -> None:
        """Put a request where no verb could, as the server's administrator."""
        with self.processes.cursor("admin") as shell, unguarded(shell):
            shell.execute("UPDATE approval_request SET status = %s WHERE id = %s", (status, request.pk))

    def refund_elsewhere(self, payment_id: str, amount_minor: int) -> None:
        """Somebody in the company refunds past us."""
        body = {"amount_minor": amount_minor, "currency": "USD", "reference": "by-hand", "reason": "By hand."}
        self.shop.write(f"/v1/payments/{payment_id}/refunds", body).raise_for_status()

    def status(self, request: ApprovalRequest) -> str:
        with self.processes.acting_as("web"):
            return self.reload(request).status

    def events(self, request: ApprovalRequest | None = None) -> list[str]:
        """The kinds on the trail, of one request or of the tenant, in order."""
        found = Event.objects.filter(tenant_id=self.tenant.pk).order_by("at")
        with self.processes.acting_as("web"), tenant_scope(self.tenant.pk):
            return list(
                (found.filter(request_id=request.pk) if request else found).values_list("kind", flat=True)
            )

    def ledger(self, request: ApprovalRequest) -> list[dict[str, Any]]:
        """What the shop really did for a request."""
        answer = self.shop.control("GET", f"/v1/ledger?reference={request.pk}")
        return list(answer.json()["entries"])


@contextmanager
def unguarded(shell: psycopg.Cursor[Any]) -> Iterator[None]:
    """As the server's administrator: no trigger looks at the status of a request."""
    triggers = [f"TRIGGER approval_request_{name}" for name in ("moves", "quorum", "time")]
    shell.execute(f"ALTER TABLE approval_request {', '.join(f'DISABLE {each}' for each in triggers)}")
    yield
    shell.execute(f"ALTER TABLE approval_request {', '.join(f'ENABLE ALWAYS {each}' for each in triggers)}")


def break_the_trail(monkeypatch: pytest.MonkeyPatch, verbs: ModuleType) -> None:
    """From here on these verbs cannot record an event: whatever they do must not happen."""

    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the trail is full")

    monkeypatch.setattr(verbs, "record", broken)


def payload_keys(file: Path) -> Path:
    """A file with one key that payloads are sealed with, for its owner alone."""
    file.touch(mode=0o600)
    file.write_text(secret("a key of payloads", Fernet.generate_key().decode()))
    return file


def credentials_folder(folder: Path, shop_tenant_of: Mapping[str, str]) -> Path:
    for slug, shop_tenant in shop_tenant_of.items():
        for may, token in CREDENTIALS["tenants"][shop_tenant].items():  # type: ignore[index]
            (folder / may).mkdir(exist_ok=True)
            (folder / may / slug).write_text(token)
    return folder


def _tenant(name: str) -> Tenant:
    return Tenant.objects.create(slug=f"{name}-{uuid4().hex[:8]}", name=name.title())


def _person(name: str, tenant: Tenant, *held: str) -> Person:
    person = Person.objects.create(email=f"{name}-{uuid4().hex[:8]}@example.com", name=name.title())
    Membership.objects.bulk_create(Membership(tenant=tenant, person=person, role=role) for role in held)
    return person


def _agent(tenant: Tenant, owner: Person) -> Requester:
    application = Application.objects.create(
        client_id=f"agent-{uuid4().hex[:8]}",
        client_secret=HASHED,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        name="Support bot",
        tenant=tenant,
        owner=owner,
    )
    agent = Agent.objects.create(tenant=tenant, application=application, owner=owner, name="Support bot")
    return Requester(
        tenant_id=tenant.pk,
        tenant_slug=tenant.slug,
        name=agent.name,
        owner_id=owner.pk,
        agent_id=agent.pk,
        client_id=application.client_id,
        scopes=frozenset({"mcp:read", "mcp:request"}),
    )


def _policy(tenant: Tenant, source: str | None = None) -> PolicyVersion:
    source, before = source or shipped(), PolicyVersion.objects.filter(tenant=tenant)
    version = PolicyVersion.objects.create(
        tenant=tenant, number=before.count() + 1, digest=_digest(source), source=source
    )
    PolicyActivation.objects.create(
        tenant=tenant, version=version, replaced=before.filter(is_active=True).first()
    )
    return version


def _digest(source: str) -> str:
    """Empty for a version that cannot be read any more."""
    document = judge.readable(PolicyVersion(source=source))  # read once: it is every tenant's
    return document.digest if document else ""
