"""One idempotency key, one execution, after draft-ietf-httpapi-idempotency-key-header; refusals are kept."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel

from .ledger import Author
from .refusals import Refused
from .store import Store


@dataclass(frozen=True)
class Answered:
    """What a write answered: a JSON body, and whether it is an earlier answer given again."""

    status: int
    body: str
    replayed: bool


def fingerprint(method: str, path: str, body: BaseModel) -> str:
    """What makes two requests the same one: method, path and the meaning of the body, not its spacing."""
    return hashlib.sha256(json.dumps([method, path, body.model_dump(mode="json")]).encode()).hexdigest()


def once(
    store: Store,
    by: Author,
    request: str,
    write: Callable[[sqlite3.Connection, Author], BaseModel],
    status: int,
) -> Answered:
    """Carry `write` out and answer `status`, or give again what this author's key was answered before.

    A refusal is an answer too and is kept. A second request with the same key waits for the first. Raises
    Refused (409) when the key was used for another `request`, which is a fingerprint.
    """
    # The look and the write share one transaction and one writer: nobody can slip in between.
    with store.writing() as db:
        earlier = _recall(db, by, request)
        if earlier is not None:
            return earlier
        answered = _attempt(db, by, write, status)
        db.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?)",
            (by.tenant, by.key, request, answered.status, answered.body),
        )
        return answered


def _recall(db: sqlite3.Connection, by: Author, request: str) -> Answered | None:
    sql = "SELECT fingerprint, status, body FROM answers WHERE tenant = ? AND idempotency_key = ?"
    row = db.execute(sql, (by.tenant, by.key)).fetchone()
    if row is None:
        return None
    if row["fingerprint"] != request:
        raise Refused(409, "idempotency_conflict", "This idempotency key belongs to a different request.")
    return Answered(row["status"], row["body"], replayed=True)


def _attempt(
    db: sqlite3.Connection, by: Author, write: Callable[[sqlite3.Connection, Author], BaseModel], status: int
) -> Answered:
    try:
        return Answered(status, write(db, by).model_dump_json(), replayed=False)
    except Refused as refused:
        return Answered(refused.status, refused.answer.model_dump_json(), replayed=False)
