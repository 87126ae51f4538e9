import os
import subprocess
import sys

import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.training.store_queries import newest_member
from facemask_ensemble.training.subprocess_call import aside


def test_work_is_done_in_another_process_and_its_answer_comes_back():
    assert aside(os.getpid) != os.getpid()
    assert aside(divmod, 7, 2) == (3, 1)


@pytest.mark.heavy
def test_an_error_is_raised_where_it_was_asked_for(tmp_path):
    with pytest.raises(InputError, match="members:/none: that study has no finished xception .it has none."):
        aside(newest_member, None, tmp_path, "none", "xception")


def test_a_process_that_ends_without_an_answer_is_an_error():
    with pytest.raises(RuntimeError, match="_exit: its process ended with code 3 and gave no result"):
        aside(os._exit, 3)


def test_work_can_be_done_aside_from_a_launchers_worker():
    from joblib import Parallel, delayed

    (answer,) = Parallel(n_jobs=2)(delayed(aside)(divmod, *pair) for pair in [(7, 2)])
    assert answer == (3, 1)


def test_work_can_be_done_aside_at_the_very_end_of_a_program(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import atexit, os\nfrom facemask_ensemble.training.subprocess_call import aside\n\n"
        "atexit.register(lambda: print(aside(os.getpid) != os.getpid()))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
