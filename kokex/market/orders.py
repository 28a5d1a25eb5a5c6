"""Names of orders."""

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
PAIRS = [high + low for high in DIGITS for low in DIGITS]


def base36(number: int) -> str:
    """A number in digits and lower-case letters."""
    text = ""
    while number >= 36:
        number, two = divmod(number, 36 * 36)
        text = PAIRS[two] + text
    return DIGITS[number] + text if number or not text else text


def client_id(tag: str, decision: int, part: str = "") -> str:
    """The one client order id of a decision: derived, so that a second try has the same.

    `tag` names the installation, so that two of them never share an id at a venue. `part` tells the orders of
    one decision apart: "" the order itself, "s1", "s2", ... its protective stops. At most 32 letters and digits
    (OKX takes no more).
    """
    return f"k{tag}{base36(decision)}{part}"
