"""Rows of answers as a Parquet file and back, a part at a time."""

from collections.abc import Callable, Sequence
from pathlib import Path

NUMBERS = ("confidence", "agreement")


def to_parquet(rows: Path, file: Path, columns: Sequence[str], counts: Sequence[str] = ()) -> None:
    """Write a table of rows as Parquet, a part at a time; what is empty becomes null, `counts` are whole numbers."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    known = dict.fromkeys(NUMBERS, pa.float64()) | dict.fromkeys(counts, pa.int64()) | {"tie": pa.bool_()}
    kinds = {name: known.get(name, pa.string()) for name in columns}
    convert = arrow_csv.ConvertOptions(column_types=kinds, null_values=[""], strings_can_be_null=True)

    def write(part: Path) -> None:
        with (
            arrow_csv.open_csv(rows, convert_options=convert) as batches,
            parquet.ParquetWriter(part, batches.schema) as target,
        ):
            for batch in batches:
                target.write_batch(batch)

    _whole(file, write)


def to_csv(file: Path, rows: Path) -> None:
    """Bring a finished Parquet file back into rows that can be added to."""
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    def write(part: Path) -> None:
        with parquet.ParquetFile(file) as source, arrow_csv.CSVWriter(part, source.schema_arrow) as target:
            for batch in source.iter_batches():
                target.write_batch(batch)

    _whole(rows, write)


def _whole(file: Path, write: Callable[[Path], None]) -> None:
    """Write a file under another name and rename it, so that it is never incomplete."""
    part = file.with_name(f"{file.name}.part")
    try:
        write(part)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
