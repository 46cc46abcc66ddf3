"""Whether a process that left its name somewhere still lives."""

from __future__ import annotations

import hashlib
import os
import socket


def host_tag() -> str:
    """This machine's name as eight characters that any file name may hold."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def process_exists(pid: int) -> bool:
    """Whether this machine has a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
