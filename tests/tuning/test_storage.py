import os
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from facemask_ensemble.errors import InputError

# Debian keeps a server's programs off the path.
PLACES = os.pathsep.join([os.environ["PATH"], *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))])


@pytest.fixture
def server(tmp_path_factory):
    """A folder for a PostgreSQL of this test alone, and how to run its programs: they refuse to run as root."""
    programs = {name: shutil.which(name, path=PLACES) for name in ("initdb", "pg_ctl")}
    if not all(programs.values()):
        pytest.skip(f"no PostgreSQL server (initdb, pg_ctl) in {PLACES}")
    folder = tmp_path_factory.mktemp("postgresql")
    user = None
    if os.geteuid() == 0:
        user = "postgres"
        shutil.chown(folder, user)
        for above in folder.parents:
            if above.owner() == "root" and not above.stat().st_mode & stat.S_IXOTH:
                above.chmod(0o711)

    def run(*command, check=True):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
        subprocess.run([programs[command[0]], *map(str, command[1:])], check=check, user=user, **quiet)

    return folder, run


@pytest.fixture
def stop(server):
    """Stop the server as a lost machine does."""
    folder, run = server
    return lambda: run("pg_ctl", "-D", folder / "data", "-w", "-m", "immediate", "stop", check=False)


@pytest.fixture
def postgresql(server, stop):
    """Start the server; give its address."""
    folder, run = server
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    run("initdb", "-D", folder / "data", "-A", "trust", "-U", "me")
    run("pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", options, "start")
    yield f"postgresql+psycopg2://me:secret@127.0.0.1:{port}/postgres"
    stop()


@pytest.mark.heavy
def test_a_study_in_postgresql_is_shared(postgresql, make_study, make_objective):
    from facemask_ensemble.tuning.search import search

    first, second = make_study(url=postgresql), make_study(url=postgresql)
    search(first, make_objective(), 2, lambda _: None)
    search(second, make_objective(), 4, lambda _: None)
    assert len(first.get_trials()) == 4
    assert len({trial.params["x"] for trial in first.get_trials()}) == 4


@pytest.mark.heavy
def test_a_database_that_goes_away_in_mid_search_costs_no_training(postgresql, stop, make_study, make_objective):
    from facemask_ensemble.tuning.search import search
    from facemask_ensemble.tuning.storage import answering

    train = make_objective().train
    outcomes = []

    def outlast(settings, watch):
        stop()
        outcomes.append(train(settings, watch))
        return outcomes[-1]

    lost = r"storage=postgresql.+:\*\*\*@.+stopped responding .+run the same command to continue"
    with pytest.raises(InputError, match=lost), answering(postgresql):
        search(make_study(url=postgresql), make_objective(outlast), 1, lambda _: None)
    assert outcomes[0][0].state == "finished"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("studies.db", "storage=studies.db: not an address; give one such as postgresql"),
        ("sqlite:////nowhere/at/all.db", "a study cannot be stored there .+move the file away, or give another"),
        ("oracle9://host/name", "a study cannot be stored there"),
    ],
)
def test_an_address_of_no_storage_is_refused(url, message, tmp_path):
    from facemask_ensemble.tuning.storage import open_storage

    with pytest.raises(InputError, match=message):
        open_storage(url, tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    from facemask_ensemble.tuning.storage import default_storage, open_storage

    (tmp_path / "tune.db").write_text("trials, all of them" * 100)
    with pytest.raises(InputError, match="a study cannot be stored there .file is not a database"):
        open_storage(default_storage(tmp_path), tmp_path)


def test_a_study_of_other_terms_is_refused(make_study):
    make_study(terms={"metric": "val_loss", "space.x": [0, 1], "batch_size": 32, "old": 1})
    make_study(terms={"metric": "val_loss", "space.x": [0, 1], "batch_size": 32, "new": 2})  # of another version
    with pytest.raises(InputError, match="study=masks: started with batch_size=32, now it is 64"):
        make_study(terms={"metric": "val_loss", "space.x": [0, 1], "batch_size": 64})
    with pytest.raises(InputError, match=r"started with space.y=None, now it is \[1, 2\]"):
        make_study(terms={"metric": "val_loss", "space.x": [0, 1], "space.y": [1, 2]})


def test_a_study_of_another_program_is_refused(make_study, tmp_path):
    import optuna

    from facemask_ensemble.tuning.storage import default_storage, open_storage

    storage = open_storage(default_storage(tmp_path), tmp_path)
    optuna.create_study(storage=storage, study_name="masks", direction="maximize")
    with pytest.raises(InputError, match="study=masks: another program has a study of that name"):
        make_study()
