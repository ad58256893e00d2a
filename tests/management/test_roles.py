"""What each process cannot do in the database, whatever the code above it tries."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.core.management.base import CommandError

from approvals.management import embedded, roles

PREFIX = "a_copy"
PASSWORDS = {process: f"p@ss/{process}" for process in roles.PROCESSES}
APPLICATION = [process for process in roles.PROCESSES if process != "migrator"]


@pytest.fixture(scope="module")
def admin_url(module_data: Path) -> Iterator[str]:
    with embedded.postgres(module_data, durable=False) as server:
        yield server.url


@pytest.fixture(scope="module")
def urls(admin_url: str) -> Iterator[dict[str, str]]:
    """For tests that change nothing but tables."""
    yield _provision(admin_url)
    roles.drop(admin_url, database="ledger", prefix=PREFIX)


@pytest.fixture
def fresh(admin_url: str) -> Iterator[dict[str, str]]:
    """For tests that change roles or the database itself."""
    yield _provision(admin_url, "fresh")
    roles.drop(admin_url, database="fresh", prefix="fresh")


@pytest.mark.parametrize("process", roles.PROCESSES)
def test_each_process_logs_in_as_itself(urls: dict[str, str], process: str) -> None:
    assert _ask(urls[process], "SELECT current_user::text, current_database()::text") == (
        f"a_copy_{process}",
        "ledger",
    )


@pytest.mark.parametrize("process", APPLICATION)
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "CREATE TEMP TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE ROLE another",
        "CREATE DATABASE another",
        "SET ROLE a_copy_migrator",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION a_copy_worker",
        "ALTER ROLE a_copy_door SUPERUSER",
        "GRANT a_copy_worker TO a_copy_door",
        "DROP DATABASE ledger",
    ],
)
def test_a_process_can_only_use_what_the_migrator_grants(
    urls: dict[str, str], process: str, statement: str
) -> None:
    if process in statement and statement.startswith("SET SESSION"):
        statement = "SET SESSION AUTHORIZATION a_copy_web"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _do(urls[process], statement)


@pytest.mark.parametrize(
    "statement", ["CREATE ROLE another", "CREATE DATABASE another", "SET ROLE a_copy_worker"]
)
def test_the_migrator_makes_tables_and_no_roles_or_databases(urls: dict[str, str], statement: str) -> None:
    _do(urls["migrator"], "CREATE TABLE IF NOT EXISTS made (id int); CREATE EXTENSION IF NOT EXISTS pg_trgm")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _do(urls["migrator"], statement)


def test_a_table_of_the_migrator_is_closed_until_it_is_granted(urls: dict[str, str]) -> None:
    _do(
        urls["migrator"],
        "CREATE TABLE secret (id int); CREATE TABLE shown (id int); GRANT SELECT ON shown TO a_copy_door",
    )
    assert _ask(urls["door"], "SELECT count(*) FROM shown") == (0,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _do(urls["door"], "SELECT * FROM secret")


def test_other_roles_of_the_server_cannot_enter_the_database(admin_url: str, urls: dict[str, str]) -> None:
    _refused_to_a_stranger(admin_url, urls["door"])


@pytest.mark.parametrize("process", roles.PROCESSES)
def test_nobody_but_the_migrator_holds_a_statement_or_a_lock_for_long(
    urls: dict[str, str], process: str
) -> None:
    limits = _ask(
        urls[process],
        "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),"
        " current_setting('idle_in_transaction_session_timeout')",
    )
    assert (limits == ("0", "0", "0")) == (process == "migrator")
    assert process == "migrator" or "0" not in limits


def test_provisioning_again_keeps_rows_and_takes_new_passwords(admin_url: str, fresh: dict[str, str]) -> None:
    _do(fresh["migrator"], "CREATE TABLE kept (id int)")
    new = PASSWORDS | {"migrator": "new"}
    changed = roles.provision(admin_url, database="fresh", prefix="fresh", passwords=new)
    assert _ask(changed["migrator"], "SELECT count(*) FROM kept") == (0,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(fresh["migrator"])


def test_what_was_loosened_by_hand_is_put_right(admin_url: str, fresh: dict[str, str]) -> None:
    _do(admin_url, "ALTER ROLE fresh_door SUPERUSER CREATEROLE BYPASSRLS; GRANT fresh_worker TO fresh_web")
    _do(admin_url, "GRANT CONNECT ON DATABASE fresh TO PUBLIC")
    _do(fresh["migrator"], "GRANT CREATE ON SCHEMA public TO PUBLIC")
    _provision(admin_url, "fresh")
    for process, statement in {
        "door": "CREATE ROLE another",
        "web": "SET ROLE fresh_worker",
        "worker": "CREATE TABLE mine (id int)",
    }.items():
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            _do(fresh[process], statement)
    _refused_to_a_stranger(admin_url, fresh["door"])


def test_a_database_of_somebody_else_is_left_alone(admin_url: str) -> None:
    _do(admin_url, "CREATE ROLE its_owner")
    _do(admin_url, "CREATE DATABASE theirs OWNER its_owner")
    try:
        with pytest.raises(CommandError, match="theirs belongs to its_owner"):
            roles.provision(admin_url, database="theirs", prefix="thieves", passwords=PASSWORDS)
    finally:
        roles.drop(admin_url, database="theirs", prefix="thieves")
        _do(admin_url, "DROP ROLE its_owner")


def test_an_administrator_without_superuser_is_enough(admin_url: str) -> None:
    """As a managed server offers it: a role that may create roles and databases."""
    _do(admin_url, "CREATE ROLE managed LOGIN CREATEROLE CREATEDB PASSWORD 'm'")
    url = admin_url.replace(admin_url[len("postgresql://") : admin_url.index("@")], "managed:m")
    try:
        for _ in range(2):
            urls = roles.provision(url, database="rented", prefix="rented", passwords=PASSWORDS)
        _do(urls["migrator"], "CREATE TABLE made (id int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            _do(urls["door"], "CREATE TABLE mine (id int)")
    finally:
        roles.drop(admin_url, database="rented", prefix="rented")
        _do(admin_url, "DROP ROLE managed")


def test_the_server_never_sees_a_password_in_the_clear(admin_url: str, module_data: Path) -> None:
    _do(admin_url, "ALTER SYSTEM SET log_statement = 'all'")
    _do(admin_url, "SELECT pg_reload_conf()")
    try:
        _provision(admin_url, "logged")
    finally:
        _do(admin_url, "ALTER SYSTEM RESET log_statement")
        _do(admin_url, "SELECT pg_reload_conf()")
        roles.drop(admin_url, database="logged", prefix="logged")
    log = (module_data / "log" / "database.log").read_text()
    assert 'CREATE ROLE "logged_door"' in log
    assert "p@ss" not in log


def test_a_server_that_does_not_let_us_in_is_named_without_its_password(admin_url: str) -> None:
    wrong = admin_url.replace(":demo-", ":mistyped-")
    with pytest.raises(CommandError, match=r"127\.0\.0\.1:\d+ did not let us in") as refused:
        _provision(wrong)
    assert "mistyped" not in str(refused.value)


def test_dropping_leaves_nothing_and_can_be_repeated(admin_url: str) -> None:
    _provision(admin_url, "brief")
    for _ in range(2):
        roles.drop(admin_url, database="brief", prefix="brief")
    assert _ask(admin_url, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'brief%'") == (0,)
    assert _ask(admin_url, "SELECT count(*) FROM pg_database WHERE datname = 'brief'") == (0,)


def test_options_of_the_administrators_url_reach_every_process(admin_url: str, fresh: dict[str, str]) -> None:
    urls = _provision(admin_url + "?connect_timeout=7", "fresh")
    assert all(url.endswith("/fresh?connect_timeout=7") for url in urls.values())


def test_names_are_quoted(admin_url: str) -> None:
    odd = 'o"dd; name'
    try:
        urls = roles.provision(admin_url, database=odd, prefix=odd, passwords=PASSWORDS)
        assert _ask(urls["web"], "SELECT current_user::text, current_database()::text") == (f"{odd}_web", odd)
    finally:
        roles.drop(admin_url, database=odd, prefix=odd)


def _provision(admin_url: str, name: str = "") -> dict[str, str]:
    return roles.provision(admin_url, database=name or "ledger", prefix=name or PREFIX, passwords=PASSWORDS)


def _refused_to_a_stranger(admin_url: str, url: str) -> None:
    _do(admin_url, "CREATE ROLE a_stranger LOGIN PASSWORD 'x'")
    try:
        with pytest.raises(psycopg.OperationalError, match="CONNECT privilege"):
            psycopg.connect(url, user="a_stranger", password="x")
    finally:
        _do(admin_url, "DROP ROLE a_stranger")


def _do(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def _ask(url: str, question: str) -> tuple[object, ...]:
    with psycopg.connect(url) as connection:
        return connection.execute(question.encode()).fetchone() or ()
