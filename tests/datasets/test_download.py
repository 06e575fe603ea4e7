"""Fetching, against servers on this machine: whole, resumed, broken, wrong."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import xaieval.datasets.download as download
from xaieval.datasets import check, fetch, open_dataset
from xaieval.datasets.download import RemoteFile, read_manifest
from xaieval.errors import Cancelled, ConfigError, DataError
from xaieval.progress import Progress


@dataclass
class Server:
    """A small HTTP server: what it holds, how it misbehaves, what it was asked."""

    files: dict[str, bytes]
    ranges: bool = True
    status: dict[str, int] = field(default_factory=dict)
    fail_first: int = 0
    break_after: int | None = None
    wrong_range: bool = False
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            pass

        def do_GET(self) -> None:
            path, asked = self.path.lstrip("/"), self.headers.get("Range")
            server.asked.append((path, asked))
            data = server.files.get(path)
            status = server.status.get(path, 200 if data is not None else 404)
            if server.fail_first:
                server.fail_first -= 1
                status = 503
            if status != 200 or data is None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            if asked and server.ranges:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(data):
                    self.send_response(416)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                told = 0 if server.wrong_range else start
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {told}-{len(data) - 1}/{len(data)}")
            else:
                self.send_response(200)
            body = data[start:]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if server.break_after is not None:
                body, server.break_after = body[: server.break_after], None
                self.close_connection = True
            self.wfile.write(body)

    return Handler


CONTENT = np.random.default_rng(0).bytes(300_000)
FILES = {"test/good/00.jpg": CONTENT, "train/a b.txt": b"small"}


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server({"test/good/00.jpg": CONTENT, "train/a%20b.txt": b"small"})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler(made))
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"http://127.0.0.1:{http.server_port}"
    yield made
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the toy consist of two small files, unless a test asks for the real manifest."""
    rows = tuple(
        RemoteFile(path, len(data), hashlib.sha256(data).hexdigest())
        for path, data in FILES.items()
    )
    monkeypatch.setattr(download, "read_manifest", lambda name: rows)
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)


def got(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("ATTRIBUTION.txt", ".fetching")
    }


@pytest.mark.parametrize("ranges", [True, False])
def test_whole_then_nothing_more_to_do(tmp_path: Path, server: Server, ranges: bool) -> None:
    server.ranges = ranges
    seen: list[Progress] = []
    folder = fetch("hazelnut-toy", tmp_path / "toy", base_url=server.url, report=seen.append)
    assert folder == tmp_path / "toy"
    assert got(folder) == FILES
    assert "CC BY 4.0" in (folder / "ATTRIBUTION.txt").read_text(encoding="utf-8")
    done = [progress.done for progress in seen]
    assert done == sorted(done)
    assert done[-1] == seen[-1].total == sum(map(len, FILES.values()))
    server.asked.clear()
    fetch("hazelnut-toy", folder, base_url=server.url)
    assert server.asked == []


@pytest.mark.parametrize("ranges", [True, False])
def test_cancelled_and_resumed(tmp_path: Path, server: Server, ranges: bool) -> None:
    server.ranges = ranges

    def stop(progress: Progress) -> None:
        if progress.done >= 100_000:
            raise Cancelled

    with pytest.raises(Cancelled):
        fetch("hazelnut-toy", tmp_path, base_url=server.url, report=stop)
    with pytest.raises(DataError, match="fetched only in part"):
        open_dataset("hazelnut-toy", tmp_path)
    (part,) = got(tmp_path)
    assert part == "test/good/00.jpg.part"
    have = (tmp_path / part).stat().st_size
    assert 100_000 <= have < len(CONTENT)
    server.asked.clear()
    seen: list[Progress] = []
    fetch("hazelnut-toy", tmp_path, base_url=server.url, report=seen.append)
    assert got(tmp_path) == FILES
    assert server.asked[0] == ("test/good/00.jpg", f"bytes={have}-")
    assert not (tmp_path / ".fetching").exists()
    assert seen[0].done == have
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_is_taken_up_again(
    tmp_path: Path, server: Server, ranges: bool
) -> None:
    server.ranges, server.break_after = ranges, 150_000
    seen: list[Progress] = []
    fetch("hazelnut-toy", tmp_path, base_url=server.url, report=seen.append)
    assert got(tmp_path) == FILES
    asked = [wanted for path, wanted in server.asked if path == "test/good/00.jpg"]
    assert asked[0] is None
    assert asked[1] is not None
    assert max(progress.done for progress in seen) == seen[-1].total


def test_a_failing_server_is_asked_again(tmp_path: Path, server: Server) -> None:
    server.fail_first = 2
    fetch("hazelnut-toy", tmp_path, base_url=server.url)
    assert got(tmp_path) == FILES


def test_a_server_that_sends_another_range(tmp_path: Path, server: Server) -> None:
    part = tmp_path / "test" / "good" / "00.jpg.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:1000])
    server.wrong_range = True
    fetch("hazelnut-toy", tmp_path, base_url=server.url)
    assert got(tmp_path) == FILES


@pytest.mark.parametrize("left", [b"x" * 400_000, CONTENT])
def test_a_part_that_is_too_long_or_whole(tmp_path: Path, server: Server, left: bytes) -> None:
    part = tmp_path / "test" / "good" / "00.jpg.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    fetch("hazelnut-toy", tmp_path, base_url=server.url)
    assert got(tmp_path) == FILES


@pytest.mark.parametrize("change", [b"y" + CONTENT[1:], CONTENT + b"more"])
def test_a_wrong_checksum_deletes_and_says_so(
    tmp_path: Path, server: Server, change: bytes
) -> None:
    server.files["test/good/00.jpg"] = change
    with pytest.raises(DataError, match="wrong checksum, the file was deleted") as caught:
        fetch("hazelnut-toy", tmp_path, base_url=server.url)
    assert str(caught.value.where).endswith("/test/good/00.jpg")
    assert got(tmp_path) == {}
    server.files["test/good/00.jpg"] = CONTENT
    fetch("hazelnut-toy", tmp_path, base_url=server.url)
    assert got(tmp_path) == FILES


def test_a_damaged_file_in_place_is_fetched_anew(tmp_path: Path, server: Server) -> None:
    fetch("hazelnut-toy", tmp_path, base_url=server.url)
    (tmp_path / "train" / "a b.txt").write_bytes(b"smalm")
    fetch("hazelnut-toy", tmp_path, base_url=server.url)
    assert got(tmp_path) == FILES


@pytest.mark.parametrize(
    ("status", "what"),
    [(404, "cannot be fetched; got HTTP 404"), (403, "HTTP 403"), (500, "fetching failed.*500")],
)
def test_http_errors(tmp_path: Path, server: Server, status: int, what: str) -> None:
    server.status["test/good/00.jpg"] = status
    with pytest.raises(DataError, match=what) as caught:
        fetch("hazelnut-toy", tmp_path, base_url=server.url)
    assert caught.value.where == f"{server.url}/test/good/00.jpg"
    assert "test/good/00.jpg" not in got(tmp_path)


def test_no_connection(tmp_path: Path, server: Server) -> None:
    with pytest.raises(DataError, match="fetching failed; got no connection"):
        fetch("hazelnut-toy", tmp_path, base_url="http://127.0.0.1:9")


def test_a_folder_that_cannot_be_written(tmp_path: Path, server: Server) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write here"):
        fetch("hazelnut-toy", tmp_path / "file" / "toy", base_url=server.url)


def test_what_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="built in"):
        fetch("synthetic-hazelnut", tmp_path)
    with pytest.raises(DataError, match="Get it from its source"):
        fetch("mvtec", tmp_path)
    with pytest.raises(ConfigError, match="Did you mean 'hazelnut-toy'"):
        fetch("hazelnut-toi", tmp_path)


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", ""])
def test_a_manifest_stays_inside_its_folder(path: str) -> None:
    with pytest.raises(DataError, match="inside its dataset"):
        RemoteFile(path, 1, "0" * 64)


def test_the_packaged_manifest() -> None:
    files = read_manifest("hazelnut_toy.json")
    assert len(files) == len({file.path for file in files}) == 68
    assert sum(file.path.startswith("ground_truth/colour/") for file in files) == 17
    assert all(len(file.sha256) == 64 and file.size > 0 for file in files)


def test_the_real_toy_comes_through(
    tmp_path: Path, server: Server, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packaged manifest fits the real files: served from here, fetched, checked, opened."""
    monkeypatch.setattr(download, "read_manifest", read_manifest)
    source = real_data / "hazelnut_toy"
    server.files = {
        path.relative_to(source).as_posix(): path.read_bytes()
        for path in source.rglob("*")
        if path.is_file()
    }
    folder = fetch("hazelnut-toy", tmp_path, base_url=server.url)
    assert check(folder) == []
    assert (
        open_dataset("hazelnut-toy", folder).digest == open_dataset("hazelnut-toy", source).digest
    )
