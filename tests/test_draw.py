"""draw.py: its answers, the requests it refuses, load and faults, and its page in a browser."""

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

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import own_digits

import draw
import main
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

    def draw(self, strokes):
        """Draws strokes, lists of (x, y) in fractions of the sheet, with the mouse."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder
        from selenium.webdriver.common.actions.pointer_input import PointerInput
        sheet = self.find("sheet").rect
        actions = ActionBuilder(self.browser, mouse=PointerInput("mouse", "mouse"), duration=0)
        for points in strokes:
            pixels = [(round(sheet["x"] + x * sheet["width"]),
                       round(sheet["y"] + y * sheet["height"])) for x, y in points]
            actions.pointer_action.move_to_location(*pixels[0]).pointer_down()
            for pixel in pixels[1:]:
                actions.pointer_action.move_to_location(*pixel)
            actions.pointer_action.pointer_up()
        actions.perform()
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
    return [0.5 + 0.6 * line[::12] for line in own_digits.write(
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


def test_what_the_page_shows(page):
    digit, error = page.draw(strokes_of(3, 0))
    assert (digit, error) == ("3", "")
    shares = [float(row.text.split()[1])
              for row in page.browser.find_elements("css selector", "#bars li")]
    assert np.argmax(shares) == 3
    assert sum(shares) == pytest.approx(100, abs=0.6)
    sizes, spread = page.browser.execute_script("""
        const maps = [...document.querySelectorAll("#seen, #conv1 canvas, #conv2 canvas")];
        const values = (map) => map.getContext("2d").getImageData(0, 0, map.width, map.height).data;
        return [maps.map((map) => map.width), maps.map((map) => new Set(values(map)).size)];""")
    assert sizes == [28] + 6 * [14] + 16 * [5]
    assert spread[0] > 10
    assert np.mean(np.array(spread[1:]) > 3) > 0.8  # some maps may be dark throughout


def test_clear_and_undo_by_button_and_by_key(page):
    one = [[(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)]]
    for key, left in (("z", ""), ("\ue00c", ""), ("\ue017", "")):  # Escape, Delete
        assert page.draw(one) == ("1", "")
        page.find("sheet").parent.switch_to.active_element.send_keys(key)
        assert page.answered() == (left, "")
    page.draw(one)
    page.draw([[(0.25, 0.2), (0.5, 0.2)]])
    page.find("undo").click()
    assert page.answered() == ("1", "")


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
    assert page.draw([[(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)]]) == ("1", "")  # a new sheet
    assert not page.find("photo").is_displayed()


def test_what_cannot_be_read_is_said(page):
    assert page.give("drop", b"seven", "seven.txt") == ("", "not an image")
    assert page.draw([[(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)]]) == ("1", "")
    digit, error = page.give("drop", png(np.full((100, 100), 255, np.uint8)))
    assert (digit, error[:5]) == ("", "blank")
    page.browser.execute_script(
        "replace(new File([new Uint8Array(arguments[0])], 'x'))", draw.MAX_BYTES + 1)
    digit, error = page.answered()
    assert (digit, error[:9]) == ("", "too large")


def test_camera(page):
    page.find("camera").click()
    page.wait(lambda: page.browser.execute_script("return video.videoWidth > 0"))
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
