"""Currencies and their minor units, and how people write an amount."""

import re

# ISO 4217, list one as of November 2026: the active currencies and funds by the decimals of their minor unit.
# Metals, units of account and test codes have no minor unit, so no amount can be given in one.
_ACTIVE = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
    CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL
    HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU
    MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR
    SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED
    VES WST XAD XCD XCG YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
DECIMALS = {code: decimals for decimals, codes in _ACTIVE.items() for code in codes.split()}


def display(amount_minor: int, currency: str) -> str:
    """`display(12900, "USD")` is `129.00 USD`; thousands are set apart by commas.

    A code that is not in the list, as a backing API may send, gets no decimal point that might be wrong.
    """
    decimals = DECIMALS.get(currency)
    if decimals is None:
        return f"{amount_minor:,} minor units of {currency}"
    sign = "-" if amount_minor < 0 else ""
    whole, part = divmod(abs(amount_minor), 10**decimals)
    fraction = f".{part:0{decimals}d}" if decimals else ""
    return f"{sign}{whole:,}{fraction} {currency}"


def minor_units(written: str, currency: str) -> int:
    """`minor_units("12.50", "USD")` is 1250, and of "12" it is 1200. Thousands are not set apart.

    Raises ValueError for what is no amount of this currency: a sign, a word, more decimals than it has; and for a
    currency that is not in the list.
    """
    found = re.fullmatch(r"([0-9]{1,12})(?:\.([0-9]+))?", written)
    decimals = DECIMALS.get(currency)
    if found is None or decimals is None or len(found[2] or "") > decimals:
        raise ValueError(f"{written} is no amount of {currency}")
    return int(found[1] + (found[2] or "").ljust(decimals, "0"))
