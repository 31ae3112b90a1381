"""Reads digits from your own pictures: photos, scans, drawings; one digit a picture.

    python predict.py photo.png scan.jpg       a line a file: 7  (99.2 %, then 1 with 0.5 %)
    python predict.py photo.png --show         also writes photo.png.mnist.png, what the net saw
    python predict.py photo.png --weights checkpoints/lenet-seed0.pt

The net knows digits as NIST prepared them: white on black, 20 pixels tall, their centre of mass
in the middle. `prepare` makes the same of a picture; without that, nets fail on photos. Leave some
empty paper around the digit. The README says how far the answers can be trusted.
"""

import io
import sys
from pathlib import Path

from lab import command, evaluate
from lab.command import RunError
from lab.digit import WEIGHTS, PictureError, classify, prepare, read_picture


def parse(argv):
    parser = command.Parser("predict.py", __doc__)
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE",
                        help="any image format, one digit each")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FILE",
                        help="a checkpoint of main.py; default: the report's lenet_record")
    parser.add_argument("--show", action="store_true",
                        help="write what the net saw beside each picture: <file>.mnist.png")
    return parser.parse_args(argv)


def execute(argv):
    """Reads the pictures of a command line; returns the exit status: 1 if any of them failed."""
    args, status = parse(argv), 0
    net = evaluate.read_net(args.weights)
    for path in args.pictures:
        try:
            picture = prepare(read_picture(path))
            (first, second), (digit, other) = (
                values.tolist() for values in classify(net, picture).topk(2))
            print(f"{path}: {digit}  ({100 * first:.1f} %, then {other} with {100 * second:.1f} %)")
            if args.show:
                picture.save(buffer := io.BytesIO(), "PNG")
                shown = path.with_name(path.name + ".mnist.png")
                command.write_atomically(shown, buffer.getvalue())
        except (PictureError, RunError) as error:
            fault = f"{path}: {error}" if isinstance(error, PictureError) else error
            print(f"predict.py: {fault}", file=sys.stderr)
            status = 1
    return status


def main(argv=None):
    """Runs the command line `argv`; returns the exit status."""
    return command.run("predict.py", execute, argv, RunError)


if __name__ == "__main__":
    command.start(main)
