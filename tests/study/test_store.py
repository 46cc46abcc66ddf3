"""The artifact store: atomic, keyed, damage found, one owner at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synthlaw.common.errors import UsageError
from synthlaw.study.store import Store


def make(store: Store, key: str, text: str = "data") -> None:
    with store.making("tokens", "x", key) as aside:
        (aside / "file.txt").write_text(text)


def test_what_is_made_is_found_and_its_content_identifies_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    key = store.key("tokens", 1, {"a": 1})
    assert store.find("tokens", "x", key) is None
    make(store, key)
    found = store.find("tokens", "x", key)
    assert found is not None
    assert found.file("file.txt").read_text() == "data"
    other = store.key("tokens", 1, {"a": 2})
    make(store, other)
    same = store.find("tokens", "x", other)
    assert same is not None and same.content == found.content


def test_keys_depend_on_version_stage_and_inputs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keys = {
        store.key("tokens", 1, {"a": 1}),
        store.key("tokens", 2, {"a": 1}),
        store.key("corpus", 1, {"a": 1}),
        store.key("tokens", 1, {"a": 2}),
    }
    assert len(keys) == 4


def test_work_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ValueError, match="midway"), store.making("tokens", "x", "k" * 64) as aside:
        (aside / "file.txt").write_text("half")
        raise ValueError("midway")
    assert store.find("tokens", "x", "k" * 64) is None
    assert not list((tmp_path / "artifacts" / "tokens").iterdir())


@pytest.mark.parametrize("damage", ["remove", "cut", "marker", "no marker"])
def test_damage_is_seen_and_the_artifact_is_no_longer_there(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    make(store, "k" * 64)
    found = store.find("tokens", "x", "k" * 64)
    assert found is not None
    if damage == "remove":
        found.file("file.txt").unlink()
    elif damage == "cut":
        found.file("file.txt").write_text("dat")
    elif damage == "marker":
        found.file("artifact.json").write_text('{"key": ')
    else:
        found.file("artifact.json").unlink()
    assert store.find("tokens", "x", "k" * 64) is None
    assert not found.path.exists()


def test_a_changed_byte_is_seen_when_asked_to_verify(tmp_path: Path) -> None:
    make(Store(tmp_path), "k" * 64)
    found = Store(tmp_path).find("tokens", "x", "k" * 64)
    assert found is not None
    found.file("file.txt").write_text("dxta")
    assert Store(tmp_path).find("tokens", "x", "k" * 64) is not None
    assert Store(tmp_path, verify=True).find("tokens", "x", "k" * 64) is None


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with (
        Store(tmp_path).locked(),
        pytest.raises(UsageError, match=f"in use by process {os.getpid()} on "),
        Store(tmp_path).locked(),
    ):
        pass


def test_what_a_killed_process_was_writing_is_swept_away(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys; from synthlaw.study.store import Store\n"
        "with Store(pathlib.Path(sys.argv[1])).making('tokens', 'x', 'k' * 64) as aside:\n"
        "    (aside / 'half').write_text('x'); os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    [aside] = (tmp_path / "artifacts" / "tokens").iterdir()
    with Store(tmp_path).locked():
        assert not aside.exists()


def test_what_live_processes_and_other_machines_write_is_not_swept_away(tmp_path: Path) -> None:
    store = Store(tmp_path)
    foreign = tmp_path / "artifacts" / "tokens" / ".aside-0123abcd-1-xyz"
    with store.making("tokens", "x", "k" * 64) as aside:
        foreign.mkdir()
        with Store(tmp_path).locked():
            assert aside.is_dir() and foreign.is_dir()
        (aside / "file.txt").write_text("data")
    old = time.time() - 2 * 86400
    os.utime(foreign, (old, old))
    with Store(tmp_path).locked():
        assert not foreign.exists()
    assert store.find("tokens", "x", "k" * 64) is not None


def test_a_finished_artifact_is_never_replaced(tmp_path: Path) -> None:
    """Neither by a folder that was filled at the same time, nor by a work folder."""
    slow, key = Store(tmp_path), "k" * 64
    with slow.making("tokens", "x", key) as aside:
        (aside / "file.txt").write_text("slow")
        make(Store(tmp_path), key, "fast")
    work = slow.work("tokens", "x", key)
    work.mkdir(parents=True)
    (work / "file.txt").write_text("slower")
    assert slow.adopt("tokens", "x", key, 1.0).file("file.txt").read_text() == "fast"
    assert not work.exists() and slow.made == []
    assert [path.name for path in (tmp_path / "artifacts" / "tokens").iterdir()] == [
        "x-" + key[:16]
    ]


def test_an_error_of_the_filesystem_is_no_reason_to_remove_an_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    make(store, "k" * 64)

    def failing(path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("synthlaw.study.store.read_json", failing)
    with pytest.raises(OSError, match="Input/output"):
        store.find("tokens", "x", "k" * 64)
    monkeypatch.undo()
    assert store.find("tokens", "x", "k" * 64) is not None
