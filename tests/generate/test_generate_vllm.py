"""Our own vLLM server, with a stand-in for `vllm`: how it is started, ended, restarted, told of."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.guarded_process import GuardedProcess
from synthlaw.generate.engines.base import Completion, Request, Sampling
from synthlaw.generate.engines.registry import engine_by
from synthlaw.generate.engines.vllm import VLLMEngine
from synthlaw.generate.engines.vllm_options import (
    Option,
    OwnServer,
    arguments,
    parse_options,
)
from synthlaw.study.spec.generation import EngineSpec

pytestmark = pytest.mark.timeout(120)

STAND_IN = """#!{python}
import json, os, pathlib, signal, subprocess, sys, time
sys.path.insert(0, {folder!r})
from fault_server import FaultServer
model, options = sys.argv[2], dict(one[2:].split("=", 1) for one in sys.argv[3:] if "=" in one)
starts = pathlib.Path({starts!r})
before = len(starts.read_text().splitlines()) if starts.exists() else 0
core = subprocess.Popen([sys.executable, "-c", {core!r}])
told = {{"pids": [os.getpid(), core.pid], "arguments": sys.argv[1:],
        "key": os.environ["VLLM_API_KEY"], "path": os.environ["PATH"]}}
with starts.open("a") as file:
    file.write(json.dumps(told) + "\\n")
print("(APIServer pid=7) INFO 11-26 00:00:01 [server.py:1] loading", flush=True)
if model == "too-large" or (model == "only-once" and before):
    line = "(EngineCore pid=8) ERROR 11-26 00:00:02 [core.py:9] "
    print(line + "ValueError: no memory for this model")
    print("Traceback (most recent call last):\\n  File 'core.py', line 3, in <module>")
    print("RuntimeError: Engine core initialization failed. See root cause above.")
    print("[rank0] process group was not destroyed", flush=True)
    sys.exit(3)
time.sleep(float(options.get("seed", 0)))
FaultServer(port=int(options["port"])).start()
signal.pause()
"""

# vLLM's workers do not end by themselves when their parent is killed.
CORE = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"


class StandIn:
    """A `vllm` in a folder of its own, and what it wrote down at each start."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.log, self._starts = (
            folder / "bin",
            folder / "out/vllm.log",
            folder / "starts",
        )
        self.bin.mkdir()
        self.command = self.bin / "vllm"
        self.command.write_text(
            STAND_IN.format(
                python=sys.executable,
                folder=str(Path(__file__).parent),
                starts=str(self._starts),
                core=CORE,
            )
        )
        self.command.chmod(0o755)

    def engine(self, model: str = "small", **options: Option) -> VLLMEngine:
        return VLLMEngine(model=model, server=OwnServer(str(self.command), options, self.log))

    def starts(self) -> list[dict[str, Any]]:
        if not self._starts.exists():
            return []
        return [json.loads(line) for line in self._starts.read_text().splitlines()]

    def living(self) -> list[int]:
        return [pid for start in self.starts() for pid in start["pids"] if lives(pid)]


@pytest.fixture
def vllm(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path)


def lives(pid: int) -> bool:
    """A zombie that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def soon(done: Callable[[], object]) -> bool:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if done():
            return True
        time.sleep(0.05)
    return False


def ask(engine: VLLMEngine, between: Callable[[int], None] = lambda _: None, times: int = 1) -> Any:
    """Answers to `times` requests one after the other; `between` is called before each."""

    async def run() -> list[Completion]:
        answers = []
        async with engine:
            for number in range(times):
                await asyncio.to_thread(between, number)
                answers.append(await engine.complete(Request("tea", "", Sampling(), number)))
        return answers

    return asyncio.run(run())


def test_a_server_is_started_asked_and_ended_with_all_its_processes(vllm: StandIn) -> None:
    engine = vllm.engine(**{"max-model-len": 4096, "enforce-eager": True})
    assert len(ask(engine)[0].text) > 100
    assert len(ask(engine, times=2)) == 2  # a second entering starts a second server
    first, second = vllm.starts()
    assert first["arguments"][:2] == ["serve", "small"]
    assert first["arguments"][-2:] == ["--enforce-eager", "--max-model-len=4096"]
    assert "--generation-config=vllm" in first["arguments"]
    assert "--host=127.0.0.1" in first["arguments"]
    assert first["path"].split(os.pathsep)[0] == str(vllm.bin)
    assert len(first["key"]) > 20
    assert first["key"] not in vllm.log.read_text()
    assert not vllm.living()
    assert vllm.log.read_text().count("loading") == 2
    assert engine.identity()["options"] == ["--enforce-eager", "--max-model-len=4096"]
    assert second["arguments"] == first["arguments"]


def test_a_start_that_fails_tells_its_cause_and_keeps_the_log(vllm: StandIn) -> None:
    with pytest.raises(SynthlawError) as caught:
        ask(vllm.engine("too-large"))
    said = str(caught.value)
    assert said.startswith("vLLM ended with status 3: ValueError: no memory for this model (see ")
    assert str(vllm.log) in said
    assert "root cause" in vllm.log.read_text()
    assert not vllm.living()


def test_a_server_that_dies_is_started_again_and_the_run_goes_on(
    vllm: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    def kill(number: int) -> None:
        if number == 1:
            os.kill(vllm.starts()[0]["pids"][0], signal.SIGKILL)

    assert len(ask(vllm.engine(), kill, times=3)) == 3
    assert len(vllm.starts()) == 2
    assert not vllm.living()
    assert "vLLM ended by signal 9" in capsys.readouterr().err


def test_a_server_that_dies_twice_ends_the_run_with_the_cause(vllm: StandIn) -> None:
    def kill(number: int) -> None:
        if number:
            assert soon(lambda: len(vllm.starts()) == number)
            os.kill(vllm.starts()[-1]["pids"][0], signal.SIGKILL)

    began = time.monotonic()
    with pytest.raises(SynthlawError, match=r"signal 9.*(for the second time|did not start again)"):
        ask(vllm.engine(), kill, times=4)
    assert time.monotonic() - began < 60  # no waiting for a server that will not come
    assert len(vllm.starts()) == 2
    assert not vllm.living()


def test_a_server_that_cannot_start_again_ends_the_run_with_both_causes(vllm: StandIn) -> None:
    def kill(number: int) -> None:
        if number:
            os.kill(vllm.starts()[0]["pids"][0], signal.SIGKILL)

    with pytest.raises(SynthlawError, match=r"signal 9.*not start again.*no memory for this model"):
        ask(vllm.engine("only-once"), kill, times=2)
    assert not vllm.living()


OURS = """
import asyncio, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have turned it off
from pathlib import Path
from synthlaw.generate.engines.vllm import VLLMEngine
from synthlaw.generate.engines.vllm_options import OwnServer

async def run():
    server = OwnServer({command!r}, {{"seed": {wait}}}, Path({log!r}))
    async with VLLMEngine(model="small", server=server):
        print("ready", flush=True)
        await asyncio.sleep(300)

asyncio.run(run())
"""


@pytest.mark.parametrize("while_loading", [False, True])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_process_outlives_ours(
    vllm: StandIn, number: signal.Signals, while_loading: bool
) -> None:
    script = OURS.format(
        command=str(vllm.command), log=str(vllm.log), wait=300 if while_loading else 0
    )
    ours = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert ours.stdout is not None
    try:
        if while_loading:
            assert soon(vllm.starts)
        else:
            assert ours.stdout.readline() == b"ready\n"
        assert len(vllm.living()) == 2
        os.killpg(ours.pid, number)
        ours.wait(60)
        assert soon(lambda: not vllm.living())
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(ours.pid, signal.SIGKILL)
        ours.wait()
        ours.stdout.close()


def test_a_guard_that_is_killed_leaves_no_server(vllm: StandIn) -> None:
    environment = os.environ | {"VLLM_API_KEY": "k"}
    command = [str(vllm.command), "serve", "small", "--seed=300"]
    process = GuardedProcess(command, environment=environment, log=vllm.log)
    assert soon(vllm.starts)
    process._guard.kill()
    assert soon(process.ended)
    assert vllm.living()
    process.stop()
    assert soon(lambda: not vllm.living())


def test_the_key_of_the_environment_is_the_servers(
    vllm: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "chosen-by-the-user")
    ask(vllm.engine())
    assert vllm.starts()[0]["key"] == "chosen-by-the-user"
    assert "chosen-by-the-user" not in vllm.log.read_text()


def test_vllm_is_found_on_path_or_by_its_command(
    vllm: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{vllm.bin}{os.pathsep}{os.environ['PATH']}")
    assert ask(VLLMEngine(model="small", server=OwnServer(log=vllm.log)))
    words = OwnServer(f"{sys.executable} '{vllm.command}'").program()
    assert words == [sys.executable, str(vllm.command)]
    for missing in ("no-such-vllm", "", f"{vllm.bin}/nothing"):
        with pytest.raises(UsageError, match=r"found no command .*--vllm-command"):
            OwnServer(missing).program()


names = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8}){0,2}x", fullmatch=True)
values = st.one_of(
    st.booleans(), st.integers(), st.text(max_size=8), st.lists(st.integers(), min_size=1)
)


@settings(max_examples=30)
@given(st.dictionaries(names, values, max_size=5))
def test_options_become_one_argument_each_in_the_order_of_their_names(
    options: Mapping[str, Option],
) -> None:
    line = arguments(options)
    assert line == arguments(dict(reversed(options.items())))
    assert line == arguments({"--" + n.replace("-", "_"): v for n, v in options.items()})
    for name, value in options.items():
        if value is True:
            assert f"--{name}" in line
        elif value is False:
            assert f"--no-{name}" in line
        elif isinstance(value, list):
            at = line.index(f"--{name}")
            assert line[at + 1 : at + 1 + len(value)] == [str(one) for one in value]
        else:
            assert f"--{name}={value}" in line


@settings(max_examples=30)
@given(st.dictionaries(names, st.one_of(st.booleans(), st.text(max_size=8))))
def test_what_the_command_line_says_is_what_a_study_says(options: dict[str, bool | str]) -> None:
    said = [f"{name}={value}" for name, value in options.items()]
    meant = {
        name: {"true": True, "false": False}.get(str(value).lower(), value)
        for name, value in options.items()
    }
    assert parse_options(said) == meant
    assert EngineSpec(kind="vllm", model="m", options=meant).options == meant


def test_a_name_alone_is_a_flag_and_json_goes_as_json() -> None:
    options = parse_options(["enforce-eager", "--dtype=float32", "chat_template=a=b.jinja"])
    assert options == {"enforce-eager": True, "dtype": "float32", "chat-template": "a=b.jinja"}
    assert arguments({"hf-overrides": {"b": [1], "a": None}}) == [
        '--hf-overrides={"a": null, "b": [1]}'
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port=1", "'port', which is set here"),
        ("--host=0.0.0.0", "'host', which is set here"),
        ("served_model_name=x", "'served-model-name', which is the engine's own"),
        ("generation-config=auto", "would replace the sampling"),
        ("override_generation_config={}", "would replace the sampling"),
        ("api-key=geheim", "set VLLM_API_KEY"),
        ("=3", "expected a name"),
        ("--", "expected a name"),
        ("max model len=3", "expected a name"),
    ],
)
def test_options_that_are_ours_or_none_are_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse_options([text])
    assert "geheim" not in str(caught.value)
    with pytest.raises(ValueError, match=said):
        EngineSpec(kind="vllm", model="m", options={text.partition("=")[0]: "x"})


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="'max-model-len' twice"):
        parse_options(["max-model-len=1", "--max_model_len=2"])
    with pytest.raises(UsageError, match="twice"):
        arguments({"max-model-len": 1, "max_model_len": 2})


@pytest.mark.parametrize(
    ("kind", "given_settings", "said"),
    [
        ("embedded", {"base_url": ["http://a"]}, "'base_url', which only kind 'openai' takes"),
        ("embedded", {"api": "completions"}, "'api', which only kinds 'openai' and 'vllm' take"),
        ("embedded", {"tokenizer": "t"}, "'tokenizer', which only kinds 'openai' and 'vllm' take"),
        ("openai", {"threads": 2}, "'threads', which only kind 'embedded' takes"),
        ("vllm", {"base_url": ["http://a"]}, "'base_url', which only kind 'openai' takes"),
        ("openai", {"options": {"a": 1}}, "'options', which only kind 'vllm'"),
        ("embedded", {"command": "other"}, "'command', which only kind 'vllm' takes"),
        ("vllm", {}, "found no model"),
        ("vllm", {"model": "m", "api": "talk"}, "input should be 'chat' or 'completions'"),
        ("vllm", {"model": "m", "tokenizer": "nothing.json"}, "expected a tokenizer.json"),
    ],
)
def test_settings_that_an_engine_does_not_take_are_refused(
    kind: str, given_settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        engine_by(kind=kind, **given_settings)


def test_a_folder_is_known_by_its_files_and_not_by_its_place(tmp_path: Path) -> None:
    labels = []
    for place, weights in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        folder = tmp_path / place / "model"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(weights)
        labels.append(engine_by(kind="vllm", model=str(folder)).label)
    assert labels[0] == labels[1] != labels[2]
    assert labels[0].startswith("vllm:model@") and str(tmp_path) not in labels[0]
