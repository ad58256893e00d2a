"""People choose what they are written; the sweeper orders digests; a letter is for one person.

Whoever chose reads and writes their own choice alone. A worker learns the address of a member who chose to be written,
by a function, and the sweeper when whose digest is due, and neither an address nor a name.
"""

import datetime
import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from approvals.audit.kinds import own_kinds
from approvals.database import PERSON, TENANT, force_rls, grant, policy

MINE = f"tenant_id = {TENANT}"
CASCADE = django.db.models.deletion.CASCADE


def is_one(*, topic: str = "", kind: str = "", **there: bool) -> models.Q:
    """As in `models.messages`."""
    named = {
        f"{name}__isnull": name not in there for name in ("request", "announcement", "receiver", "person")
    }
    said = {name: value for name, value in (("topic", topic), ("kind", kind)) if value}
    return models.Q(**named, **said)


ACCESS = (
    force_rls("mail_choice")
    + grant("SELECT, INSERT", "mail_choice", "web")
    + grant(
        "UPDATE (new_requests, reminders, quiet_from, quiet_until, time_zone, digest_at, digest_due_at)",
        "mail_choice",
        "web",
    )
    + grant("SELECT", "mail_choice", "worker")
    + grant(
        "SELECT (id, tenant_id, person_id, time_zone, digest_at, digest_due_at)", "mail_choice", "sweeper"
    )
    + grant("UPDATE (digest_due_at)", "mail_choice", "sweeper")
    + policy("own_reads", "mail_choice", ("web",), "SELECT", using=f"{MINE} AND person_id = {PERSON}")
    + policy("own_adds", "mail_choice", ("web",), "INSERT", check=f"{MINE} AND person_id = {PERSON}")
    + policy(
        "own_changes",
        "mail_choice",
        ("web",),
        "UPDATE",
        using=f"{MINE} AND person_id = {PERSON}",
        check=f"{MINE} AND person_id = {PERSON}",
    )
    + policy("tenant_reads", "mail_choice", ("worker",), "SELECT", using=MINE)
    + policy("sweeper_reads", "mail_choice", ("sweeper",), "SELECT", using="true")
    + policy("sweeper_goes_on", "mail_choice", ("sweeper",), "UPDATE", using=MINE, check=MINE)
    + grant("SELECT (person_id)", "outbox", "web")
    + policy(
        "sweeper_orders_digests",
        "outbox",
        ("sweeper",),
        "INSERT",
        check=f"{MINE} AND topic = 'mail' AND kind = 'mail.digest'",
    )
)
ADDRESS = f"""
CREATE FUNCTION address_of(whom uuid) RETURNS text LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.email::text FROM public.identity_person p
    JOIN public.mail_choice c ON c.person_id = p.id AND c.tenant_id = {TENANT}
    WHERE p.id = whom AND p.is_active AND (c.new_requests <> 'off' OR c.reminders)
        AND EXISTS (SELECT FROM public.identity_membership m WHERE m.person_id = p.id AND m.tenant_id = c.tenant_id)
$$;
REVOKE EXECUTE ON FUNCTION address_of(uuid) FROM PUBLIC;
""" + grant("EXECUTE", "FUNCTION address_of(uuid)", "worker")  # noqa: S608
# Whoever chose to be written of new requests is written of an exercise too, or they would know it by that.
EXERCISES = """
DROP TRIGGER outbox_canary ON outbox;
CREATE TRIGGER outbox_canary BEFORE INSERT OR UPDATE OF topic, request_id, person_id ON outbox
    FOR EACH ROW WHEN (
        NEW.topic NOT IN ('announce', 'deliver', 'look') AND NOT (NEW.topic = 'mail' AND NEW.person_id IS NOT NULL)
    )
    EXECUTE FUNCTION canary_is_never_done();
ALTER TABLE outbox ENABLE ALWAYS TRIGGER outbox_canary;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0052_slack_app"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.CreateModel(
            name="MailChoice",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("new_requests", models.CharField(default="off", max_length=10)),
                ("reminders", models.BooleanField(default=False)),
                ("quiet_from", models.TimeField(null=True)),
                ("quiet_until", models.TimeField(null=True)),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
                ("digest_at", models.TimeField(default=datetime.time(8, 0))),
                ("digest_due_at", models.DateTimeField(null=True)),
                (
                    "person",
                    models.ForeignKey(on_delete=CASCADE, related_name="+", to=settings.AUTH_USER_MODEL),
                ),
                ("tenant", models.ForeignKey(on_delete=CASCADE, to="identity.tenant")),
            ],
            options={"db_table": "mail_choice"},
        ),
        migrations.AddConstraint(
            "mailchoice",
            models.UniqueConstraint(fields=("tenant", "person"), name="one_mail_choice_a_person"),
        ),
        migrations.AddConstraint(
            "mailchoice",
            models.CheckConstraint(
                condition=models.Q(("new_requests__in", ["off", "at_once", "daily"])),
                name="mail_choice_known",
            ),
        ),
        migrations.AddConstraint(
            "mailchoice",
            models.CheckConstraint(
                condition=models.Q(("quiet_from", None), ("quiet_until", None))
                | models.Q(("quiet_from__isnull", False), ("quiet_until__isnull", False)),
                name="quiet_hours_begin_and_end",
            ),
        ),
        migrations.AddConstraint(
            "mailchoice",
            models.CheckConstraint(
                condition=models.Q(("new_requests", "daily")) | models.Q(("digest_due_at", None)),
                name="digest_for_who_wants_it",
            ),
        ),
        migrations.AddIndex(
            "mailchoice",
            models.Index(
                condition=models.Q(("digest_due_at__isnull", False)),
                fields=["digest_due_at"],
                name="mail_choice_digest_due",
            ),
        ),
        migrations.AddField(
            "outbox",
            "person",
            models.ForeignKey(null=True, on_delete=CASCADE, related_name="+", to=settings.AUTH_USER_MODEL),
        ),
        migrations.RemoveConstraint("outbox", "a_message_has_announcement_and_receiver"),
        migrations.AddConstraint(
            "outbox",
            models.UniqueConstraint(
                fields=("announcement", "person"), name="one_letter_a_person_and_announcement"
            ),
        ),
        migrations.AddConstraint(
            "outbox",
            models.CheckConstraint(
                condition=is_one(request=True)
                | is_one(request=True, announcement=True, receiver=True, topic="deliver")
                | is_one(request=True, announcement=True, person=True, topic="mail")
                | is_one(receiver=True, topic="deliver", kind="receiver.test")
                | is_one(person=True, topic="mail", kind="mail.digest"),
                name="a_message_says_to_whom_and_of_what",
            ),
        ),
        migrations.RunSQL(ACCESS + ADDRESS + EXERCISES + own_kinds(), migrations.RunSQL.noop),
    ]
