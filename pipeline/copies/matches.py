"""What is told of a file that was looked up in banks: its matches, and which of them count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from pipeline.copies.bank_log import DISPUTED, Item, Opinions
from pipeline.copies.chromaprint import ITEM_S, NARROW_HZ
from pipeline.copies.matching import VideoStretch
from pipeline.copies.negatives import covering
from pipeline.copies.sound_matching import SoundStretch
from pipeline.system.visible_text import plain

RATE_HZ = 1.0
"""Pictures of a file that are looked up a second, as many as others exchange."""
SUSPENDED = "suspended"
_MAX_SHOWN = 120


@dataclass(frozen=True)
class Match:
    """An item that a file shows, or whose sound it has.

    Attributes:
        bank: its name.
        item: of the bank.
        stretch: which part of it; None where the bytes of both files are the same.
        is_negative: the bank says what is harmless.
        opinions: what is said of the item.
        set_aside: why the match does not count: the words for a negative match that covers it, or
            `SUSPENDED`; None where it counts, or is negative itself.
    """

    bank: str
    item: Item
    stretch: VideoStretch | SoundStretch | None
    is_negative: bool = False
    opinions: Opinions = field(default_factory=dict)
    set_aside: str | None = None

    @property
    def by(self) -> str:
        """What it is known by: `bytes`, `pictures` or `sound`."""
        if self.stretch is None:
            return "bytes"
        return "sound" if isinstance(self.stretch, SoundStretch) else "pictures"

    @property
    def counts(self) -> bool:
        """Whether the file shows something that it is looked for."""
        return not self.is_negative and self.set_aside is None

    @property
    def agreeing_s(self) -> float:
        """How many seconds of the file agree."""
        if self.stretch is None:
            return self.item.duration_s
        if isinstance(self.stretch, SoundStretch):
            return self.stretch.num_items * ITEM_S
        return self.stretch.num_frames / RATE_HZ

    def as_json(self) -> dict[str, object]:
        """What a program is told."""
        return {
            "bank": self.bank,
            "category": "negative" if self.is_negative else "known",
            "item": self.item.number,
            "name": self.item.name,
            "label": self.item.label,
            "opinions": {by: sorted(said) for by, said in sorted(self.opinions.items())},
            "set_aside": self.set_aside,
            "by": self.by,
            **(asdict(self.stretch) if self.stretch else {}),
        }

    def in_words(self) -> str:
        """What a person is told."""
        return f"{'negative: ' * self.is_negative}{self._where()}{self._remarks()}"

    def _where(self) -> str:
        item, stretch = item_in_words(self.bank, self.item), self.stretch
        if stretch is None:
            return f"{item}: the same bytes"
        where = f"{stretch.start_s:.1f} to {stretch.end_s:.1f} s"
        of_it = f"{stretch.item_start_s:.1f} to {stretch.item_end_s:.1f} s of it"
        if isinstance(stretch, SoundStretch):
            band = " between {:,} and {:,} Hz".format(*NARROW_HZ) if stretch.narrow else ""
            return (
                f"{item}: {where} sound as {of_it}{band}; offset {stretch.offset_s:+.2f} s, "
                f"{stretch.num_items} of {stretch.num_between} moments agree, mean "
                f"distance {stretch.mean_distance:g}"
            )
        return (
            f"{item}: {where} show {of_it}{', mirrored' * stretch.mirrored}; "
            f"offset {stretch.offset_s:+.2f} s{self._edit(stretch)}, "
            f"{stretch.num_frames} of {stretch.num_between} frames agree, "
            f"median distance {stretch.median_distance:g}"
        )

    @staticmethod
    def _edit(stretch: VideoStretch) -> str:
        in_part = 2 * stretch.num_in_part > stretch.num_frames
        speed = f", {stretch.speed:g} times as fast" if stretch.speed != 1 else ""
        return speed + ", in a part of the picture" * in_part

    def _remarks(self) -> str:
        against = [by for by, said in sorted(self.opinions.items()) if DISPUTED in said]
        remarks = [f"disputed by {', '.join(against)}"] if against else []
        remarks += [self.set_aside] if self.set_aside else []
        return "".join(f"; {remark}" for remark in remarks)


@dataclass(frozen=True)
class FileLookup:
    """What a look-up tells of a file.

    Attributes:
        sha256: of its bytes; empty where they could not be read.
        matches: those of most seconds first.
        not_looked_up: what of it is too flat, too short or too steady: `pictures`, `sound`.
    """

    sha256: str
    matches: Sequence[Match]
    not_looked_up: Sequence[str] = ()

    def in_words(self) -> list[str]:
        """A line a match, or that there is none, and what could not be looked up."""
        lines = [match.in_words() for match in self.matches] or ["no match"]
        why = {
            "pictures": "its pictures are too flat to be looked up",
            "sound": "its sound is too short or hardly changes, and was not looked up",
        }
        unseen = [why[what] for what in self.not_looked_up]
        return [*lines[:-1], "; ".join([lines[-1], *unseen])] if unseen else lines


def set_aside_by_negatives(matches: Sequence[Match]) -> list[Match]:
    """The matches, where those that negative ones cover are set aside.

    One is covered where all of it lies in stretches of negative items, of pictures for pictures and
    of sound for sound, but for what their ends are uncertain by. Bytes are all of a file.
    """
    negatives = [match for match in matches if match.is_negative]
    return [
        match if match.is_negative or not (by := _covering(match, negatives)) else _aside(match, by)
        for match in matches
    ]


def _aside(match: Match, by: Sequence[Match]) -> Match:
    named = ", ".join(dict.fromkeys(item_in_words(one.bank, one.item) for one in by))
    return replace(match, set_aside=f"does not count, as all of it is {named}")


def _covering(match: Match, negatives: Sequence[Match]) -> list[Match]:
    """The negative matches that cover another one between them; none where they leave a part."""
    whole = [one for one in negatives if one.stretch is None]
    if whole or match.stretch is None:
        return whole
    parts = [(one.stretch, one) for one in negatives if one.stretch]
    places = covering(match.stretch, [stretch for stretch, _ in parts])
    return [parts[place][1] for place in places]


def suspended(matches: Sequence[Match], reasons: Mapping[tuple[str, int], str]) -> list[Match]:
    """The matches, where those of suspended items are set aside.

    Args:
        matches: of a file.
        reasons: why an item is suspended, by its bank and its number.
    """
    return [
        replace(match, set_aside=f"does not count, as the item is {SUSPENDED}: {reason}")
        if (reason := reasons.get((match.bank, match.item.number))) and match.counts
        else match
        for match in matches
    ]


def item_in_words(bank: str, item: Item) -> str:
    """Return an item of a bank in words: its number, name and label, made visible and cut."""
    return told_of(bank, item.number, item.name, item.label)


def told_of(bank: str, number: int, name: str, label: str) -> str:
    """Return an item in words, of a bank that is not at hand; as `item_in_words` does."""
    shown = plain(name, _MAX_SHOWN), plain(label, _MAX_SHOWN)
    return f"{bank} item {number} ({shown[0]}, label {shown[1]})"
