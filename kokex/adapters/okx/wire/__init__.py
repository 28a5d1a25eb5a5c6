"""What OKX sends, as it sends it: one struct a row, fields in snake_case (`fill_sz` is OKX's `fillSz`).

Every value is text, "" where there is none, and sometimes null: `number` and `nanoseconds` read them. Fields that
KOKEX has no use for are left out, and new ones do not disturb: msgspec skips what it does not know.
"""

from decimal import Decimal, InvalidOperation
from typing import final, overload

from msgspec import Struct

MS = 1_000_000  # nanoseconds
Text = str | None


class Row(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Base of all rows: OKX's names are ours in camelCase."""


@overload
def number(text: Text) -> Decimal | None: ...
@overload
def number(text: Text, default: Decimal) -> Decimal: ...
def number(text: Text, default: Decimal | None = None) -> Decimal | None:
    """The decimal that the text says; `default` for nothing. Raises ValueError for what is no finite number."""
    if not text:
        return default
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"OKX sent {text[:40]!r} where a number belongs") from None
    if not value.is_finite():
        raise ValueError(f"OKX sent {text[:40]!r} where a number belongs")
    return value


def nanoseconds(text: Text) -> int:
    """OKX's milliseconds since 1970 in nanoseconds; 0 for nothing. Raises ValueError."""
    return int(text) * MS if text else 0


@final
class Decimals(dict[str, Decimal]):
    """`decimals[text]`: prices come again and again, and looking one up costs a third of making it."""

    MOST = 8192  # then it begins anew

    def __missing__(self, text: str) -> Decimal:
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise ValueError(f"OKX sent {text[:40]!r} where a number belongs") from None
        if not value.is_finite():
            raise ValueError(f"OKX sent {text[:40]!r} where a number belongs")
        if len(self) >= self.MOST:
            self.clear()
        self[text] = value
        return value
