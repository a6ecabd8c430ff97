"""One stream, from its beginning to its end: sessions one after the other, and what becomes of it.

A session that breaks is followed by another one, after a pause that doubles. What the last pictures
of the one have to do with the first of the next nobody knows, so that the detector begins anew.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from pipeline.live import addresses
from pipeline.live.before import Before
from pipeline.live.events import (
    MATCH_FOUND,
    STREAM_ENDED,
    STREAM_LOST,
    STREAM_RECOVERED,
    STREAM_STARTED,
)
from pipeline.live.fetcher import Fetch, SessionEnd
from pipeline.live.inbox import IdleSecond, Inbox, StreamChange, WaitingClip
from pipeline.live.lookup import StreamLookup
from pipeline.live.messages import (
    BrokenDecoder,
    DecoderEnd,
    Faults,
    Heading,
    Message,
    Prints,
    SkippedPictures,
    StreamClip,
)
from pipeline.live.outcomes import AT_ONCE, Patience, ended
from pipeline.live.session import Session, SessionSettings
from pipeline.live.soundness import Soundness

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
# Beyond what the fetcher waits: for what it has fetched, and for processes that begin.
_GRACE_S, _START_S = 2.0, 10.0
# How far a server may run ahead of the time, and by how much it may be faster after that.
_AHEAD_S, _FASTEST = 10.0, 1.05
OVERLOAD, _BEHIND = "overload", "behind"
"""Why a stream is lost for want of time."""
# Codes come from processes that read what strangers send.
_MOST_CODES, _OTHER_CODE = 20, "other"


class Feed(threading.Thread):
    """Puts the clips of a stream, and the turns in its life, into an inbox."""

    def __init__(
        self,
        name: str,
        source: Path | Fetch,
        means: SessionSettings,
        patience: Patience,
        inbox: Inbox,
        speed: float | None,
        soundness: Soundness,
        lookup: StreamLookup | None = None,
        before: Before | None = None,
    ) -> None:
        """Get ready; `start` begins.

        Args:
            name: of the stream.
            source: a file, or what is to be fetched.
            means: for its processes.
            patience: how long is waited.
            inbox: for its clips.
            speed: at which a file is played, 1 for that of a clock; None for as fast as it goes.
            soundness: of the stream, of which nothing has been seen yet.
            lookup: of what the stream shows; None where there are no banks.
            before: what became of it where it was watched until now.
        """
        super().__init__(name=f"stream {name}", daemon=True)
        self.stream, self.inbox = name, inbox
        self._source, self._means, self._patience, self._speed = source, means, patience, speed
        self._lookup, self._soundness = lookup, soundness
        self._stopped, self._rests = threading.Event(), threading.Event()
        self.behind_s = 0.0
        """How far decoding is behind what has come, which is for want of time."""
        self.faults: Counter[str] = Counter()
        """Errors of its decoders, by code."""
        self._heading: Heading | None = None
        self._clip_s = means.clip.num_frames / means.clip.fps
        self._last_end_s = 0.0
        """Second of the stream at the end of its last clip."""
        self._known_s = 0.0
        """Until when a file was watched elsewhere, which is read from its beginning again."""
        self._offset_s = 0.0
        """What is added to the times of this session."""
        self._begun: tuple[float, float] | None = None
        """When the first clip of this session came, and its second in the stream."""
        self._zero: float | None = None
        """When the stream began, by `time.monotonic`."""
        self._has_started = self._is_lost = False
        self._lost: SessionEnd | None = None
        self._seen_at = time.monotonic()
        if before is not None:
            self._is_lost, self._lost = True, SessionEnd(before.reason)
            self._last_end_s = before.at_s
            self._has_started = before.began_at is not None or before.at_s > 0
            if isinstance(source, Path):
                self._known_s = before.at_s
            elif before.began_at is not None:
                self._zero = time.monotonic() - (time.time() - before.began_at)

    @property
    def began_at(self) -> float | None:
        """Say when the clock of the stream was at zero, in seconds since 1970; None before that."""
        zero = self._zero
        return None if zero is None else time.time() - (time.monotonic() - zero)

    def stop(self) -> None:
        """Let the stream be left as soon as may be, with nothing more of it."""
        self._stopped.set()
        self.inbox.close()

    @property
    def can_rest(self) -> bool:
        """Return whether it can be left out for a while: a file would begin anew."""
        return not isinstance(self._source, Path)

    def rest(self, rests: bool) -> None:
        """Leave the stream out until further notice, or no more."""
        if rests:
            self._rests.set()
        else:
            self._rests.clear()

    def run(self) -> None:
        """Follow the stream to its end."""
        try:
            outcome = self._follow()
        except Exception as error:
            # What nobody foresaw may cost this stream, and no other.
            log.exception("watch: %s: please report this as a bug", self.stream)
            outcome = SessionEnd("unforeseen", type(error).__name__)
        self._tell(STREAM_ENDED, outcome)

    def _follow(self) -> SessionEnd:
        pause_s, has_tried = _FIRST_PAUSE_S, False
        self._seen_at = time.monotonic()
        while True:
            seen_at = self._seen_at
            outcome = self._session()
            if self._stopped.is_set():
                return SessionEnd("stopped")
            if isinstance(self._source, Path) or outcome.is_final:
                return outcome
            self._lose(outcome)
            if outcome.reason == OVERLOAD:
                while self._rests.is_set() and not self._stopped.is_set():
                    self._pause(1.0)
                self._seen_at = time.monotonic()
                continue
            if outcome.reason == _BEHIND:
                # It was there all the time.
                self._seen_at = time.monotonic()
            begins = outcome.begins or self._source.begins
            late, go_on_at = outcome.num_late, outcome.go_on_at
            self._source = replace(self._source, go_on_at=go_on_at, begins=begins, num_late=late)
            came = self._seen_at > seen_at
            pause_s = _FIRST_PAUSE_S if came else min(2 * pause_s, _LONGEST_PAUSE_S)
            if not has_tried and not came:
                # Until its processes were there, nobody had tried.
                self._seen_at = time.monotonic()
            has_tried = True
            left_s = self._seen_at + self._patience.end_after_s - time.monotonic()
            if left_s <= 0:
                return replace(outcome, is_final=True)
            if not (came and outcome.reason in AT_ONCE):
                # Streams that a server has lost all at once do not all come back at once.
                self._pause(min(left_s, pause_s * random.uniform(0.5, 1.0)))
            if self._stopped.is_set():
                return SessionEnd("stopped")

    def _session(self) -> SessionEnd:
        if self._rests.is_set():
            return SessionEnd(OVERLOAD)
        try:
            session = Session(self._source, self._means)
        except (EOFError, OSError) as error:
            # Who starts processes may have been killed, and is there again at the next try.
            said = getattr(error, "strerror", None)
            return SessionEnd("no_process", said or type(error).__name__)
        self._heading, is_first = None, True
        heard_at = time.monotonic()
        try:
            while not self._stopped.is_set():
                if self._rests.is_set():
                    return SessionEnd(OVERLOAD)
                try:
                    message = session.receive(_LOOK_EVERY_S)
                except (EOFError, OSError):
                    return session.report() or SessionEnd("decoder_died")
                except BrokenDecoder as error:
                    return SessionEnd("decoder_broken", str(error))
                if isinstance(message, DecoderEnd):
                    return ended(message, session, self._source)
                if outcome := self._fallen_behind(session, is_first):
                    return outcome
                if message is None:
                    waited_s = time.monotonic() - heard_at
                    # The fetcher's own limit comes first, after which what is left is decoded.
                    grace_s = _GRACE_S if self._heading else _START_S
                    if waited_s > self._patience.timeout_s + grace_s:
                        return session.report(0.0) or SessionEnd("stalled", f"{waited_s:.0f} s")
                    self._pass_time()
                    continue
                is_first = self._take(message, is_first)
                # Time that the detector takes is none that the stream takes.
                heard_at = time.monotonic()
            return SessionEnd("stopped")
        finally:
            session.close()
            self.behind_s = 0.0

    def _fallen_behind(self, session: Session, is_first: bool) -> SessionEnd | None:
        """See how far decoding is behind; what becomes of the session where that is too far."""
        if is_first or self._zero is None:
            return None
        late_s = time.monotonic() - self._zero - self._last_end_s - self._clip_s
        # What a server sends ahead of its time waits too, and what comes late has not waited here.
        is_file = isinstance(self._source, Path)
        behind_s = self.behind_s = max(0.0, late_s if is_file else min(late_s, session.behind_s()))
        most_s = self._patience.most_behind_s
        if most_s is None or behind_s <= most_s:
            return None
        self.inbox.miss(round(behind_s / self._clip_s))
        return SessionEnd(_BEHIND, f"{behind_s:.0f} s")

    def _take(self, message: Message, is_first: bool) -> bool:
        """Take a message; returns whether the next clip is the first one of the session."""
        if isinstance(message, Heading):
            self._heading = message
        elif isinstance(message, StreamClip) and message.start_s + self._clip_s > self._known_s:
            self._show(message, is_first)
            return False
        elif isinstance(message, SkippedPictures):
            self._seen_at = time.monotonic()
        elif isinstance(message, Faults):
            for code, num in message.codes.items():
                is_known = code in self.faults or len(self.faults) < _MOST_CODES
                self.faults[code if is_known else _OTHER_CODE] += num
        elif isinstance(message, Prints):
            self._look_up(message, is_first)
        return is_first

    def _look_up(self, prints: Prints, is_first: bool) -> None:
        # Where a session lies in the stream, its first clip tells.
        if self._lookup is None or (is_first and (self._known_s or self.can_rest)):
            return
        waits = not self.inbox.drops
        for data in self._lookup.take(prints, self._offset_s, waits=waits):
            self.inbox.put(StreamChange(MATCH_FOUND, {"address": self._told(), **data}))

    def _show(self, shown: StreamClip, is_first: bool) -> None:
        end_s = shown.start_s + self._clip_s
        now = time.monotonic()
        if is_first and not isinstance(self._source, Path):
            # The clock of the stream goes on over what is lost.
            since_s = 0.0 if self._zero is None else now - self._zero
            self._offset_s = max(self._last_end_s - shown.start_s, since_s - end_s)
            if self._zero is None:
                self._offset_s = -shown.start_s
        at_s = self._offset_s + end_s
        self._tell_of(shown, at_s, is_first)
        if self._speed is None:
            due = None
        elif isinstance(self._source, Path):
            self._zero = now - at_s / self._speed if self._zero is None else self._zero
            due = self._zero + at_s / self._speed
            self._stopped.wait(max(0.0, due - now))
        else:
            # Of what a server gives at once no more comes than can be answered; the clock of a
            # camera may be a little fast.
            self._begun = (now, at_s) if is_first or self._begun is None else self._begun
            begun, begun_s = self._begun
            ahead_s = at_s - begun_s - _FASTEST * (now - begun)
            self._stopped.wait(max(0.0, ahead_s - _AHEAD_S))
            # The clip that came soonest has no delay.
            came = time.monotonic() - at_s
            self._zero = came if self._zero is None else min(self._zero, came)
            due = self._zero + at_s
        self._seen_at = time.monotonic()
        self._last_end_s = at_s
        if turn := self._soundness.take(shown, at_s - self._clip_s, at_s):
            kind, data = turn
            self.inbox.put(StreamChange(kind, {"address": self._told(), **data}))
        self.inbox.put(WaitingClip(shown, at_s, due))

    def _tell_of(self, shown: StreamClip, at_s: float, is_first: bool) -> None:
        # Sums that should be none may be a little less.
        begin_s = max(0.0, at_s - self._clip_s)
        if is_first and self._heading is not None:
            outcome = self._lost or SessionEnd("")
            kind = STREAM_RECOVERED if self._has_started else STREAM_STARTED
            lost_s = max(0.0, begin_s - self._last_end_s) if self._has_started else 0.0
            data = {**self._heading.__dict__, "sound": shown.presence, "at_s": round(begin_s, 3)}
            if self._has_started:
                data |= {"reason": outcome.reason, "lost_s": round(lost_s, 3)}
            self.inbox.put(StreamChange(kind, {"address": self._told(), **data}, restarts=True))
            if self._lookup is not None and not isinstance(self._source, Path):
                self._lookup.restart()
            self._has_started, self._is_lost, self._lost = True, False, None
        elif shown.begins:
            lost_s = round(max(0.0, begin_s - self._last_end_s), 3)
            data = {"address": self._told(), "reason": shown.begins}
            self.inbox.put(StreamChange(STREAM_LOST, {**data, "at_s": round(self._last_end_s, 3)}))
            data = {**data, "at_s": round(begin_s, 3), "lost_s": lost_s}
            self.inbox.put(StreamChange(STREAM_RECOVERED, data, restarts=True))

    def _lose(self, outcome: SessionEnd) -> None:
        if not self._is_lost:
            self._is_lost, self._lost = True, outcome
            self._tell(STREAM_LOST, outcome)

    def _tell(self, kind: str, outcome: SessionEnd) -> None:
        data = {"address": self._told(), "reason": outcome.reason, "detail": outcome.detail}
        at_s = round(self._last_end_s, 3)
        self.inbox.put(
            StreamChange(kind, {**data, "at_s": at_s, "num_dropped": self.inbox.num_dropped})
        )

    def _told(self) -> str:
        if isinstance(self._source, Path):
            return self._source.name
        return addresses.public_part(self._source.url)

    def _pause(self, pause_s: float) -> None:
        until = time.monotonic() + pause_s
        while (left_s := until - time.monotonic()) > 0 and not self._stopped.is_set():
            self._stopped.wait(min(left_s, 1.0))
            self._pass_time()

    def _pass_time(self) -> None:
        """Let an alert that is open over a lost stream come to its end."""
        if self._is_lost and self._zero is not None:
            self.inbox.put(IdleSecond(time.monotonic() - self._zero))
