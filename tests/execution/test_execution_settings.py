"""What is set wrongly stops a worker at its start, and not in the middle of somebody's refund."""

import pytest

from tests.test_settings import manage
from tests.test_settings import payload_keys_file as payload_keys_file

SHOW = "from django.conf import settings as s; print(s.EXECUTION_LEASE_SECONDS, s.EXECUTION_LIMITS)"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("EXECUTION_LEASE_SECONDS", "3", "4 to 50 seconds"),
        ("EXECUTION_LEASE_SECONDS", "51", "4 to 50 seconds"),
        ("BACKING_LONGEST_SECONDS", "49", "at least 50"),
        ("EXECUTION_LIMITS", "refund_payment=0/5", "this is not: refund_payment=0/5"),
        ("EXECUTION_LIMITS", "refund_payment=5", "such as refund_payment=2/30"),
        ("EXECUTION_LIMITS", "refund_payment=1/1,refund_payment=2/2", "each action once"),
        ("EXECUTION_LIMITS", "refund_paymnet=1/1", "There is no action refund_paymnet."),
    ],
)
def test_what_is_set_wrongly_stops_it_and_says_what_is_right(name: str, value: str, says: str) -> None:
    refused = manage("check", COUNTERSIGN_PROCESS="worker", **{name: value})
    assert refused.returncode != 0
    assert f"The setting {name}" in refused.stderr
    assert says in refused.stderr


def test_what_is_set_is_read() -> None:
    shown = manage(
        "shell", "-c", SHOW,
        COUNTERSIGN_PROCESS="worker",
        EXECUTION_LEASE_SECONDS="12",
        EXECUTION_LIMITS="refund_payment=2/30, cancel_order=-/60,issue_store_credit=4/-",
    )  # fmt: skip
    limits = {"refund_payment": (2, 30), "cancel_order": (None, 60), "issue_store_credit": (4, None)}
    assert f"12 {limits}" in shown.stdout, shown.stderr


def test_without_a_setting_leases_are_short_and_nothing_is_limited() -> None:
    shown = manage("shell", "-c", SHOW, COUNTERSIGN_PROCESS="worker")
    assert "20 {}" in shown.stdout, shown.stderr
