"""How people write an amount."""

import pytest

from policies.currencies import display, minor_units


@pytest.mark.parametrize(
    ("written", "currency", "minor"),
    [
        ("12.50", "USD", 1250),
        ("12.5", "USD", 1250),
        ("12", "USD", 1200),
        ("0.01", "USD", 1),
        ("0", "USD", 0),
        ("500", "JPY", 500),
        ("1.234", "KWD", 1234),
        ("1.0001", "CLF", 10001),
    ],
)
def test_an_amount_is_read_as_it_is_written(written: str, currency: str, minor: int) -> None:
    assert minor_units(written, currency) == minor


@pytest.mark.parametrize("minor", [0, 1, 99, 100, 12900, 10**12 - 1])
@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
def test_what_is_shown_reads_as_what_it_was(minor: int, currency: str) -> None:
    assert (
        minor_units(display(minor, currency).removesuffix(f" {currency}").replace(",", ""), currency) == minor
    )


@pytest.mark.parametrize(
    ("written", "currency"),
    [
        ("12.505", "USD"),
        ("1.5", "JPY"),
        ("1.", "USD"),
        (".5", "USD"),
        ("-1", "USD"),
        ("+1", "USD"),
        ("1e3", "USD"),
        ("1,000", "USD"),
        ("١٢", "USD"),
        ("1\n", "USD"),
        ("", "USD"),
        ("9" * 13, "USD"),
        ("1", "XXX"),
    ],
)
def test_what_is_no_amount_is_refused(written: str, currency: str) -> None:
    with pytest.raises(ValueError, match="is no amount of"):
        minor_units(written, currency)
