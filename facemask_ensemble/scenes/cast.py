"""Who is in a scene, and what they wear: everything is chosen here and painted elsewhere."""

from dataclasses import dataclass

from facemask_ensemble.scenes.difficulty import Difficulty
from facemask_ensemble.scenes.layout import Spot, arrange
from facemask_ensemble.scenes.palette import FABRIC, HAIR, SKIN, Colour, distance
from facemask_ensemble.scenes.rng import Rng

NONE, ALL, SOME = 0, 1, 2
LONG = ("long", "bob", "bun", "tail", "waves", "afro")
SHORT = ("short", "side", "buzz", "bald", "quiff", "afro", "short", "side")


@dataclass(frozen=True)
class Mask:
    """A mask: `place` is none, face, chin or ear."""

    place: str
    shape: str
    pattern: str
    colour: Colour
    accent: Colour


@dataclass(frozen=True)
class Person:
    """One figure, complete."""

    spot: Spot
    away: bool
    mask: Mask
    skin: Colour
    hair: Colour
    clothes: Colour
    trim: Colour
    neck_colour: Colour
    head_colour: Colour
    eyes: Colour
    shape: int
    width: float
    tilt: float
    turn: int
    style: str
    beard: str
    headwear: str
    glasses: str
    neckwear: str
    collar: str
    mouth: str
    brow: float
    blush: bool

    @property
    def masked(self) -> bool:
        """Tell whether a mask covers the face."""
        return self.mask.place == "face"


def gather(rng: Rng, label: int, figures: tuple[int, int], level: Difficulty) -> list[Person]:
    """Choose the people of a scene of this label, from the back to the front.

    Every label uses the same choices in the same order: with another label the same people stand in the same places in
    the same clothes, and only the places of their masks differ. The one exception is what the task demands: in a
    scene of `some` at least two figures show their faces.
    """
    faces = 2 if label == SOME else 1
    count = rng.whole(max(figures[0], faces), figures[1])
    spots = arrange(rng, count, level)
    away = _turned_away([rng.uniform() for _ in range(count)], level.away, faces)
    masked = _masked(rng, label, away)
    return [_person(rng, spots[i], away[i], i in masked, level) for i in range(count)]


def _turned_away(keys: list[float], chance: float, faces: int) -> list[bool]:
    spare = len(keys) - faces
    first = sorted(range(len(keys)), key=keys.__getitem__)[:spare]
    return [i in first and key < chance for i, key in enumerate(keys)]


def _masked(rng: Rng, label: int, away: list[bool]) -> set[int]:
    share, order = rng.uniform(), rng.order(len(away))
    visible = [i for i in order if not away[i]]
    some = 1 + int(share * (len(visible) - 1))
    return set(visible[: {NONE: 0, ALL: len(visible), SOME: some}[label]])


def _fabric(rng: Rng, *apart: Colour, contrast: int = 75) -> Colour:
    """Pick a fabric that stands out from the colours around it: the first of a few that differs enough."""
    few = [rng.pick(FABRIC) for _ in range(6)]
    gaps = [min((distance(colour, other) for other in apart), default=0) for colour in few]
    return next((colour for colour, gap in zip(few, gaps, strict=True) if gap > contrast), few[gaps.index(max(gaps))])


def _mask(rng: Rng, masked: bool, skin: Colour, level: Difficulty) -> Mask:
    decoy = rng.pick(("chin", "chin", "ear")) if rng.chance(level.decoy) else "none"
    shape = rng.pick(("surgical", "surgical", "surgical", "cloth", "cloth", "cone"))
    patterns = {"surgical": ("pleats",), "cone": ("seam",), "cloth": ("plain", "stripes", "dots", "bands")}
    colour = _fabric(rng, skin, contrast=level.contrast)
    return Mask("face" if masked else decoy, shape, rng.pick(patterns[shape]), colour, _fabric(rng, colour))


def _person(rng: Rng, spot: Spot, away: bool, masked: bool, level: Difficulty) -> Person:
    skin, hair = rng.pick(SKIN), rng.pick(HAIR)
    longhair = rng.chance(0.5)
    style = rng.pick(LONG if longhair else SHORT)
    bearded = not longhair and rng.chance(level.beards)
    neckwear = rng.pick(("scarf", "roll")) if rng.chance(level.scarves) else "none"
    kinds = ("band", "band", "beanie", "cap", "bandana", "veil" if longhair else "beanie")
    headwear = rng.pick(kinds) if rng.chance(0.35) else "none"
    return Person(
        spot=spot,
        away=away,
        mask=_mask(rng, masked, skin, level),
        skin=skin,
        hair=hair,
        clothes=_fabric(rng, skin),
        trim=rng.pick(FABRIC),
        neck_colour=_fabric(rng, skin),
        head_colour=_fabric(rng, skin, hair),
        eyes=rng.pick(((74, 48, 36), (74, 48, 36), (52, 92, 76), (60, 104, 150), (40, 32, 34))),
        shape=rng.whole(0, 3),
        width=rng.between(0.7, 0.8),
        tilt=rng.between(-level.tilt, level.tilt),
        turn=round(rng.between(-level.turn, level.turn) * 2),
        style=style,
        beard=rng.pick(("none", "none", "none", "full", "stubble", "moustache")) if bearded else "none",
        headwear=headwear,
        glasses=rng.pick(("clear", "round", "sun")) if rng.chance(level.extras * 0.7) else "none",
        neckwear=neckwear,
        collar=rng.pick(("round", "vee", "shirt", "hood", "stripes", "round")),
        mouth=rng.pick(("smile", "smile", "laugh", "calm")),
        brow=rng.between(-0.05, 0.04),
        blush=rng.chance(0.6),
    )
