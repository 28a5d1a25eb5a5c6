"""Words for a chat: text with spans, so that nothing in it is ever taken for markup; and messages of a bearable length.

Telegram counts UTF-16 units: an emoji is two.
"""

from collections.abc import Iterable
from typing import Literal

from kokex.messages import Span, Words

LONGEST = 4096  # units of a message
LONGEST_CAPTION = 1024  # units beneath a picture
MOST_SPANS = 100  # of a message: what is beyond is shown plainly

Kind = Literal["bold", "italic", "code", "pre"]


def units(text: str) -> int:
    """The length in UTF-16 units."""
    return len(text) + sum(character > "\uffff" for character in text)


def bold(text: str) -> Words:
    return _whole(text, "bold")


def code(text: str) -> Words:
    """Monospaced, and copied by a tap."""
    return _whole(text, "code")


def pre(text: str) -> Words:
    """A monospaced block."""
    return _whole(text, "pre")


def _whole(text: str, kind: Kind) -> Words:
    return Words(text, (Span(kind, 0, units(text)),) if text else ())


def join(parts: Iterable[Words | str], between: str = "") -> Words:
    """One after the other."""
    texts: list[str] = []
    spans: list[Span] = []
    at = 0
    for number, part in enumerate(parts):
        if number and between:
            texts.append(between)
            at += units(between)
        text = part if isinstance(part, str) else part.text
        if not isinstance(part, str):
            spans += [Span(span.kind, span.start + at, span.length) for span in part.spans]
        texts.append(text)
        at += units(text)
    return Words("".join(texts), tuple(spans))


def lines(*parts: Words | str) -> Words:
    """Each on a line of its own; what is empty is left out."""
    return join([part for part in parts if (part if isinstance(part, str) else part.text)], "\n")


def split(words: Words, longest: int = LONGEST) -> list[Words]:
    """The words in messages of at most `longest` units: cut after a line, else after a word, else anywhere."""
    pieces: list[Words] = []
    text, start = words.text, 0
    while units(text) > longest:
        head = _head(text, longest)
        pieces.append(_cut(words, head, start))
        start += units(head)
        text = text[len(head) :]
    pieces.append(_cut(words, text, start))
    return [piece for piece in pieces if piece.text.strip()]


def _head(text: str, longest: int) -> str:
    """As much of the beginning as fits."""
    head = text[:longest]
    while (over := units(head) - longest) > 0:
        head = head[: len(head) - max(1, over // 2)]
    for end in ("\n", " "):
        if (place := head.rfind(end)) > len(head) // 2:
            return head[: place + 1]
    return head


def _cut(words: Words, text: str, start: int) -> Words:
    """The part `text` that begins at unit `start`, with what of the spans lies in it; no span ends in white space."""
    end = start + units(text.rstrip())
    spans = [
        Span(span.kind, max(span.start, start) - start, min(span.start + span.length, end) - max(span.start, start))
        for span in words.spans
        if span.start < end and span.start + span.length > start
    ]
    return Words(text, tuple(span for span in spans[:MOST_SPANS] if span.length > 0))
