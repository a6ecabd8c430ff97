"""Commands of several actions, of which the first word says which one is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UserError

_REPEATED = ("…", "…]")


@dataclass(frozen=True)
class Action:
    """Holds what the word after a command does.

    Attributes:
        usage: what it is told after its own name; what stands in brackets may be left out, and
            with an ellipsis at its end the last one may be repeated.
        does: it, with the configuration and what it is told.
    """

    usage: str
    does: Callable[..., None]

    def takes(self, num_given: int) -> bool:
        """Return whether it can be told so much."""
        words = self.usage.split()
        is_repeated = words[-1:] in ([one] for one in _REPEATED)
        named = words[:-1] if is_repeated else words
        least = sum(not word.startswith("[") for word in named)
        return least <= num_given and (is_repeated or num_given <= len(named))


def act(
    command: str, actions: Mapping[str, Action], name: str, told: Sequence[str], cfg: Any
) -> None:
    """Do what a command line says.

    Args:
        command: that has the actions.
        actions: by their names.
        name: of the one that is meant.
        told: what it is told.
        cfg: the configuration of the command.

    Raises:
        UserError: there is no such action, it is told too much or too little, or what it says.
    """
    chosen = actions.get(name)
    if chosen is None or not chosen.takes(len(told)):
        usages = {one: f"{command} {one} {actions[one].usage}".rstrip() for one in actions}
        meant = ", ".join([usages[name]] if name in usages else usages.values())
        raise UserError(f"'{' '.join((name, *told))}' is not understood; give {meant}")
    chosen.does(cfg, *told)
