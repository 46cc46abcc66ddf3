"""Output folders: what is not ours is neither replaced nor removed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_folder
from synthlaw.common.ownership import MARK, claim_folder, claimed


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under `folder` with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def replace(folder: Path, text: str, kind: str | None = "export") -> None:
    with atomic_folder(folder, kind) as aside:
        (aside / "model.bin").write_text(text)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a user's git clone of a model looks like."""
    folder = tmp_path / "clone"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "model.bin").write_text("theirs")
    return folder


def test_a_foreign_folder_is_neither_replaced_nor_filled(clone: Path) -> None:
    before = contents(clone)
    with pytest.raises(UsageError, match=r"clone: holds other files \(model.bin\)"):
        replace(clone, "ours")
    with pytest.raises(UsageError, match="clone: holds other files"):
        claim_folder(clone, "train")
    assert contents(clone) == before


def test_hidden_files_and_logs_stay_where_a_folder_holds_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    (folder / ".git" / "refs").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / ".gitattributes").write_text("*.bin filter=lfs\n")
    (folder / "slurm-7.out").write_text("began")
    before = contents(folder)
    for text in ("first", "second"):
        replace(folder, text)
        after = contents(folder)
        assert after.pop("model.bin") == text.encode()
        assert after.pop(MARK)
        assert after == before
        assert (folder / ".git" / "refs").is_dir()


def test_an_output_of_another_kind_is_not_replaced(tmp_path: Path) -> None:
    replace(tmp_path / "made", "a run's weights", kind="model")
    before = contents(tmp_path / "made")
    with pytest.raises(UsageError, match="an earlier export"):
        replace(tmp_path / "made", "an export")
    assert contents(tmp_path / "made") == before


def test_our_own_output_is_replaced_and_what_others_put_there_stays(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    with atomic_folder(folder, "report") as aside:
        (aside / "page.html").write_text("first")
        (aside / "old.csv").write_text("gone when it is not made again")
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("kept")
    (folder / "link").symlink_to("notes")
    for text in ("second", "third"):
        with atomic_folder(folder, "report") as aside:
            (aside / "page.html").write_text(text)
    found = contents(folder)
    assert found.pop(MARK)
    assert found == {"page.html": b"third", "notes/mine.txt": b"kept"}
    assert (folder / "link").readlink() == Path("notes")


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to("disk")
    replace(tmp_path / "out", "ours")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "disk" / "model.bin").read_text() == "ours"


@pytest.mark.parametrize("name", ["nohup.out", "train.log", ".gitkeep", ".DS_Store"])
def test_logs_and_hidden_files_do_not_stand_in_the_way(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    assert claim_folder(tmp_path, "train")
    assert not claim_folder(tmp_path, "train")


def test_two_commands_do_not_fill_one_folder(tmp_path: Path) -> None:
    claim_folder(tmp_path / "out", "prepare")
    with pytest.raises(UsageError, match="was filled by `synthlaw prepare`"):
        claim_folder(tmp_path / "out", "train")


def test_a_command_that_wrote_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claimed(tmp_path / "a" / "b", "train"):
        _ = 1 / 0
    assert not (tmp_path / "a" / "b").exists()
    (tmp_path / "empty").mkdir()
    with claimed(tmp_path / "empty", "train"):
        pass
    assert contents(tmp_path / "empty") == {} and (tmp_path / "empty").exists()
    with claimed(tmp_path / "filled", "train"):
        (tmp_path / "filled" / "result.json").write_text("{}")
    shutil.copytree(tmp_path / "filled", tmp_path / "moved")
    assert not claim_folder(tmp_path / "moved", "train")


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="found a file; expected a folder"):
        claim_folder(tmp_path / "out", "train")
