"""Open the study that trials are kept in: a sqlite file, or a database that several machines share."""

import logging
import socket
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import filelock
import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from facemask_ensemble.errors import InputError

logging.getLogger("alembic").setLevel(logging.WARNING)
optuna.logging.set_verbosity(optuna.logging.ERROR)  # we print our own lines about trials
warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)

TIMEOUT_SECONDS = 5.0  # seconds with an address that may be dead
PORTS = {"postgresql": 5432, "mysql": 3306}
HEARTBEAT, GRACE = 10, 60  # seconds; a trial is repeated if its process gives no sign for this time
RETRIES = 3
Direction = Literal["minimize", "maximize"]
LOST = (StorageInternalError, SQLAlchemyError)


def default_storage(output_dir: Path) -> str:
    """Give the address of the sqlite file that is used where no storage is named."""
    return f"sqlite:///{output_dir}/tune.db"


def open_storage(url: str, output_dir: Path) -> optuna.storages.RDBStorage:
    """Open the storage, and make its tables where they are missing.

    Args:
        url: such as `postgresql+psycopg2://user:password@host/name` or `sqlite:////shared/tune.db`.
        output_dir: absolute; holds the lock under which tables are made.

    Raises:
        InputError: not an address, no answer from it, or not a database of Optuna.
    """
    if "://" not in url:
        raise InputError(
            f"storage={url}: not an address; give one such as postgresql+psycopg2://user@host/name, or null"
        )
    output_dir.mkdir(parents=True, exist_ok=True)
    try:
        _knock(url)
        # Processes that make the tables of one sqlite file at once break each other's.
        with filelock.FileLock(output_dir / ".tune.lock"):
            return _open(url)
    except ImportError as error:
        driver = {"psycopg2": "psycopg2-binary"}.get(str(error.name), str(error.name))
        raise InputError(f"storage={hidden(url)}: needs a driver; pip install {driver}") from error
    except (*LOST, OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"storage={hidden(url)}: a study cannot be stored there ({_short(error)}); {_next(url)}"
        ) from error


def _open(url: str) -> optuna.storages.RDBStorage:
    sqlite = url.startswith("sqlite")
    options: dict[str, Any] = {"connect_args": {"timeout": 60}} if sqlite else {"pool_pre_ping": True}
    retry = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)

    def connect() -> optuna.storages.RDBStorage:
        return optuna.storages.RDBStorage(
            url, options, heartbeat_interval=HEARTBEAT, grace_period=GRACE, heartbeat_stale_trial_callback=retry
        )

    try:
        return connect()
    except SQLAlchemyError:
        time.sleep(1)  # another machine may have been making the tables at that moment
        return connect()


def _knock(url: str) -> None:
    """Find a dead address quickly: a database's driver may try for minutes."""
    address = urlsplit(url)
    port = address.port or PORTS.get(address.scheme.partition("+")[0])
    if address.hostname and port:
        socket.create_connection((address.hostname, port), timeout=TIMEOUT_SECONDS).close()


def hidden(url: str) -> str:
    """Show an address without its password."""
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":***@") if password else url


def _next(url: str) -> str:
    if url.startswith("sqlite"):
        return "move the file away, or give another"
    return "start the database, or leave storage=null for a sqlite file below output_dir"


def _short(error: BaseException) -> str:
    return " ".join(str(error.__cause__ or error).split())[:160]


@contextmanager
def answering(url: str) -> Iterator[None]:
    """Turn the loss of the storage during a search into a line that says what to do."""
    try:
        yield
    except (*LOST, UnboundLocalError) as error:  # Optuna itself fails when it cannot write the end of a trial
        lost = next((cause for cause in _causes(error) if isinstance(cause, LOST)), None)
        if lost is None:
            raise
        raise InputError(
            f"storage={hidden(url)}: stopped responding ({_short(lost)}); the trainings are kept; when it "
            "answers again, run the same command to continue"
        ) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def open_study(
    storage: optuna.storages.BaseStorage,
    name: str,
    direction: Direction,
    terms: Mapping[str, Any],
    sampler: optuna.samplers.BaseSampler,
    pruner: optuna.pruners.BasePruner,
) -> optuna.Study:
    """Load or create the study, and refuse one with another search.

    Args:
        storage: as opened.
        name: of the study.
        direction: `minimize` or `maximize`.
        terms: all on which trials must agree to be comparable; values as JSON has them.
        sampler: that draws.
        pruner: that stops what is unpromising.

    Raises:
        InputError: naming the first term that differs from the study's.
    """
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        load_if_exists=True,
        direction=direction,
        sampler=sampler,
        pruner=pruner,
    )
    known = study.user_attrs.get("terms")
    if known is None:
        _check_foreign(study, direction)
        study.set_user_attr("terms", dict(terms))
        return study
    for key in sorted({*known, *terms}):
        # A key that only one of them has came or went with a version of this program; what is searched may not.
        compared = key.startswith("space.") or (key in known and key in terms)
        if compared and known.get(key) != terms.get(key):
            raise InputError(
                f"study={name}: started with {key}={known.get(key)}, now it is {terms.get(key)}; such trials "
                "cannot be compared; give another study, or the old value"
            )
    return study


def _check_foreign(study: optuna.Study, direction: Direction) -> None:
    if study.get_trials(deepcopy=False) or study.direction.name.lower() != direction:
        raise InputError(f"study={study.study_name}: another program has a study of that name there; give another")
