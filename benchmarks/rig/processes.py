"""Start what a benchmark needs, wait until it answers, and read from `/proc` what it used. Linux only."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """Something that answers at `url`; `pid` is the root of its process tree, or `None` where it has none of its own."""

    name: str
    url: str
    pid: int | None


def end_with_children() -> None:
    """Have SIGTERM unwind this process, so that what it started is stopped too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: list[str], *, log: Path, ready_url: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program from the moment it answers at `ready_url` until the end of the block; what it prints goes to `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**_usual_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_answering(ready_url, process)
        yield process
    except Exception:
        sys.stderr.write(f"the last that {shlex.join(command)} said:\n{_tail(log)}\n")
        raise
    finally:
        _stop(process)


def _usual_environment() -> dict[str, str]:
    """Ours, but compiled modules are kept: few users compile everything again at each start."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def wait_until_answering(url: str, process: subprocess.Popen[bytes]) -> float:
    """Return the seconds until `url` answered with 2xx. Raises RuntimeError when the program ends or takes too long."""
    started = time.perf_counter()
    while time.perf_counter() - started < START_TIMEOUT_S:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=2) as answer:
            if 200 <= answer.status < 300:
                return time.perf_counter() - started
        time.sleep(0.01)
    raise RuntimeError(f"{url} never answered")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-25:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask politely, then insist; only the session that we started is meant."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S if kind == signal.SIGTERM else None)
            return


@contextlib.contextmanager
def provider(directory: Path, *, event_gap_ms: float = 0.0) -> Iterator[Target]:
    """The stand-in provider as a process."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "benchmarks.rig.provider",
        "--port",
        str(port),
        "--event-gap-ms",
        str(event_gap_ms),
    ]
    url = f"http://127.0.0.1:{port}"
    with running(command, log=directory / "provider.log", ready_url=f"{url}/count") as process:
        yield Target("direct", url, process.pid)


@contextlib.contextmanager
def caching_provider(directory: Path) -> Iterator[Target]:
    """A provider that caches prompts and bills them by the rules: what is saved there is money."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "--no-access-log"]
    command += ["--log-level", "warning", "benchmarks.rig.caching_provider:app"]
    url = f"http://127.0.0.1:{port}"
    with running(command, log=directory / "provider.log", ready_url=f"{url}/count") as process:
        yield Target("direct", url, process.pid)


def provider_calls(provider: Target) -> int:
    """How many calls the stand-in provider has answered so far."""
    with urllib.request.urlopen(f"{provider.url}/count", timeout=5) as answer:
        return int(json.load(answer)["calls"])


@contextlib.contextmanager
def headroom(
    directory: Path, upstream: str, *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[Target]:
    """This proxy, as its users start it, in a workspace of its own."""
    port = free_port()
    command = [
        sys.executable,
        "manage.py",
        "proxy",
        "--port",
        str(port),
        "--anthropic-api-url",
        upstream,
        "--openai-api-url",
        upstream,
        *arguments,
    ]
    url = f"http://127.0.0.1:{port}"
    settings = {
        "HEADROOM_WORKSPACE_DIR": str(directory / "workspace"),
        "HEADROOM_RATE_LIMIT_ENABLED": "0",
        "HEADROOM_CACHE_ENABLED": "0",
        **(environment or {}),
    }
    with running(command, log=directory / "headroom.log", ready_url=f"{url}/readyz", environment=settings) as process:
        yield Target("headroom", url, process.pid)


@contextlib.contextmanager
def floor(directory: Path, upstream: str) -> Iterator[Target]:
    """The least that a Python proxy can be."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--port",
        str(port),
        "--no-access-log",
        "--log-level",
        "warning",
        "benchmarks.rig.floor:app",
    ]
    url = f"http://127.0.0.1:{port}"
    with running(
        command, log=directory / "floor.log", ready_url=f"{url}/count", environment={"UPSTREAM": upstream}
    ) as process:
        yield Target("floor", url, process.pid)


@contextlib.contextmanager
def peer(specification: str, directory: Path, upstream: str) -> Iterator[Target]:
    """`NAME=URL` of something that runs already, or `NAME=COMMAND` with `{port}` and `{provider}` in it."""
    name, separator, place = specification.partition("=")
    if not separator:
        raise SystemExit(f"--peer takes NAME=URL or NAME=COMMAND, not {specification!r}")
    if place.startswith(("http://", "https://")):
        yield Target(name, place.rstrip("/"), listening_pid(int(place.rstrip("/").rpartition(":")[2])))
        return
    port = free_port()
    command = ["sh", "-c", "exec " + place.format(port=port, provider=upstream)]
    url = f"http://127.0.0.1:{port}"
    with running(command, log=directory / f"{name}.log", ready_url=f"{url}/v1/models") as process:
        yield Target(name, url, process.pid)


def listening_pid(port: int) -> int | None:
    """The process that listens on a local TCP port, the topmost where several share it; `None` where it is not ours to see."""
    inodes = {
        fields[9]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for fields in map(str.split, Path(table).read_text().splitlines()[1:])
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port
    }
    wanted = {f"socket:[{inode}]" for inode in inodes}
    return min((pid for pid in _pids() if _open_files(pid) & wanted), default=None)


def cpu_s(pid: int) -> float:
    """Processor seconds that the living processes of a tree have used so far, in their own code and in the kernel."""
    return sum(_cpu_s(one) for one in tree(pid))


def own_cpu_s(pid: int) -> float:
    """Processor time of a process without its children."""
    return _cpu_s(pid)


def rss_mb(pid: int) -> float:
    """Resident memory of a whole tree; pages that its processes share count once for each."""
    return sum(_rss_mb(one) for one in tree(pid))


def largest_rss_mb(pid: int) -> float:
    """Resident memory of the largest process of a tree: the one that serves."""
    return max(map(_rss_mb, tree(pid)))


def tree(pid: int) -> list[int]:
    """The process and everything that descends from it."""
    children: dict[int, list[int]] = {}
    for one in _pids():
        if (stat := _stat(one)) is not None:
            children.setdefault(int(stat[1]), []).append(one)
    members = [pid]
    for one in members:
        members.extend(children.get(one, []))
    return members


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


def _stat(pid: int) -> list[str] | None:
    """The fields of `/proc/<pid>/stat` after the program's name, which may hold blanks."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _cpu_s(pid: int) -> float:
    stat = _stat(pid)
    return (int(stat[11]) + int(stat[12])) * TICK_S if stat else 0.0


def _rss_mb(pid: int) -> float:
    stat = _stat(pid)
    return int(stat[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if stat else 0.0


def _open_files(pid: int) -> set[str]:
    with contextlib.suppress(OSError):
        return {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}  # noqa: PTH115
    return set()
