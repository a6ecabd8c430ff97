"""Text of foreign hands: what an index, a file or its name says, made fit to be read."""

from __future__ import annotations

import unicodedata

# Controls, marks that turn or hide text, halves of pairs, private and unassigned characters, and
# the two that break lines beside the control characters.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_CUT = "\u2026"


def plain(text: str, limit: int) -> str:
    r"""Return one line that hides nothing: what has no shape of its own is written as `\u202e`.

    Nothing is escaped for a language: a page escapes for HTML, `oversight.markdown` for Markdown.

    Args:
        text: anything, of any length; not more of it is read than is kept.
        limit: most characters of what comes back, at least 1; what is cut ends with an ellipsis.
    """
    assert limit >= 1
    pieces: list[str] = []
    length = 0
    for character in text:
        piece = _visible(character)
        if length + len(piece) > limit:
            while pieces and length > limit - len(_CUT):
                length -= len(pieces.pop())
            return "".join([*pieces, _CUT])
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces)


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
