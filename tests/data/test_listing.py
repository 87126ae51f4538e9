import os
import socket

import pandas as pd
import pytest

from facemask_ensemble.data.listing import existing_folder, files_below, make_listing, refuse_empty_class, visible
from facemask_ensemble.errors import InputError


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


@pytest.fixture
def root(tmp_path):
    touch(tmp_path / "root" / "a" / "1.png")
    touch(tmp_path / "root" / "b" / "2.png")
    touch(tmp_path / "elsewhere" / "3.png")
    return tmp_path / "root"


def paths(found, root):
    files, left_out = found
    return [file.relative_to(root).as_posix() for file in files], dict(left_out)


def test_files_are_found_in_order_whatever_their_depth_without_hidden_ones(root):
    for name in ("a/z/9.png", "a/0.txt", "a/.hidden/1.png", "a/.2.png"):
        touch(root / name)
    assert paths(files_below(root / "a", root), root) == (["a/0.txt", "a/1.png", "a/z/9.png"], {})


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("../../elsewhere/3.png", "leaves dataset.root: replace it by a copy"),
        ("../../elsewhere", "leaves dataset.root: replace it by a copy"),
        ("/", "leaves dataset.root"),
        ("gone.png", "to nothing: restore"),
        ("link.png", "loops: replace it by a copy"),
        (".", "a loop: remove it"),
        ("..", "a loop: remove it"),
        ("../b", "not followed: replace it by the folder"),
    ],
)
def test_a_link_that_is_not_followed_is_left_out_with_what_to_do_about_it(root, target, why):
    (root / "a" / "link.png").symlink_to(target)
    files, left_out = paths(files_below(root, root), root)
    assert files == ["a/1.png", "b/2.png"]
    assert left_out.keys() == {"a/link.png"}
    assert why in left_out["a/link.png"]


@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_to_a_file_below_the_root_is_a_file_even_over_another_link(root, absolute):
    (root / "a" / "link.png").symlink_to(root / "b" / "2.png" if absolute else "../b/2.png")
    (root / "a" / "more.png").symlink_to("link.png")
    assert paths(files_below(root / "a", root), root) == (["a/1.png", "a/link.png", "a/more.png"], {})


def test_a_root_that_is_reached_over_a_link_is_as_good_as_any(root, tmp_path):
    (tmp_path / "short").symlink_to(root)
    (root / "a" / "link.png").symlink_to(root / "b" / "2.png")
    files, left_out = paths(files_below(tmp_path / "short" / "a", tmp_path / "short"), tmp_path / "short")
    assert (files, left_out) == (["a/1.png", "a/link.png"], {})


def test_a_folder_that_is_itself_a_link_is_left_out_whole(root):
    (root / "c").symlink_to("../elsewhere")
    files, left_out = paths(files_below(root / "c", root), root)
    assert files == [] and "leaves dataset.root" in left_out["c"]


def test_pipes_and_sockets_are_not_opened(root, monkeypatch):
    os.mkfifo(root / "a" / "pipe.png")
    monkeypatch.chdir(root)  # a socket's name has to be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("a/socket.png")
    _, left_out = paths(files_below(root, root), root)
    assert left_out.keys() == {"a/pipe.png", "a/socket.png"}
    assert all("a pipe, a socket or a device: remove it" in why for why in left_out.values())


def test_names_that_no_table_can_hold_are_written_in_ascii(root):
    rows = [{"path": "a/two\nlines.png", "label": 0}, {"path": "a/1.png", "label": 0}]
    found = make_listing(root, ["a"], rows, [("a/\udcff.txt", "suffix")])
    assert list(found.rows["path"]) == ["a/1.png"]
    assert dict(zip(found.quarantine["path"], found.quarantine["reason"], strict=True)) == {
        r"'a/two\nlines.png'": "its name holds a line break or another control character: rename it",
        r"'a/\udcff.txt'": "suffix",
    }
    found.quarantine.to_csv(root / "quarantine.csv", index=False)
    assert len(pd.read_csv(root / "quarantine.csv")) == 2


def test_a_missing_class_is_refused_with_the_counts_and_the_first_of_what_was_left_out(root):
    rows = [{"label": 0}, {"label": 0}]
    with pytest.raises(
        InputError, match=r"has a class without images \(a 2, b 0\) \(left out: 1, the first b/1: broken\): fix"
    ):
        refuse_empty_class(root, ["a", "b"], rows, [("b/1", "broken")], "fix it")
    with pytest.raises(InputError, match="has no labelled images: fix it"):
        refuse_empty_class(root, ["a", "b"], [], [], "fix it")
    refuse_empty_class(root, ["a"], rows, [], "fix it")


def test_a_root_or_folder_that_is_none_is_refused(root):
    with pytest.raises(InputError, match=r"dataset\.root=null: dataset=folders needs a folder"):
        existing_folder(" ", "folders")
    with pytest.raises(InputError, match="cannot be opened"):
        visible(root / "nowhere")
