"""Scores listings of files, or prints the scores of some: `discern score LISTING out=FOLDER`.

Exit status 0 once every row of a listing is accounted for, rejects among them. Without `out`,
exit status 1 where a file that was named could not be scored.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.commands import clean, named_files
from pipeline.commands.score import listing, provenance
from pipeline.config import ScoreApp
from pipeline.errors import UserError
from pipeline.store import workdir

log = logging.getLogger(__name__)


def run(*given: str, cfg: ScoreApp) -> None:
    """Score a listing into a folder, or print the scores of files and folders.

    Args:
        given: a listing or a folder of videos with `out`, else files and folders.
        cfg: how.

    Raises:
        UserError: a listing with mistakes; no such file or bank; no detector, or one for another
            format of clips; a folder that holds something else, or lies in the one to score.
    """
    if cfg.out is None:
        # Whoever asks about a file wants to know its score.
        if not _print(given, replace(cfg, miss_rate=None)):
            sys.exit(1)
        return
    if len(given) != 1:
        raise UserError(f"out={cfg.out}: {len(given)} listings; give one, or a folder of videos")
    path, out = Path(given[0]), Path(cfg.out)
    if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
        raise UserError(
            f"out={out}: lies in {path}, all files of which are scored; give a folder elsewhere"
        )
    with workdir.claimed(cfg.out, Path(cfg.paths.work)):
        _score(path, out, cfg)


def _print(given: Sequence[str], cfg: ScoreApp) -> bool:
    """Print the scores of files, and tell whether there was one for each."""
    for text in given:
        path = Path(text)
        if path.is_file() and listing.is_listing(path):
            raise UserError(f"{text}: a listing; give out=FOLDER for its scores too")
    paths = named_files.named(given)
    # What scores takes seconds to load, and a wrong path is told without it.
    from pipeline.commands.score import printout

    return printout.score(paths, cfg)


def _score(path: Path, out: Path, cfg: ScoreApp) -> None:
    """Score a listing into a folder, from where an earlier run was stopped, and print the costs."""
    found = listing.read(path)
    provenance.check(out, found.made_by, found.made_by)
    # Nor is it loaded for a listing or a folder that is refused.
    from pipeline.commands.score import batch, cost, printout
    from pipeline.commands.score.folder import Folder
    from pipeline.commands.score.settings import ScoringSettings

    clean.remove_leftovers(Path(cfg.paths.work))
    settings = ScoringSettings.of(cfg, found.folder)
    for sentence in settings.says:
        log.info("score: %s", sentence)
    folder, costs = Folder(out, settings.made_by(found)), cost.Costs()
    done = batch.score(found, folder, settings, costs)
    stats = folder.finish(-(-found.num_rows // cfg.rows_per_part))
    for sentence in (
        *printout.outcome_in_words(stats),
        *cost.in_words(costs.cpu_s, done.video_s, done.num_clips, cfg.price),
    ):
        print(sentence)
    print(out)
