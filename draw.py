"""Draw a digit in your browser and watch the net read it, stroke by stroke.

    python draw.py                              opens http://127.0.0.1:8000/; Ctrl-C ends it
    python draw.py --weights checkpoints/lenet-seed0.pt
    python draw.py --port 9000 --no-browser

lab/page/ holds the page and its server. A digit that you tell the right label of goes to drawn/ in
the current folder; nothing else is written. Only this computer gets answers.
"""

from lab.start import start

import signal
import threading
import webbrowser

import torch

from lab import command
from lab.digits.prepare import WEIGHTS
from lab.files import RunError
from lab.page.server import LOOPBACK, serve
from lab.page.weights import load


def parse(argv):
    parser = command.Parser("draw.py", __doc__)
    parser.add_argument("--port", type=command.whole(0, 2**16 - 1), default=8000, metavar="N",
                        help="port of this computer; default: 8000, or the next free one")
    parser.add_argument("--weights", type=command.path, default=WEIGHTS, metavar="FILE",
                        help="a checkpoint of main.py; default: lenet_hands of the report")
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
    start(main)
