"""Every token and code that a test database issued, by its SHA-256: also those that were used up or revoked since."""

from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from tests.scan.output import folder

# Table, column, and whether the column holds the hash already.
COLUMNS = {
    "an access token": ("identity_accesstoken", "token_checksum", True),
    "a refresh token": ("identity_refreshtoken", "token_checksum", True),
    "an authorization code": ("identity_grant", "code", True),
    "a device code": ("identity_devicegrant", "device_code", True),
    "a session's key": ("django_session", "session_key", False),
}
# In a schema of its own, and with its owner's rights: the processes' roles must not know of it.
_SCHEMA = """
CREATE SCHEMA scan;
CREATE TABLE scan.issued (what text NOT NULL, sha256 text NOT NULL);
CREATE FUNCTION scan.remember() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE value text := to_jsonb(NEW) ->> TG_ARGV[1];
BEGIN
    IF TG_ARGV[2] = 'plain' THEN value := encode(sha256(convert_to(value, 'UTF8')), 'hex'); END IF;
    INSERT INTO scan.issued VALUES (TG_ARGV[0], value);
    RETURN NEW;
END $$;
"""
_TRIGGER = """
CREATE TRIGGER secret_scan AFTER INSERT ON {table}
    FOR EACH ROW EXECUTE FUNCTION scan.remember({what}, {column}, {form});
ALTER TABLE {table} ENABLE ALWAYS TRIGGER secret_scan;
"""


def remember(url: str) -> None:
    """From here on this migrated database remembers what it issues; `url` is its owner's or an administrator's."""
    with psycopg.connect(url) as owner:
        owner.execute(_SCHEMA)
        for what, (table, column, is_hashed) in COLUMNS.items():
            parts = {
                "table": Identifier(table),
                "what": Literal(what),
                "column": Literal(column),
                "form": Literal("hashed" if is_hashed else "plain"),
            }
            owner.execute(SQL(_TRIGGER).format(**parts))


def collect(url: str) -> None:
    """Keep what it remembered, before the database is dropped."""
    if into := folder("issued"):
        with psycopg.connect(url) as owner:
            rows = owner.execute("SELECT what, sha256 FROM scan.issued").fetchall()
        (into / uuid4().hex).write_text("".join(f"{sha256} {what}\n" for what, sha256 in rows))


def collected(where: Path) -> dict[str, str]:
    """What was issued, by its SHA-256 in hex."""
    lines = [line.partition(" ") for file in where.iterdir() for line in file.read_text().splitlines()]
    return {sha256: what for sha256, _, what in lines}
