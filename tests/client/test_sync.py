"""The blocking client: the calls of the asynchronous one, for scripts, threads and windows."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import updater_client.blocking as mechanism
from tests.conftest import LINUX, QUICK, Running
from tests.threaded import running_answers, running_service, threaded
from updater_client import (
    Build,
    Folders,
    InstallReport,
    NewApplication,
    NewBuild,
    Releases,
    RetryPolicy,
    Rollouts,
    SyncFolders,
    SyncReleases,
    SyncRollouts,
    SyncUpdateClient,
    SyncWebhooks,
    Unreachable,
    UpdateClient,
    UpdateError,
    Webhooks,
)
from updater_client.folder import Wishes

PAIRS = (
    (UpdateClient, SyncUpdateClient),
    (Releases, SyncReleases),
    (Rollouts, SyncRollouts),
    (Webhooks, SyncWebhooks),
    (Folders, SyncFolders),
)
CONTENT = os.urandom(3_000_000)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give a service that has `my-app` with version 1.1.0."""
    folder = tmp_path_factory.mktemp("sync")
    with threaded(lambda: running_service(folder / "storage")) as running:
        path = folder / "my-app.bin"
        path.write_bytes(CONTENT)
        with SyncUpdateClient(running.url, running.key) as client:
            new = NewApplication("my-app", "My App")
            client.publish("my-app", NewBuild(path, "1.1.0", LINUX), create=new)
        yield running


@pytest.fixture
def client(shared: Running) -> Iterator[SyncUpdateClient]:
    with SyncUpdateClient(shared.url, shared.key, client_id="here", retry=QUICK) as client:
        yield client


def _threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "updater-client"]


@pytest.mark.parametrize(("asynchronous", "blocking"), PAIRS)
def test_every_call_has_its_blocking_form_with_the_same_signature(asynchronous: type, blocking: type) -> None:
    def public(kind: type) -> dict[str, Callable[..., Any]]:
        return {name: each for name, each in vars(kind).items() if callable(each) and not name.startswith("_")}

    theirs, ours = public(asynchronous), public(blocking)
    ours.pop("close", None)
    assert all(map(inspect.iscoroutinefunction, theirs.values()))
    assert theirs.keys() == ours.keys()
    for name, call in ours.items():
        assert not inspect.iscoroutinefunction(call)
        assert inspect.signature(call) == inspect.signature(theirs[name])
        assert call.__doc__ == theirs[name].__doc__


def test_both_clients_are_made_alike_and_carry_the_same() -> None:
    ours, theirs = (inspect.signature(each.__init__) for each in (SyncUpdateClient, UpdateClient))
    assert ours == theirs
    carried = {name: type(each) for name, each in vars(UpdateClient("https://x.example")).items() if name[0] != "_"}
    blocking = {
        name: type(each) for name, each in vars(SyncUpdateClient("https://x.example")).items() if name[0] != "_"
    }
    assert {name: dict(PAIRS)[kind] for name, kind in carried.items()} == blocking


def test_a_script_checks_fetches_and_reports(client: SyncUpdateClient, tmp_path: Path) -> None:
    found = client.check("my-app", "1.0.0", LINUX)
    assert found.build is not None
    told: list[tuple[int, int | None, threading.Thread]] = []
    got = client.fetch(found.build, tmp_path / "got", lambda *done: told.append((*done, threading.current_thread())))
    assert got.path.read_bytes() == CONTENT
    assert told[-1][:2] == (len(CONTENT), len(CONTENT))
    assert {each for _, _, each in told} == {threading.current_thread()}
    client.report("my-app", InstallReport("1.0.0", "1.1.0", LINUX, "completed"))
    assert client.get_figures("my-app")["application_id"] == "my-app"
    assert client.rollouts.list_open("my-app") == {"rollouts": []}
    assert [each.version for each in client.releases.list_builds("my-app", "1.1.0")] == ["1.1.0"]
    assert client.webhooks.list_all("my-app")["webhooks"] == []


def test_paths_may_be_texts(client: SyncUpdateClient, tmp_path: Path) -> None:
    got = client.fetch(client.latest("my-app", LINUX), str(tmp_path / "got"))
    assert got.path == tmp_path / "got"
    again = NewBuild(str(got.path), "1.1.0", LINUX)  # type: ignore[arg-type]  # as scripts without types do
    assert client.publish("my-app", again).repeated
    assert client.folders.read(str(tmp_path), Wishes(version="9.0.0")).version in ("", "9.0.0")


def test_a_timeout_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="timeout_s is 0: "):
        SyncUpdateClient("https://updates.example.com", timeout_s=0)


def test_refusals_come_out_where_the_call_is(client: SyncUpdateClient) -> None:
    with pytest.raises(UpdateError) as refused:
        client.check("no-app", "1.0.0", LINUX)
    assert refused.value.status == 404
    with pytest.raises(TypeError, match="current_version"):
        client.check("my-app")  # type: ignore[call-arg]


def test_a_folder_becomes_a_release(client: SyncUpdateClient, tmp_path: Path) -> None:
    (tmp_path / "My-App-3.0.0-linux-x64.tar.gz").write_bytes(b"bytes")
    read: list[tuple[int, int | None]] = []
    plan = client.folders.read(tmp_path, Wishes(version="3.0.0"), lambda done, total: read.append((done, total)))
    assert not plan.problems
    assert read[-1] == (5, 5)
    steps: list[tuple[str, int]] = []
    told = client.folders.publish("my-app", plan, watch=lambda step, done, _: steps.append((step.file.name, done)))
    assert told["status"] == "active"
    assert steps[-1] == ("My-App-3.0.0-linux-x64.tar.gz", 5)
    assert client.folders.send("my-app", plan).steps == ()
    client.rollouts.withdraw("my-app", "3.0.0")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UpdateError, match="cannot be published: ") as refused:
        client.folders.publish("my-app", client.folders.read(empty))
    assert refused.value.code == "FOLDER"


def test_threads_share_a_client(client: SyncUpdateClient, tmp_path: Path) -> None:
    build = client.latest("my-app", LINUX)

    def fetch(number: int) -> tuple[bytes, set[threading.Thread]]:
        seen = set()
        got = client.fetch(build, tmp_path / f"{number}", lambda *_: seen.add(threading.current_thread()))
        return got.path.read_bytes(), seen - {threading.current_thread()}

    with ThreadPoolExecutor(4) as pool:
        assert all(each == (CONTENT, set()) for each in pool.map(fetch, range(8)))
    assert len(_threads()) == 1


async def test_it_works_beside_a_running_loop_and_below_one(client: SyncUpdateClient) -> None:
    version = (await asyncio.to_thread(client.latest, "my-app", LINUX)).version
    assert version == client.latest("my-app", LINUX).version == "1.1.0"  # as in a notebook


def test_a_callback_may_call_the_client(client: SyncUpdateClient, tmp_path: Path) -> None:
    build = client.latest("my-app", LINUX)
    asked = []
    client.fetch(build, tmp_path / "got", lambda *_: asked.append(client.latest("my-app", LINUX).version))
    assert set(asked) == {"1.1.0"}


def test_a_slow_callback_is_told_the_newest_alone(client: SyncUpdateClient, tmp_path: Path) -> None:
    content = os.urandom(20_000_000)
    path = tmp_path / "large"
    path.write_bytes(content)
    told = []

    def slow(done: int, total: int | None) -> None:
        time.sleep(0.1)
        told.append((done, total))

    client.publish("my-app", NewBuild(path, "2.0.0", LINUX, draft=True), progress=slow)
    assert told[-1] == (20_000_000, 20_000_000)
    assert len(told) < 60  # of 77


def test_an_exception_of_a_callback_stops_the_transfer_and_the_next_one_resumes(
    client: SyncUpdateClient, tmp_path: Path
) -> None:
    build = client.latest("my-app", LINUX)

    def give_up(done: int, total: int | None) -> None:
        if done:
            raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        client.fetch(build, tmp_path / "got", give_up)
    part = tmp_path / "got.part"
    assert part.exists()
    if Path("/proc/self/fd").exists():
        assert part not in {each.resolve() for each in Path("/proc/self/fd").iterdir()}
    fetched = client.fetch(build, tmp_path / "got")
    assert fetched.resumed_bytes > 0
    assert fetched.path.read_bytes() == CONTENT


def test_pauses_are_told_in_the_thread_that_waits() -> None:
    told = []

    async def busy(_request: web.Request) -> web.Response:
        return web.Response(status=503)

    with (
        threaded(lambda: running_answers(busy)) as url,
        SyncUpdateClient(url, retry=QUICK, waiting=lambda wait: told.append(threading.current_thread())) as client,
        pytest.raises(UpdateError, match="503"),
    ):
        client.latest("my-app", LINUX)
    assert told[-1] is threading.current_thread()


def test_a_closed_client_says_so_and_leaves_no_thread(shared: Running) -> None:
    with SyncUpdateClient(shared.url) as client:
        client.latest("my-app", LINUX)
        (thread,) = _threads()
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.latest("my-app", LINUX)
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.rollouts.list_open("my-app")
    client.close()
    unused = SyncUpdateClient(shared.url)
    unused.close()
    with pytest.raises(RuntimeError, match="the client is closed"):
        unused.latest("my-app", LINUX)


async def test_the_asynchronous_client_says_when_it_is_not_open() -> None:
    client = UpdateClient("https://updates.example.com")
    with pytest.raises(RuntimeError, match="within an `async with` block"):
        await client.latest("my-app", LINUX)


def test_closing_ends_calls_that_other_threads_wait_for() -> None:
    arrived = threading.Event()

    async def silent(_request: web.Request) -> web.Response:
        arrived.set()
        await asyncio.sleep(60)
        return web.Response()

    with threaded(lambda: running_answers(silent)) as url, ThreadPoolExecutor(1) as pool:
        client = SyncUpdateClient(url)
        call = pool.submit(client.latest, "my-app", LINUX)
        assert arrived.wait(10)
        client.close()
        with pytest.raises(RuntimeError, match="closed while this call ran"):
            call.result(10)


def test_a_client_that_nobody_knows_any_more_ends_its_thread(shared: Running) -> None:
    releases = SyncUpdateClient(shared.url, shared.key).releases
    assert releases.list_builds("my-app", "1.1.0")  # its client is gone, its connections are not
    (thread,) = _threads()
    del releases
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is nothing to fork here")
def test_a_client_does_not_cross_a_fork(shared: Running) -> None:
    code = (
        "import os, sys; from updater_client import SyncUpdateClient, Target\n"
        "client = SyncUpdateClient(sys.argv[1]); there = Target('linux', 'amd64')\n"
        "client.latest('my-app', there)\n"
        "if os.fork() == 0:\n"
        "    try: client.latest('my-app', there)\n"
        "    except RuntimeError as error: os.write(1, str(error).encode())\n"
        "    os._exit(0)\n"
        "os.wait(); client.latest('my-app', there)"
    )
    run = subprocess.run([sys.executable, "-c", code, shared.url], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    assert "one in each process" in run.stdout


SCRIPT = """
import sys
from pathlib import Path
from updater_client import Build, SyncUpdateClient, Target
url, place = sys.argv[1:]
client = SyncUpdateClient(url)
build = Build("1.0.0", Target("linux", "amd64"), url + "/file", "00" * 32, "sha256")
print("begun", flush=True)
try:
    client.fetch(build, Path(place), lambda done, total: print(done, flush=True))
except KeyboardInterrupt:
    print("interrupted, the part has", Path(place + ".part").stat().st_size)
"""


def test_ctrl_c_stops_a_transfer_and_a_forgotten_close_ends_the_script(tmp_path: Path) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(bytes(1000))
        await asyncio.sleep(60)
        return response

    with threaded(lambda: running_answers(endless)) as url:
        command = [sys.executable, "-X", "dev", "-W", "error", "-c", SCRIPT, url, str(tmp_path / "got")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while process.stdout.readline().strip() != "1000":
                assert process.poll() is None
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "interrupted, the part has 1000\n", "")
    assert time.monotonic() - begun < 10


def test_waits_that_have_to_look_up_now_and_then_end_like_others(
    client: SyncUpdateClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where Ctrl-C reaches a waiting thread only between two waits."""
    monkeypatch.setattr(mechanism, "LOOK_UP_S", 0.0001)
    assert client.latest("my-app", LINUX).version == "1.1.0"


def test_nobody_there_ends_after_the_attempts(tmp_path: Path) -> None:
    with SyncUpdateClient("http://127.0.0.1:9", retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(Unreachable):
            client.check("my-app", "1.0.0", LINUX)
        with pytest.raises(Unreachable):
            build = replace(Build("1.0.0", LINUX, "/file", "00" * 32, "sha256"), file_size_bytes=1)
            client.fetch(build, tmp_path / "got")
