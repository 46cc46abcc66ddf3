"""A Ray cluster of two nodes on this machine, for tests: `python ray_cluster.py FOLDER`.

Writes its address to FOLDER/address. FOLDER/remove takes the second node away; FOLDER/end ends it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path


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
