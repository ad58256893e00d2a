"""Tenants, people, memberships, agents, and the OAuth models that the OAuth server is told to use.

An OAuth `Application` is a client program; an `Agent` is that program at work in one tenant, owned by a person,
for itself (client credentials) or on behalf of a person who consented. Tokens belong to an agent, so a token
says which tenant it is for. All ids that leave the service are random UUIDs.
"""

import uuid
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from oauth2_provider.models import (
    AbstractAccessToken,
    AbstractApplication,
    AbstractDeviceGrant,
    AbstractGrant,
    AbstractIDToken,
    AbstractRefreshToken,
)

from approvals.audit.events import INSTALLATION, Actor, record
from approvals.database import tenant_scope
from approvals.identity import programs
from approvals.identity.hashed import HashedCode


class Tenant(models.Model):
    """A company or division; every row belongs to one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class PersonManager(BaseUserManager["Person"]):
    def create_user(self, email: str, password: str | None = None, *, name: str = "") -> "Person":
        person = self.model(email=email.lower(), name=name or email)
        person.set_password(password)
        person.save(using=self._db)
        return person

    def get_by_natural_key(self, username: str | None) -> "Person":
        return self.get(email=(username or "").lower())


class Person(AbstractBaseUser):
    """A user. What a person may do comes from memberships alone; there is no superuser."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]
    objects: ClassVar[PersonManager] = PersonManager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="person_email_lower_case")
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's role in a tenant: a reviewer role such as `finance`, or `auditor`, or `operator`."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="memberships")
    role = models.SlugField(max_length=40)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "person", "role"], name="one_membership_a_role")
        ]

    def __str__(self) -> str:
        return f"{self.person_id} is {self.role} in {self.tenant_id}"


class Application(AbstractApplication):
    """An OAuth client program. A headless one belongs to a tenant and an owner from its registration on."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True, blank=True)
    owner = models.ForeignKey(
        Person, on_delete=models.PROTECT, null=True, blank=True, related_name="owned_applications"
    )
    # The scopes it may ask for, space-separated (RFC 7591, section 2); empty: each one that there is.
    scope = models.CharField(max_length=1000, blank=True, default="")

    SELF_REGISTERED_GRANTS = (
        AbstractApplication.GRANT_AUTHORIZATION_CODE,
        AbstractApplication.GRANT_DEVICE_CODE,
    )

    class Meta(AbstractApplication.Meta):
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=~models.Q(authorization_grant_type="client-credentials")
                | models.Q(tenant__isnull=False, owner__isnull=False),
                name="headless_application_has_tenant_and_owner",
            ),
            models.CheckConstraint(
                condition=models.Q(hash_client_secret=True), name="application_secret_is_hashed"
            ),
        ]

    @property
    def registered_itself(self) -> bool:
        """By a metadata document or by dynamic registration: what it says about itself is a claim."""
        return self.registration_source != self.RegistrationSource.MANUAL

    @property
    def document_host(self) -> str:
        """Who vouches for a program with a metadata document: the host that serves it. "" for every other program."""
        by_document = self.registration_source == self.RegistrationSource.CIMD
        return (urlsplit(self.client_id).hostname or "") if by_document else ""

    @property
    def called(self) -> str:
        """A name to show, 100 characters at most; of a program that registered itself, its own claim."""
        return (self.name or self.document_host or self.client_id)[:100]

    def may_connect_in(self, tenant_id: uuid.UUID) -> bool:
        """Whether a person may let it ask in their name there; headless programs come by themselves."""
        if self.authorization_grant_type == self.GRANT_CLIENT_CREDENTIALS:
            return False
        return self.tenant_id in (None, tenant_id)

    def redirect_uri_allowed(self, uri: str) -> bool:
        return programs.redirect_allowed(uri, self.redirect_uris.split())

    def get_allowed_schemes(self) -> list[str]:
        """http is for loopback alone, which `clean` sees to (RFC 8252, section 7.3)."""
        return ["https", "http"]

    def clean(self) -> None:
        super().clean()
        programs.check(self)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """The library saves what registered itself; that leaves its event in the same transaction."""
        if not (self._state.adding and self.registered_itself):
            return super().save(*args, **kwargs)
        self.client_secret = programs.nobodys_secret()
        with tenant_scope(INSTALLATION):
            super().save(*args, **kwargs)
            record(
                "client.registered",
                tenant_id=INSTALLATION,
                actor=Actor("system", "web"),
                data={
                    "program": self.called,
                    "client_id": self.client_id,
                    "source": self.registration_source,
                    "redirect_uris": self.redirect_uris,
                },
            )
        return None


class Agent(models.Model):
    """An application at work in one tenant: what a request, a limit and a kill switch refer to."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="agents")
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="owned_agents")
    on_behalf_of = models.ForeignKey(
        Person, on_delete=models.PROTECT, null=True, blank=True, related_name="agents_for_me"
    )
    name = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True)
    # What an external issuer of tokens calls this agent (its subject claim); NULL where tokens are ours.
    external_subject = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - "" would be somebody
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["application", "tenant", "on_behalf_of"],
                nulls_distinct=False,
                name="one_agent_an_application_tenant_and_person",
            ),
            models.UniqueConstraint(
                fields=["tenant", "external_subject"], name="one_agent_an_external_subject"
            ),
            models.CheckConstraint(
                condition=~models.Q(external_subject=""), name="external_subject_is_not_empty"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Grant(AbstractGrant):
    code = HashedCode(max_length=64, unique=True)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, null=True)

    class Meta(AbstractGrant.Meta):
        pass


class AccessToken(AbstractAccessToken):
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, null=True)

    class Meta(AbstractAccessToken.Meta):
        pass


class RefreshToken(AbstractRefreshToken):
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, null=True)

    class Meta(AbstractRefreshToken.Meta):
        pass

    @classmethod
    def end_family(cls, family: uuid.UUID) -> None:
        super().revoke_family(family)

    @classmethod
    def revoke_family(cls, token_family: uuid.UUID | None) -> None:
        """Nothing: the library calls it where it notices a replay by itself, and `identity.revoke` leaves an event."""


class DeviceGrant(AbstractDeviceGrant):
    device_code = HashedCode(max_length=64)
    client_id = models.CharField(max_length=255, db_index=True)  # as long as an application's
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, null=True)

    class Meta(AbstractDeviceGrant.Meta):
        pass


class IDToken(AbstractIDToken):
    class Meta(AbstractIDToken.Meta):
        pass
