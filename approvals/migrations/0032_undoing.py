"""A request may undo another one: linked as it is filed, to one of its own tenant that was carried out, and for ever.

At most one such request is open or carried out for each that it undoes: an index, so exact however many are filed at
once. Whoever stands behind the request that is undone is no judge of the other one: the quorum is counted without them.

People order it on a page, and a worker files the request: only what was ordered, and in that name. A switch is over
such a request as it is over an agent's, for it writes to the company's system just the same. What people ask for about
our own rules goes on, as before.
"""

import uuid
from importlib import import_module

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from approvals.audit.kinds import own_kinds
from approvals.database import PERSON, TENANT, force_rls, grant, policy

MINE = f"tenant_id = {TENANT}"
PROTECT, CASCADE = django.db.models.deletion.PROTECT, django.db.models.deletion.CASCADE
TOPICS = ["judge", "execute", "reconcile", "reopen", "announce", "deliver", "mail", "undo"]


def _again(module: str, name: str, old: str, new: str) -> str:
    """A trigger's function of an earlier migration with something else in it; the trigger stays."""
    sql: str = getattr(import_module(f"approvals.migrations.{module}"), name)
    function = sql[: sql.index("$$;") + 3].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    if old not in function:
        raise LookupError(f"{name} of {module} has changed")
    return function.replace(old, new)


def _stoppable(row: str) -> str:
    """As `switches.reach` has it."""
    return (
        f"({row}.agent_id IS NOT NULL OR {row}.undoes_id IS NOT NULL AND {row}.action <> 'activate_policy')"
    )


SWITCHES = "".join(
    (
        *(
            _again(module, name, "OLD.agent_id IS NOT NULL", _stoppable("OLD"))
            for module, name in (
                ("0017_people", "URGED"),
                ("0026_no_stop_revives", "CLOCK"),
                ("0026_no_stop_revives", "TIME"),
            )
        ),
        _again(
            "0010_nothing_is_filed_after_a_stop",
            "FILED",
            "AND (s.agent_id IS NULL OR s.agent_id = NEW.agent_id)",
            f"AND {_stoppable('NEW')} AND (s.agent_id IS NULL OR s.agent_id = NEW.agent_id)",
        ),
    )
)

# Whoever orders is a member of the company. A process that was taken over can order in the name of any member whom it
# serves; what comes of it is a request, which others decide.
MEMBER = """EXISTS (
    SELECT FROM identity_membership m WHERE m.tenant_id = undo_order.tenant_id AND m.person_id = undo_order.person_id
)"""
OPEN = "answered_at IS NULL AND filed_id IS NULL AND refusal = ''"
ORDERS = (
    force_rls("undo_order")
    + grant("SELECT", "undo_order", "web", "worker")
    + policy("tenant_reads", "undo_order", ("web", "worker"), "SELECT", using=MINE)
    + grant("INSERT", "undo_order", "web")
    + policy(
        "person_orders",
        "undo_order",
        ("web",),
        "INSERT",
        check=f"{MINE} AND person_id = {PERSON} AND {OPEN} AND {MEMBER}",
    )
    + grant("UPDATE (answered_at, filed_id, refusal)", "undo_order", "worker")
    + policy(
        "worker_answers",
        "undo_order",
        ("worker",),
        "UPDATE",
        using=f"{MINE} AND answered_at IS NULL",
        check=f"{MINE} AND answered_at IS NOT NULL",
    )
    + policy(
        "web_orders_undoing",
        "outbox",
        ("web",),
        "INSERT",
        check=f"{MINE} AND topic = 'undo' AND EXISTS (SELECT FROM undo_order o "
        f"WHERE o.request_id = outbox.request_id AND o.person_id = {PERSON} AND o.answered_at IS NULL)",
    )
)
FILES = (
    grant("INSERT", "approval_request", "worker")
    + policy(
        "worker_files_what_was_ordered",
        "approval_request",
        ("worker",),
        "INSERT",
        check=f"{MINE} AND status = 'pending' AND agent_id IS NULL AND owner_id = person_id "
        "AND on_behalf_of_id IS NULL AND EXISTS (SELECT FROM undo_order o "
        "WHERE o.request_id = undoes_id AND o.person_id = approval_request.person_id AND o.answered_at IS NULL)",
    )
    + grant("EXECUTE", "FUNCTION approval_request_use(text, timestamptz, bigint[])", "worker")
    # So that the sweeper knows what a switch is over.
    + grant("SELECT (undoes_id)", "approval_request", "sweeper")
)

# As `models.requests.UNDOING`.
UNDOING = ("approved", "changes_requested", "executing", "pending", "stale", "succeeded", "uncertain")

# As the owner, for the door sees the requests of one agent alone, and a scope can change while a statement runs. An
# agent undoes what it asked for itself. No exercise is ever carried out, so none is undone.
LINKED = """
CREATE FUNCTION approval_request_undoes() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'what a request undoes is said as it is filed' USING ERRCODE = 'check_violation';
    ELSIF NEW.id = NEW.undoes_id OR NOT EXISTS (
        SELECT FROM public.approval_request o
        WHERE o.id = NEW.undoes_id AND o.tenant_id = NEW.tenant_id AND o.status = 'succeeded'
            AND (NEW.agent_id IS NULL OR o.agent_id = NEW.agent_id)
    ) THEN
        RAISE EXCEPTION 'a request undoes one of its own company, or of its own agent, that was carried out'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approval_request_undoes BEFORE INSERT ON approval_request
    FOR EACH ROW WHEN (NEW.undoes_id IS NOT NULL) EXECUTE FUNCTION approval_request_undoes();
CREATE TRIGGER approval_request_undoes_stays BEFORE UPDATE ON approval_request
    FOR EACH ROW WHEN (OLD.undoes_id IS DISTINCT FROM NEW.undoes_id) EXECUTE FUNCTION approval_request_undoes();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_undoes;
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_undoes_stays;
"""

_BEFORE: str = import_module("approvals.migrations.0021_break_glass").QUORUM
_NOBODY_FROM_THE_OTHER = """ || (
        SELECT ARRAY[o.person_id, o.owner_id, o.on_behalf_of_id, o.editor_id]
        FROM public.approval_request o WHERE o.id = NEW.undoes_id
    );"""


def _quorum() -> str:
    """As it was, and whoever is behind what is undone is no judge of it."""
    begin, declares, rest = _BEFORE.partition("    dependent uuid[] := ")
    if not declares:
        raise LookupError("the quorum of 0021 has changed")
    before, _, after = rest.partition(";")
    return begin + declares + before + _NOBODY_FROM_THE_OTHER + after


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0031_settled_by_hand"),
        ("audit", "0007_people_take_back"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.AddField(
            "approvalrequest",
            "undoes",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="undone_by",
                to="approvals.approvalrequest",
            ),
        ),
        migrations.AddConstraint(
            "approvalrequest",
            models.UniqueConstraint(
                condition=models.Q(status__in=UNDOING), fields=("undoes",), name="one_undoing_a_request"
            ),
        ),
        migrations.CreateModel(
            name="UndoOrder",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("reason", models.CharField(max_length=500)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("answered_at", models.DateTimeField(null=True)),
                ("refusal", models.CharField(blank=True, max_length=500)),
                (
                    "filed",
                    models.OneToOneField(
                        null=True, on_delete=PROTECT, related_name="ordered", to="approvals.approvalrequest"
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=PROTECT, related_name="undo_orders", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=CASCADE, related_name="undo_orders", to="approvals.approvalrequest"
                    ),
                ),
                ("tenant", models.ForeignKey(on_delete=CASCADE, to="identity.tenant")),
            ],
            options={"db_table": "undo_order"},
        ),
        migrations.AddConstraint(
            "undoorder",
            models.UniqueConstraint(
                condition=models.Q(answered_at__isnull=True),
                fields=("request",),
                name="one_undo_order_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            "undoorder",
            models.CheckConstraint(
                condition=models.Q(answered_at__isnull=True, filed__isnull=True, refusal="")
                | models.Q(answered_at__isnull=False, filed__isnull=False, refusal="")
                | (
                    models.Q(answered_at__isnull=False, filed__isnull=True)
                    & models.Q(("refusal", ""), _negated=True)
                ),
                name="undo_order_answered_once",
            ),
        ),
        migrations.RemoveConstraint("outbox", "outbox_topic_known"),
        migrations.AddConstraint(
            "outbox",
            models.CheckConstraint(condition=models.Q(("topic__in", TOPICS)), name="outbox_topic_known"),
        ),
        migrations.RunSQL(
            LINKED + _quorum() + SWITCHES + ORDERS + FILES + own_kinds(), migrations.RunSQL.noop
        ),
    ]
