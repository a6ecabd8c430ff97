"""Tells which items of banks a file shows or sounds like, once it was hashed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.copies import candidates, sound_matching
from pipeline.copies.bank_log import Item
from pipeline.copies.banks import Bank
from pipeline.copies.hash_index import Index
from pipeline.copies.matches import FileLookup, Match, set_aside_by_negatives
from pipeline.copies.matching import VideoStretch
from pipeline.copies.records import sound_records
from pipeline.copies.sound_matching import SoundStretch
from pipeline.footage.printing import Printed


def same_bytes(sha256: str, md5: str, opened: Sequence[Bank]) -> list[Match]:
    """The items whose files have such bytes, one of a bank at most."""
    found = ((bank, bank.with_bytes(sha256, md5)) for bank in opened)
    return [_match(bank, item, None) for bank, item in found if item]


def similar(printed: Printed, indices: Sequence[Index]) -> FileLookup:
    """The matches of a file that was hashed, those of most seconds first."""
    matches: list[Match] = []
    num_whole, num_windows = len(printed.times_ms), len(printed.part_times_ms)
    sounds = sound_records(printed.sound_times_ms, printed.sounds)
    narrow = sound_records(printed.narrow_times_ms, printed.narrow_sounds)
    for index in indices:
        bank = index.bank
        by_pictures = candidates.shown_items(
            index,
            np.concatenate([printed.times_ms, printed.part_times_ms]),
            np.concatenate([printed.hashes[:, 0], printed.part_hashes[:, 0]]),
            np.concatenate([np.zeros(num_whole, np.uint8), printed.part_kinds]),
            np.repeat([False, True], [num_whole, num_windows]),
        )
        for item in bank.items.values():
            known = bank.sounds_of(item), bank.narrow_of(item)
            found: list[VideoStretch | SoundStretch] = [
                *by_pictures.get(item.number, ()),
                *sound_matching.of_both((sounds, narrow), known),
            ]
            matches += [_match(bank, item, stretch) for stretch in found]
    unseen = {
        "pictures": not num_whole and not num_windows,
        "sound": bool(len(sounds)) and not sound_matching.can_match(sounds),
    }
    # Banks and items come in order, and a sort leaves what is equal as it is.
    matches.sort(key=lambda one: -one.agreeing_s)
    not_looked_up = [what for what, is_so in unseen.items() if is_so]
    return FileLookup(printed.sha256, set_aside_by_negatives(matches), not_looked_up)


def _match(bank: Bank, item: Item, stretch: VideoStretch | SoundStretch | None) -> Match:
    opinions = bank.opinions.get(item.number, {})
    return Match(bank.name, item, stretch, bank.is_negative, opinions)
