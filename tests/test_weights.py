import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.groups import Official
from facemask_ensemble.weights import check_weights, is_member, is_path, member_run, weights_file

RUN = "0123456789abcdef0123456789abcdef"
OFFICIAL = Official(
    file="tiny_notop.h5",
    md5="900150983cd24fb0d6963f7d28e17f72",  # of "abc": RFC 1321, section A.5
    address="https://example.org/tiny",
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tiny_notop.h5").write_bytes(b"abc")
    return tmp_path


def saved_member(path, name="vgg16", layers=("pixels", "features", "probabilities")):
    config = {"class_name": "Functional", "config": {"name": name, "layers": [{"name": layer} for layer in layers]}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", b"0123456789" * 1000)
    return path


@pytest.mark.parametrize("weights", [None, "imagenet", f"runs:/{RUN}", f"runs:/{RUN}/model.keras"])
def test_what_is_no_path_passes_unread(weights):
    check_weights(weights, OFFICIAL, name="tiny")


def test_only_a_path_is_made_absolute():
    answers = {value: is_path(value) for value in (None, "imagenet", f"runs:/{RUN}", "a.h5", "folder", "m.keras")}
    assert [value for value, answer in answers.items() if answer] == ["a.h5", "folder", "m.keras"]


def test_a_run_and_a_keras_file_are_members():
    answers = {value: is_member(value) for value in (None, "imagenet", f"runs:/{RUN}", "a.h5", "folder", "m.keras")}
    assert [value for value, answer in answers.items() if answer] == [f"runs:/{RUN}", "m.keras"]


def test_the_run_id_is_read_with_and_without_the_files_name():
    assert member_run(f"runs:/{RUN}") == member_run(f"runs:/{RUN}/model.keras") == RUN
    assert member_run("imagenet") is None


@pytest.mark.parametrize("weights", ["runs:/", "runs:/12", f"runs:{RUN}", f"runs:/{RUN}/best.npz", f"runs:/{RUN}0"])
def test_a_run_of_another_form_is_refused(weights):
    with pytest.raises(InputError, match=f"backbone.weights={weights}: a run is written runs:/RUN_ID"):
        check_weights(weights, OFFICIAL)


def test_the_official_file_is_found_in_its_folder(folder):
    assert weights_file(str(folder), OFFICIAL) == str(folder / "tiny_notop.h5")
    check_weights(str(folder), OFFICIAL)


def test_a_folder_without_the_official_file_is_refused_with_the_address(tmp_path):
    with pytest.raises(InputError, match=r"tiny_notop.h5 is not in it; fetch it from https://example.org/tiny/tiny_no"):
        check_weights(str(tmp_path), OFFICIAL)


def test_a_folder_is_refused_where_no_official_file_is_known(tmp_path):
    with pytest.raises(InputError, match=f"backbone.weights={tmp_path}: a folder, .* give a file"):
        check_weights(str(tmp_path), None)


@pytest.mark.parametrize("given", ["the folder", "the file"])
def test_an_official_file_that_was_cut_short_is_refused_with_both_sums(folder, given):
    (folder / "tiny_notop.h5").write_bytes(b"ab")
    weights = folder if given == "the folder" else folder / "tiny_notop.h5"
    sums = "its md5 is 187ef4436122d1cc2f40dc2b92f0eba0 and the official file's 900150983cd24fb0d6963f7d28e17f72"
    with pytest.raises(InputError, match=f"{sums}; fetch it again from https://example.org/tiny/tiny_notop.h5"):
        check_weights(str(weights), OFFICIAL)


def test_an_official_file_may_be_known_by_its_sha256(folder):
    """Of `abc`: FIPS 180-2, appendix B.1."""
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    known = Official(file=OFFICIAL.file, sha256=sha256, address=OFFICIAL.address)
    check_weights(str(folder), known, name="tiny")
    with pytest.raises(InputError, match=f"its sha256 is {sha256} and the official file's 0; fetch it again"):
        check_weights(str(folder), replace(known, sha256="0"), name="tiny")


def test_a_file_of_ones_own_has_no_sum_to_match(tmp_path):
    path = tmp_path / "own.weights.h5"
    path.write_bytes(b"ab")
    check_weights(str(path), OFFICIAL)
    assert weights_file(str(path), OFFICIAL) == str(path)


def test_a_path_that_leads_nowhere_is_refused_with_all_that_can_be_given():
    with pytest.raises(InputError, match="/no/such.h5: no such file or folder; give .* runs:/RUN_ID, .* or null for"):
        check_weights("/no/such.h5", OFFICIAL)


def test_a_member_of_the_same_backbone_passes(tmp_path):
    check_weights(str(saved_member(tmp_path / "model.keras")), OFFICIAL, name="vgg16")


def test_a_member_of_another_backbone_is_refused_with_both_names(tmp_path):
    path = saved_member(tmp_path / "model.keras")
    with pytest.raises(InputError, match="a member with the backbone vgg16, not xception; .* or backbone=vgg16"):
        check_weights(str(path), OFFICIAL, name="xception")


def test_a_keras_file_of_somebody_else_is_refused(tmp_path):
    path = saved_member(tmp_path / "model.keras", layers=("input_layer", "dense"))
    with pytest.raises(InputError, match="not a member of this package, which has the layers `pixels` and `features`"):
        check_weights(str(path), OFFICIAL, name="vgg16")


def test_a_missing_member_is_refused(tmp_path):
    with pytest.raises(InputError, match="model.keras: no such file; give"):
        check_weights(str(tmp_path / "model.keras"), OFFICIAL, name="vgg16")


def test_a_member_that_was_cut_short_is_refused(tmp_path):
    path = saved_member(tmp_path / "model.keras")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"not a valid .keras file \(File is not a zip file\); copy it again"):
        check_weights(str(path), OFFICIAL, name="vgg16")


def test_a_member_with_a_changed_byte_is_refused(tmp_path):
    path = saved_member(tmp_path / "model.keras")
    content = bytearray(path.read_bytes())
    content[content.index(b"0123456789") + 5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged in model.weights.h5; copy it again"):
        check_weights(str(path), OFFICIAL, name="vgg16")


@pytest.mark.parametrize("weights", ["imagenet", "own.h5"])
def test_a_small_network_starts_from_a_member_or_from_nothing(weights, tmp_path):
    check_weights(None, None, name="deep_cnn", pretrained=False)
    path = saved_member(tmp_path / "model.keras", name="deep_cnn")
    check_weights(str(path), None, name="deep_cnn", pretrained=False)
    with pytest.raises(InputError, match=f"backbone.weights={weights}: deep_cnn has no weights without top; give null"):
        check_weights(weights, None, name="deep_cnn", pretrained=False)


def test_checking_imports_no_tensorflow():
    code = "import sys, facemask_ensemble.weights; print({'keras', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
