import os

import pytest

from benchmarks import data


def test_a_drawn_image_has_the_size_asked_and_the_weight_of_a_photograph(tmp_path):
    files = data.draw(tmp_path / "drawn", 4, 600, 400)
    assert [file.parent.name for file in files] == ["a", "b", "a", "b"]
    assert all(30_000 < os.path.getsize(file) < 80_000 for file in files)


@pytest.mark.heavy
def test_the_bench_measures_each_part_beside_its_alternative(monkeypatch, capsys, tmp_path):
    sizes = {"photos": 40, "audited": 60, "hashes": 2000, "few": 20, "many": 40}
    arguments = [text for name, value in sizes.items() for text in (f"--{name}", str(value))]
    monkeypatch.setattr("sys.argv", ["bench", *arguments, "--folder", str(tmp_path)])
    data.main()
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 2 + 9 and all(len(row) == 3 for row in rows)
    assert list(tmp_path.iterdir()) == []
