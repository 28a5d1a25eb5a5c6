"""Changes to the text of config.toml that leave the rest of it, comments included, as it is."""

import re
from collections.abc import Mapping


def with_keys(text: str, table: str, keys: Mapping[str, str]) -> str:
    """The text with these keys of a table set; values as TOML writes them.

    A key that is there, commented out or not, is set where it stands; others follow the table's header, which is
    added at the end where there is none.
    """
    lines = text.splitlines()
    header = re.compile(rf"\s*\[{re.escape(table)}\]\s*(#.*)?")
    start = next((number for number, line in enumerate(lines) if header.fullmatch(line)), None)
    if start is None:
        lines += [*([""] if lines else []), f"[{table}]"]
        start = len(lines) - 1
    for key, value in keys.items():
        end = next((n for n in range(start + 1, len(lines)) if lines[n].lstrip().startswith("[")), len(lines))
        place = re.compile(rf"\s*(#\s*)?{re.escape(key)}\s*=\s*(?P<value>[^#]*?)(?P<rest>\s*#.*)?")
        for number in range(start + 1, end):
            if found := place.fullmatch(lines[number]):
                lines[number] = f"{key} = {value}{found['rest'] or ''}"
                break
        else:
            lines.insert(start + 1, f"{key} = {value}")
    return "\n".join(lines) + "\n"
