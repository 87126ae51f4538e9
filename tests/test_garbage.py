import gc

import pytest

from facemask_ensemble.garbage import collection_paused


@pytest.fixture(autouse=True)
def collecting():
    gc.enable()
    yield
    gc.enable()


def test_the_collection_is_paused_in_the_block_and_resumes_after_it_or_an_error():
    with collection_paused():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="early"), collection_paused():
        raise ValueError("early")
    assert gc.isenabled()


def test_the_pause_can_be_ended_before_the_block():
    with collection_paused() as resume:
        resume()
        assert gc.isenabled()
    assert gc.isenabled()


def test_a_collection_that_was_off_before_stays_off():
    gc.disable()
    with collection_paused() as resume:
        resume()
        assert not gc.isenabled()
    assert not gc.isenabled()
