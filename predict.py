"""Reads digits from your own pictures: photos, scans, drawings. One digit a picture.

    python predict.py photo.png scan.jpg       prints a line a file: 7  (99.2 %, then 1 with 0.5 %)
    python predict.py drawn                    reads the pictures in a folder
    python predict.py photo.png --show         also writes what the net saw: photo.png.mnist.png
    python predict.py photo.png --weights checkpoints/lenet-seed0.pt

Leave some empty paper around the digit. lab/digits/ turns the picture into one like MNIST's.
A line ends in "doubtful" where the probability is low. docs/own-digits.md says how far you can
trust the others.
"""

from lab.start import start

import argparse
import glob
import io
import os
import re
import sys
from pathlib import Path

from PIL import Image

from lab import command, files
from lab.digits.prepare import DOUBTFUL, WEIGHTS, PictureError, ask, prepare, read_picture
from lab.files import RunError
from lab.runs import checkpoints

SHOWN = ".mnist.png"  # what --show adds to the name of a picture


def parse(argv):
    parser = command.Parser("predict.py", __doc__)
    parser.add_argument("pictures", nargs="+", type=no_url, metavar="PICTURE",
                        help="an image file of any format, with one digit; a folder of such "
                             "files; or a pattern: *.png")
    parser.add_argument("--weights", type=command.path, default=WEIGHTS, metavar="FILE",
                        help="a checkpoint of main.py; default: lenet_hands of the report")
    parser.add_argument("--show", action="store_true",
                        help="write what the net saw next to each picture: <file>.mnist.png")
    return parser.parse_args(argv)


def no_url(text):
    """A type of argument: a path, which a URL is not."""
    if re.match("[a-z]{2,}://", text, re.IGNORECASE):
        raise argparse.ArgumentTypeError(f"{text}: a URL; download the picture first")
    return command.path(text)


def expand(path):
    """The files that an argument names: those that match a pattern, and the pictures in a folder.

    cmd.exe, unlike other shells, leaves a pattern as it is.
    """
    found = [] if os.path.exists(path) else sorted(glob.glob(str(path)))
    for each in map(Path, found or [path]):
        yield from (os.path.isdir(each) and list_pictures(each)) or [each]


def list_pictures(folder):
    """The pictures in a folder, sorted: no other files, and none that --show has written."""
    endings = {ending for ending, kind in Image.registered_extensions().items()
               if kind in Image.OPEN} | {".heic", ".heif"}  # these are told what to do
    return sorted(path for path in folder.glob("[!.]*")
                  if path.suffix.lower() in endings and not path.name.endswith(SHOWN))


def execute(argv):
    """Reads the pictures of the command line. Yields a line for each that cannot be read."""
    args = parse(argv)
    net, caution = checkpoints.read_weights(args.weights)
    if caution:
        print(f"predict.py: {args.weights}: {caution}", file=sys.stderr)
    for path in (file for picture in args.pictures for file in expand(picture)):
        try:
            picture = prepare(read_picture(path))
            try:
                probabilities = ask(net, picture)
            except Exception as error:  # a net of the user's fails in any way
                raise RunError(f"{args.weights}: cannot read {path} "
                               f"({checkpoints.describe(error)})") from None
            (first, second), (digit, other) = (
                values.tolist() for values in probabilities.topk(2))
            print(f"{path}: {digit}  ({100 * first:.1f} %, then {other} with {100 * second:.1f} %)"
                  + ", doubtful" * (first < DOUBTFUL))
            if args.show:
                picture.save(buffer := io.BytesIO(), "PNG")
                shown = path.with_name(path.name + SHOWN)
                files.write_atomically(shown, buffer.getvalue())
        except PictureError as error:
            yield f"{path}: {error}"
        except RunError as error:
            yield error


def main(argv=None):
    """Runs the command line `argv`. Returns the exit status."""
    return command.exit_status("predict.py", execute, argv, RunError)


if __name__ == "__main__":
    start(main)
