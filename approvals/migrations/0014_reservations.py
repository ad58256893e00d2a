"""What was approved, as budgets count it: written by a trigger with every move of a request, whoever makes it.

Nothing can be forgotten so, and no process can write a reservation, move one or take one away.
"""

import datetime

import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from approvals.database import TENANT, force_rls, grant, policy

# What was filed before, by the four actions that there were.
SUBJECTS = r"""
UPDATE approval_request SET subjects = jsonb_strip_nulls(jsonb_build_object(
    'customer', coalesce(facts::jsonb->>'customer_id', arguments::jsonb->>'customer_id'),
    'order', coalesce(facts::jsonb->>'order_id', arguments::jsonb->>'order_id')
))
WHERE action IN ('refund_payment', 'cancel_order', 'change_shipping_address', 'issue_store_credit')
    AND facts NOT LIKE '%\u0000%';
"""

# They change with the arguments and facts that they follow from: with the next revision.
KEPT = """
CREATE FUNCTION approval_request_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.subjects, OLD.usage) IS DISTINCT FROM (NEW.subjects, NEW.usage)
        AND NEW.revision <> OLD.revision + 1 THEN
        RAISE EXCEPTION 'what a request counts for changes with its revision'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approval_request_counted BEFORE UPDATE OF subjects, usage ON approval_request
    FOR EACH ROW EXECUTE FUNCTION approval_request_counted();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_counted;
"""

COLUMNS = """
    tenant_id, request_id, action, requester, principal, customer, "order", amount_minor, currency, reserved_at"""
VALUES = """{row}.tenant_id, {row}.id, {row}.action, coalesce({row}.agent_id, {row}.person_id),
        CASE WHEN {row}.agent_id IS NULL THEN {row}.person_id
            ELSE coalesce({row}.on_behalf_of_id, {row}.owner_id) END,
        coalesce({row}.subjects->>'customer', ''), coalesce({row}.subjects->>'order', ''),
        coalesce({row}.amount_minor, 0), {row}.currency"""

# By the state that is reached, not by the move: one reservation stands while a request is approved or was carried out.
# As the owner: whoever makes the move writes nothing here themselves.
RESERVES = f"""
CREATE FUNCTION approval_request_reserves() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.status IN ('approved', 'executing', 'uncertain', 'succeeded') THEN
        INSERT INTO public.reservation ({COLUMNS})
        VALUES ({VALUES.format(row="NEW")}, clock_timestamp())
        ON CONFLICT DO NOTHING;
    END IF;
    IF NEW.status = 'succeeded' THEN
        UPDATE public.reservation SET committed_at = clock_timestamp()
        WHERE request_id = NEW.id AND committed_at IS NULL AND released_at IS NULL;
    ELSIF NEW.status NOT IN ('approved', 'executing', 'uncertain') THEN
        UPDATE public.reservation SET released_at = clock_timestamp()
        WHERE request_id = NEW.id AND committed_at IS NULL AND released_at IS NULL;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER approval_request_reserves AFTER UPDATE OF status ON approval_request
    FOR EACH ROW WHEN (NEW.status <> OLD.status) EXECUTE FUNCTION approval_request_reserves();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_reserves;
"""  # noqa: S608

# A row for each sum that is wanted, in their order: money in minor units, and the number of requests. `wanted` is
# written by `budgets.use`; what is null in it does not narrow the sum. For a request that has a reservation, what was
# reserved before it: of two that are approved, the second knows of the first, so one of them always knows of the other.
# As the owner, for a door that sees one agent's requests only: numbers of the tenant in scope leave, and no rows.
USE = f"""
CREATE FUNCTION reservation_use(wanted jsonb, at timestamptz, of_request uuid)
RETURNS TABLE (money numeric, requests bigint) LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    tenant CONSTANT uuid := {TENANT};
    own CONSTANT bigint := (
        SELECT r.id FROM public.reservation r
        WHERE r.request_id = of_request AND r.tenant_id = tenant AND r.released_at IS NULL
    );
    one jsonb;
    actions text[];
    since timestamptz;
    of_requester uuid;
    of_principal uuid;
    of_customer text;
    of_order text;
    in_currency text;
BEGIN
    FOR one IN SELECT jsonb_array_elements(wanted) LOOP
        actions := CASE jsonb_typeof(one->'of')
            WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(one->'of')) END;
        since := at - make_interval(secs => (one->>'seconds')::double precision);
        of_requester := (one->>'agent')::uuid;
        of_principal := (one->>'principal')::uuid;
        of_customer := one->>'customer';
        of_order := one->>'order';
        in_currency := one->>'currency';
        RETURN QUERY SELECT coalesce(sum(r.amount_minor), 0), count(*)
        FROM public.reservation r
        WHERE r.tenant_id = tenant
            AND r.released_at IS NULL
            AND coalesce(r.committed_at, 'infinity') > since
            AND (own IS NULL OR r.id < own OR r.id > own AND r.committed_at IS NOT NULL)
            AND (actions IS NULL OR r.action = ANY (actions))
            AND (of_requester IS NULL OR r.requester = of_requester)
            AND (of_principal IS NULL OR r.principal = of_principal)
            AND (of_customer IS NULL OR r.customer = of_customer)
            AND (of_order IS NULL OR r."order" = of_order)
            AND (in_currency IS NULL OR r.currency = in_currency);
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION reservation_use(jsonb, timestamptz, uuid) FROM PUBLIC;
"""  # noqa: S608

ACCESS = (
    force_rls("reservation")
    + grant("SELECT", "reservation", "web", "worker")
    + policy("tenant_reads", "reservation", ("web", "worker"), "SELECT", using=f"tenant_id = {TENANT}")
    + grant("EXECUTE", "FUNCTION reservation_use(jsonb, timestamptz, uuid)", "door", "web", "worker")
    + grant("UPDATE (subjects, usage)", "approval_request", "worker")
)

# What was approved before counts too.
APPROVED_BEFORE = f"""
INSERT INTO reservation ({COLUMNS}, committed_at)
SELECT {VALUES.format(row="r")}, coalesce(r.decided_at, r.created_at),
    CASE WHEN r.status = 'succeeded' THEN coalesce(r.finished_at, r.decided_at, r.created_at) END
FROM approval_request r
WHERE r.status IN ('approved', 'executing', 'uncertain', 'succeeded')
ORDER BY coalesce(r.decided_at, r.created_at), r.id;
"""  # noqa: S608


class Migration(migrations.Migration):
    dependencies = [("approvals", "0013_canaries"), ("identity", "0007_forgetting")]

    operations = [
        migrations.AddField(
            model_name="approvalrequest",
            name="subjects",
            field=models.JSONField(db_default={}, default=dict),
        ),
        migrations.AddField(
            model_name="approvalrequest",
            name="usage",
            field=models.JSONField(db_default={}, default=dict),
        ),
        migrations.CreateModel(
            name="Reservation",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("action", models.CharField(max_length=60)),
                ("requester", models.UUIDField()),
                ("principal", models.UUIDField()),
                ("customer", models.CharField(blank=True, max_length=200)),
                ("order", models.CharField(blank=True, max_length=200)),
                ("amount_minor", models.BigIntegerField()),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("reserved_at", models.DateTimeField()),
                ("committed_at", models.DateTimeField(null=True)),
                ("released_at", models.DateTimeField(null=True)),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reservations",
                        to="approvals.approvalrequest",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="identity.tenant"
                    ),
                ),
            ],
            options={
                "db_table": "reservation",
                "indexes": [
                    models.Index(
                        models.F("tenant"),
                        django.db.models.functions.comparison.Coalesce(
                            "committed_at", models.Value("infinity"), output_field=models.DateTimeField()
                        ),
                        condition=models.Q(("released_at__isnull", True)),
                        name="reservation_of_tenant",
                    ),
                    models.Index(
                        models.F("tenant"),
                        models.F("requester"),
                        django.db.models.functions.comparison.Coalesce(
                            "committed_at", models.Value("infinity"), output_field=models.DateTimeField()
                        ),
                        condition=models.Q(("released_at__isnull", True)),
                        name="reservation_of_requester",
                    ),
                    models.Index(
                        models.F("tenant"),
                        models.F("principal"),
                        django.db.models.functions.comparison.Coalesce(
                            "committed_at", models.Value("infinity"), output_field=models.DateTimeField()
                        ),
                        condition=models.Q(("released_at__isnull", True)),
                        name="reservation_of_principal",
                    ),
                    models.Index(
                        models.F("tenant"),
                        models.F("customer"),
                        django.db.models.functions.comparison.Coalesce(
                            "committed_at", models.Value("infinity"), output_field=models.DateTimeField()
                        ),
                        condition=models.Q(("released_at__isnull", True)),
                        name="reservation_of_customer",
                    ),
                    models.Index(
                        models.F("tenant"),
                        models.F("order"),
                        django.db.models.functions.comparison.Coalesce(
                            "committed_at", models.Value("infinity"), output_field=models.DateTimeField()
                        ),
                        condition=models.Q(("released_at__isnull", True)),
                        name="reservation_of_order",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("released_at__isnull", True)),
                        fields=("request",),
                        name="one_reservation_a_request",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("committed_at__isnull", True), ("released_at__isnull", True), _connector="OR"
                        ),
                        name="reservation_ends_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount_minor__gte", 0)), name="reservation_is_not_negative"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "committed_at__range",
                                (
                                    datetime.datetime(2000, 1, 1, 0, 0, tzinfo=datetime.UTC),
                                    datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.UTC),
                                ),
                            ),
                            (
                                "released_at__range",
                                (
                                    datetime.datetime(2000, 1, 1, 0, 0, tzinfo=datetime.UTC),
                                    datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.UTC),
                                ),
                            ),
                            (
                                "reserved_at__range",
                                (
                                    datetime.datetime(2000, 1, 1, 0, 0, tzinfo=datetime.UTC),
                                    datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.UTC),
                                ),
                            ),
                        ),
                        name="reservation_times_readable",
                    ),
                ],
            },
        ),
        migrations.RunSQL(
            SUBJECTS + KEPT + RESERVES + USE + ACCESS + APPROVED_BEFORE, migrations.RunSQL.noop
        ),
    ]
