"""Nothing is kept in the clear, and nothing is erased before its time.

A constraint takes ciphertext alone. The sweeper may take a payload away and may not read one: of a request that has
been finished for a day at least, the earlier revisions with it, by a trigger. How many days it is kept is the sweeper's
setting, which the database does not know.
"""

import importlib

from django.db import migrations, models

from approvals.database import grant, role

SWEEPER = role("sweeper").strip('"')
FINAL = "('succeeded', 'failed', 'denied', 'expired', 'withdrawn')"

# As Fernet writes its tokens: the version 0x80 and the first bytes of a time of this age, in base64.
SEALED = """
ALTER TABLE approval_request ADD CONSTRAINT request_payload_is_sealed CHECK (
    CASE WHEN payload_erased_at IS NULL
        THEN (arguments LIKE 'gAAAA%' AND facts LIKE 'gAAAA%') IS TRUE
        ELSE arguments IS NULL AND facts IS NULL
    END
    AND (redacted = '') = (redacted_erased_at IS NOT NULL)
    AND (erased_because = '') = (payload_erased_at IS NULL AND redacted_erased_at IS NULL)
);
ALTER TABLE revision ADD CONSTRAINT revision_payload_is_sealed CHECK (
    (arguments LIKE 'gAAAA%' AND facts LIKE 'gAAAA%') IS NOT FALSE AND (arguments IS NULL) = (facts IS NULL)
);
"""

ERASES = f"""
CREATE FUNCTION approval_request_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.payload_erased_at IS NULL AND NEW.redacted_erased_at IS NULL THEN
            RETURN NEW;
        END IF;
    ELSIF current_user <> '{SWEEPER}' THEN
        RETURN NEW;
    ELSIF OLD.status IN {FINAL} AND OLD.finished_at <= now() - interval '1 day' AND NEW.erased_because = 'time'
        AND (NEW.arguments IS NULL OR NEW.arguments = OLD.arguments)
        AND (NEW.facts IS NULL OR NEW.facts = OLD.facts)
        AND NEW.redacted IN ('', OLD.redacted)
        AND NEW.payload_erased_at IS NOT DISTINCT FROM
            (CASE WHEN NEW.arguments IS NULL THEN coalesce(OLD.payload_erased_at, now()) END)
        AND NEW.redacted_erased_at IS NOT DISTINCT FROM
            (CASE WHEN NEW.redacted = '' THEN coalesce(OLD.redacted_erased_at, now()) END) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a payload is erased when its request has been finished for a while'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER approval_request_erased
    BEFORE INSERT OR UPDATE OF arguments, facts, redacted, payload_erased_at, redacted_erased_at, erased_because
    ON approval_request FOR EACH ROW EXECUTE FUNCTION approval_request_erased();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_erased;

CREATE FUNCTION approval_request_erased_before() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE public.revision SET
        arguments = CASE WHEN NEW.payload_erased_at IS NULL THEN arguments END,
        facts = CASE WHEN NEW.payload_erased_at IS NULL THEN facts END,
        redacted = CASE WHEN NEW.redacted_erased_at IS NULL THEN redacted ELSE '' END
    WHERE request_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER approval_request_erased_before AFTER UPDATE OF payload_erased_at, redacted_erased_at ON approval_request
    FOR EACH ROW WHEN (NEW.payload_erased_at IS NOT NULL OR NEW.redacted_erased_at IS NOT NULL)
    EXECUTE FUNCTION approval_request_erased_before();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_erased_before;
"""  # noqa: S608


def _with_redacted(sql: str, trigger: str) -> str:
    """What watches over the facts watches over the redacted payload too: a function and its trigger, anew."""
    if "facts_sha256" not in sql:
        raise LookupError(f"the trigger {trigger} has changed")
    anew = sql.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    for row in ("OLD.", "NEW.", ""):
        anew = anew.replace(f" {row}facts_sha256", f" {row}facts_sha256, {row}redacted")
    return anew.replace(
        f"CREATE TRIGGER {trigger}", f"DROP TRIGGER {trigger} ON approval_request;\nCREATE TRIGGER {trigger}"
    )


_judged = importlib.import_module("approvals.migrations.0008_what_people_decide").JUDGED
_walls = importlib.import_module("approvals.migrations.0019_revision_walls")
GUARDED = (
    _with_redacted(_judged, "approval_request_judged")
    + _with_redacted(_walls.REVISED, "approval_request_revised")
    + _with_redacted(_walls.HISTORY, "approval_request_history")
)

ACCESS = (
    grant("UPDATE (redacted)", "approval_request", "door", "worker")
    + grant(
        "UPDATE (arguments, facts, redacted, payload_erased_at, redacted_erased_at, erased_because)",
        "approval_request",
        "sweeper",
    )
    + grant("SELECT (finished_at, payload_erased_at, redacted_erased_at)", "approval_request", "sweeper")
)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0036_payloads_sealed")]
    operations = [
        migrations.RunSQL(SEALED + GUARDED + ERASES + ACCESS, migrations.RunSQL.noop),
        migrations.AddIndex(
            "approvalrequest",
            models.Index(
                condition=models.Q(finished_at__isnull=False, payload_erased_at__isnull=True),
                fields=["finished_at"],
                name="request_payload_kept",
            ),
        ),
        migrations.AddIndex(
            "approvalrequest",
            models.Index(
                condition=models.Q(finished_at__isnull=False, redacted_erased_at__isnull=True),
                fields=["finished_at"],
                name="request_redacted_kept",
            ),
        ),
    ]
