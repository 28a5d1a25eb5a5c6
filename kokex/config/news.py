"""[news]: where headlines come from."""

from typing import Annotated, Literal

from msgspec import Struct

from kokex.config.rules import Matches, Range

Url = Annotated[str, Matches(r"https?://\S+", "an address that begins with http:// or https://")]


class News(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """RSS and Atom feeds, and who judges what they say."""

    feeds: tuple[Url, ...] = ()  # none: no news
    judge: Literal["lexicon", "llm"] = "lexicon"
    interval_s: Annotated[float, Range(least=60, most=86_400, why="feeds are not to be pestered")] = 600.0
    max_age_h: Annotated[float, Range(above=0, most=720)] = 24.0  # older news is no news
