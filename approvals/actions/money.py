"""Money in minor units, for people."""

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from policies.currencies import DECIMALS as DECIMALS
from policies.currencies import display as display


def _active(code: str) -> str:
    if code not in DECIMALS:
        raise ValueError(f"{code} is not an active ISO 4217 currency")
    return code


def said_as(words: str, *kinds: str) -> WrapValidator:
    """Tell an agent this, where pydantic's own words of these kinds quote a pattern or leave the unit out."""

    def judged(value: object, judge: ValidatorFunctionWrapHandler) -> object:
        try:
            return judge(value)
        except ValidationError as error:
            if error.errors(include_url=False, include_input=False)[0]["type"] not in kinds:
                raise
            raise PydanticCustomError("said_as", words) from None

    return WrapValidator(judged)


Currency = Annotated[
    str,
    Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code, such as USD"),
    AfterValidator(_active),
    said_as("Input should be three capital letters, an ISO 4217 code such as USD", "string_pattern_mismatch"),
]
# Below 2^53, so that RFC 8785 can write it down exactly.
MinorUnits = Annotated[
    int,
    Field(ge=1, le=10**12, description="Amount in minor units: 12900 is 129.00 USD, and 12900 JPY"),
    said_as(
        "Input should be a valid integer, in minor units: 12900 is 129.00 USD, and 12900 JPY",
        "int_type",
        "int_from_float",
        "int_parsing",
    ),
]
