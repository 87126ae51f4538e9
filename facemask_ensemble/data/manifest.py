"""The manifest: the only truth about which image has which label and split."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facemask_ensemble.files import write_atomically

SPLITS = ("train", "validation", "test")
MANIFEST_FILES = ("manifest.csv", "quarantine.csv", "dataset.json")
COLUMNS = ["path", "sha256", "label", "group", "split", "look", "mirrored"]


@dataclass(frozen=True)
class Manifest:
    """Labelled images of one dataset.

    `rows` has one line an image: `path` relative to `root` (posix), `sha256` of the file, `label` an index into
    `class_names`, `group` (images of one group share a split), `split` (train, validation or test), `look` and
    `mirrored` (perceptual hashes, by which near copies are known again). `quarantine` has the columns `path` and
    `reason`: what was left out. `near_duplicates` are the bits by which looks of near copies may differ, None where
    near copies were not looked for.
    """

    name: str
    root: Path
    class_names: tuple[str, ...]
    rows: pd.DataFrame
    quarantine: pd.DataFrame
    near_duplicates: int | None = None

    @property
    def fingerprint(self) -> str:
        """Identify contents, labels and splits, independent of the folder: 64 hexadecimal digits."""
        lines = sorted(f"{row.sha256} {row.label} {row.split}" for row in self.rows.itertuples())
        return hashlib.sha256("\n".join([*self.class_names, *lines]).encode()).hexdigest()

    def split(self, name: str) -> pd.DataFrame:
        """Select the rows of one split, in order."""
        return self.rows[self.rows["split"] == name].reset_index(drop=True)

    def counts(self) -> dict[str, dict[str, int]]:
        """Count the images of every split and class."""
        table = pd.crosstab(self.rows["split"], self.rows["label"])
        return {
            split: {
                name: int(table.get(label, pd.Series(dtype=int)).get(split, 0))
                for label, name in enumerate(self.class_names)
            }
            for split in SPLITS
        }

    def save(self, folder: Path) -> None:
        """Write `manifest.csv`, `quarantine.csv` and `dataset.json` into the folder."""
        about = {
            "name": self.name,
            "root": str(self.root),
            "class_names": list(self.class_names),
            "fingerprint": self.fingerprint,
            "near_duplicates": self.near_duplicates,
        }
        tables = [self.rows[COLUMNS].to_csv(index=False), self.quarantine.to_csv(index=False)]
        for name, text in zip(MANIFEST_FILES, [*tables, json.dumps(about, indent=2)], strict=True):
            write_atomically(text, folder / name)

    @classmethod
    def load(cls, folder: Path) -> "Manifest":
        """Read what `save` wrote."""
        table, left_out, described = (folder / name for name in MANIFEST_FILES)
        about = json.loads(described.read_text(encoding="utf-8"))
        text = dict.fromkeys(["path", "sha256", "group", "split", "look", "mirrored", "reason"], str)
        return cls(
            name=about["name"],
            root=Path(about["root"]),
            class_names=tuple(about["class_names"]),
            rows=pd.read_csv(table, dtype=text, keep_default_na=False),
            quarantine=pd.read_csv(left_out, dtype=text, keep_default_na=False),
            near_duplicates=about["near_duplicates"],
        )
