"""Names of orders."""

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    """A number in digits and lower-case letters."""
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
        if not number:
            return text


def client_id(tag: str, decision: int, part: str = "") -> str:
    """The one client order id of a decision: derived, so that a second try has the same.

    `tag` names the installation, so that two of them never share an id at a venue. `part` tells the orders of
    one decision apart: "" the order itself, "s1", "s2", ... its protective stops. At most 32 letters and digits
    (OKX takes no more).
    """
    return f"k{tag}{base36(decision)}{part}"
