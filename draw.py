"""Draw a digit in your browser and watch the net read it, stroke by stroke.

    python draw.py                              opens http://127.0.0.1:8000/; Ctrl-C ends it
    python draw.py --weights checkpoints/lenet-seed0.pt
    python draw.py --port 9000 --no-browser

The page is draw.html; this file serves it, and answers its pictures by way of predict.py: all
preparation is done there, none in the browser. Nobody but this computer is let in, and no page
but this one: only the loopback address is listened to, and requests that name another host or
come from another origin are refused.
"""

import errno
import functools
import html
import io
import json
import os
import re
import signal
import sys
import threading
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import torch

from lab import command, evaluate
from lab.command import RunError
from lab.digit import WEIGHTS, PictureError, classify, decode, prepare

PAGE = Path(__file__).parent / "lab" / "draw.html"
LOOPBACK = "127.0.0.1"
MAX_BYTES = 10_000_000  # of a picture
PORTS = 20  # so many are tried where the wanted one is taken
# The page may run what stands in it, talk to us, and show what it made itself: nothing else.
POLICY = ("default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
          "img-src blob: data:; connect-src 'self'; frame-ancestors 'none'; form-action 'none'")


def find_weights(first):
    """The weights at hand, as absolute paths: `first`, the report's, and those of your runs."""
    found = [first, *sorted(WEIGHTS.parent.glob("*.pt")),
             *sorted(Path("checkpoints").glob("*.pt"))]
    return list(dict.fromkeys(path.resolve() for path in found))


def load(path):
    """The net of a checkpoint as the file is now: a training run may be writing it anew."""
    try:
        return load_once(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None


@functools.lru_cache(maxsize=8)
def load_once(path, changed):
    return evaluate.read_net(path)


def answer(net, content):
    """What `net` makes of a picture, the bytes of an image file, as values for JSON:

    digit, probabilities (10), seen (28x28, 0 to 255), and maps: {"conv1": (C, H, W), "conv2": ...}
    activated and pooled, as the layer after them gets them; empty for a net without convolutions.
    Raises PictureError.
    """
    picture = prepare(decode(io.BytesIO(content)))
    passed = []  # what goes into and out of each layer, in the order of the computation
    hooks = [layer.register_forward_hook(lambda layer, inputs, output: passed.extend(
        [*inputs, output])) for layer in net.children()]
    try:
        probabilities = classify(net, picture)
    finally:
        for hook in hooks:
            hook.remove()
    return {"digit": int(probabilities.argmax()), "probabilities": probabilities.tolist(),
            "seen": np.asarray(picture).tolist(), "maps": find_maps(passed)}


def find_maps(passed):
    """The maps of the first two convolutions among what the layers of a net passed on, for JSON."""
    images = [x for x in passed if x.ndim == 4]  # (1, C, H, W)
    last = {x.shape[1]: x for x in images}  # of as many maps: the ones after pooling
    if images:  # the last of all are pooled on their way into the first flat layer
        channels = images[-1].shape[1]
        flat = next(x for x in passed if x.ndim == 2)
        side = round((flat.numel() / channels) ** 0.5)
        last[channels] = flat.view(1, channels, side, side)
    _, *maps = [np.round(x[0].tolist(), 3).tolist() for x in last.values()] or [None]
    return dict(zip(("conv1", "conv2"), maps, strict=False))


class Server(ThreadingHTTPServer):
    """Serves the page and its pictures; a thread a connection, but one picture at a time.

    All pictures go through one thread: so twenty large ones at once do not fill the memory, and
    torch, which keeps threads of its own for each that calls it, keeps one set.
    """

    request_queue_size = 64
    allow_reuse_address = os.name == "posix"  # elsewhere it would share a port that is taken

    def __init__(self, port, weights):
        super().__init__((LOOPBACK, port), Handler)
        self.weights = weights
        self.worker = ThreadPoolExecutor(1)
        # A browser leaves the port out where it is HTTP's own.
        self.hosts = {f"{name}:{self.server_port}".removesuffix(":80")
                      for name in (LOOPBACK, "localhost")}

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), OSError):  # a dropped connection is no fault of ours
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """GET / is the page; POST /read?weights=FILE answers the picture in its body, in JSON."""

    timeout = 10  # seconds; for a client that says nothing

    def do_GET(self):
        if self.is_stranger():
            self.fail(403, "only for pages of draw.py itself")
        elif self.path.partition("?")[0] != "/":
            self.fail(404, "there is only /")
        else:
            options = "".join(
                f'<option value="{html.escape(str(path))}">'
                f"{html.escape(f'{path.parent.name}/{path.stem}')}</option>"
                for path in find_weights(self.server.weights))
            page = PAGE.read_text("utf-8").replace("<!-- weights -->", options)
            self.reply(200, "text/html; charset=utf-8", page)

    def do_POST(self):
        path, _, query = self.path.partition("?")
        length = self.headers.get("Content-Length", "")
        if self.is_stranger():
            self.fail(403, "only for pages of draw.py itself")
        elif path != "/read":
            self.fail(404, "there is only /read")
        elif not re.fullmatch("[0-9]+", length):
            self.fail(411, "the length of the picture is missing")
        elif len(length) > 9 or int(length) > MAX_BYTES:
            self.fail(413, f"too large a picture (at most {MAX_BYTES:,} bytes)")
        else:
            content = self.rfile.read(int(length))
            if len(content) == int(length):  # else nobody is there any more
                chosen = parse_qs(query).get("weights", [str(self.server.weights.resolve())])
                self.server.worker.submit(self.read, chosen[0], content).result()

    def read(self, chosen, content):
        try:
            at_hand = {str(path): path for path in find_weights(self.server.weights)}
            if chosen not in at_hand:
                raise RunError(f"{chosen!a}: no such weights")
            result = answer(load(at_hand[chosen]), content)
        except (PictureError, RunError) as error:
            self.fail(400, str(error))
        else:
            self.reply(200, "application/json", json.dumps(result))

    def is_stranger(self):
        """Whether the request is not for us by name, or comes from a page that is not ours.

        The name keeps out pages whose own host name points to this computer.
        """
        hosts, origins = (self.headers.get_all(name, []) for name in ("Host", "Origin"))
        return (len(hosts) != 1 or hosts[0].lower() not in self.server.hosts
                or origins not in ([], [f"http://{hosts[0]}"]))

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
        pass  # a line a stroke would bury what matters


def serve(port, weights):
    """A Server at `port`, or at the next one that is free. Raises RunError."""
    for number in range(port, min(port + PORTS, 2**16)):
        try:
            return Server(number, weights)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise RunError(f"port {number}: {error.strerror}") from None
    raise RunError(f"ports {port} to {number} are taken")


def parse(argv):
    parser = command.Parser("draw.py", __doc__)
    parser.add_argument("--port", type=command.whole(0, 2**16 - 1), default=8000, metavar="N",
                        help="of this computer; default: 8000, or the next free one")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FILE",
                        help="a checkpoint of main.py; default: the report's lenet_record")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    return parser.parse_args(argv)


def execute(argv):
    """Serves until Ctrl-C, which is how it ends."""
    args = parse(argv)
    torch.set_num_threads(1)  # one picture at a time is too little to share
    load(args.weights.resolve())  # fails now rather than at the first stroke
    with serve(args.port, args.weights) as server:
        if hasattr(signal, "SIGPIPE"):  # a browser that goes away must not end us
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        taken = args.port not in (0, server.server_port)
        url = f"http://{LOOPBACK}:{server.server_port}/"
        try:
            print(f"port {args.port} is taken; " * taken + f"{url}  (Ctrl-C ends it)", flush=True)
            if not args.no_browser:  # in a thread, for one in the terminal keeps its caller waiting
                threading.Thread(target=webbrowser.open, args=[url], daemon=True).start()
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nended")


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    return command.run("draw.py", execute, argv, RunError)


if __name__ == "__main__":
    command.start(main)
