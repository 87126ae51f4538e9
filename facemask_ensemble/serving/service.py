"""An ensemble that stays in memory and answers tables of images: what MLflow's model of it does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from facemask_ensemble.config import compose_choice, options, read_settings
from facemask_ensemble.errors import InputError
from facemask_ensemble.packaging.package import read_package
from facemask_ensemble.prediction.shipped import choice_of
from facemask_ensemble.serving.requests import requested, rows_of
from facemask_ensemble.serving.uploads import Limits, ask
from facemask_ensemble.settings import dump, read
from facemask_ensemble.settings.answering import Runtime
from facemask_ensemble.settings.serve import ServeSettings

if TYPE_CHECKING:
    from facemask_ensemble.prediction.ensemble import Ensemble

SETTINGS: Mapping[str, Any] = dump(ServeSettings())
PARAMS: Mapping[str, Any] = {"votes": "decided", "heatmap": False, "member": ""}
VOTES = ("decided", "all")
SHOWN = 480  # longest side of a heatmap, pixels


@dataclass(frozen=True)
class Service:
    """An ensemble in memory, its limits on images, and the folder below which it opens paths."""

    ensemble: "Ensemble"
    limits: Limits
    root: Path | None

    @classmethod
    def open(cls, package: Path, settings: Mapping[str, Any] | None = None) -> "Service":
        """Bring a package into memory.

        Args:
            package: its folder.
            settings: some of `SETTINGS`, to be other than they are.

        Raises:
            InputError: the package cannot be read, or a setting cannot be.
        """
        chosen = read(ServeSettings, settings or {})
        runtime, root = _runtime(chosen.runtime), chosen.folder
        limits = Limits(chosen.megabytes, chosen.megapixels)
        choice = choice_of(read_package(package))
        return cls(choice.load(runtime, chosen.batch_size, "decided"), limits, root)

    def answer(self, table: Any, params: Mapping[str, Any]) -> pd.DataFrame:
        """Answer each row of a table, in order.

        Args:
            table: as `requests.rows_of` and `requests.requested` read it.
            params: some of `PARAMS`, to be other than they are.

        Returns:
            `path`, `prediction`, `confidence`, `agreement`, `vote_MEMBER`, `tie` and `reason` as in `predict`'s table,
            and every member's probabilities as `p_MEMBER_CLASS`; None where there is no number. With heatmaps also
            `heatmap` (PNG in base64), `heatmap_member`, and `heatmap_reason` where there is none.

        Raises:
            InputError: a parameter cannot be.
        """
        asked = {**PARAMS, **params}
        ensemble = self._voting(asked["votes"])
        member = self._member(asked["member"])
        rows = rows_of(table)
        parts = [
            self._answer(ensemble, rows[start : start + self.limits.images], bool(asked["heatmap"]), member)
            for start in range(0, max(len(rows), 1), self.limits.images)
        ]
        return pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]

    def _answer(
        self, ensemble: "Ensemble", rows: Sequence[Mapping[str, Any]], maps: bool, member: int | None
    ) -> pd.DataFrame:
        items = [requested(row, self.root, self.limits) for row in rows]
        chunk, probs, answers = ask(ensemble, items, SHOWN if maps else None)
        columns: dict[str, list[Any]] = {str(name): answers[name].tolist() for name in answers}
        for name, own in zip(ensemble.names, probs, strict=True):
            for label, values in zip(ensemble.class_names, own.T, strict=True):
                columns[f"p_{name}_{label}"] = values.tolist()
        known = {name: [None if value != value else value for value in values] for name, values in columns.items()}
        table = pd.DataFrame(known, dtype=object)  # JSON knows no nan, and a column of numbers no None
        table["tie"] = table["tie"].astype(bool)
        if maps:
            from facemask_ensemble.serving.heatmap_columns import explained

            table = table.join(explained(ensemble, chunk, probs, columns["prediction"], member))
        return table

    def _voting(self, votes: object) -> "Ensemble":
        if votes not in VOTES:
            raise InputError(f"votes={votes}: must be one of {', '.join(VOTES)}")
        return replace(self.ensemble, order=None) if votes == "all" else self.ensemble

    def _member(self, name: str) -> int | None:
        if not name:
            return None
        if name not in self.ensemble.names:
            raise InputError(f"member={name}: must be one of {', '.join(self.ensemble.names)}")
        return self.ensemble.names.index(name)


def _runtime(given: object) -> Runtime:
    """Resolve a choice of the group `runtime`, given by its name, or by its `name` and others of its values."""
    from omegaconf import OmegaConf

    changes = dict(given) if isinstance(given, Mapping) else {"name": given}
    name = changes.get("name")
    if name not in options("runtime"):
        raise InputError(f"runtime={name}: must be one of {', '.join(options('runtime'))}")
    leaf = compose_choice("runtime", str(name))
    if unknown := sorted({*changes} - ({*leaf} - {"load"})):
        raise InputError(f"runtime.{unknown[0]}: runtime {name} has no such setting")
    whole = OmegaConf.create({"runtime": {**leaf, **changes}})
    return read_settings(Runtime, whole, "runtime")
