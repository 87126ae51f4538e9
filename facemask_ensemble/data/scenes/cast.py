"""Who is in a scene, and what they wear: everything is chosen here and painted elsewhere."""

from dataclasses import dataclass

from facemask_ensemble.data.scenes.dice import Dice
from facemask_ensemble.data.scenes.difficulty import Difficulty
from facemask_ensemble.data.scenes.layout import Spot, arrange
from facemask_ensemble.data.scenes.palette import FABRIC, HAIR, SKIN, Colour, distance

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


def gather(dice: Dice, label: int, figures: tuple[int, int], level: Difficulty) -> list[Person]:
    """Choose the people of a scene of this label, from the back to the front.

    Every label uses the same choices in the same order: with another label the same people stand in the same places in
    the same clothes, and only the places of their masks differ. The one exception is what the task demands: in a
    scene of `some` at least two figures show their faces.
    """
    faces = 2 if label == SOME else 1
    count = dice.whole(max(figures[0], faces), figures[1])
    spots = arrange(dice, count, level)
    away = _turned_away([dice.uniform() for _ in range(count)], level.away, faces)
    masked = _masked(dice, label, away)
    return [_person(dice, spots[i], away[i], i in masked, level) for i in range(count)]


def _turned_away(keys: list[float], chance: float, faces: int) -> list[bool]:
    spare = len(keys) - faces
    first = sorted(range(len(keys)), key=keys.__getitem__)[:spare]
    return [i in first and key < chance for i, key in enumerate(keys)]


def _masked(dice: Dice, label: int, away: list[bool]) -> set[int]:
    share, order = dice.uniform(), dice.order(len(away))
    visible = [i for i in order if not away[i]]
    some = 1 + int(share * (len(visible) - 1))
    return set(visible[: {NONE: 0, ALL: len(visible), SOME: some}[label]])


def _fabric(dice: Dice, *apart: Colour, contrast: int = 75) -> Colour:
    """Pick a fabric that can be told from the colours it lies on: of a few, the first that is far from them."""
    few = [dice.pick(FABRIC) for _ in range(6)]
    gaps = [min((distance(colour, other) for other in apart), default=0) for colour in few]
    return next((colour for colour, gap in zip(few, gaps, strict=True) if gap > contrast), few[gaps.index(max(gaps))])


def _mask(dice: Dice, masked: bool, skin: Colour, level: Difficulty) -> Mask:
    decoy = dice.pick(("chin", "chin", "ear")) if dice.chance(level.decoy) else "none"
    shape = dice.pick(("surgical", "surgical", "surgical", "cloth", "cloth", "cone"))
    patterns = {"surgical": ("pleats",), "cone": ("seam",), "cloth": ("plain", "stripes", "dots", "bands")}
    colour = _fabric(dice, skin, contrast=level.contrast)
    return Mask("face" if masked else decoy, shape, dice.pick(patterns[shape]), colour, _fabric(dice, colour))


def _person(dice: Dice, spot: Spot, away: bool, masked: bool, level: Difficulty) -> Person:
    skin, hair = dice.pick(SKIN), dice.pick(HAIR)
    longhair = dice.chance(0.5)
    style = dice.pick(LONG if longhair else SHORT)
    bearded = not longhair and dice.chance(level.beards)
    neckwear = dice.pick(("scarf", "roll")) if dice.chance(level.scarves) else "none"
    kinds = ("band", "band", "beanie", "cap", "bandana", "veil" if longhair else "beanie")
    headwear = dice.pick(kinds) if dice.chance(0.35) else "none"
    return Person(
        spot=spot,
        away=away,
        mask=_mask(dice, masked, skin, level),
        skin=skin,
        hair=hair,
        clothes=_fabric(dice, skin),
        trim=dice.pick(FABRIC),
        neck_colour=_fabric(dice, skin),
        head_colour=_fabric(dice, skin, hair),
        eyes=dice.pick(((74, 48, 36), (74, 48, 36), (52, 92, 76), (60, 104, 150), (40, 32, 34))),
        shape=dice.whole(0, 3),
        width=dice.between(0.7, 0.8),
        tilt=dice.between(-level.tilt, level.tilt),
        turn=round(dice.between(-level.turn, level.turn) * 2),
        style=style,
        beard=dice.pick(("none", "none", "none", "full", "stubble", "moustache")) if bearded else "none",
        headwear=headwear,
        glasses=dice.pick(("clear", "round", "sun")) if dice.chance(level.extras * 0.7) else "none",
        neckwear=neckwear,
        collar=dice.pick(("round", "vee", "shirt", "hood", "stripes", "round")),
        mouth=dice.pick(("smile", "smile", "laugh", "calm")),
        brow=dice.between(-0.05, 0.04),
        blush=dice.chance(0.6),
    )
