"""What one draw of the OpenArena engine looks like, before anything is played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

MAPS = (
    "aggressor",
    "am_galmevish2",
    "am_lavaarena",
    "am_thornish",
    "am_underworks2",
    "blitzkrieg3",
    "ce1m7",
    "czest1dm",
    "czest1tourney",
    "dm4ish",
    "dm6ish",
    "fan",
    "hydronex2",
    "islanddm",
    "kaos",
    "kaos2",
    "mlca1",
    "oa_bases5",
    "oa_dm1",
    "oa_dm2",
    "oa_dm3",
    "oa_dm4",
    "oa_dm5",
    "oa_dm6",
    "oa_dm7",
    "oa_koth1",
    "oa_koth2",
    "oa_minia",
    "oa_pvomit",
    "oa_rpg3dm2",
    "oa_shine",
    "oa_shouse",
    "oa_spirit3",
    "oasago2",
    "ps9ctf",
    "pul1ctf",
    "pxlfan",
    "q3dm6ish",
    "sleekgrinder",
    "slimefac",
    "wrackdm17",
)
BOTS = (
    "Andriy",
    "Beret",
    "Broadklin",
    "Cyber-Garg",
    "Gargoyle",
    "Ghost",
    "Grism",
    "Grunt",
    "Headcrash",
    "Major",
    "Merman",
    "Metalbot",
    "Penguin",
    "S_Marine",
    "Sarge",
    "Sergei",
    "Skelebot",
    "Tony",
)
"""Players whose models lie outside the game's packages for adults."""
OWN_MINDS = ("Grism", "Major", "Merman", "Penguin", "Tony")
"""Those of `BOTS` whose weapons are chosen by a file that no other of `BOTS` shares."""

FREE_FOR_ALL, TEAMS = 0, 3
"""Values of the game's `g_gametype`."""
_RED, _BLUE = "red", "blue"
# A match is filmed for longer than what is cut from it lasts, lest one thing that nobody can label
# spoil it all.
_SPARE, _SPARE_S = 1.2, 4.0
_STRIKES, _WALKS_ALONE = 0.6, 0.2


@dataclass(frozen=True)
class Bot:
    """A player: one of `BOTS`, from 1 (weak) to 5 (strong), in a team or in none ("").

    Without firearms it strikes with the gauntlet. Where some have firearms and others have none,
    those who do are of `OWN_MINDS`.
    """

    name: str
    skill: int
    team: str
    has_firearms: bool = True


@dataclass(frozen=True)
class MatchScene:
    """A match, how long it lasts, and the picture that is made of it.

    The camera follows the first of `bots`. One alone, or comrades of one team, have nobody to
    fire at. The game draws `scale` times the size of the file. `weights` say how gladly the bots
    take a gun into their hands; `picture` holds the game's own variables.
    """

    seed: int
    game_map: str
    bots: tuple[Bot, ...]
    match_s: float
    scale: int
    weights: Mapping[str, int]
    picture: Mapping[str, float]

    @property
    def game_type(self) -> int:
        """The value of `g_gametype`."""
        return TEAMS if self.bots[0].team else FREE_FOR_ALL


def draw_scene(rng: np.random.Generator, duration_s: float, *, shoots: bool) -> MatchScene:
    """Draw a scene; half of those without discharges are fights, filmed in a quiet moment."""
    fights = shoots or bool(rng.random() < 0.5)
    return MatchScene(
        seed=int(rng.integers(1, 2**20)),
        game_map=str(rng.choice(MAPS)),
        bots=_draw_bots(rng, fights),
        match_s=3.5 * duration_s if fights else 1.3 * duration_s + 2,
        scale=int(rng.integers(1, 3)),
        weights={
            "Gauntlet": 1000 if rng.random() < 0.08 and not shoots else 1,
            "Machinegun": int(rng.integers(100, 300)),
            "Shotgun": int(rng.integers(100, 300)),
            "Chaingun": int(rng.integers(100, 300)),
        },
        picture=_draw_picture(rng),
    )


def draw_long_scene(rng: np.random.Generator, duration_s: float, *, shoots: bool) -> MatchScene:
    """Draw a match of minutes, all of whose discharges its events can tell.

    With `shoots` the followed player alone has firearms, and the others come at him with the
    gauntlet: what others fire may be near or far, seen or hidden. Of the other matches more than
    half are fights in which all strike; in the rest nobody has anybody to fire at.
    """
    scene = draw_scene(rng, duration_s, shoots=shoots)
    return replace(
        scene,
        bots=_draw_long_bots(rng, shoots=shoots),
        match_s=_SPARE * duration_s + _SPARE_S,
        weights={**scene.weights, "Gauntlet": 1},
    )


def _draw_long_bots(rng: np.random.Generator, *, shoots: bool) -> tuple[Bot, ...]:
    fights = shoots or bool(rng.random() < _STRIKES)
    own = str(rng.choice(OWN_MINDS))
    num_others = int(rng.integers(1, 4))
    if not fights and rng.random() < _WALKS_ALONE:
        num_others = 0
    others = rng.choice([name for name in BOTS if name != own], num_others, replace=False)
    ours, theirs = (_RED, _BLUE) if rng.random() < 0.5 else (_BLUE, _RED)
    if not fights:
        theirs = ours
    elif rng.random() < 0.4:
        ours = theirs = ""
    followed = Bot(own, int(rng.integers(4, 6)), ours, has_firearms=shoots or not fights)
    return (
        followed,
        *(
            Bot(str(name), int(rng.integers(1, 4)), theirs, has_firearms=not fights)
            for name in others
        ),
    )


def _draw_bots(rng: np.random.Generator, fights: bool) -> tuple[Bot, ...]:
    """Fights pit a strong player against weaker ones, lest only the others fire."""
    num_bots = int(rng.integers(2, 5) if fights else rng.integers(1, 6))
    in_teams = bool(rng.random() < 0.6) if fights else num_bots > 1
    names = rng.choice(BOTS, num_bots, replace=False)
    skills = [int(rng.integers(4, 6)), *rng.integers(1, 4, num_bots - 1).tolist()]
    own, other = (_RED, _BLUE) if rng.random() < 0.5 else (_BLUE, _RED)
    teams = [other if fights and place else own for place in range(num_bots)]
    if num_bots > 3 and fights:
        teams[1] = own
    return tuple(
        Bot(str(name), skill, team if in_teams else "")
        for name, skill, team in zip(names, skills, teams, strict=True)
    )


def _draw_picture(rng: np.random.Generator) -> dict[str, float]:
    """Field of view, light, detail and what is drawn over the picture."""
    shows_panel = rng.random() < 0.4
    return {
        "cg_fov": int(rng.integers(75, 116)),
        "cg_draw2D": int(shows_panel or rng.random() < 0.15),
        "cg_drawStatus": int(shows_panel),
        "cg_drawTimer": int(rng.random() < 0.4),
        "cg_drawAttacker": int(rng.random() < 0.5),
        "cg_drawCrosshair": int(rng.integers(0, 10)) * int(rng.random() < 0.6),
        "cg_crosshairSize": int(rng.integers(16, 49)),
        "cg_drawCrosshairNames": int(rng.random() < 0.5),
        "cg_weaponBarStyle": int(rng.integers(0, 8)),
        "cg_drawGun": int(rng.random() < 0.95),
        "cg_simpleItems": int(rng.random() < 0.2),
        "cg_tracerChance": round(float(rng.uniform(0, 1)), 3),
        "cg_gunX": round(float(rng.uniform(-3, 3)), 2),
        "cg_gunY": round(float(rng.uniform(-3, 3)), 2),
        "cg_gunZ": round(float(rng.uniform(-3, 1)), 2),
        "r_gamma": round(float(rng.uniform(1.2, 2.2)), 3),
        "r_mapOverBrightBits": int(rng.integers(1, 4)),
        "r_picmip": int(rng.integers(0, 3)),
        "r_vertexLight": int(rng.random() < 0.1),
        "r_dynamiclight": int(rng.random() < 0.9),
        "r_ext_multisample": int(rng.choice((0, 4))),
    }
