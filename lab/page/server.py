"""Serves the page on which digits are drawn, and answers the pictures that it sends.

prepare.py prepares them, as for predict.py; the browser prepares nothing. Only this computer and
only this page get answers: the server listens on the loopback address alone, and refuses requests
that name another host or come from another origin. It writes nothing but the digits to keep.
"""

import base64
import errno
import functools
import html
import io
import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
from PIL import Image

from dataset import CLASSES, DATA_DIR, MNIST, DataError
from lab.digits.prepare import DOUBTFUL, PictureError, ask, decode, prepare
from lab.files import RunError
from lab.page import kept, maps
from lab.page.weights import describe_weights, find_weights, load
from lab.runs import checkpoints, watch

PAGE = Path(__file__).parent / "page.html"
LOOPBACK = "127.0.0.1"
MAX_BYTES = 10_000_000  # of a picture
PORTS = 20  # how many ports to try, from the wanted one on, until one is free
# The page may run its own scripts, talk to this server and show its own pictures; nothing else.
POLICY = ("default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
          "img-src blob: data:; connect-src 'self'; frame-ancestors 'none'; form-action 'none'")


def answer(net, content):
    """Reads a picture, the bytes of an image file. Returns a dict of plain values, for JSON:

    digit: 0 to 9. probabilities: 10. doubtful: whether the digit's is low (DOUBTFUL).
    seen: what the net saw, 28x28 values, 0 to 255.
    maps: `maps.describe` for each of its first two convolutions, in a list.
    Raises PictureError, and what `ask` raises.
    """
    picture = prepare(decode(io.BytesIO(content)))
    with watch.watch(net) as watched:
        probabilities = ask(net, picture)
    return {"digit": int(probabilities.argmax()), "probabilities": probabilities.tolist(),
            "doubtful": probabilities.max().item() < DOUBTFUL,
            "seen": np.asarray(picture).tolist(), "maps": [*map(maps.describe, watched)]}


@functools.cache
def read_samples():
    """The first test image of each digit, for whoever has no pen at hand, as PNGs in base64.

    Returns [{"label": 0 to 9, "png": text}, ...]; [] where the bundled data are missing.
    """
    try:
        digits = MNIST(DATA_DIR, train=False)
    except DataError:
        return []
    found = []
    for label in range(CLASSES):
        for image in digits.images[digits.labels == label][:1]:
            Image.fromarray(image[0].numpy()).save(buffer := io.BytesIO(), "PNG")
            png = base64.b64encode(buffer.getvalue()).decode()
            found.append({"label": label, "png": png})
    return found


class Server(ThreadingHTTPServer):
    """Serves the page in a thread for each connection, but reads one picture at a time.

    A single thread reads all pictures. Twenty large ones at once then do not fill the memory, and
    torch, which starts threads of its own for every thread that calls it, starts one set only.
    """

    request_queue_size = 64
    allow_reuse_address = os.name == "posix"  # on Windows this would share a port that is taken

    def __init__(self, port, weights):
        super().__init__((LOOPBACK, port), Handler)
        self.weights = weights
        self.worker = ThreadPoolExecutor(1)
        # Browsers leave port 80 out of the host's name.
        self.hosts = {f"{name}:{self.server_port}".removesuffix(":80")
                      for name in (LOOPBACK, "localhost")}

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), OSError):  # the client may drop its connection
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers the page in JSON. A picture is the body of a request; a net is named in its query.

    GET /                       the page
    GET /samples                ten digits to try
    POST /read?weights=FILE     reads a picture
    POST /keep?label=DIGIT      keeps a picture in drawn/ with its right label
    POST /kept?weights=FILE     counts how many of those that were kept a net reads right
    """

    timeout = 10  # seconds until a silent client is dropped

    def do_GET(self):
        path = self.path.partition("?")[0]
        if self.is_stranger():
            self.refuse()
        elif path == "/samples":
            self.respond("samples", lambda: self.work(read_samples))
        elif path != "/":
            self.fail(404, "there is only /")
        else:
            options = "".join(
                f'<option value="{html.escape(path)}">'
                f"{html.escape(describe_weights(Path(path)))}</option>"
                for path in find_weights(self.server.weights))
            page = PAGE.read_text("utf-8").replace("<!-- weights -->", options)
            self.reply(200, "text/html; charset=utf-8", page)

    def do_POST(self):
        path, _, query = self.path.partition("?")
        length = self.headers.get("Content-Length", "")
        if self.is_stranger():
            self.refuse()
        elif path not in ("/read", "/keep", "/kept"):
            self.fail(404, "there is only /read, /keep and /kept")
        elif not re.fullmatch("[0-9]+", length):
            self.fail(411, "the length of the picture is missing")
        elif len(length) > 9 or int(length) > MAX_BYTES:
            self.fail(413, f"too large a picture (at most {MAX_BYTES:,} bytes)")
        else:
            content = self.rfile.read(int(length))
            if len(content) == int(length):  # otherwise the client is gone
                asked = {name: values[0] for name, values in parse_qs(query).items()}
                chosen = asked.get("weights") or next(iter(find_weights(self.server.weights)))
                blamed = "the digit" if path == "/keep" else chosen
                self.respond(blamed, {"/read": lambda: self.work(self.read, chosen, content),
                                      "/keep": lambda: self.work(self.keep, asked, content),
                                      "/kept": lambda: self.count(chosen)}[path])

    def work(self, function, *args):
        return self.server.worker.submit(function, *args).result()

    def find(self, chosen):
        """The path of a name of `find_weights`. Raises RunError."""
        if path := find_weights(self.server.weights).get(chosen):
            return path
        raise RunError(f"{chosen!a}: no such weights")

    def read(self, chosen, content):
        net, caution = load(self.find(chosen))
        return {**answer(net, content), "caution": caution}

    def keep(self, asked, content):
        if not re.fullmatch("[0-9]", asked.get("label", "")):
            raise RunError("the label is missing, a digit from 0 to 9")
        return {"path": str(kept.keep(content, int(asked["label"])))}

    def count(self, chosen):
        """Counts the kept digits, those of them that are read again, and those read right."""
        weights, digits = self.find(chosen), kept.list_kept()
        newest = digits[-kept.COUNTED:]
        # One at a time, so that a stroke meanwhile waits for one of them at most.
        right = sum(label == self.work(kept.read_kept, path, weights)
                    for _, label, path in newest)
        return {"kept": len(digits), "counted": len(newest), "right": right}

    def respond(self, blamed, work):
        """Replies what work() returns, as JSON, or why it fails. blamed: what an error names."""
        try:
            # NaN, which is not JSON, fails here, and not in the browser.
            text = json.dumps(work(), allow_nan=False)
        except (PictureError, RunError) as error:
            self.fail(400, str(error))
        except Exception as error:  # such as a net of the user's that cannot read any picture
            message = f"{blamed}: cannot read the picture ({checkpoints.describe(error)})"
            print(f"draw.py: {message}", file=sys.stderr, flush=True)
            self.fail(500, message)
        else:
            self.reply(200, "application/json", text)

    def is_stranger(self):
        """Whether the request names another host, or comes from a page that is not ours.

        Comparing the host keeps out pages whose own host name points to this computer.
        """
        hosts, origins = (self.headers.get_all(name, []) for name in ("Host", "Origin"))
        return (len(hosts) != 1 or hosts[0].lower() not in self.server.hosts
                or origins not in ([], [f"http://{hosts[0]}"]))

    def refuse(self):
        port = self.server.server_port
        self.fail(403, "only for pages of draw.py itself; through ssh, forward the same port: "
                       f"ssh -L {port}:localhost:{port}")

    def fail(self, status, message):
        self.reply(status, "application/json", json.dumps({"error": message}))

    def reply(self, status, kind, text):
        content = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)),
                            "Content-Security-Policy": POLICY, "Cache-Control": "no-store",
                            "X-Content-Type-Options": "nosniff"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass  # a line for every stroke would bury what matters


def serve(port, weights):
    """A Server at `port` or the next free one. Raises RunError if there is none."""
    for number in range(port, min(port + PORTS, 2**16)):
        try:
            return Server(number, weights)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise RunError(f"port {number}: {error.strerror}") from None
    raise RunError(f"ports {port} to {number} are taken")
