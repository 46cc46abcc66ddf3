"""A disk that fills while a checkpoint is written: an error, the one before stays, and goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_parallel import config_of, run_on, small_sampler
from synthlaw.common.errors import SynthlawError
from synthlaw.training.loop import train
out, count = Path(sys.argv[2]), int(sys.argv[3])
try:
    config = config_of()
    run_on(count, out) if count > 1 else train(config, small_sampler(config), out)
except SynthlawError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_status)
"""

# One checkpoint is of 300 kB; the disk holds one and a half.
SHELL = """
mount -t tmpfs -o size=480k none "$1/run" || exit 77
"$2" -c "$3" "$4" "$1/run" "$5" 2>"$1/said"
echo "$?" >"$1/status"
ls -A "$1/run/checkpoints" >"$1/kept"
mount -o remount,size=64m "$1/run" || exit 77
"$2" -c "$3" "$4" "$1/run" "$5" || exit 1
cp "$1/run/result.json" "$1/result.json"
wc -l <"$1/run/metrics.jsonl" >"$1/lines"
"""


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, count: int) -> None:
    (tmp_path / "run").mkdir()
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SHELL, "sh"]
    command += [str(tmp_path), sys.executable, RUN, str(Path(__file__).parent), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "status").read_text().strip() == "1"
    said = (tmp_path / "said").read_text()
    assert "step-00000060: could not write the checkpoint" in said
    assert "Earlier checkpoints are untouched" in said and "Traceback" not in said
    assert (tmp_path / "kept").read_text().split() == ["step-00000030"]
    assert '"status": "finished"' in (tmp_path / "result.json").read_text()
    assert (tmp_path / "lines").read_text().strip() == "100"
