"""How runs are named: in one folder an identity has one name, and no other identity gets it."""

import contextlib
import json
import re
import zlib

from dataset import DATA_DIR
from lab import files
from lab.files import RunError
from lab.runs.checkpoints import read_checkpoint
from lab.runs.identity import as_dict, explain_refusal
from lab.runs.series import find_logs, name_run, read_log
from lab.training.run import Run
from readers.idx import find_places


def name_series(identity, fields, word, folder):
    """`<model>[-<word>][-<field><value> ...][-validate][-<data folder>]`, as lenet-lr0.05-validate.

    fields: the recipe's fields that the name tells, in any order; the name has the recipe's order.
    """
    parts = [identity["model"], word, *(
        key if value is True else f"no_{key}" if value is False else f"{key}{value}"
        for key, value in identity["recipe"].items() if key in fields)]
    parts += [identity["evaluated_on"] == "validation" and "validate", folder]
    return re.sub(r"[^\w.+-]", "_", "-".join(part for part in parts if part))  # for any system


def choose_name(run, logged, read_saved, seeds, fields, word="", folder=""):
    """The name of the series that a Run, still without a name, belongs to.

    If the folder has a name for this identity, that is the name. If not, it is what `name_series`
    makes of `fields`, `word` and `folder`. While another identity holds that name, the name grows
    by what differs from its holder.

    logged: {series: {seed: log}}, the logs of the folder. read_saved(name): the content of the
    checkpoint of that name, or None. seeds: those that are to be trained.
    Raises RunError if no name can tell the two apart. If only the code differs, --restart takes the
    name over.
    """
    identity = run.identity
    plain = name_series(identity, fields, word, folder)
    own = [(series != plain, series)
           for series, members in logged.items() for log in members.values()
           if not run.find_differences(log)
           and (not word or f"{series}-".startswith(f"{identity['model']}-{word}-"))]
    if own:
        return min(own)[-1]
    fields, digits = set(fields), ""
    while True:
        suffix = f"{folder or 'data'}_{digits}" if digits else folder
        series = name_series(identity, fields, word, suffix)
        holders = dict(logged.get(series, {}))
        for seed in seeds:
            if seed not in holders and (saved := read_saved(name_run(series, seed))):
                holders[seed] = saved
        foreign = [(seed, found) for seed, log in sorted(holders.items())
                   if (found := run.find_differences(log))]
        if all(run.restart and found.keys() == {"code"} for _, found in foreign):
            return series
        seed, found = foreign[0]
        before = fields, digits
        fields = fields | found.keys() & identity["recipe"].keys()
        if found.keys() & identity["data"].keys():
            digits = checksum(identity["data"])[:6]
        if (fields, digits) == before:
            raise explain_refusal(name_run(series, seed), found)


def checksum(value):
    """A short checksum (text) of plain values."""
    return f"{zlib.crc32(json.dumps(value).encode()):08x}"


def name_folder(data_dir):
    """What a data folder adds to a run's name: nothing if it is the bundled MNIST.

    A folder that torchvision has filled is named by the set in it, such as FashionMNIST.
    """
    try:
        path, = find_places(data_dir)
    except (OSError, ValueError):  # no such files, or those of two sets
        path = data_dir
    path = path.resolve()
    if path == DATA_DIR.resolve():
        return ""
    if path.name.lower() in ("raw", "data", "dataset"):  # as in FashionMNIST/raw: the parent tells
        path = path.parent
    return re.sub(r"\W+", "_", path.name)


def read_members(paths, run):
    """The logs of a series, {seed: log}: all if they have this Run's settings, else one.

    The runs of a series have the same settings, so one tells. A folder may hold thousands.
    """
    members = {}
    for log in filter(None, map(read_log, paths)):
        members[log["seed"]] = log
        if run.find_differences(log).keys() - {"code"}:
            break
    return members


def find_runs(args, recipe, changed, data, code):
    """The Runs that a command line of main.py asks for, a list; makes their folders.

    changed: the recipe's fields that flags changed. data: see `load_data`. code: see `digest_code`.
    Raises RunError if they cannot have a name, if the folders cannot be made, or if this is a
    process of --jobs that would run other code than the command that started it.
    """
    folders = args.log_dir, args.checkpoint_dir
    for folder in folders:
        files.make_folder(folder)
    identity = {"model": args.model, "recipe": as_dict(recipe), "data": data, "code": code,
                "evaluated_on": "validation" if args.validate else "test"}
    words = args.restart, args.same_code
    seeds = range(args.seeds) if args.seeds else [args.seed or 0]
    if args.child:
        series, expected = args.child
        if checksum(code) != expected:
            raise RunError(f"{name_run(series, args.seed)}: the code has been edited since this "
                           "command began; start again")
    else:
        series = name_new(Run(*folders, "", identity, *words), args, seeds, changed)
    return [Run(*folders, name_run(series, seed), {"model": args.model, "seed": seed, **identity},
                *words) for seed in seeds]


def name_new(run, args, seeds, changed):
    """`choose_name` from what lies in the folders; says if a shorter run is not continued."""
    logged = {series: read_members(paths, run)
              for series, paths in find_logs(args.log_dir)[0].items()}

    def read_saved(name):
        path = args.checkpoint_dir / f"{name}.pt"
        with contextlib.suppress(RunError):  # a damaged one is refused when it is restored
            return read_checkpoint(path) if path.exists() else None

    try:
        series = choose_name(run, logged, read_saved, seeds, changed, args.name, args.folder)
    except OSError as error:  # the name is too long
        raise RunError(f"{error.filename}: {error.strerror}") from None
    if series not in logged:
        for other, members in logged.items():
            if any(run.find_differences(log).keys() == {"epochs"} for log in members.values()):
                print(f"{series}: begins anew and does not continue {other}, since the learning "
                      f"rate follows a plan for {run.epochs} epochs")
    return series
