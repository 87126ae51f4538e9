"""Files that are there whole or not at all."""

import uuid
from pathlib import Path

from facemask_ensemble.errors import InputError


def write_atomically(content: str | bytes, file: Path) -> None:
    """Write a file under a name of its own, then rename it: other processes read the old or the new one, whole."""
    part = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(file)
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror}): free space or give another output_dir"
        ) from None
    finally:
        part.unlink(missing_ok=True)
