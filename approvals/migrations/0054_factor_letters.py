"""Somebody whose second factors changed is written of it, whatever they chose: the page that changed them orders it."""

from django.db import migrations, models

from approvals.database import PERSON, TENANT, policy

TOLD = ("factor.added", "factor.removed")


def is_one(*, topic: str = "", kind: str = "", **there: bool) -> models.Q:
    """As in `models.messages`."""
    named = {
        f"{name}__isnull": name not in there for name in ("request", "announcement", "receiver", "person")
    }
    said = {name: value for name, value in (("topic", topic), ("kind", kind)) if value}
    return models.Q(**named, **said)


# As before, and for whom such a letter waits.
ADDRESS = f"""
CREATE OR REPLACE FUNCTION address_of(whom uuid) RETURNS text LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.email::text FROM public.identity_person p
    WHERE p.id = whom AND p.is_active
        AND EXISTS (SELECT FROM public.identity_membership m WHERE m.person_id = p.id AND m.tenant_id = {TENANT})
        AND (
            EXISTS (SELECT FROM public.mail_choice c WHERE c.person_id = p.id AND c.tenant_id = {TENANT}
                AND (c.new_requests <> 'off' OR c.reminders))
            OR EXISTS (SELECT FROM public.outbox o WHERE o.person_id = p.id AND o.tenant_id = {TENANT}
                AND o.kind IN {TOLD} AND o.done_at IS NULL AND o.gave_up_at IS NULL)
        )
$$;
"""  # noqa: S608
ORDERED = policy(
    "web_tells_of_factors",
    "outbox",
    ("web",),
    "INSERT",
    check=f"tenant_id = {TENANT} AND topic = 'mail' AND kind IN {TOLD} AND person_id = {PERSON}",
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0053_mail_choices")]
    operations = [
        migrations.RemoveConstraint("outbox", "a_message_says_to_whom_and_of_what"),
        migrations.AddConstraint(
            "outbox",
            models.CheckConstraint(
                condition=is_one(request=True)
                | is_one(request=True, announcement=True, receiver=True, topic="deliver")
                | is_one(request=True, announcement=True, person=True, topic="mail")
                | is_one(receiver=True, topic="deliver", kind="receiver.test")
                | is_one(person=True, topic="mail", kind="mail.digest")
                | is_one(person=True, topic="mail", kind="factor.added")
                | is_one(person=True, topic="mail", kind="factor.removed"),
                name="a_message_says_to_whom_and_of_what",
            ),
        ),
        migrations.RunSQL(ADDRESS + ORDERED, migrations.RunSQL.noop),
    ]
