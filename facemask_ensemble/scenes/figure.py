"""One figure, painted from the back to the front."""

from facemask_ensemble.scenes import body, face, hair, mask, wear
from facemask_ensemble.scenes.brush import Brush
from facemask_ensemble.scenes.cast import Person
from facemask_ensemble.scenes.pose import FACES, pose_of


def paint_figure(brush: Brush, person: Person, canvas: int) -> tuple[float, float, float, float] | None:
    """Paint a person and return the face's box on the canvas, or None for one turned away."""
    pose = pose_of(person, canvas)
    if person.away:
        body.paint_body(brush, pose, person)
        hair.paint_back_of_head(brush, pose, person)
        return None
    veiled = person.headwear == "veil"
    if veiled:
        wear.paint_veil_behind(brush, pose, person)
    else:
        hair.paint_hair_behind(brush, pose, person)
    body.paint_body(brush, pose, person)
    body.paint_neckwear(brush, pose, person)
    face.paint_skin(brush, pose, person)
    face.paint_eyes(brush, pose, person)
    if not person.masked:
        face.paint_nose_and_mouth(brush, pose, person)
    face.paint_beard(brush, pose, person)
    wear.paint_glasses(brush, pose, person)
    if not veiled:
        hair.paint_hair_front(brush, pose, person)
    mask.paint_mask(brush, pose, person)
    wear.paint_headwear(brush, pose, person)
    outline = pose.head.place(FACES[person.shape])
    return min(outline[::2]), min(outline[1::2]), max(outline[::2]), max(outline[1::2])
