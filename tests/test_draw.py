"""draw.py: its answers, the requests it refuses, load and faults, and its page in a browser."""

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
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import nn

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import own_digits

import draw
import main
import model
from dataset import Transform
from lab import checkpoints
from lab.digit import WEIGHTS
from lab.identity import as_dict
from model import CustomMLP, LeNet5, LeNetWide

SCRIPT = Path(draw.__file__)


@pytest.fixture(scope="module")
def serve():
    """A function that starts a Server at a free port. All servers end with the module."""
    started = []

    def start(weights=WEIGHTS):
        server = draw.Server(0, weights)
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
        with torch.inference_mode():
            image = Transform(32)(torch.from_numpy(pixels.copy())[None, None])
            probabilities = net(image).softmax(1)[0].tolist()
        assert status == 200
        assert result["seen"] == pixels.tolist()  # MNIST's own digits pass unchanged
        assert result["probabilities"] == pytest.approx(probabilities, abs=1e-6)
        assert result["digit"] == np.argmax(probabilities)


def maps_by_hand(net, image):
    """The maps of both convolutions after activation and pooling, from each net's definition."""
    if isinstance(net, LeNetWide):
        first = F.avg_pool2d(torch.tanh(net.conv1(image)), 2)
        return first, F.avg_pool2d(torch.tanh(net.conv2(first)), 2)
    first = F.max_pool2d(F.relu(net.conv1(image)), 2)
    return first, F.max_pool2d(F.relu(net.conv2(first)), 2)


@pytest.mark.parametrize("make", [LeNet5, lambda: LeNetWide(0.5)], ids=["LeNet5", "LeNetWide"])
def test_maps_are_what_the_next_layer_gets(make, digits, seven):
    torch.manual_seed(0)
    net = make().eval()
    maps = draw.answer(net, seven)["maps"]
    pixels = torch.from_numpy(digits["test"][0][0].copy())[None, None]
    with torch.inference_mode():
        expected = maps_by_hand(net, Transform(net.image_size)(pixels))
    assert list(maps) == ["conv1", "conv2"]
    for got, wanted in zip(maps.values(), expected, strict=True):
        torch.testing.assert_close(torch.tensor(got), wanted[0], rtol=0, atol=6e-4)


def test_every_net_is_answered_and_left_without_hooks(seven):
    for recipe in main.RECIPES.values():
        net = recipe.net() if recipe.dropout is None else recipe.net(recipe.dropout)
        sizes = [len(maps) for maps in draw.answer(net.eval(), seven)["maps"].values()]
        assert sizes in ([6, 16], []), recipe.net
        assert (not sizes) == ("MLP" in recipe.net.__name__)
        assert not any(layer._forward_hooks for layer in net.modules())


def features(*more):
    """Two convolutions of 6 and 16 maps: (B, 1, 32, 32) -> (B, 16, 5, 5)."""
    return [nn.Conv2d(1, 6, 5), *more, nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2)]


class Halves(nn.Module):
    image_size = 32

    def __init__(self):
        super().__init__()
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(400, 10))
        self.features = nn.Sequential(*features())

    def forward(self, images):
        return self.classifier(self.features(images))


class OneSequential(nn.Sequential):
    image_size = 32

    def __init__(self):
        super().__init__(*features(nn.BatchNorm2d(6), nn.Dropout()), nn.Flatten(),
                         nn.Linear(400, 10))


class GlobalPooling(nn.Sequential):
    image_size = 32

    def __init__(self):
        super().__init__(*features(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


class NoLinear(nn.Sequential):
    image_size = 32

    def __init__(self):
        super().__init__(nn.Conv2d(1, 4, (3, 5), stride=2), nn.ReLU(), nn.Conv2d(4, 10, 5),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Alike(nn.Sequential):
    image_size = 28

    def __init__(self):
        super().__init__(nn.Conv2d(1, 8, 5), nn.AvgPool2d(2), nn.Conv2d(8, 8, 5), nn.AvgPool2d(2),
                         nn.Flatten(), nn.Linear(128, 10))


class Residual(nn.Module):
    image_size = 28

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 5), nn.Conv2d(8, 8, 5, padding=2)
        self.output = nn.Linear(4608, 10)

    def forward(self, images):
        x = self.first(images)
        x += self.second(x)
        return self.output(x.flatten(1))


class Scaled(nn.Linear):
    def forward(self, factor, x):
        return super().forward(factor * x)


class Beside(nn.Module):
    """The second convolution gets the image beside the maps of the first."""
    image_size = 28

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 5, padding=2), nn.Conv2d(5, 3, 5)
        self.output = Scaled(1728, 10)

    def forward(self, images):
        x = self.second(torch.cat([self.first(images).relu(), images], dim=1))
        return self.output(torch.tensor(2.0), x.relu().flatten(1))


class Rows(nn.Module):
    """An LSTM over the rows of the image, or of what a convolution makes of it."""
    image_size = 28
    read = nn.Identity

    def __init__(self):
        super().__init__()
        self.begin, self.lstm, self.output = self.read(), nn.LSTM(28, 20), nn.Linear(20, 10)

    def forward(self, images):
        return self.output(self.lstm(self.begin(images)[:, 0].transpose(0, 1))[1][0][0])


class RowsOfMaps(Rows):
    def read(self):
        return nn.Conv2d(1, 5, 5, padding=2)  # 5 * 2 * 2 values enter the linear layer


class Names(nn.Module):
    """Calls its layers by keyword, and a convolution without a batch."""
    image_size = 28

    def __init__(self):
        super().__init__()
        self.conv, self.output = nn.Conv2d(1, 2, 5), nn.Linear(1152, 10)

    def forward(self, images):
        x = self.conv(input=images)
        return self.output(input=x.flatten(1)) + self.conv(images[0]).sum()


SMALL = {Halves: [(6, 14, 14), (16, 5, 5)], OneSequential: [(6, 14, 14), (16, 5, 5)],
         GlobalPooling: [(6, 14, 14), (16, 1, 1)], NoLinear: [(4, 15, 14), (10, 11, 10)],
         Alike: [(8, 12, 12), (8, 4, 4)], Residual: [(8, 24, 24), (8, 24, 24)],
         Beside: [(4, 28, 28), (3, 24, 24)], Rows: [],
         RowsOfMaps: [(5, 28, 28)], Names: [(2, 24, 24)], CustomMLP: []}


def save_net(kind, folder, **more):
    """Saves a net of the class `kind` as a checkpoint. Returns it and the path."""
    torch.manual_seed(0)
    net, path = kind().eval(), folder / "small.pt"
    recipe = {"net": kind.__name__, "dropout": None}
    torch.save({"recipe": recipe, "model": net.state_dict(), **more}, path)
    return net, path


@pytest.mark.parametrize("kind", SMALL)
def test_nets_of_any_kind_are_answered(kind, serve, digits, seven, tmp_path, monkeypatch):
    monkeypatch.setattr(model, kind.__name__, kind, raising=False)
    net, path = save_net(kind, tmp_path)
    status, result = ask(serve(path), body=seven)
    assert (status, len(result["probabilities"])) == (200, 10)
    maps = dict(zip(("conv1", "conv2"), SMALL[kind], strict=False))
    assert {name: np.shape(values) for name, values in result["maps"].items()} == maps
    with torch.inference_mode():
        image = Transform(net.image_size)(torch.from_numpy(digits["test"][0][0].copy())[None, None])
        for i, values in enumerate(maps_of_small(net, image)):
            got, wanted = torch.tensor(result["maps"][f"conv{i + 1}"]), values.view(SMALL[kind][i])
            torch.testing.assert_close(got, wanted, rtol=0, atol=6e-4)


def maps_of_small(net, image):
    """The maps as the next layer gets them, from each net's definition."""
    layers = list(net.features if isinstance(net, Halves) else net.children())
    if isinstance(net, Residual):
        first = net.first(image)
        return first, first + net.second(first)
    if isinstance(net, Beside):
        first = net.first(image)
        return first, net.second(torch.cat([first.relu(), image], dim=1)).relu()
    if isinstance(net, NoLinear):
        first = layers[0](image).relu()
        return first, layers[2](first)
    if isinstance(net, nn.Sequential | Halves):
        ends = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d | nn.Linear)]
        return [nn.Sequential(*layers[:i])(image) for i in [*ends[1:], len(layers)][:2]]
    return ()


class Broken(CustomMLP):
    def forward(self, images):
        raise ValueError("two\nlines. And a second sentence")


class Undefined(CustomMLP):
    def forward(self, images):
        return super().forward(images) * float("nan")


@pytest.mark.parametrize(("kind", "words"), [
    (Broken, "ValueError: two lines"),
    (Undefined, "ValueError: Out of range float values are not JSON compliant")])
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
    (tmp_path / "checkpoints" / "bad.pt").write_bytes(b"junk")
    server = serve()
    options = re.findall('<option value="(.+?)">(.+?)</option>', ask(server, "GET", "/")[1])
    paths = [html.unescape(path) for path, _ in options]
    assert paths[0] == str(WEIGHTS)
    assert paths.index(str(mine)) > 0
    assert ("checkpoints/&lt;mlp&gt;") in [name for _, name in options]
    assert ask(server, body=seven)[1]["maps"] != {}  # the first is the default
    assert ask(server, path=f"/read?weights={quote(str(mine))}", body=seven)[1]["maps"] == {}
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


# Whom it answers


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"}, {"Host": "127.0.0.1"}, {"Host": "127.0.0.1:1"}, {"Host": ""},
    {"Host": "127.0.0.1.evil.example:PORT"}, {"Origin": "http://evil.example"},
    {"Origin": "null"}, {"Origin": "https://127.0.0.1:PORT"}, {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:PORT"}], ids=str)
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/read"), ("GET", "/x")])
def test_strangers_are_refused(server, seven, headers, method, path):
    headers = {name: value.replace("PORT", str(server.server_port))
               for name, value in headers.items()}
    assert ask(server, method, path, seven, **headers)[0] == 403


def test_a_tunnel_to_another_port_is_told_how(server):
    port = server.server_port
    status, result = ask(server, "GET", "/", Host="localhost:9000")
    assert status == 403
    assert f"forward the same port: ssh -L {port}:localhost:{port}" in str(result)


def test_the_page_is_allowed_little_and_kept_nowhere(server, seven):
    for method, path in (("GET", "/"), ("POST", "/read"), ("GET", "/none")):
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
    ("GET", "/%2f", 404), ("POST", "/", 404), ("POST", "/read/", 404)])
def test_there_are_two_paths(server, seven, method, path, status):
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
    assert ask(server, body=seven.ljust(draw.MAX_BYTES, b"\0"))[1]["digit"] == 7


def test_silent_and_dropped_connections_do_not_keep_others_waiting(server, seven):
    silent = [socket.create_connection(server.server_address) for _ in range(20)]
    for connection in silent[10:]:
        connection.sendall(post(server, 5000, b"half"))
    assert ask(server, body=seven)[1]["digit"] == 7
    for connection in silent:
        connection.close()
    assert ask(server, body=seven)[1]["digit"] == 7


def test_a_client_that_says_nothing_is_dropped(server, monkeypatch):
    assert 1 <= draw.Handler.timeout <= 60
    monkeypatch.setattr(draw.Handler, "timeout", 0.05)
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

    monkeypatch.setattr(draw.Server, "serve_forever", stop)
    assert draw.main(["--port", str(server.server_port)]) == 0
    said = re.match(r"port (\d+) is taken; http://127\.0\.0\.1:(\d+)/", capsys.readouterr().out)
    assert int(said[1]) == server.server_port < int(said[2])


def test_no_free_port_and_a_port_that_is_not_allowed(server, monkeypatch, capsys):
    monkeypatch.setattr(draw, "PORTS", 1)
    assert draw.main(["--port", str(server.server_port), "--no-browser"]) == 1
    assert re.fullmatch(r"draw\.py: .*taken\n", capsys.readouterr().err)

    def forbid(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(draw, "Server", forbid)
    assert draw.main(["--port", "80", "--no-browser"]) == 1
    assert capsys.readouterr().err == "draw.py: port 80: Permission denied\n"


@pytest.mark.parametrize("argv", [["--port", "x"], ["--port", "65536"], ["--port", "-1"], ["7"]])
def test_usage(argv, capsys):
    assert draw.main(argv) == 2
    assert re.fullmatch(r"draw\.py: error: .+\n", capsys.readouterr().err)


def test_bad_weights_are_one_line(tmp_path, capsys):
    (tmp_path / "bad.pt").write_bytes(b"junk")
    for name in ("bad.pt", "none.pt"):
        assert draw.main(["--no-browser", "--weights", str(tmp_path / name)]) == 1
        assert re.fullmatch(rf"draw\.py: .*{name}: .+\n", capsys.readouterr().err)


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

    def greys(self, selector):
        """What canvases show, arrays (H, W). They are grey and opaque."""
        found = []
        for content in self.canvases(selector):
            rgba = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))
            assert (rgba[..., 3] == 255).all()
            assert np.ptp(rgba[..., :3], axis=2).max() == 0
            found.append(rgba[..., 0])
        return found

    def ink(self):
        """Where the sheet is black, (336, 336)."""
        return self.greys("#sheet")[0] < 128

    def bars(self):
        """For each bar: its digit, its width in percent, its words, whether it is the best."""
        return self.browser.execute_script("""
            return [...bars.children].map((row) => [row.firstChild.textContent,
                parseFloat(row.querySelector("i").style.width), row.lastChild.textContent,
                row.classList.contains("best")]);""")

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


def check_shown(page, net):
    """Asserts that the page shows what `net` makes of its sheet."""
    wanted = draw.answer(net, page.sheet())
    shares = [f"{100 * p:.1f} %" for p in wanted["probabilities"]]
    assert page.text("digit") == str(wanted["digit"])
    assert page.text("sure") == shares[wanted["digit"]]
    for i, (digit, width, words, best) in enumerate(page.bars()):
        assert (digit, words, best) == (str(i), shares[i], i == wanted["digit"])
        assert width == pytest.approx(100 * wanted["probabilities"][i], abs=0.01)
    (seen,) = page.greys("#seen")
    assert seen.tolist() == wanted["seen"]
    for name, maps in wanted["maps"].items():
        low, high = np.min(maps), np.max(maps)
        shown = page.greys(f"#{name} canvas")
        for got, values in zip(shown, maps, strict=False):  # the page shows the first 6 and 16
            assert np.abs(got - 255 * (np.array(values) - low) / (high - low)).max() <= 0.51


ONE = [(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)]


def test_what_the_page_shows(page):
    assert page.draw(strokes_of(3, 0)) == ("3", "")
    check_shown(page, checkpoints.read_net(WEIGHTS))
    assert [len(page.greys(f"#{name} canvas")) for name in ("conv1", "conv2")] == [6, 16]
    assert re.fullmatch(r"answered in \d+ ms", page.text("time"))
    assert page.find("features").is_displayed()
    assert page.text("caution") == ""


def test_weights_are_chosen_on_the_page(page):
    page.draw(strokes_of(3, 0))
    mine = WEIGHTS.with_name("lenet_1998-seed0.pt")
    page.find("weights").send_keys(f"{mine.parent.name}/{mine.stem}")
    page.answered()
    check_shown(page, checkpoints.read_net(mine))


class Broad(OneSequential):
    """More values in its maps than a function of JavaScript takes arguments."""

    def __init__(self):
        nn.Sequential.__init__(self, nn.Conv2d(1, 400, 5), nn.Conv2d(400, 10, 28),
                               nn.Flatten())


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
        "replace(new File([new Uint8Array(arguments[0])], 'x'))", draw.MAX_BYTES + 1)
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(page, scheme):
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": scheme}]})
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True})
    try:
        assert page.draw(strokes_of(2, 0)) == ("2", "")
        assert page.browser.execute_script("return document.documentElement.scrollWidth") == 360
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
