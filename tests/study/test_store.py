"""The artifact store: atomic, keyed, damage found, one owner at a time."""

from __future__ import annotations

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
        pytest.raises(UsageError, match="in use by process"),
        Store(tmp_path).locked(),
    ):
        pass


def test_what_a_killed_process_was_writing_is_swept_away(tmp_path: Path) -> None:
    aside = tmp_path / "artifacts" / "tokens" / ".aside-abc"
    aside.mkdir(parents=True)
    (aside / "half").write_text("x")
    with Store(tmp_path).locked():
        assert not aside.exists()


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
