"""The shop's own storage: one SQLite file in WAL mode, many readers, one writer at a time."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import seed

SCHEMA_VERSION = 1
_SCHEMA = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")


class IncompatibleData(Exception):
    """The data folder was written by another version of the shop; empty it and start again."""


class Store:
    """The shop's data in `folder`, which is created and seeded when it holds no shop yet.

    Raises IncompatibleData when the folder holds data of another schema version.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "shop.sqlite3"
        self._one_writer = threading.Lock()
        self._readers = threading.local()
        # Open for the life of the process: closing the last connection would checkpoint and drop the WAL.
        self._writer = self._connect()
        self._writer.execute("PRAGMA journal_mode = WAL")
        (version,) = self._writer.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self.reset()
        elif version != SCHEMA_VERSION:
            raise IncompatibleData(f"{self._path} has version {version}, this shop writes {SCHEMA_VERSION}")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees what was committed at one moment, and refuses to write; each thread keeps its own."""
        if not hasattr(self._readers, "db"):
            self._readers.db = self._connect()
            self._readers.db.execute("PRAGMA query_only = ON")
        db: sqlite3.Connection = self._readers.db
        db.execute("BEGIN")
        try:
            yield db
        finally:
            db.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The one writing transaction: committed when the block ends, rolled back when it raises."""
        with self._one_writer:
            self._writer.execute("BEGIN IMMEDIATE")
            with self._all_or_nothing():
                yield self._writer

    def reset(self) -> None:
        """Throw everything away, the ledger too, and seed again; no reader sees a half of it."""
        with self._one_writer, self._all_or_nothing():
            self._writer.executescript(_SCHEMA)  # its first statement opens the transaction
            seed.sow(self._writer)
            self._writer.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        try:
            yield
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def _connect(self) -> sqlite3.Connection:
        # Request threads share the writer, always under the lock.
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        db.row_factory = sqlite3.Row
        return db
