"""The page: its answers, the requests it refuses, load and faults, and how it looks in a browser.

    python -m pytest tests/lab/page/test_page.py
"""

import base64
import concurrent.futures
import contextlib
import gc
import html
import http.client
import io
import itertools
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from urllib.parse import quote

import numpy as np
import own_digits
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import nn

import draw
import main
import model
from dataset import Transform
from lab.digits.prepare import WEIGHTS, classify
from lab.page import server as pages
from lab.runs import checkpoints
from lab.runs.identity import as_dict
from model import CustomMLP, LeNet5

SCRIPT = Path(draw.__file__)


@pytest.fixture(scope="module")
def serve():
    """A function that starts a Server at a free port. All servers end with the module."""
    started = []

    def start(weights=WEIGHTS):
        server = pages.Server(0, weights)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def server(serve):
    return serve()


def png(pixels):
    Image.fromarray(pixels).save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def seven(digits):
    return png(digits["test"][0][0])


def ask(server, method="POST", path="/read", body=None, **headers):
    """Sends a request. Returns the status and the JSON, or the text of the page."""
    connection = http.client.HTTPConnection(*server.server_address, timeout=60)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read().decode()
        return response.status, content if method == "GET" and response.status == 200 \
            else json.loads(content)
    finally:
        connection.close()


def send(server, content):
    """Sends raw bytes. Returns what the server replies until it closes the connection."""
    with socket.create_connection(server.server_address, timeout=60) as connection:
        connection.sendall(content)
        return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


# Answers


def test_answers_what_the_net_says(server, digits):
    net = checkpoints.read_net(WEIGHTS)
    for pixels in digits["test"][0][:20]:
        status, result = ask(server, body=png(pixels))
        probabilities = classify(net, Image.fromarray(pixels)).tolist()
        assert status == 200
        assert result["seen"] == pixels.tolist()  # MNIST's own digits pass unchanged
        assert result["probabilities"] == pytest.approx(probabilities, abs=1e-6)
        assert result["digit"] == np.argmax(probabilities)
        assert result["doubtful"] == (max(probabilities) < 0.6)


@pytest.mark.parametrize("name", ["lenet", "lenet_1998", "lenet_wide"])
def test_maps_are_what_the_convolutions_give(name, digits, seven):
    recipe = main.RECIPES[name]
    torch.manual_seed(0)
    net = model.make_net(recipe.net, recipe.dropout).eval()
    pixels = torch.from_numpy(digits["test"][0][0].copy())[None, None]
    found = pages.answer(net, seven)["maps"]
    with torch.inference_mode():
        image = Transform(net.image_size)(pixels)
        if name == "lenet":
            first = net.conv1(image)
            wanted = {"conv1": first, "conv2": net.conv2(F.max_pool2d(F.relu(first), 2))}
        elif name == "lenet_1998":
            first = net.c1(image)
            wanted = {"c1": first, "c3": net.c3(net.s2(1.7159 * torch.tanh(2 / 3 * first)))}
        else:
            first = net.conv1(image)
            wanted = {"conv1": first, "conv2": net.conv2(F.avg_pool2d(torch.tanh(first), 2))}
    assert [maps["name"] for maps in found] == list(wanted)
    for maps, values in zip(found, wanted.values(), strict=True):
        assert maps["size"] == list(values[0].shape)
        assert maps["largest"] == pytest.approx(values.abs().max().item(), rel=1e-5)
        got = torch.tensor(maps["maps"]) * maps["largest"] / 127
        torch.testing.assert_close(got, values[0], rtol=0, atol=0.51 * maps["largest"] / 127)


def test_every_net_is_answered_and_left_without_hooks(seven):
    for recipe in main.RECIPES.values():
        net = recipe.net() if recipe.dropout is None else recipe.net(recipe.dropout)
        sizes = [len(maps["maps"]) for maps in pages.answer(net.eval(), seven)["maps"]]
        assert sizes in ([6, 16], [16, 16], []), recipe.net
        assert (not sizes) == ("MLP" in recipe.net.__name__)
        assert not any(layer._forward_hooks for layer in net.modules())


def save_net(kind, folder, **more):
    """Saves a net of the class `kind` as a checkpoint. Returns it and the path."""
    torch.manual_seed(0)
    net, path = kind().eval(), folder / "small.pt"
    recipe = {"net": kind.__name__, "dropout": None}
    torch.save({"recipe": recipe, "model": net.state_dict(), **more}, path)
    return net, path


class Broken(CustomMLP):
    def forward(self, images):
        raise ValueError("two\nlines. And a second sentence")


class Undefined(CustomMLP):
    def forward(self, images):
        return super().forward(images) * float("nan")


@pytest.mark.parametrize(("kind", "words"), [
    (Broken, "ValueError: two lines"),
    (Undefined, "ValueError: Undefined returns values that are not finite")])
def test_a_net_that_fails_is_one_line_in_both_places(kind, words, serve, seven, tmp_path,
                                                     monkeypatch, capfd):
    monkeypatch.setattr(model, kind.__name__, kind, raising=False)
    _, path = save_net(kind, tmp_path)
    status, result = ask(serve(path), body=seven)
    assert (status, list(result)) == (500, ["error"])
    said = f"{path}: cannot read the picture ({words}"
    assert result["error"].startswith(said)
    assert re.fullmatch(f"{re.escape('draw.py: ' + said)}.*\n", capfd.readouterr().err)


def test_weights_of_other_data_come_with_a_caution(server, serve, seven, tmp_path):
    assert ask(server, body=seven)[1]["caution"] == ""
    _, path = save_net(LeNet5, tmp_path, data={"train": {"size": 60_000}})
    assert ask(serve(path), body=seven)[1]["caution"] == checkpoints.OTHER_DATA


@pytest.mark.parametrize(("body", "words"), [
    (b"", "not an image"), (b"seven" * 99, "not an image"),
    (png(np.full((300, 200), 255, np.uint8)), "blank"),
    (png(np.eye(300, dtype=np.uint8))[:200], "not readable")])
def test_a_picture_that_cannot_be_read_is_one_line(server, body, words):
    status, result = ask(server, body=body)
    assert (status, list(result)) == (400, ["error"])
    assert words in result["error"]
    assert "\n" not in result["error"]


# Weights


def test_weights_are_chosen_in_the_page(serve, seven, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    mine = tmp_path / "checkpoints" / "<mlp>.pt"
    torch.manual_seed(0)
    recipe = as_dict(main.RECIPES["mlp"])
    torch.save({"recipe": recipe, "model": CustomMLP().state_dict()}, mine)
    for name in ("bad", "lenet-lr0.05-seed3", "lenet_reg-no_augment-seed0"):
        (tmp_path / "checkpoints" / f"{name}.pt").write_bytes(b"junk")
    server = serve()
    options = re.findall('<option value="(.+?)">(.+?)</option>', ask(server, "GET", "/")[1])
    paths = [html.unescape(path) for path, _ in options]
    assert paths[0] == str(WEIGHTS)
    assert paths.index(str(mine)) > 0
    names = [html.unescape(name) for _, name in options]
    assert names[0] == "LeNet-5 for digits of your own (report/lenet_hands-seed0)"
    assert {"checkpoints/<mlp>", "LeNet-5 (checkpoints/lenet-lr0.05-seed3)",
            "LeNet-5 with dropout and weight decay (checkpoints/lenet_reg-no_augment-seed0)"
            } <= {*names}
    assert ask(server, body=seven)[1]["maps"] != []  # the first is the default
    assert ask(server, path=f"/read?weights={quote(str(mine))}", body=seven)[1]["maps"] == []
    status, result = ask(server, path=f"/read?weights={tmp_path}/checkpoints/bad.pt", body=seven)
    assert status == 400
    assert "bad.pt: damaged" in result["error"]
    status, result = ask(server, path="/read?weights=/etc/passwd", body=seven)
    assert (status, result["error"]) == (400, "'/etc/passwd': no such weights")
    # The file is read again if it has changed, as it does while a run is trained.
    before = ask(server, path=f"/read?weights={quote(str(mine))}", body=seven)[1]
    torch.save({"recipe": recipe, "model": CustomMLP().state_dict()}, mine)
    os.utime(mine, ns=(1, 1))
    assert ask(server, path=f"/read?weights={quote(str(mine))}", body=seven)[1] != before


def test_a_name_that_is_no_utf_8_is_escaped(serve, seven, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    mine = Path(os.fsdecode(b"checkpoints/\xff.pt"))
    try:
        shutil.copy(WEIGHTS, mine)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    server = serve(mine)
    options = re.findall('<option value="(.+?)">(.+?)</option>', ask(server, "GET", "/")[1])
    assert options[0] == (rf"{tmp_path}/checkpoints/\udcff.pt", r"checkpoints/\udcff")
    assert ask(server, body=seven)[1]["digit"] == 7  # the first
    assert ask(server, path=f"/read?weights={quote(options[0][0])}", body=seven)[1]["digit"] == 7


# Samples, and digits that are kept


def test_samples_are_the_first_test_image_of_each_digit(server, digits):
    images, labels = digits["test"]
    samples = json.loads(ask(server, "GET", "/samples")[1])
    assert [sample["label"] for sample in samples] == list(range(10))
    for sample in samples:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(sample["png"]))))
        assert np.array_equal(pixels, images[np.flatnonzero(labels == sample["label"])[0]])


def test_without_the_bundled_data_there_are_no_samples(server, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "read_samples", pages.read_samples.__wrapped__)
    monkeypatch.setattr(pages, "DATA_DIR", tmp_path)
    assert ask(server, "GET", "/samples") == (200, "[]")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder drawn/ of a new current folder. It is not there yet."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "drawn"


def test_a_digit_is_kept_and_counted(server, seven, folder):
    assert ask(server, path="/kept") == (200, {"kept": 0, "counted": 0, "right": 0})
    ask(server, body=seven)
    assert not folder.exists()
    kept = [ask(server, path=f"/keep?label={label}", body=seven) for label in (7, 3)]
    assert kept == [(200, {"path": os.path.join("drawn", name)}) for name in ("1_7.png",
                                                                              "2_3.png")]
    blank = png(np.full((99, 99), 255, np.uint8))
    assert ask(server, path="/keep?label=0", body=blank)[0] == 200  # the refused count too
    assert ask(server, path="/kept")[1] == {"kept": 3, "counted": 3, "right": 1}
    assert sorted(path.name for path in folder.iterdir()) == ["1_7.png", "2_3.png", "3_0.png"]


def test_the_newest_are_counted(server, seven, folder, monkeypatch):
    monkeypatch.setattr(pages.kept, "COUNTED", 2)
    for label in (7, 3, 7):
        ask(server, path=f"/keep?label={label}", body=seven)
    assert ask(server, path="/kept")[1] == {"kept": 3, "counted": 2, "right": 1}


@pytest.mark.parametrize(("query", "body", "words"), [
    ("", None, "the label is missing"), ("?label=", None, "the label"),
    ("?label=10", None, "the label"), ("?label=-1", None, "the label"),
    ("?label=%C2%B2", None, "the label"), ("?label=../7", None, "the label"),
    ("?label=7", b"", "not a PNG"), ("?label=7", b"GIF89a", "not a PNG")])
def test_what_is_not_kept(server, seven, folder, query, body, words):
    status, result = ask(server, path=f"/keep{query}", body=seven if body is None else body)
    assert (status, list(result)) == (400, ["error"])
    assert words in result["error"]
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_is_one_line(server, seven, folder):
    folder.write_bytes(b"a file")
    assert ask(server, path="/keep?label=7", body=seven) == (
        400, {"error": "drawn: cannot be made: File exists"})


def test_weights_that_cannot_count_are_one_line(server, seven, folder):
    ask(server, path="/keep?label=7", body=seven)
    status, result = ask(server, path="/kept?weights=/etc/passwd")
    assert (status, result["error"]) == (400, "'/etc/passwd': no such weights")


def test_a_stroke_does_not_wait_for_the_count(server, seven, folder, monkeypatch):
    """The count has a digit read at a time. Here a stroke comes while the first is read."""
    for _ in range(3):
        ask(server, path="/keep?label=7", body=seven)
    begun, going, order = threading.Event(), threading.Event(), []

    def read_kept(path, weights):
        begun.set()
        assert going.wait(30)
        order.append(path.name)
        return 7

    monkeypatch.setattr(pages.kept, "read_kept", read_kept)
    monkeypatch.setattr(pages, "answer", lambda *args: order.append("stroke") or {})
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        count = pool.submit(ask, server, path="/kept")
        assert begun.wait(30)
        stroke = pool.submit(ask, server, body=seven)
        while not server.worker._work_queue.qsize():
            threading.Event().wait(0.01)
        going.set()
        assert count.result()[1]["right"] == 3
        assert stroke.result()[0] == 200
    assert order == ["1_7.png", "stroke", "2_7.png", "3_7.png"]


# Whom it answers


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"}, {"Host": "127.0.0.1"}, {"Host": "127.0.0.1:1"}, {"Host": ""},
    {"Host": "127.0.0.1.evil.example:PORT"}, {"Origin": "http://evil.example"},
    {"Origin": "null"}, {"Origin": "https://127.0.0.1:PORT"}, {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:PORT"}], ids=str)
@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/"), ("GET", "/samples"), ("POST", "/read"), ("POST", "/keep?label=7"),
    ("POST", "/kept"), ("GET", "/x")])
def test_strangers_are_refused(server, seven, headers, method, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    headers = {name: value.replace("PORT", str(server.server_port))
               for name, value in headers.items()}
    assert ask(server, method, path, seven, **headers)[0] == 403
    assert not any(tmp_path.iterdir())


def test_a_tunnel_to_another_port_is_told_how(server):
    port = server.server_port
    status, result = ask(server, "GET", "/", Host="localhost:9000")
    assert status == 403
    assert f"forward the same port: ssh -L {port}:localhost:{port}" in str(result)


def test_the_page_is_allowed_little_and_kept_nowhere(server, seven):
    for method, path in (("GET", "/"), ("POST", "/read"), ("GET", "/none"), ("GET", "/samples")):
        head, _, _ = send(server, f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:"
                          f"{server.server_port}\r\n\r\n".encode()).partition("\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
        rules = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
        assert rules == {"default-src": "'none'", "script-src": "'unsafe-inline'",
                         "style-src": "'unsafe-inline'", "img-src": "blob: data:",
                         "connect-src": "'self'", "frame-ancestors": "'none'",
                         "form-action": "'none'"}
        assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) \
            == ("no-store", "nosniff")


def test_a_request_without_host_or_with_two_is_refused(server):
    ours = f"Host: 127.0.0.1:{server.server_port}\r\n"
    assert " 200 " in send(server, f"GET / HTTP/1.1\r\n{ours}\r\n".encode()).splitlines()[0]
    assert " 404 " in send(server, f"GET http://[ HTTP/1.1\r\n{ours}\r\n".encode()).splitlines()[0]
    for lines in ("", "Host: evil.example\r\n", ours + "Host: evil.example\r\n"):
        assert " 403 " in send(server, f"GET / HTTP/1.1\r\n{lines}\r\n".encode()).splitlines()[0]


def test_this_computer_is_let_in_by_both_names(server, seven):
    for host in ("127.0.0.1", "localhost", "LocalHost"):
        host = f"{host}:{server.server_port}"
        assert ask(server, "GET", "/", Host=host)[0] == 200
        assert ask(server, body=seven, Host=host, Origin=f"http://{host}")[0] == 200
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/draw.html", 404), ("GET", "/read", 404), ("GET", "/../draw.py", 404),
    ("GET", "/%2f", 404), ("GET", "/keep", 404), ("GET", "/kept", 404), ("GET", "/samples/", 404),
    ("POST", "/", 404), ("POST", "/read/", 404), ("POST", "/samples", 404)])
def test_there_are_five_paths(server, seven, method, path, status):
    assert ask(server, method, path, seven)[0] == status


@pytest.mark.parametrize("method", ["PUT", "HEAD", "OPTIONS", "DELETE"])
def test_there_are_two_methods(server, method):
    ours = f"{method} / HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n"
    assert " 501 " in send(server, ours.encode()).splitlines()[0]


# Load and faults


def post(server, length, body=b"", more=""):
    return (f"POST /read HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n{more}"
            f"Content-Length: {length}\r\n\r\n").encode() + body


@pytest.mark.parametrize(("length", "status"), [
    (10_000_001, 413), (1_000_000_000, 413), ("9" * 5000, 413), ("-1", 411), ("1e3", 411),
    ("", 411), ("²", 411)])
def test_lengths_that_are_refused_before_the_body_is_read(server, length, status):
    # No body is sent. A server that waited for one would not reply.
    assert f" {status} " in send(server, post(server, length)).splitlines()[0]


def test_a_gigabyte_is_refused_while_it_is_sent(server):
    with socket.create_connection(server.server_address, timeout=60) as connection:
        connection.sendall(post(server, 10**9))
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 10**9:
                sent += connection.send(bytes(2**16))
    assert sent < 10**8  # no more than the buffers of the two sockets take


def test_the_largest_picture_is_read(server, seven):
    assert ask(server, body=seven.ljust(pages.MAX_BYTES, b"\0"))[1]["digit"] == 7


def test_silent_and_dropped_connections_do_not_keep_others_waiting(server, seven):
    silent = [socket.create_connection(server.server_address) for _ in range(20)]
    for connection in silent[10:]:
        connection.sendall(post(server, 5000, b"half"))
    assert ask(server, body=seven)[1]["digit"] == 7
    for connection in silent:
        connection.close()
    assert ask(server, body=seven)[1]["digit"] == 7


def test_a_client_that_says_nothing_is_dropped(server, monkeypatch):
    assert 1 <= pages.Handler.timeout <= 60
    monkeypatch.setattr(pages.Handler, "timeout", 0.05)
    assert send(server, b"") == ""
    assert send(server, post(server, 5000, b"half")) == ""


def test_twenty_at_once_get_their_own_answers(server, digits):
    pictures = [png(pixels) for pixels in digits["test"][0][:20]]
    one_by_one = [ask(server, body=picture) for picture in pictures]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert list(pool.map(lambda picture: ask(server, body=picture), pictures)) == one_by_one


def test_a_thousand_requests_leave_nothing_behind(server, seven, capfd):
    def many(count):
        for _ in range(count):
            assert ask(server, body=seven)[0] == 200
            assert ask(server, body=seven[:100])[0] == 400
            assert ask(server, body=seven, Host="evil.example")[0] == 403
            with socket.create_connection(server.server_address) as connection:
                connection.sendall(post(server, 5000, b"half"))

    def resident():
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def threads():
        deadline = time.monotonic() + 30  # a thread ends shortly after its connection
        while (count := threading.active_count()) > before and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        return count

    many(20)
    before = 0
    before = threading.active_count()
    if linux := Path("/proc/self/statm").exists():
        memory = resident()
    many(250)
    assert threads() <= before
    assert not linux or resident() - memory < 10 * 2**20
    assert capfd.readouterr() == ("", "")


# The command


@pytest.fixture
def process():
    """draw.py as a process of its own, and its port."""
    with subprocess.Popen([sys.executable, SCRIPT, "--port", "0", "--no-browser"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        url = re.match(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        yield process, int(url[1])
        process.kill()


def test_browsers_that_go_away_do_not_end_it_and_ctrl_c_does(process, seven):
    process, port = process
    server = types.SimpleNamespace(server_address=("127.0.0.1", port), server_port=port)
    for half_closed, reset in itertools.product((True, False), repeat=2):
        with socket.create_connection(server.server_address, timeout=60) as connection:
            connection.sendall(post(server, len(seven), seven))
            # The server's next write ends in SIGPIPE where FIN came first, else in an error.
            if half_closed:
                connection.shutdown(socket.SHUT_WR)
            if reset:  # closing sends RST
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert ask(server, body=seven)[1]["digit"] == 7  # after the one that was dropped
    with socket.create_connection(server.server_address):  # browsers keep connections open
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out.strip(), err) == (0, "ended", "")


def test_the_next_free_port_is_taken_and_said(server, monkeypatch, capsys):
    opened = threading.Event()
    monkeypatch.setattr(draw.webbrowser, "open", lambda url: opened.set())

    def stop(server):
        assert opened.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(pages.Server, "serve_forever", stop)
    assert draw.main(["--port", str(server.server_port)]) == 0
    said = re.match(r"port (\d+) is taken; http://127\.0\.0\.1:(\d+)/", capsys.readouterr().out)
    assert int(said[1]) == server.server_port < int(said[2])


def test_no_free_port_and_a_port_that_is_not_allowed(server, monkeypatch, capsys):
    monkeypatch.setattr(pages, "PORTS", 1)
    assert draw.main(["--port", str(server.server_port), "--no-browser"]) == 1
    assert re.fullmatch(r"draw\.py: .*taken\n", capsys.readouterr().err)

    def forbid(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pages, "Server", forbid)
    assert draw.main(["--port", "80", "--no-browser"]) == 1
    assert capsys.readouterr().err == "draw.py: port 80: Permission denied\n"


# The page


FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
         "--window-size=1200,900")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    selenium = pytest.importorskip("selenium", reason="selenium is not installed")
    del selenium
    from selenium import webdriver

    programs = [next(filter(None, map(shutil.which, names)), None) for names in (
        ("chromium", "chromium-browser", "google-chrome"), ("chromedriver",))]
    if None in programs:
        pytest.skip("no Chromium with its driver (chromedriver) is installed")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()


class Page:
    """The page in the browser, used as a person uses it."""

    def __init__(self, browser, server):
        self.browser = browser
        browser.get(f"http://127.0.0.1:{server.server_port}/")

    def find(self, name):
        return self.browser.find_element("id", name)

    def text(self, name):
        return self.find(name).text

    def wait(self, condition):
        from selenium.webdriver.support.wait import WebDriverWait
        return WebDriverWait(self.browser, 30, 0.02).until(lambda _: condition())

    def answered(self):
        self.wait(lambda: self.find("answer").get_attribute("aria-busy") == "false")
        return self.text("digit"), self.text("error")

    def point(self, steps, kind="mouse"):
        """Moves pointers over the sheet. Each step is (name of a pointer, where to or what to do).

        The latter is (x, y) in fractions of the sheet, "down" or "up".
        """
        from selenium.webdriver.common.actions.action_builder import ActionBuilder
        from selenium.webdriver.common.actions.pointer_input import PointerInput
        sheet = self.find("sheet").rect
        names = dict.fromkeys(name for name, _ in steps)
        actions = ActionBuilder(self.browser, duration=0)
        actions.devices = [PointerInput(kind, name) for name in names]
        for moved, step in steps:
            for pointer in actions.devices:
                if pointer.name != moved:
                    pointer.create_pause()
                elif step == "down":
                    pointer.create_pointer_down(button=0)
                elif step == "up":
                    pointer.create_pointer_up(button=0)
                else:
                    pointer.create_pointer_move(0, round(sheet["x"] + step[0] * sheet["width"]),
                                                round(sheet["y"] + step[1] * sheet["height"]))
        actions.perform()

    def draw(self, strokes):
        """Draws strokes, lists of (x, y) in fractions of the sheet, with the mouse."""
        self.point([("mouse", step) for first, *rest in strokes
                    for step in (first, "down", *rest, "up")])
        return self.answered()

    def choose(self, menu, words):
        from selenium.webdriver.support.select import Select
        Select(self.find(menu)).select_by_visible_text(words)
        return self.answered()

    def press(self, key):
        self.browser.switch_to.active_element.send_keys(key)

    def canvases(self, selector):
        """What canvases show, PNGs. That of #sheet is what the page sends."""
        addresses = self.browser.execute_script("""
            return [...document.querySelectorAll(arguments[0])].map((map) => map.toDataURL());
            """, selector)
        return [base64.b64decode(address.partition(",")[2]) for address in addresses]

    def sheet(self):
        return self.canvases("#sheet")[0]

    def colours(self, selector):
        """What canvases show, arrays (H, W, 3). They are opaque."""
        found = []
        for content in self.canvases(selector):
            rgba = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))
            assert (rgba[..., 3] == 255).all()
            found.append(rgba[..., :3].astype(int))
        return found

    def greys(self, selector):
        """What canvases show, arrays (H, W). They are grey."""
        found = self.colours(selector)
        assert all(np.ptp(rgb, axis=2).max() == 0 for rgb in found)
        return [rgb[..., 0] for rgb in found]

    def ink(self):
        """Where the sheet is black, (336, 336)."""
        return self.greys("#sheet")[0] < 128

    def bars(self, name="bars"):
        """For each bar: its digit, its width in percent, its words, whether it is the best."""
        return self.browser.execute_script("""
            return [...document.getElementById(arguments[0]).children].map((row) => [
                row.firstChild.textContent, parseFloat(row.querySelector("i").style.width),
                row.lastChild.textContent, row.classList.contains("best")]);""", name)

    def hold(self):
        """Keeps back what the server answers, until `release`."""
        self.browser.execute_script("""
            const served = window.fetch;
            window.held = [];
            window.fetch = async (...request) => {
                const answer = await served(...request);
                if (held) await new Promise((resolve) => held.push(resolve));
                return answer;
            };""")

    def release(self, script):
        """Runs a script while an answer is kept back, and then lets it go."""
        self.wait(lambda: self.browser.execute_script("return held.length"))
        self.browser.execute_script(
            f"{script}; const all = held; held = null; all.forEach((go) => go());")
        return self.answered()

    def give(self, kind, content, name="picture.png"):
        """Drops or pastes a file, with an event like the browser's own."""
        self.browser.execute_script("""
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(arguments[1])], arguments[2]));
            const event = arguments[0] === "drop" ? new DragEvent("drop", {dataTransfer: data})
                : new ClipboardEvent("paste", {clipboardData: data});
            document.dispatchEvent(event);""", kind, list(content), name)
        return self.answered()


@pytest.fixture
def page(browser, server):
    page = Page(browser, server)
    yield page
    assert [entry["message"] for entry in browser.get_log("browser")
            if "400 (Bad Request)" not in entry["message"]
            and "413" not in entry["message"]] == []


def strokes_of(digit, hand):
    """The strokes of a digit in a hand of benchmarks/own_digits.py, in fractions of the sheet."""
    return [(0.5 + 0.6 * line[::12]).tolist() for line in own_digits.write(
        digit, hand, np.random.default_rng(hand))]


def test_digits_drawn_in_two_hands(page):
    wrong = []
    for hand in (0, 1):
        for digit in range(10):
            answer, error = page.draw(strokes_of(digit, hand))
            if answer != str(digit):
                wrong.append((digit, hand, answer, error))
            page.find("clear").click()
            assert page.answered() == ("", "")
    assert len(wrong) <= 2, wrong


def check_panel(page, wanted, which=""):
    """Asserts that a panel of the page shows an answer of draw.py. which: "2" for the second."""
    shares = [f"{100 * p:.1f} %" for p in wanted["probabilities"]]
    assert page.text(f"digit{which}") == str(wanted["digit"])
    assert page.text(f"sure{which}") == shares[wanted["digit"]]
    for i, (digit, width, words, best) in enumerate(page.bars(f"bars{which}")):
        assert (digit, words, best) == (str(i), shares[i], i == wanted["digit"])
        assert width == pytest.approx(100 * wanted["probabilities"][i], abs=0.01)


def check_shown(page, net):
    """Asserts that the page shows what `net` makes of its sheet."""
    wanted = pages.answer(net, page.sheet())
    check_panel(page, wanted)
    (seen,) = page.greys("#seen")
    assert seen.tolist() == wanted["seen"]
    for i, maps in enumerate(wanted["maps"], start=1):
        values = np.array(maps["maps"])
        count, height, width = maps["size"]
        words = page.text(f"about{i}")
        assert f"({maps['name']}): {count} map{'s' * (count > 1)} of {height}x{width}" in words
        assert ("the first 16 shown" in words) == (count > 16)
        light = np.abs(values) * 255 / 127
        colours = np.stack([light, np.where(values < 0, 0.5, 1) * light, (values > 0) * light], -1)
        shown = page.colours(f"#conv{i} canvas")
        assert len(shown) == min(count, 16)
        for got, expected in zip(shown, colours, strict=True):
            assert np.abs(got - expected).max() <= 0.51


ONE = [(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)]


def test_what_the_page_shows(page):
    assert page.draw(strokes_of(3, 0)) == ("3", "")
    check_shown(page, checkpoints.read_net(WEIGHTS))
    assert [len(page.canvases(f"#{name} canvas")) for name in ("conv1", "conv2")] == [6, 16]
    assert page.text("about1") == "first convolution (conv1): 6 maps of 28x28"
    assert page.text("about2") == "second convolution (conv2): 16 maps of 10x10"
    assert re.fullmatch(r"Answered in \d+ ms\.", page.text("time"))
    assert page.find("features").is_displayed()
    assert page.text("caution") == ""


OURS = "LeNet-5 for digits of your own (report/lenet_hands-seed0)"
PUBLISHED = "LeNet-5 as published in 1998 (report/lenet_1998-seed0)"


def test_weights_are_chosen_on_the_page(page):
    page.draw(strokes_of(3, 0))
    mine = WEIGHTS.with_name("lenet_1998-seed0.pt")
    page.choose("weights", PUBLISHED)
    check_shown(page, checkpoints.read_net(mine))


class Broad(nn.Sequential):
    """More maps than the page shows, and a second convolution of 1x1."""
    image_size = 32

    def __init__(self):
        super().__init__(nn.Conv2d(1, 400, (5, 9)), nn.Conv2d(400, 10, (28, 24)), nn.Flatten())


def test_a_net_without_convolutions_shows_none(browser, serve, tmp_path):
    net, path = save_net(CustomMLP, tmp_path)
    page = Page(browser, serve(path))
    page.draw([ONE])
    check_shown(page, net)
    assert not page.find("features").is_displayed()


def test_a_broad_net_of_other_data_is_shown_with_a_caution(browser, serve, tmp_path, monkeypatch):
    monkeypatch.setattr(model, "Broad", Broad, raising=False)
    net, path = save_net(Broad, tmp_path, data={"train": {}})
    page = Page(browser, serve(path))
    page.draw([ONE])
    check_shown(page, net)
    assert page.text("caution") == checkpoints.OTHER_DATA
    page.find("clear").click()
    page.answered()
    assert page.text("caution") == ""


def test_the_pen(page):
    page.draw([ONE])
    rows, columns = page.ink().nonzero()
    assert 1 + np.ptp(columns) == pytest.approx(15, abs=1)
    assert 1 + np.ptp(rows) == pytest.approx(0.6 * 336 + 15, abs=2)  # round ends
    assert (rows.mean(), columns.mean()) == pytest.approx((167.5, 167.5), abs=1)
    page.find("clear").click()
    page.draw([[(0.2, 0.3)]])  # a dot
    rows, columns = page.ink().nonzero()
    assert len(rows) == pytest.approx(np.pi * 7.5**2, abs=25)
    assert (rows.mean(), columns.mean()) == pytest.approx((100.3, 66.7), abs=1)
    page.find("clear").click()
    page.draw([[(0.2, 0.8), (0.5, 0.2), (0.8, 0.8)]])
    ink = page.ink()
    assert not ink[67, 168]  # the corner is rounded
    assert ink[round(0.425 * 336), round(0.4625 * 336)]  # a parabola's middle


def test_clear_and_undo_by_button_and_by_key(page):
    blank = page.sheet()
    assert not page.ink().any()
    for key in ("z", "Z", "\ue00c", "\ue017", "\ue003"):  # Escape, Delete, Backspace
        assert page.find("hint").is_displayed()
        assert not any(page.find(name).is_enabled() for name in ("undo", "clear"))
        assert page.draw([ONE]) == ("1", "")
        assert not page.find("hint").is_displayed()
        assert all(page.find(name).is_enabled() for name in ("undo", "clear"))
        page.press(key)
        assert page.answered() == ("", "")
        assert page.sheet() == blank
        assert [bar[1:] for bar in page.bars()] == 10 * [[0, "", False]]
        assert (page.text("sure"), page.text("time")) == ("", "")
        assert not np.any(page.greys("#seen"))
    page.draw([ONE])
    before = page.sheet()
    page.draw([[(0.25, 0.2), (0.5, 0.2)]])
    assert page.sheet() != before
    page.find("undo").click()
    assert page.answered() == ("1", "")
    assert page.sheet() == before
    page.find("clear").click()
    assert page.answered() == ("", "")
    assert page.sheet() == blank


def test_an_empty_page_invites(page):
    assert page.find("invitation").is_displayed()
    assert page.find("hint").is_displayed()
    for name in ("answer", "inside", "keep", "zoom"):
        assert not page.find(name).is_displayed()
    assert "always answers one of them, to a scribble too" in page.find("note").text
    page.draw([ONE])
    assert not page.find("invitation").is_displayed()
    assert page.find("answer").is_displayed()
    assert page.find("note").is_displayed()
    page.find("clear").click()
    page.answered()
    assert page.find("invitation").is_displayed()


def test_a_sample_is_read_as_a_picture(page):
    page.wait(lambda: page.find("samples").is_displayed())
    for button in page.find("samples").find_elements("tag name", "button")[::3]:
        button.click()
        label = button.find_element("tag name", "img").get_attribute("alt")
        assert f"a {page.answered()[0]}" == label
        page.wait(lambda: page.find("photo").is_displayed())
        assert not page.find("keep").is_displayed()  # only what is drawn is kept


@pytest.mark.parametrize(("first", "doubt"), [(0.601, ""), (0.599, "doubtful: or 1?")])
def test_the_page_says_what_is_doubtful(page, monkeypatch, first, doubt):
    probabilities = torch.zeros(10)
    probabilities[[7, 1, 9]] = torch.tensor([first, 0.3, 0.7 - first])
    monkeypatch.setattr(pages, "ask", lambda net, picture: probabilities)
    page.draw([ONE])
    check_panel(page, {"digit": 7, "probabilities": probabilities.tolist()})
    assert page.text("doubt") == doubt
    marked = page.browser.execute_script(
        "return [...bars.children].map((row) => row.classList.contains('second'))")
    assert marked == [bool(doubt) and i == 1 for i in range(10)]
    said = page.find("said").get_attribute("textContent")
    assert said == f"7 {100 * first:.1f} % {doubt}".strip()


def test_two_nets_side_by_side(page):
    other = WEIGHTS.with_name("lenet_1998-seed0.pt")
    page.draw(strokes_of(3, 0))
    assert not page.find("second").is_displayed()
    page.choose("others", PUBLISHED)
    check_shown(page, checkpoints.read_net(WEIGHTS))
    check_panel(page, pages.answer(checkpoints.read_net(other), page.sheet()), "2")
    assert [page.text("name"), page.text("name2")] == [OURS, PUBLISHED]
    assert page.text("whose") == "The net on the left,"
    page.choose("others", "none")
    assert not page.find("second").is_displayed()
    assert page.text("name") == ""


def test_the_second_net_may_fail_alone(browser, serve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "bad.pt").write_bytes(b"junk")
    page = Page(browser, serve())
    page.choose("others", "checkpoints/bad")
    page.draw([ONE])
    assert page.text("digit") == "1"
    assert "bad.pt: damaged" in page.text("caution2")
    browser.get_log("browser")


def press_label(page, label):
    page.find("keep").find_elements("tag name", "button")[label].click()


def test_a_digit_is_kept_with_its_label(page, folder):
    page.draw([ONE])
    assert not folder.exists()
    press_label(page, 1)
    page.wait(lambda: page.text("kept").endswith("right."))
    path = os.path.join("drawn", "1_1.png")
    assert page.text("kept") == f"Kept as {path}. These weights read 1 of 1 kept digits right."
    sheet = Image.open(io.BytesIO(page.sheet())).convert("L")
    assert np.array_equal(np.asarray(Image.open(folder / "1_1.png")), np.asarray(sheet))
    buttons = page.find("keep").find_elements("tag name", "button")
    assert not any(button.is_enabled() for button in buttons)  # it is kept once
    page.find("clear").click()
    page.answered()
    page.draw([ONE])
    press_label(page, 7)
    page.wait(lambda: "1 of 2 kept" in page.text("kept"))
    page.choose("others", PUBLISHED)
    page.wait(lambda: page.text("kept") == (
        f"{OURS} reads 1 of 2 kept digits right. {PUBLISHED} reads 1 of 2 kept digits right."))
    again = Page(page.browser, types.SimpleNamespace(
        server_port=int(page.browser.current_url.rpartition(":")[2].strip("/"))))
    again.wait(lambda: again.text("kept") == "These weights read 1 of 2 kept digits right.")
    assert len(list(folder.iterdir())) == 2


def test_a_digit_that_the_net_refuses_is_kept_too(page, folder):
    assert page.draw([[(0.2, 0.2), (0.2, 0.8)], [(0.8, 0.2), (0.8, 0.8)]])[1] != ""
    press_label(page, 4)
    page.wait(lambda: "0 of 1 kept" in page.text("kept"))


def test_a_digit_that_cannot_be_kept_is_said(page, folder):
    folder.write_bytes(b"a file")
    page.draw([ONE])
    press_label(page, 1)
    page.wait(lambda: page.text("kept") == "drawn: cannot be made: File exists")
    folder.unlink()
    press_label(page, 1)  # again
    page.wait(lambda: "1 of 1 kept" in page.text("kept"))


def test_a_map_is_enlarged_by_mouse_and_by_keys(page):
    from selenium.webdriver.common.action_chains import ActionChains
    page.draw(strokes_of(3, 0))
    maps = page.find("conv1").find_elements("tag name", "canvas")
    ActionChains(page.browser).move_to_element(maps[2]).perform()
    assert page.find("zoom").is_displayed()
    assert np.array_equal(page.colours("#enlarged")[0], page.colours("#conv1 canvas")[2])
    shown = pages.answer(checkpoints.read_net(WEIGHTS), page.sheet())["maps"][0]
    low, high = (f(shown["maps"][2]) * shown["largest"] / 127 for f in (np.min, np.max))
    assert page.text("caption") == (
        f"conv1, map 3 of 6, 28x28: values from {low:.2f} to {high:.2f}")
    ActionChains(page.browser).move_to_element(page.find("sheet")).perform()
    assert not page.find("zoom").is_displayed()
    page.browser.execute_script("arguments[0].focus()", maps[0])
    page.press("\ue014")  # the arrow to the right
    assert page.text("caption").startswith("conv1, map 2 of 6")
    page.press("\ue00c")  # Escape ends this, and leaves the sheet as it is
    assert not page.find("zoom").is_displayed()
    assert page.answered() == ("3", "")
    stops = page.browser.execute_script(
        "return document.querySelectorAll('.maps canvas[tabindex=\"0\"]').length")
    assert stops == 2


DRAW = "strokes = arguments[0]; paint(); read(); "  # all strokes at once


@pytest.mark.parametrize("change", [
    "clear.click()", "undo()", "replace(new File([], 'empty'))",
    "weights.selectedIndex = 1; weights.onchange()"])
def test_an_answer_to_an_older_sheet_is_not_shown(page, change):
    page.browser.execute_script("""
        window.shown = [];
        new MutationObserver(() => shown.push(bars.innerHTML)).observe(
            bars, {subtree: true, attributes: true});""")
    sheet = [(336 * np.array(points)).tolist() for points in strokes_of(3, 0)]
    page.browser.execute_script(DRAW, sheet)
    assert page.answered() == ("3", "")
    (stale,) = page.browser.execute_script("return shown")
    page.browser.execute_script("replace(null)")
    page.answered()
    page.browser.execute_script("shown = []")
    page.hold()
    page.browser.execute_script(DRAW, sheet)
    page.release(change)
    assert stale not in page.browser.execute_script("return shown")


def test_the_latest_sheet_is_answered(page):
    page.hold()
    page.browser.execute_script(DRAW, [[[168, 67], [168, 269]]])
    page.release("strokes.push([[60, 67], [168, 67]]); paint(); read()")
    check_shown(page, checkpoints.read_net(WEIGHTS))


def test_a_stroke_ends_beyond_the_sheet_too(page):
    page.draw([[(0.5, 0.2), (0.5, 0.8), (1.2, 0.8)]])
    before = page.sheet()
    page.point([("mouse", (0.2, 0.2))])
    assert page.answered()[1] == ""
    assert page.sheet() == before


def test_a_stroke_that_is_cancelled_has_ended(page):
    page.point([("mouse", step) for step in (ONE[0], "down", *ONE[1:])])
    before = page.sheet()
    page.browser.execute_script(
        "sheet.dispatchEvent(new PointerEvent('pointercancel', {pointerId: drawing}))")
    page.point([("mouse", step) for step in ((0.2, 0.2), "up")])
    assert page.answered() == ("1", "")
    assert page.sheet() == before


def test_a_second_finger_draws_nothing(page):
    page.point([("one", (0.5, 0.2)), ("one", "down"), ("one", (0.5, 0.4)),
                ("two", (0.1, 0.1)), ("two", "down"), ("two", (0.1, 0.5)), ("one", (0.5, 0.6)),
                ("two", (0.1, 0.9)), ("two", "up"), ("one", (0.5, 0.8)), ("one", "up")], "touch")
    assert page.answered() == ("1", "")
    touched = page.sheet()
    page.find("clear").click()
    page.draw([[(0.5, 0.2), (0.5, 0.4), (0.5, 0.6), (0.5, 0.8)]])
    assert page.sheet() == touched


@pytest.mark.parametrize("key", ["z", "\ue00c"])
def test_a_key_ends_the_stroke_under_way(page, key):
    page.draw([ONE])
    before = page.sheet()
    page.point([("mouse", step) for step in ((0.2, 0.2), "down", (0.3, 0.5))])
    assert page.sheet() != before
    page.press(key)
    page.point([("mouse", step) for step in ((0.8, 0.8), "up")])
    page.answered()
    if key == "z":  # takes only this stroke back
        assert page.sheet() == before
        page.find("clear").click()
    assert not page.ink().any()
    assert page.draw([ONE]) == ("1", "")
    assert page.sheet() == before


def test_a_fault_is_not_shown_before_the_stroke_ends(page):
    page.draw([[(0.2, 0.2), (0.2, 0.8)]])
    page.point([("mouse", step) for step in ((0.8, 0.2), "down", (0.8, 0.8))])
    assert page.answered() == ("1", "")
    page.point([("mouse", "up")])
    digit, error = page.answered()
    assert (digit, error[:16]) == ("", "2 separate marks")


def test_a_picture_is_dropped_pasted_or_chosen(page, digits, tmp_path):
    def scan(index):
        picture = Image.fromarray(digits["test"][0][index]).resize((280, 280))
        return png(np.asarray(ImageOps.invert(picture)))

    assert page.give("drop", scan(0)) == ("7", "")
    assert page.find("photo").is_displayed()
    assert page.give("paste", scan(1)) == ("2", "")
    (tmp_path / "four.png").write_bytes(scan(4))
    page.find("file").send_keys(str(tmp_path / "four.png"))
    page.wait(lambda: page.answered() == ("4", ""))
    page.find("clear").click()
    page.find("file").send_keys(str(tmp_path / "four.png"))  # the same again
    page.wait(lambda: page.answered() == ("4", ""))
    assert page.draw([[(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)]]) == ("1", "")  # a new sheet
    assert not page.find("photo").is_displayed()


def test_what_cannot_be_read_is_said(page):
    assert page.give("drop", b"seven", "seven.txt") == ("", "not an image")
    page.wait(lambda: not page.find("photo").is_displayed())  # no broken picture
    assert page.draw([[(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)]]) == ("1", "")
    digit, error = page.give("drop", png(np.full((100, 100), 255, np.uint8)))
    assert (digit, error[:5]) == ("", "blank")
    page.browser.execute_script(
        "replace(new File([new Uint8Array(arguments[0])], 'x'))", pages.MAX_BYTES + 1)
    digit, error = page.answered()
    assert (digit, error[:9]) == ("", "too large")


def test_camera(page):
    page.draw([ONE])
    page.find("camera").click()
    page.wait(lambda: page.browser.execute_script("return video.videoWidth > 0"))
    page.press("z")
    assert page.answered() == ("1", "")
    page.find("shoot").click()
    page.wait(lambda: page.find("photo").is_displayed())
    page.answered()
    assert not page.find("finder").is_displayed()


def test_server_that_has_gone(page):
    def set_offline(offline):
        page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", {
            "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})

    page.browser.execute_cdp_cmd("Network.enable", {})
    set_offline(True)
    try:
        digit, error = page.draw([[(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)]])
    finally:
        set_offline(False)
    assert (digit, error) == ("", "no answer: is draw.py still running?")
    page.browser.get_log("browser")


@pytest.fixture
def resize(browser):
    """A function that makes the browser's screen that of a phone, or of a desktop's window."""
    def change(width, height, mobile=True, scheme="light"):
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1 + mobile, "mobile": mobile})

    yield change
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(
        browser, serve, resize, scheme, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    name = f"lenet_{'a' * 50}-seed0"  # 62 characters
    shutil.copy(WEIGHTS, tmp_path / "checkpoints" / f"{name}.pt")
    page = Page(browser, serve(Path("checkpoints", f"{name}.pt").resolve()))

    def check():
        widths = browser.execute_script("""
            return [document.documentElement.scrollWidth, ...[...document.querySelectorAll(
                "select, button, .panel, .bar, ol li span")].map(
                    (each) => each.getBoundingClientRect().right)];""")
        assert widths[0] == 360
        assert max(widths) <= 360

    resize(360, 740, scheme=scheme)
    check()
    assert page.draw(strokes_of(2, 0)) == ("2", "")
    check()
    page.choose("others", f"checkpoints/{name}")
    assert page.text("name2") == f"checkpoints/{name}"
    check()


@pytest.mark.parametrize(("width", "height"), [(390, 844), (390, 664), (768, 1024)])
def test_a_phone_and_a_tablet_show_the_whole_answer_under_the_sheet(page, resize, width, height):
    resize(width, height)
    page.wait(lambda: page.find("samples").is_displayed())
    assert page.draw(strokes_of(3, 0)) == ("3", "")
    boxes = [page.find(name).rect for name in ("sheet", "clear", "bars", "samples", "inside")]
    for upper, lower in itertools.pairwise(boxes):
        assert upper["y"] + upper["height"] <= lower["y"]
    assert page.browser.execute_script(
        "return [scrollY, document.documentElement.scrollWidth]") == [0, width]
    assert boxes[2]["y"] + boxes[2]["height"] <= height


def test_a_small_window_need_not_be_scrolled(page, resize, folder):
    resize(1012, 700, mobile=False)
    page.wait(lambda: page.find("samples").is_displayed())

    def check():
        assert page.browser.execute_script(
            "return document.documentElement.scrollHeight <= innerHeight")

    check()
    page.draw(strokes_of(3, 0))
    check()
    press_label(page, 3)
    page.wait(lambda: page.text("kept").endswith("right."))
    check()
