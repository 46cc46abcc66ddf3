"""A Ray cluster of two nodes on this machine, for tests: `python ray_cluster.py FOLDER`.

Writes its address to FOLDER/address. FOLDER/remove takes the second node away; FOLDER/end ends it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UP_SECONDS = 180


@contextmanager
def ray_cluster(folder: Path) -> Iterator[None]:
    """A cluster, started in `folder`, that drivers find while it is up."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, folder], cwd=folder, stdout=log, stderr=log
        )
    until = time.monotonic() + UP_SECONDS
    try:
        while not (folder / "address").exists():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((folder / "log").read_text())
            time.sleep(0.2)
        os.environ["RAY_ADDRESS"] = (folder / "address").read_text()
        yield
    finally:
        os.environ.pop("RAY_ADDRESS", None)
        (folder / "end").touch()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()


def main(folder: Path) -> None:
    """Serve until told to end."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100_000_000}
    head = {**node, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(**node)
    (folder / "address").write_text(cluster.address)
    while not (folder / "end").exists():
        if second is not None and (folder / "remove").exists():
            cluster.remove_node(second, allow_graceful=False)
            second = None
        time.sleep(0.2)
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
