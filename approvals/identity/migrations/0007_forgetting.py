"""What the OAuth server need not remember, and the only way in which the sweeper may take it away.

The sweeper sees no token and no program, and may delete none by itself: it calls functions that look as the owner,
with every condition in them. One that was taken over can therefore forget only what is worth nothing anyway. Pages
lose the right to delete programs, which they had for this.
"""

from django.db import migrations

from approvals.database import grant, role

# Longer than a token request may take: nothing here is about to be used.
MARGIN = "now() - interval '1 hour'"
# As long as a refresh token that nobody uses: OAUTH2_PROVIDER["REFRESH_TOKEN_EXPIRE_SECONDS"], which a test compares.
IDLE = "now() - interval '1209600 seconds' - interval '1 hour'"

CODES = f"SELECT id FROM public.identity_grant WHERE expires < {MARGIN}"  # noqa: S608
DEVICE_CODES = f"SELECT id FROM public.identity_devicegrant WHERE expires < {MARGIN}"  # noqa: S608

# A used refresh token stays as long as anything of its family can be refreshed: it is what tells a replay. The
# library's own clean-up forgets it after two weeks, though its family may live for months.
REFRESH_TOKENS = f"""
    SELECT r.id FROM public.identity_refreshtoken r
    LEFT JOIN public.identity_accesstoken a ON a.id = r.access_token_id
    WHERE (r.revoked < {MARGIN} OR r.revoked IS NULL AND (a.id IS NULL OR a.expires < {IDLE}))
        AND r.created < {MARGIN}
        AND NOT EXISTS (
            SELECT FROM public.identity_refreshtoken o
            LEFT JOIN public.identity_accesstoken b ON b.id = o.access_token_id
            WHERE o.token_family = r.token_family
                AND (o.revoked >= {MARGIN} OR o.revoked IS NULL AND (o.created >= {MARGIN} OR b.expires >= {IDLE}))
        )"""  # noqa: S608

# While its refresh token lives, an access token says how long; the newest of an agent says when it last got one.
ACCESS_TOKENS = f"""
    SELECT a.id FROM public.identity_accesstoken a
    WHERE a.expires < {MARGIN}
        AND NOT EXISTS (SELECT FROM public.identity_refreshtoken r WHERE r.access_token_id = a.id)
        AND (a.agent_id IS NULL
            OR EXISTS (SELECT FROM public.identity_accesstoken n WHERE n.agent_id = a.agent_id AND n.id > a.id))"""  # noqa: S608

# Nobody has ever let it ask. One with a metadata document is looked up again when it comes back.
PROGRAMS = """
    SELECT p.id FROM public.identity_application p
    WHERE p.registration_source <> 'manual' AND p.created < now() - interval '1 day'
        AND NOT EXISTS (SELECT FROM public.identity_agent g WHERE g.application_id = p.id)
        AND NOT EXISTS (SELECT FROM public.identity_grant g WHERE g.application_id = p.id)
        AND NOT EXISTS (SELECT FROM public.identity_accesstoken t WHERE t.application_id = p.id)
        AND NOT EXISTS (SELECT FROM public.identity_refreshtoken t WHERE t.application_id = p.id)
        AND NOT EXISTS (SELECT FROM public.identity_devicegrant d WHERE d.client_id = p.client_id)"""

LET_GO = """, let_go AS (
    UPDATE public.identity_accesstoken SET source_refresh_token_id = NULL
    WHERE source_refresh_token_id IN (SELECT id FROM old))"""


def forgetting(what: str, table: str, old: str, first: str = "") -> str:
    """`oauth_forget_...(most)`: deletes so many at once at most, skips what somebody is at, and says how many went."""
    locked = "p" if what == "programs" else {"refresh_tokens": "r", "access_tokens": "a"}.get(what, table)
    name = f"oauth_forget_{what}(integer)"
    return f"""
CREATE FUNCTION oauth_forget_{what}(most integer) RETURNS bigint LANGUAGE sql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH old AS ({old} LIMIT most FOR UPDATE OF {locked} SKIP LOCKED){first},
    gone AS (DELETE FROM public.{table} WHERE id IN (SELECT id FROM old) RETURNING 1)
    SELECT count(*) FROM gone
$$;
REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC;
{grant("EXECUTE", f"FUNCTION {name}", "sweeper")}
"""  # noqa: S608


FORGETTING = (
    forgetting("codes", "identity_grant", CODES)
    + forgetting("device_codes", "identity_devicegrant", DEVICE_CODES)
    + forgetting("refresh_tokens", "identity_refreshtoken", REFRESH_TOKENS, LET_GO)
    + forgetting("access_tokens", "identity_accesstoken", ACCESS_TOKENS)
    + forgetting("programs", "identity_application", PROGRAMS)
)
PAGES_DELETE_NO_PROGRAMS = f"""
REVOKE DELETE ON identity_application FROM {role("web")};
DROP POLICY programs_leave ON identity_application;
"""


class Migration(migrations.Migration):
    dependencies = [("identity", "0006_device_codes_hashed")]
    operations = [migrations.RunSQL(FORGETTING + PAGES_DELETE_NO_PROGRAMS, migrations.RunSQL.noop)]
