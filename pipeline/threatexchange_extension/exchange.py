"""An exchange of Discern as an API of threatexchange: signed deltas in, opinions out.

What is fetched comes from the places, and is of the signatures and of the form, that `discern
exchange pull` asks for. What is thought of it goes into a signed folder of its own, which the other
side pulls.
"""

# Without annotations as text: threatexchange makes its options from the types of the fields.
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from threatexchange.exchanges.collab_config import CollaborationConfigWithDefaults
from threatexchange.exchanges.fetch_state import (
    FetchCheckpointBase,
    FetchDelta,
    FetchedSignalMetadata,
    SignalOpinion,
)
from threatexchange.exchanges.fetch_state import SignalOpinionCategory as _Category
from threatexchange.exchanges.signal_exchange_api import SignalExchangeAPI
from threatexchange.signal_type.signal_base import SignalType

from pipeline.commands import exchange_transfer
from pipeline.config import ExchangeApp
from pipeline.copies import (
    bank_files,
    exchange_folder,
    exchange_lines,
    exchange_manifest,
    exchange_receiving,
    exchange_sending,
    hash_lists,
)
from pipeline.copies.bank_log import CONFIRMED, DISPUTED, SEEN, Taken
from pipeline.copies.exchange_lines import MAX_LABEL, Delete, Label, Line, Opinion, Upload, id_of
from pipeline.copies.exchange_manifest import KNOWN, MANIFEST, NEGATIVE, Manifest
from pipeline.copies.hash_datasets import OWN_TYPE

BANK = "threatexchange"
"""What the feed of opinions is of, as it is of no bank of a project."""

_MD5, _SHA256 = hash_lists.KINDS["md5"], hash_lists.KINDS["sha256"]
_SAID = {
    _Category.POSITIVE_CLASS: CONFIRMED,
    _Category.NEGATIVE_CLASS: DISPUTED,
    _Category.INVESTIGATION_SEED: SEEN,
}


@dataclass
class _Required:
    pull: str = field(
        metadata={"help": "folder, s3:// or https:// address of the exchange", "metavar": "ADDRESS"}
    )
    their_key: str = field(
        metadata={"help": "file of the public key that it is signed with", "metavar": "FILE"}
    )


@dataclass
class DiscernCollabConfig(CollaborationConfigWithDefaults, _Required):
    """Tells where an exchange is read, and where opinions are written."""

    push: str = field(
        default="",
        metadata={"help": "folder or s3:// address for what you say", "metavar": "ADDRESS"},
    )
    key: str = field(
        default="",
        metadata={"help": "file of the private key that you sign with", "metavar": "FILE"},
    )
    by: str = field(default="", metadata={"help": "your name", "metavar": "NAME"})
    private: str = field(
        default="",
        metadata={"help": "yes where web servers of private networks may be asked"},
    )


@dataclass
class DiscernCheckpoint(FetchCheckpointBase):
    """Tells how much of a feed was taken, and the key that signed it."""

    feed: str
    key: str
    num_deltas: int
    sha256: str


@dataclass
class DiscernRecord(FetchedSignalMetadata):
    """Holds what a feed says of a video."""

    feed: str
    label: str
    said: list[str]
    is_negative: bool
    signal: str
    sha256: str
    md5: str

    def get_as_opinions(self) -> Sequence[SignalOpinion]:
        """Return what the feed thinks of it: who uploads a video stands for it."""
        is_against = self.is_negative or DISPUTED in self.said
        negative, positive = _Category.NEGATIVE_CLASS, _Category.POSITIVE_CLASS
        # Tags must have no spaces where threatexchange prints them.
        tags = {"_".join(self.label.split())} - {""}
        return [SignalOpinion(False, negative if is_against else positive, tags)]


class DiscernExchange(
    SignalExchangeAPI[DiscernCollabConfig, DiscernCheckpoint, DiscernRecord, str, DiscernRecord]
):
    """Reads a signed exchange, and writes opinions into another one."""

    def __init__(self, collab: DiscernCollabConfig) -> None:
        self._collab = collab

    @classmethod
    def for_collab(cls, collab: DiscernCollabConfig) -> "DiscernExchange":
        """The exchange that a configuration names."""
        return cls(collab)

    @classmethod
    def get_name(cls) -> str:
        """Return what threatexchange calls it."""
        return "discern"

    @staticmethod
    def get_config_cls() -> type[DiscernCollabConfig]:
        """Return what is said of such an exchange."""
        return DiscernCollabConfig

    @staticmethod
    def get_checkpoint_cls() -> type[DiscernCheckpoint]:
        """Return what says how much was fetched."""
        return DiscernCheckpoint

    @staticmethod
    def get_record_cls() -> type[DiscernRecord]:
        """Return what is fetched of a video."""
        return DiscernRecord

    @classmethod
    def naive_convert_to_signal_type(
        cls,
        signal_types: Sequence[type[SignalType]],
        collab: DiscernCollabConfig,
        fetched: Mapping[str, DiscernRecord],
    ) -> dict[type[SignalType], dict[str, DiscernRecord]]:
        """The videos as signals: whole ones, and the hashes of their bytes."""
        found: dict[type[SignalType], dict[str, DiscernRecord]] = {}
        for kind in signal_types:
            texts = {
                OWN_TYPE: lambda one: one.signal,
                _MD5: lambda one: one.md5,
                _SHA256: lambda one: one.sha256,
            }.get(kind.get_name())
            if texts is not None:
                signals = {texts(one): one for one in fetched.values() if one and texts(one)}
                if signals:
                    found[kind] = signals
        return found

    def fetch_iter(
        self,
        supported_signal_types: Sequence[type[SignalType]],
        checkpoint: DiscernCheckpoint | None,
    ) -> Iterator[FetchDelta[str, DiscernRecord, DiscernCheckpoint]]:
        """All videos of which the feed says something new, as it knows them now.

        Raises:
            UserError: the exchange cannot be trusted, or is older than what was fetched.
        """
        with self._received(checkpoint) as (folder, manifest, mark):
            num_before = checkpoint.num_deltas if checkpoint else 0
            if num_before == len(manifest.deltas):
                return
            state, changed = _replayed(manifest, folder, num_before)
            updates = {name: state.get(name) for name in changed}
            last = manifest.deltas[-1].sha256
            yield FetchDelta(
                updates, DiscernCheckpoint(manifest.feed, mark, len(manifest.deltas), last)
            )

    def report_opinion(self, s_type: type[SignalType], signal: str, opinion: SignalOpinion) -> None:
        """Say what you think of a video, and upload it where the exchange does not have it.

        Raises:
            NotImplementedError: the configuration names no place or no key, or the signal is of
                another type.
            UserError: the exchange, or what you have said so far, cannot be read.
        """
        collab = self._collab
        if not (collab.push and collab.key and collab.by):
            raise NotImplementedError("give --push, --key and --by to write back")
        key = exchange_manifest.private_key(Path(collab.key).expanduser())
        by = bank_files.check_name(collab.by, "by")
        exchange_transfer.check(collab.push, "push", written=True)
        video = _video(s_type.get_name(), signal, ", ".join(sorted(opinion.tags))[:MAX_LABEL])
        with self._received(None) as (folder, manifest, _):
            theirs, _ = _replayed(manifest, folder, 0)
        same = [name for name, one in theirs.items() if _is_same(video, one)]
        name = same[0] if same else video.id
        with exchange_transfer.uploading(collab.push, Path(tempfile.gettempdir())) as folder:
            own = exchange_sending.open_manifest(by, BANK, KNOWN, folder, key)
            told = exchange_sending.said_so_far(own, folder).get(
                name, exchange_sending.PublishedItem()
            )
            lines: list[Line] = []
            is_positive = opinion.category == _Category.POSITIVE_CLASS
            if is_positive and not same and not told.is_uploaded:
                lines.append(video)
            elif video.label and video.label != told.label:
                lines.append(Label(name, video.label))
            said = frozenset({_SAID[opinion.category]} | (told.said & {SEEN}))
            if said != told.said:
                lines.append(Opinion(name, said))
            exchange_sending.append(lines, own, folder, key)

    @contextmanager
    def _received(
        self, checkpoint: DiscernCheckpoint | None
    ) -> Iterator[tuple[Path, Manifest, str]]:
        """The exchange with all of its deltas, if it has more than were fetched before."""
        collab = self._collab
        key = exchange_manifest.public_key(Path(collab.their_key).expanduser())
        mark = exchange_manifest.fingerprint(key)

        def num_known(manifest: Manifest) -> int:
            # What is new of a video is told with all that is known of it.
            has_all = checkpoint is not None and checkpoint.num_deltas == len(manifest.deltas)
            return len(manifest.deltas) if has_all else 0

        exchange_transfer.check(collab.pull, "pull")
        cfg = ExchangeApp(allow_private=collab.private == "yes")
        work = Path(tempfile.gettempdir())
        with exchange_transfer.received(collab.pull, key, num_known, cfg, work) as folder:
            manifest = exchange_manifest.read(folder, key)
            if checkpoint is not None:
                if (checkpoint.feed, checkpoint.key) != (manifest.feed, mark):
                    path = folder / MANIFEST
                    raise exchange_folder.refused(path, f"of another feed than {checkpoint.feed}")
                taken = Taken(mark, checkpoint.num_deltas, checkpoint.sha256)
                exchange_receiving.check_goes_on(manifest, taken, folder)
            yield folder, manifest, mark


def _replayed(
    manifest: Manifest, folder: Path, num_before: int
) -> tuple[dict[str, DiscernRecord], dict[str, None]]:
    """All videos of a feed by their ids, and those of which something new is said."""
    state: dict[str, DiscernRecord] = {}
    changed: dict[str, None] = {}
    for number, delta in enumerate(manifest.deltas, 1):
        for line in exchange_folder.lines_of_delta(folder, number, delta):
            before = state.get(line.id)
            match line:
                case Upload():
                    said = before.said if before else []
                    signal = exchange_lines.prints_written(line)
                    state[line.id] = DiscernRecord(
                        manifest.feed,
                        line.label,
                        said,
                        manifest.category == NEGATIVE,
                        signal,
                        line.sha256,
                        line.md5,
                    )
                case Delete():
                    state.pop(line.id, None)
                case Label() if before:
                    state[line.id] = replace(before, label=line.label)
                case Opinion() if before:
                    state[line.id] = replace(before, said=sorted(line.said))
            if number > num_before:
                changed[line.id] = None
    return state, changed


def _video(kind: str, signal: str, label: str) -> Upload:
    """The video that a signal is of.

    Raises:
        NotImplementedError: it is of no type that an exchange of Discern has.
    """
    if kind == OWN_TYPE:
        return exchange_lines.prints_parsed(signal, label)
    kinds = {name: one for one, name in hash_lists.KINDS.items()}
    if kind not in (_MD5, _SHA256):
        raise NotImplementedError(f"no signals of {kind} are written back")
    one = hash_lists.parse_entry(signal, kinds[kind])
    known = one.sha256, one.md5
    name = id_of(*known, one.hashes, one.sounds)
    return Upload(name, label, *known, 0.0, one.hashes, one.sounds)


def _is_same(video: Upload, record: DiscernRecord) -> bool:
    same = (video.sha256, record.sha256), (video.md5, record.md5)
    return exchange_lines.prints_written(video) == record.signal or any(
        one and one == other for one, other in same
    )
