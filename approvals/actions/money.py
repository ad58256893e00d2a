"""Money in minor units, for people."""

from typing import Annotated

from pydantic import Field

# ISO 4217: currencies whose minor unit is not a hundredth.
DECIMALS = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code, such as USD")]
# Below 2^53, so that RFC 8785 can write it down exactly.
MinorUnits = Annotated[
    int, Field(ge=1, le=10**12, description="Amount in minor units: 12900 is 129.00 USD, and 12900 JPY")
]


def display(amount_minor: int, currency: str) -> str:
    """`display(12900, "USD")` is `129.00 USD`; thousands are set apart by commas."""
    decimals = DECIMALS.get(currency, 2)
    sign = "-" if amount_minor < 0 else ""
    whole, part = divmod(abs(amount_minor), 10**decimals)
    fraction = f".{part:0{decimals}d}" if decimals else ""
    return f"{sign}{whole:,}{fraction} {currency}"
