"""Images named in a table."""

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.data.preparation import prepare
from facemask_ensemble.data.sources import table
from facemask_ensemble.errors import InputError


@pytest.fixture
def root(tmp_path):
    for path in ("a/1.png", "a/2.png", "b/3.png", "b/4.png"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"x")
    return tmp_path


def csv(root, text, name="labels.csv"):
    (root / name).write_text(text, encoding="utf-8")
    return root / name


def labels(listing):
    return {row.path: listing.class_names[row.label] for row in listing.rows.itertuples()}


def reasons(listing):
    return dict(zip(listing.quarantine["path"], listing.quarantine["reason"], strict=True))


def test_paths_and_labels_are_read_relative_to_the_tables_folder(root):
    found = table(csv(root, "path,label\nb/3.png,dog\na/1.png,cat\n"))
    assert found.root == root
    assert found.class_names == ("cat", "dog")
    assert labels(found) == {"a/1.png": "cat", "b/3.png": "dog"}
    assert set(found.rows["split"]) == set(found.rows["group"]) == {""}


def test_split_and_group_are_kept_and_may_be_empty(root):
    text = (
        "label,path,group,split\ncat,a/1.png,left,Train\ncat,a/2.png,,VALID\ndog,b/3.png,left,\ndog,b/4.png,,testing\n"
    )
    rows = table(csv(root, text)).rows.set_index("path")
    assert rows["split"].to_dict() == {"a/1.png": "train", "a/2.png": "validation", "b/3.png": "", "b/4.png": "test"}
    assert rows["group"].to_dict() == {"a/1.png": "left", "a/2.png": "", "b/3.png": "left", "b/4.png": ""}


def test_a_parquet_file_with_gaps_is_read_as_the_same_csv(root):
    frame = pd.DataFrame(
        {"path": ["a/1.png", "b/3.png"], "label": [10, 9], "split": [None, "test"], "group": [7.0, float("nan")]}
    )
    frame.to_parquet(root / "labels.parquet")
    found = table(root / "labels.parquet")
    assert found.class_names == ("9", "10")
    assert found.rows.to_dict("records") == [
        {"path": "a/1.png", "label": 1, "group": "7", "split": ""},
        {"path": "b/3.png", "label": 0, "group": "", "split": "test"},
    ]


def test_a_csv_of_a_spreadsheet_with_its_mark_and_quotes_is_read(root):
    (root / "x, y.png").write_bytes(b"x")
    file = root / "labels.csv"
    file.write_bytes('\ufeffpath,label\r\n"x, y.png", none \r\nb/3.png,NA\r\n'.encode())
    assert labels(table(file)) == {"x, y.png": "none", "b/3.png": "NA"}


@pytest.mark.parametrize(
    ("text", "classes", "names", "expected"),
    [
        ("2,10,2,10", None, ("2", "10"), [0, 1, 0, 1]),
        ("-1,1,1,1", None, ("-1", "1"), [0, 1, 1, 1]),
        ("b,a,b,a", None, ("a", "b"), [1, 0, 1, 0]),
        ("b,a,b,a", ["b", "a"], ("b", "a"), [0, 1, 0, 1]),
        ("0,1,2,0", ["none", "all", "some"], ("none", "all", "some"), [0, 1, 2, 0]),
        ("0,1,1,0", [1, 0], ("1", "0"), [1, 0, 0, 1]),
    ],
)
def test_classes_are_sorted_or_in_the_order_given_and_numbers_count_them(root, text, classes, names, expected):
    paths = ("a/1.png", "a/2.png", "b/3.png", "b/4.png")
    lines = "".join(f"{path},{label}\n" for path, label in zip(paths, text.split(","), strict=True))
    found = table(csv(root, "path,label\n" + lines), classes=classes)
    assert found.class_names == names
    assert list(found.rows["label"]) == expected


def test_columns_may_have_other_names(root):
    text = "file,kind,path\na/1.png,x,ignored\nb/3.png,y,ignored\n"
    found = table(csv(root, text), columns={"path": "file", "label": "kind", "split": "split", "group": "group"})
    assert labels(found) == {"a/1.png": "x", "b/3.png": "y"}


def test_absolute_paths_below_the_root_are_accepted_also_over_a_link(root, tmp_path_factory):
    short = tmp_path_factory.mktemp("links") / "short"
    short.symlink_to(root)
    text = f"path,label\n{root}/a/1.png,x\n{short}/b/3.png,y\na/../b/./4.png,y\n"
    expected = {"a/1.png": "x", "b/3.png": "y", "b/4.png": "y"}
    assert labels(table(csv(root, text))) == expected
    assert labels(table(csv(root, text), root=short)) == expected


def test_an_image_named_twice_is_taken_once_or_not_at_all(root):
    lines = [
        "a/1.png,x,",
        "./a/1.png,x,",
        "a/2.png,x,",
        "a/2.png,y,",
        "b/3.png,y,train",
        "b/3.png,y,test",
        "b/4.png,y,",
    ]
    found = table(csv(root, "\n".join(["path,label,split", *lines])))
    assert labels(found) == {"a/1.png": "x", "b/4.png": "y"}
    assert reasons(found) == {
        "a/2.png": "named several times, with the labels 'x' and 'y': correct the table",
        "b/3.png": "named several times, with the splits 'train' and 'test': correct the table",
    }


def test_what_cannot_be_opened_is_left_out_with_the_reason(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "5.png").write_bytes(b"x")
    (root / "c").symlink_to(outside)
    (root / "a" / "link.png").symlink_to(outside / "5.png")
    (root / "a" / "inside.png").symlink_to("1.png")
    named = ("gone.png", "a", "c/5.png", "a/link.png", "a/inside.png", "b/3.png")
    found = table(csv(root, "path,label\n" + "".join(f"{path},{path == 'b/3.png'}\n" for path in named)))
    assert labels(found) == {"a/inside.png": "False", "b/3.png": "True"}
    expected = {
        "gone.png": "named in labels.csv, but missing",
        "a": "a folder, not an image",
        "c/5.png": "behind a symbolic link that leaves dataset.root",
        "a/link.png": "a symbolic link that leaves dataset.root",
    }
    assert reasons(found).keys() == expected.keys()
    assert all(words in reasons(found)[path] for path, words in expected.items())


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        (
            "file,label\na/1.png,x\n",
            {},
            r"has no column 'path' \(it has file, label\): set dataset\.columns\.path=NAME",
        ),
        ("path,kind\na/1.png,x\n", {}, r"has no column 'label'"),
        ("path,label\na/1.png,x\n", {"columns": {"split": "fold"}}, r"has no column 'fold'"),
        ("path,label\na/1.png,x\n", {"columns": {"paths": "x"}}, r"dataset\.columns\.paths: there is no such column"),
        ("path,label\na/1.png,x\na/2.png,\n", {}, r"labels\.csv line 3 has no label \(such rows: 1\)"),
        ("path,label\n  ,x\n", {}, r"line 2 has no path"),
        ("path,label\na/1.png\n", {}, r"line 2 has no label"),
        ("path,label,split\na/1.png,x,dev\n", {}, r"line 2: unknown split 'dev': use one of train, training, valid"),
        ("path,label\n../1.png,x\n", {}, r"line 2: \.\./1\.png is outside dataset\.root="),
        ("path,label\n/etc/hosts,x\n", {}, r"/etc/hosts is outside"),
        ("path,label\n.,x\n", {}, r"line 2: \. is outside"),
        ("path,label\na/1.png,x,\n", {}, r"cannot be read as a table"),
        ("path,label\na/1.png,x\na/2.png,x,y\n", {}, r"cannot be read as a table"),
        ("", {}, r"cannot be read as a table"),
        ("path,label\n", {}, r"has no rows; add a row for every image"),
        ("path,label\na/1.png,x\n", {}, r"has one class, 'x'"),
        (
            "path,label\na/1.png,x\nb/0.png,y\n",
            {},
            r"has a class without images \(x 1, y 0\) \(left out: 1, the first b/0\.png: named",
        ),
        ("path,label\na/1.png,x\n", {"classes": ["y", "z"]}, r"has the label 'x', which is not in dataset\.classes"),
        ("path,label\na/1.png,2\n", {"classes": ["y", "z"]}, r"has the label '2', which is not in dataset\.classes"),
        ("path,label\na/1.png,x\n", {"classes": ["x", "x"]}, r"at least two different names"),
        ("path,label\na/1.png,x\n", {"classes": "x"}, r"at least two different names"),
    ],
)
def test_a_table_that_is_wrong_is_refused(root, text, settings, message):
    with pytest.raises(InputError, match=message):
        table(csv(root, text), **settings)


def test_a_file_that_is_no_table_is_refused(root):
    with pytest.raises(InputError, match=r"dataset\.table=null.*give dataset\.table=FILE"):
        table(None)
    with pytest.raises(InputError, match=r"nowhere\.csv does not exist"):
        table(root / "nowhere.csv")
    with pytest.raises(InputError, match=r"is neither \.csv nor \.parquet"):
        table(csv(root, "path,label\n", "labels.txt"))
    with pytest.raises(InputError, match=r"labels\.parquet cannot be read as a table"):
        table(csv(root, "path,label\n", "labels.parquet"))
    (root / "latin.csv").write_bytes("path,label\na/1.png,\xe9t\xe9\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.csv cannot be read as a table .*UTF-8"):
        table(root / "latin.csv")


def test_a_table_composes_and_becomes_the_manifest_of_the_same_folders(class_folders, tmp_path):
    files = sorted(class_folders.rglob("*.png"))
    lines = [f"{file.relative_to(class_folders)},{file.parent.name}" for file in files]
    text = csv(tmp_path, "image,label\n" + "\n".join(lines))
    overrides = [
        "dataset=table",
        f"dataset.table={text}",
        f"dataset.root={class_folders}",
        "dataset.columns.path=image",
    ]
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        source = OmegaConf.to_container(compose("train", overrides).dataset, resolve=True)["source"]
    settings = {"limit": None, "validation": 0.2, "test": 0.2, "seed": 0, "near_duplicates": 8}
    manifest = prepare("table", instantiate(source), tmp_path / "out", **settings)
    assert manifest.counts()["train"] == {"cat": 12, "dog": 12}
    assert manifest.quarantine.empty
