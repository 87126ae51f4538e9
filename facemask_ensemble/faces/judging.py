"""Judge `predict detector=…` on photographs with boxes: `python -m facemask_ensemble.faces.judging MANIFEST IMAGES`.

MANIFEST is the `manifest.csv` of `dataset=face_crops`, in `outputs/data`; IMAGES the folder of its photographs, with
`annotations` beside it. Without more, the photographs whose every face is in the test split are printed, a path a line,
for `predict input=list.txt detector=…`; with the tables that came of that, a Markdown row for each.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import pandas as pd

from facemask_ensemble.data.voc import street_mask_boxes
from facemask_ensemble.error_lines import one_line_errors
from facemask_ensemble.errors import InputError
from facemask_ensemble.faces.masks import scene

Corners = tuple[float, float, float, float]  # left, top, right, bottom
OVERLAP = 0.4  # intersection over union from which a box is a face's
LARGE = 32  # pixels across
WORN = "with_mask"
HEAD = (
    "| boxes | no face there | faces found | of 32 px and more | answered right, of those found | all/some/none right |"
)


@dataclass(frozen=True)
class Judgement:
    """What was counted: each pair of fields is some of so many, but for `boxes` and `false` ones."""

    boxes: int
    false: int
    found: int
    faces: int
    large_found: int
    large: int
    right: int
    scenes_right: int
    scenes: int

    def __add__(self, other: "Judgement") -> "Judgement":
        """Count two together."""
        return Judgement(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def row(self) -> str:
        """Write a row of the table."""
        found = f"{self.found} of {self.faces} | {self.large_found} of {self.large} | {self.right} of {self.found}"
        return f"| {self.boxes} | {self.false} | {found} | {self.scenes_right} of {self.scenes} |"


def judge_faces(answers: pd.DataFrame, annotations: Path) -> Judgement:
    """Compare the faces of a table of answers with the annotated ones, photograph by photograph.

    Args:
        answers: `path`, `prediction` and `boxes`, as `predict detector=…` writes them.
        annotations: the folder of Pascal VOC files, one a photograph, by its name.
    """
    total = Judgement(*[0] * 9)
    for row in answers.to_dict("records"):
        truth = street_mask_boxes(annotations / f"{Path(row['path']).stem}.xml")
        total += _judge(json.loads(row["boxes"]), truth, row["prediction"])
    return total


def held_out_photographs(manifest: Path) -> list[str]:
    """Name the photographs of face crops that are wholly in the test split."""
    rows = pd.read_csv(manifest, dtype=str)
    splits = rows.groupby(rows["path"].str.extract(r"/(.+)-\d+\.png$")[0])["split"].agg(set)
    return [str(photo) for photo in splits.index[splits == {"test"}]]


def overlap(one: Corners, other: Corners) -> float:
    """Give the intersection of two boxes over their union."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    both = max(wide, 0) * max(high, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (areas - both)


def _judge(faces: Sequence[dict], truth: Sequence[tuple[Corners, str]], answer: str) -> Judgement:
    """Match each box with the face it overlaps most, a face with one box at most."""
    worn = [state == WORN for _, state in truth]
    large = [box[2] - box[0] >= LARGE for box, _ in truth]
    pairs = sorted(
        ((overlap(_corners(face["box"]), box), mine, its) for mine, face in enumerate(faces)
         for its, (box, _) in enumerate(truth)), reverse=True,
    )  # fmt: skip
    matched: dict[int, int] = {}
    for share, mine, its in pairs:
        if share >= OVERLAP and mine not in matched and its not in matched.values():
            matched[mine] = its
    right = sum(faces[mine]["mask"] is worn[its] for mine, its in matched.items())
    found = len(matched), len(truth), sum(large[its] for its in matched.values()), sum(large)
    return Judgement(len(faces), len(faces) - len(matched), *found, right, int(answer == scene(worn)), 1)


def _corners(box: Sequence[float]) -> Corners:
    left, top, width, height = box
    return left, top, left + width, top + height


def main(arguments: Sequence[str]) -> None:
    """Print the photographs, or judge tables."""
    if len(arguments) < 2 or {"-h", "--help"} & {*arguments}:
        return print(__doc__)
    with one_line_errors():
        manifest, images = Path(arguments[0]), Path(arguments[1])
        for given in (manifest, images, *map(Path, arguments[2:])):
            if not given.exists():
                raise InputError(f"{given}: there is no such file or folder; see --help")
        if len(arguments) == 2:
            held_out = {*held_out_photographs(manifest)}
            print(*(file for file in sorted(images.iterdir()) if file.stem in held_out), sep="\n")
            return None
        print(f"{HEAD}\n|{' --: |' * 6}")
        for table in arguments[2:]:
            print(judge_faces(pd.read_csv(table, keep_default_na=False), images.parent / "annotations").row())
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
