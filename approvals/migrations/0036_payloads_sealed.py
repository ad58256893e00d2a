"""What requests ask for is sealed, with keys that the database does not have; beside it stands what may be shown.

Rows of before are sealed here, with the keys of PAYLOAD_KEYS, and sentences that told a card's last digits tell them no
more: a vote of before on such a request no longer counts. The triggers that compare an activation with its version, and
a settlement with what it settles, can no longer read the arguments. They read the redacted payload, in which nothing of
either is left out, and which the digests bind to what was sealed.
"""

import importlib
import json
from collections.abc import Iterator
from typing import Any

from django.apps.registry import Apps
from django.db import connection, migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from approvals import actions
from approvals.errors import NotFound
from approvals.models.sealed import SealedText
from approvals.payload_keys import ring, seal
from approvals.payloads import canonical, redact

BATCH = 500
ERASED = models.CharField(
    blank=True, choices=[("time", "time"), ("asked", "asked")], default="", max_length=10
)
_IN_DATABASE = models.CharField(blank=True, db_default="", default="", max_length=10)


def reading_redacted(function: str, row: str) -> str:
    """A trigger's function that reads the payload of `row`, reading the redacted one in its place."""
    for old, new in (("arguments", "args"), ("facts", "facts")):
        function = function.replace(f"{row}.{old}::jsonb", f"({row}.redacted::json->'{new}')")
    if f"{row}.redacted" not in function:
        raise LookupError("the trigger has changed")
    return function


def again(sql: str) -> str:
    """The function alone, in the place of the one that is there; its trigger stays."""
    return sql[: sql.index("$$;") + 3].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


def bound(row: str) -> str:
    """That the redacted payload leaves nothing out: its parts have the digests of what was sealed."""
    return " AND ".join(
        f"encode(sha256(convert_to(({row}.redacted::json->'{part}')::text, 'UTF8')), 'hex') = {row}.{digest}"
        for part, digest in (("args", "arguments_sha256"), ("facts", "facts_sha256"))
    )


def with_bound(function: str, after: str, row: str) -> str:
    if function.count(after) != 1:
        raise LookupError("the trigger has changed")
    return function.replace(after, f"{after} AND {bound(row)}")


_filed = importlib.import_module("approvals.migrations.0027_activations_escalate_to_nobody")._function(True)
_checked = again(importlib.import_module("approvals.migrations.0015_policy_versions").ACTIVATIONS)
_settled = importlib.import_module("approvals.migrations.0031_settled_by_hand")

# What was erased is not compared any more: it is finished.
ACTIVATION = (
    with_bound(reading_redacted(_filed, "NEW"), "NEW.on_behalf_of_id IS NULL", "NEW")
    + """
DROP TRIGGER approval_request_activation ON approval_request;
CREATE TRIGGER approval_request_activation
    BEFORE INSERT OR UPDATE OF action, redacted, arguments_sha256, facts_sha256, verdict, editor_id, person_id,
        agent_id, owner_id, tenant_id
    ON approval_request FOR EACH ROW WHEN (NEW.action = 'activate_policy' AND NEW.redacted_erased_at IS NULL)
    EXECUTE FUNCTION approval_request_activation();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_activation;
"""
    + with_bound(reading_redacted(_checked, "r"), "r.status = 'executing'", "r")
)
SETTLEMENT = (
    with_bound(reading_redacted(again(_settled.FILED), "NEW"), "NEW.on_behalf_of_id IS NULL", "NEW")
    + """
DROP TRIGGER approval_request_settlement ON approval_request;
CREATE TRIGGER approval_request_settlement
    BEFORE INSERT OR UPDATE OF action, redacted, arguments_sha256, facts_sha256, verdict, person_id, agent_id, owner_id,
        tenant_id
    ON approval_request FOR EACH ROW WHEN (NEW.action = 'settle_execution' AND NEW.redacted_erased_at IS NULL)
    EXECUTE FUNCTION approval_request_settlement();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_settlement;
"""
    + reading_redacted(again(_settled.AGREED), "NEW")
    + with_bound(reading_redacted(again(_settled.SETTLED), "asked"), "asked.status = 'executing'", "asked")
)

# They told a card's last four digits.
SENTENCES = """
UPDATE approval_request SET headline = regexp_replace(headline, 'card ending in [0-9]{4}$', 'card it was paid with')
    WHERE action = 'refund_payment';
UPDATE revision SET headline = regexp_replace(revision.headline, 'card ending in [0-9]{4}$', 'card it was paid with')
    FROM approval_request r WHERE r.id = revision.request_id AND r.action = 'refund_payment';
UPDATE approval_request SET outcome = regexp_replace(outcome, 'card ending in [0-9]{4}$', 'card it was paid with')
    WHERE action = 'refund_payment';
"""


def seal_what_is_there(_apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Every row of both tables. Raises SettingMissing where there are rows and no key."""
    for table, action in (
        ("approval_request", "action"),
        ("revision", "(SELECT r.action FROM approval_request r WHERE r.id = revision.request_id)"),
    ):
        for rows in _unsealed(table, action):
            with connection.cursor() as cursor:
                cursor.executemany(
                    f"UPDATE {table} SET arguments = %s, facts = %s, redacted = %s WHERE id = %s",  # noqa: S608
                    [
                        (seal(args), seal(facts), _redacted(name, args, facts), pk)
                        for pk, name, args, facts in rows
                    ],
                )


def _unsealed(table: str, action: str) -> Iterator[list[tuple[Any, ...]]]:
    """In batches, each of them gone from the next question once it is sealed."""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, {action}, arguments, facts FROM {table} "  # noqa: S608
                f"WHERE redacted = '' AND arguments IS NOT NULL LIMIT {BATCH}"
            )
            rows = cursor.fetchall()
        if not rows:
            return
        ring()  # before anything is written
        yield rows


def _redacted(action: str, arguments: str, facts: str) -> str:
    """As `content.redacted`; of an action that is no longer offered, nobody knows what is sensitive."""
    args, looked_up = json.loads(arguments), json.loads(facts)
    try:
        sensitive = actions.get(action).sensitive
    except NotFound:
        sensitive = frozenset(args) | frozenset(looked_up)
    return canonical({"args": redact(args, sensitive), "facts": redact(looked_up, sensitive)})


class Migration(migrations.Migration):
    dependencies = [("approvals", "0033_least_privilege")]
    operations = [
        *(
            migrations.AlterField(model, name, SealedText())
            for model in ("approvalrequest", "revision")
            for name in ("arguments", "facts")
        ),
        *(
            migrations.AddField(model, "redacted", models.TextField(blank=True, db_default="", default=""))
            for model in ("approvalrequest", "revision")
        ),
        migrations.AddField("approvalrequest", "payload_erased_at", models.DateTimeField(null=True)),
        migrations.AddField("approvalrequest", "redacted_erased_at", models.DateTimeField(null=True)),
        migrations.AddField("approvalrequest", "erased_because", _IN_DATABASE),
        # The defaults stay in the database, and the models do not know of them: see migration 0024.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField("approvalrequest", "erased_because", ERASED),
                *(
                    migrations.AlterField(model, "redacted", models.TextField(blank=True, default=""))
                    for model in ("approvalrequest", "revision")
                ),
            ]
        ),
        migrations.RunSQL(ACTIVATION + SETTLEMENT, migrations.RunSQL.noop),
        migrations.RunSQL(SENTENCES, migrations.RunSQL.noop),
        migrations.RunPython(seal_what_is_there, migrations.RunPython.noop),
    ]
