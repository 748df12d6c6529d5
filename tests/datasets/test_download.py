"""Fetching, against a server on this machine that resumes, breaks off and damages."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recbole_mm.cli.main import main
from recbole_mm.datasets import download, latest_small
from recbole_mm.datasets.download import TRIES, RemoteFile, fetch
from recbole_mm.datasets.mmtf_14k import build as mmtf_14k
from recbole_mm.errors import InputError

CONTENT = bytes(range(256)) * 4000
HELP = "Where there is no network: …"


class Server(ThreadingHTTPServer):
    """Serves ``files``; notes the Range of each request.

    Attributes:
        cut: send only so many bytes of the answer's body, for as many requests.
        resumes: whether Range is understood.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.ranges: list[str | None] = []
        self.cut: list[int] = []
        self.resumes = True

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        content = self.server.files.get(self.path[1:])
        if content is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.resumes else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        self.wfile.write(body[: self.server.cut.pop(0)] if self.server.cut else body)

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as one:
        one.files["a.zip"] = CONTENT
        threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True).start()
        yield one
        one.shutdown()


def remote(server: Server, **changes) -> RemoteFile:
    known = {"size": len(CONTENT), "md5": hashlib.md5(CONTENT).hexdigest(), **changes}
    return RemoteFile(server.url("a.zip"), "a.zip", **known)


def test_a_file_arrives_once_with_its_checksums(server: Server, tmp_path: Path, capsys) -> None:
    for _ in range(2):
        assert fetch(remote(server), tmp_path / "new", HELP).read_bytes() == CONTENT
        said = capsys.readouterr().out
        assert f"{len(CONTENT):,} bytes, MD5 {hashlib.md5(CONTENT).hexdigest()} (as published), SHA-256 " in said
        assert hashlib.sha256(CONTENT).hexdigest() in said
    assert server.ranges == [None], "the second call found it there"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.zip"]


def test_a_broken_connection_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.cut = [100_000, 50_000]
    assert fetch(remote(server), tmp_path, HELP).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_the_next_call_goes_on(server: Server, tmp_path: Path) -> None:
    server.cut = [1000] * TRIES
    with pytest.raises(
        InputError, match=f"interrupted {TRIES} times .*{1000 * TRIES:,} bytes are in .*to continue from there"
    ):
        fetch(remote(server), tmp_path, HELP)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip.part"]
    assert fetch(remote(server), tmp_path, HELP).read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={1000 * TRIES}-"


def test_a_server_that_cannot_resume_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.cut, server.resumes = [100_000], False
    assert fetch(remote(server), tmp_path, HELP).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"md5": "0" * 32}, f"MD5 {hashlib.md5(CONTENT).hexdigest()} instead of 0000"),
        ({"size": len(CONTENT) + 1, "md5": None}, f"has {len(CONTENT):,} bytes instead of {len(CONTENT) + 1:,}"),
    ],
)
def test_a_wrong_file_does_not_stay(server: Server, tmp_path: Path, changes, message) -> None:
    with pytest.raises(InputError, match=f"{message}.*type the command again"):
        fetch(remote(server, **changes), tmp_path, HELP)
    assert list(tmp_path.iterdir()) == []


def test_of_unknown_size_a_complete_part_is_enough(server: Server, tmp_path: Path, capsys) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    assert fetch(remote(server, size=None, md5=None), tmp_path, HELP).read_bytes() == CONTENT
    assert "no published MD5" in capsys.readouterr().out


def test_refusals_and_no_network_say_what_to_do(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none.zip: the server answers 404 .*Where there is no network"):
        fetch(RemoteFile(server.url("none.zip"), "none.zip"), tmp_path, HELP)
    with pytest.raises(InputError, match="cannot be reached .*Where there is no network"):
        fetch(RemoteFile("http://127.0.0.1:9/a.zip", "a.zip"), tmp_path, HELP)
    assert list(tmp_path.iterdir()) == []


def test_no_room_is_told_before_the_transfer(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a.zip needs .* more bytes, but .* are free"):
        fetch(remote(server, size=10**18), tmp_path, HELP)
    assert server.ranges == []


class TestReleases:
    """``recbole-mm prepare mmtf-14k --download``."""

    @pytest.fixture
    def upstream(self, server: Server, monkeypatch) -> Server:
        release, ml_20m = zip_bytes({"Data/movie_description.csv": "movieId,title,YTId\n1,A,x\n2,B,y\n"}), ml_20m_zip()
        server.files |= {"Final.zip": release, "ml-20m.zip": ml_20m}
        file = {"key": "Final.zip", "size": len(release), "checksum": f"md5:{hashlib.md5(release).hexdigest()}"}
        record = {"files": [{**file, "links": {"self": server.url("Final.zip")}}]}
        server.files["record"] = json.dumps(record).encode()
        monkeypatch.setattr(mmtf_14k, "ZENODO_RECORD", server.url("record"))
        md5 = hashlib.md5(ml_20m).hexdigest()
        ours = RemoteFile(server.url("ml-20m.zip"), "ml-20m.zip", len(ml_20m), md5)
        monkeypatch.setattr(mmtf_14k, "ML_20M", ours)
        return server

    def command(self, folder: Path) -> list[str]:
        places = ["--source", str(folder / "source"), "--out", str(folder / "dataset")]
        return ["prepare", "mmtf-14k", *places, "--download", "--audio=blf:spectral", "--visual="]

    def test_are_fetched_then_built(self, upstream: Server, tmp_path: Path, capsys) -> None:
        assert main(self.command(tmp_path)) == 0
        assert {path.name for path in (tmp_path / "source").iterdir()} == {"Final.zip", "ml-20m.zip"}
        assert "movies: 2 of 2" in capsys.readouterr().out

    def test_another_record_and_no_network(self, upstream: Server, tmp_path: Path, monkeypatch, capsys) -> None:
        upstream.files["record"] = b'{"entries": []}'
        assert main(self.command(tmp_path)) == 2
        assert "the description of the record cannot be understood" in capsys.readouterr().err
        monkeypatch.setattr(mmtf_14k, "ZENODO_RECORD", "http://127.0.0.1:9/record")
        assert main(self.command(tmp_path)) == 2
        said = capsys.readouterr().err
        assert "http://127.0.0.1:9/record: cannot be read" in said and said.count("\n") == 1
        assert "Without a network: on another machine, download the files of https://zenodo.org/records/" in said
        assert not (tmp_path / "dataset").exists()


class TestLatestSmall:
    """``recbole-mm prepare mmtf-14k-small --download``."""

    def command(self, folder: Path) -> list[str]:
        places = ["--ratings", str(folder / "ml"), "--out", str(folder / "dataset")]
        return ["prepare", "mmtf-14k-small", "--download", *places]

    def test_is_fetched_then_built(self, server: Server, tmp_path: Path, monkeypatch, capsys) -> None:
        ratings = "userId,movieId,rating,timestamp\n1,367,4.5,1500000000\n2,367,0.5,1500000001\n1,999999,1,5\n"
        movies = 'movieId,title,genres\n367,"Mask, The (1994)",Comedy\n'
        files = {"ml-latest-small/ratings.csv": ratings, "ml-latest-small/movies.csv": movies}
        server.files["small.zip"] = zip_bytes(files)
        monkeypatch.setattr(latest_small, "LATEST", RemoteFile(server.url("small.zip"), "ml-latest-small.zip"))
        assert main(self.command(tmp_path)) == 0
        assert [path.name for path in (tmp_path / "ml").iterdir()] == ["ml-latest-small.zip"]
        said = capsys.readouterr().out
        assert "no published MD5" in said and "ratings: 2 of 2 users; 1 of other movies" in said
        assert "2017-07" in (tmp_path / "dataset" / "mmtf-14k-small" / "RATINGS.md").read_text()

    def test_no_network(self, server: Server, tmp_path: Path, monkeypatch, capsys) -> None:
        monkeypatch.setattr(latest_small, "LATEST", RemoteFile("http://127.0.0.1:9/a.zip", "a.zip"))
        assert main(self.command(tmp_path)) == 2
        said = capsys.readouterr().err
        assert "cannot be reached" in said and "Without a network: on another machine, download" in said
        assert said.count("\n") == 1 and not (tmp_path / "dataset" / "mmtf-14k-small").exists()


def zip_bytes(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    spectral = {"Audio/BLF_SPECTRALfeat.csv": "movieId,0,1\n1,0.5,1\n2,0.1,3\n"}
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in {**files, **spectral}.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def ml_20m_zip() -> bytes:
    ratings = "userId,movieId,rating,timestamp\n1,1,4.5,7\n1,2,0.5,8\n"
    movies = "movieId,title,genres\n1,A,Drama\n2,B,Comedy\n"
    return zip_bytes({"ml-20m/ratings.csv": ratings, "ml-20m/movies.csv": movies})
