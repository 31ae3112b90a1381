"""Draw a digit in your browser and watch the net read it, stroke by stroke.

    python draw.py                              opens http://127.0.0.1:8000/; Ctrl-C ends it
    python draw.py --weights checkpoints/lenet-seed0.pt
    python draw.py --port 9000 --no-browser

This file serves the page lab/draw.html and answers the pictures that it sends. lab/digit.py
prepares them, as for predict.py; the browser prepares nothing. Only this computer and only this
page get answers: the server listens on the loopback address alone, and refuses requests that name
another host or come from another origin.
"""

import errno
import functools
import html
import io
import itertools
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
from torch import nn

from lab import checkpoints, command
from lab.command import RunError
from lab.digit import WEIGHTS, PictureError, classify, decode, prepare
from model import PartialConvolution

PAGE = Path(__file__).parent / "lab" / "draw.html"
LOOPBACK = "127.0.0.1"
MAX_BYTES = 10_000_000  # of a picture
CONVOLUTIONS = (nn.Conv2d, PartialConvolution)
PORTS = 20  # how many ports to try, from the wanted one on, until one is free
# The page may run its own scripts, talk to this server and show its own pictures; nothing else.
POLICY = ("default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
          "img-src blob: data:; connect-src 'self'; frame-ancestors 'none'; form-action 'none'")


def find_weights(first):
    """All weights there are: `first`, the report's, and those of your runs.

    Returns {name: path}, both absolute. In a name, bytes that are no UTF-8 are escaped.
    """
    found = [first, *sorted(WEIGHTS.parent.glob("*.pt")),
             *sorted(Path("checkpoints").glob("*.pt"))]
    return {str(path).encode(errors="backslashreplace").decode(): path
            for path in map(Path.resolve, found)}


def load(path):
    """`checkpoints.read_weights`. Reads the file again if it has changed, as training changes it.

    Raises RunError.
    """
    try:
        return load_once(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None


@functools.lru_cache(maxsize=8)
def load_once(path, changed):
    return checkpoints.read_weights(path)


def answer(net, content):
    """Reads a picture, the bytes of an image file. Returns a dict of plain values, for JSON:

    digit: 0 to 9. probabilities: 10. seen: what the net saw, 28x28 values, 0 to 255.
    maps: what `find_maps` returns. Raises PictureError, and whatever the net raises.
    """
    picture = prepare(decode(io.BytesIO(content)))
    calls = []

    def note(layer, inputs, output):
        tensors = [x.clone() for x in inputs if isinstance(x, torch.Tensor) and x.ndim in (2, 4)]
        calls.append((layer, tensors, output))

    # Pooling, normalisation and activations have no matrices or kernels.
    hooks = [layer.register_forward_hook(note) for layer in net.modules()
             if any(weights.ndim > 1 for weights in layer.parameters(recurse=False))]
    try:
        probabilities = classify(net, picture)
    finally:
        for hook in hooks:
            hook.remove()
    return {"digit": int(probabilities.argmax()), "probabilities": probabilities.tolist(),
            "seen": np.asarray(picture).tolist(), "maps": find_maps(calls)}


def find_maps(calls):
    """The maps of the first two convolutions, {"conv1": (C, H, W), "conv2": (C, H, W)}, for JSON.

    They are what the next layer gets, so after activation and pooling. If it gets something else
    than maps, they are the convolution's output. Empty for a net without convolutions.
    calls: (layer, input tensors, output) of each layer with matrices or kernels, in the order of
    the computation.
    """
    found = []
    for (layer, _, output), (_, received, _) in itertools.pairwise([*calls, (None, [], None)]):
        if isinstance(layer, CONVOLUTIONS) and output.ndim == 4:
            count = output.shape[1]
            maps = next(iter(received), output)[0]
            side = round((maps.numel() / count) ** 0.5)
            if maps.shape == (count * side * side,):  # flattened, for a linear layer
                maps = maps.view(count, side, side)
            if len(maps) != count:
                maps = output[0]
            found.append(np.round(maps.tolist(), 3).tolist())
    return dict(zip(("conv1", "conv2"), found, strict=False))


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
    """GET / returns the page. POST /read?weights=FILE reads the picture in its body, as JSON."""

    timeout = 10  # seconds until a silent client is dropped

    def do_GET(self):
        if self.is_stranger():
            self.refuse()
        elif self.path.partition("?")[0] != "/":
            self.fail(404, "there is only /")
        else:
            options = "".join(
                f'<option value="{html.escape(str(path))}">'
                f"{html.escape(f'{path.parent.name}/{path.stem}')}</option>"
                for path in map(Path, find_weights(self.server.weights)))
            page = PAGE.read_text("utf-8").replace("<!-- weights -->", options)
            self.reply(200, "text/html; charset=utf-8", page)

    def do_POST(self):
        path, _, query = self.path.partition("?")
        length = self.headers.get("Content-Length", "")
        if self.is_stranger():
            self.refuse()
        elif path != "/read":
            self.fail(404, "there is only /read")
        elif not re.fullmatch("[0-9]+", length):
            self.fail(411, "the length of the picture is missing")
        elif len(length) > 9 or int(length) > MAX_BYTES:
            self.fail(413, f"too large a picture (at most {MAX_BYTES:,} bytes)")
        else:
            content = self.rfile.read(int(length))
            if len(content) == int(length):  # otherwise the client is gone
                chosen = parse_qs(query).get("weights", [None])[0]
                self.server.worker.submit(self.read, chosen, content).result()

    def read(self, chosen, content):
        """Replies what a net makes of a picture, the bytes `content`.

        chosen: a name of `find_weights`, or None for the first.
        """
        try:
            at_hand = find_weights(self.server.weights)
            chosen = chosen or next(iter(at_hand))
            if chosen not in at_hand:
                raise RunError(f"{chosen!a}: no such weights")
            net, caution = load(at_hand[chosen])
            # NaN, which is not JSON, fails here, and not in the browser.
            text = json.dumps({**answer(net, content), "caution": caution}, allow_nan=False)
        except (PictureError, RunError) as error:
            self.fail(400, str(error))
        except Exception as error:  # such as a net of the user's that cannot read any picture
            message = f"{chosen}: cannot read the picture ({checkpoints.describe(error)})"
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


def parse(argv):
    parser = command.Parser("draw.py", __doc__)
    parser.add_argument("--port", type=command.whole(0, 2**16 - 1), default=8000, metavar="N",
                        help="port of this computer; default: 8000, or the next free one")
    parser.add_argument("--weights", type=command.path, default=WEIGHTS, metavar="FILE",
                        help="a checkpoint of main.py; default: lenet_record of the report")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    return parser.parse_args(argv)


def execute(argv):
    """Serves until Ctrl-C, which is the normal end."""
    args = parse(argv)
    torch.set_num_threads(1)  # one small picture at a time gains nothing from more
    load(args.weights.resolve())  # bad weights fail now, not at the first stroke
    with serve(args.port, args.weights) as server:
        if hasattr(signal, "SIGPIPE"):  # a browser that closes must not end the server
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        taken = args.port not in (0, server.server_port)
        url = f"http://{LOOPBACK}:{server.server_port}/"
        try:
            print(f"port {args.port} is taken; " * taken + f"{url}  (Ctrl-C ends it)", flush=True)
            if not args.no_browser:  # in a thread, since a browser in the terminal would block
                threading.Thread(target=webbrowser.open, args=[url], daemon=True).start()
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nended")


def main(argv=None):
    """Runs the command line `argv`. Returns the exit status."""
    return command.exit_status("draw.py", execute, argv, RunError)


if __name__ == "__main__":
    command.start(main)
