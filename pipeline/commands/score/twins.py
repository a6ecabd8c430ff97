"""Files of equal bytes in a listing, of which one is decoded and scored for all."""

from __future__ import annotations

import pickle
from collections import OrderedDict

from pipeline.commands.score.listing import ListingRow
from pipeline.commands.score.rows import Row

_MOST_KNOWN = 4096


class RecentRows:
    """The rows of the latest files, by what they were made from, in bounded memory.

    What is made of equal bytes is equal, so that it changes no row whether one is known here.
    """

    def __init__(self, most: int = _MOST_KNOWN) -> None:
        """Know nothing yet, and the last `most` different files later."""
        self._most = most
        self._rows: OrderedDict[str, bytes] = OrderedDict()

    def put(self, name: str, row: Row) -> None:
        """Keep the row of a file, by the name of all that it was made from."""
        # A tenth of what objects take.
        self._rows[name] = pickle.dumps(row)
        self._rows.move_to_end(name)
        if len(self._rows) > self._most:
            self._rows.popitem(last=False)

    def get(self, name: str, given: ListingRow) -> Row | None:
        """The row of a file, if one of equal bytes is known."""
        if (found := self._rows.get(name)) is None:
            return None
        self._rows.move_to_end(name)
        return of(given, pickle.loads(found))


def of(given: ListingRow, row: Row) -> Row:
    """The row of a file that has the bytes of another one."""
    return {**row, "id": given.id, "uri": given.uri}
