"""How runs are named: what a run is called, and which runs a command line asks for."""

import contextlib
import json
import re
import zlib

from dataset import DATA_DIR
from lab import files
from lab.files import RunError
from lab.runs.checkpoints import read_checkpoint
from lab.runs.identity import explain_refusal, find_differences
from lab.runs.series import find_logs, read_log
from lab.training.run import Place, Run
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


def choose_name(identity, logged, read_saved, seeds, fields, word="", folder="", restart=False):
    """The name of the series that `identity` belongs to.

    If the folder has a name for this identity, that is the name. If not, it is what `name_series`
    makes of `fields`, `word` and `folder`. While another identity holds that name, the name grows
    by what differs from its holder.

    logged: {series: {seed: run}}, the logs of the folder. read_saved(name): the content of the
    checkpoint of that name, or None. seeds: those that are to be trained.
    Raises RunError if no name can tell the two apart. If only the code differs, `restart` takes
    the name over.
    """
    plain = name_series(identity, fields, word, folder)
    own = [(series != plain, series)
           for series, members in logged.items() for run in members.values()
           if not find_differences(run, identity)
           and (not word or f"{series}-".startswith(f"{identity['model']}-{word}-"))]
    if own:
        return min(own)[-1]
    fields, digits = set(fields), ""
    while True:
        suffix = f"{folder or 'data'}_{digits}" if digits else folder
        series = name_series(identity, fields, word, suffix)
        holders = dict(logged.get(series, {}))
        for seed in seeds:
            if seed not in holders and (saved := read_saved(f"{series}-seed{seed}")):
                holders[seed] = saved
        foreign = [(seed, found) for seed, run in sorted(holders.items())
                   if (found := find_differences(run, identity))]
        if all(restart and found.keys() == {"probe"} for _, found in foreign):
            return series
        seed, found = foreign[0]
        before = fields, digits
        fields = fields | found.keys() & identity["recipe"].keys()
        if found.keys() & identity["data"].keys():
            digits = f"{zlib.crc32(json.dumps(identity['data']).encode()):08x}"[:6]
        if (fields, digits) == before:
            raise explain_refusal(f"{series}-seed{seed}", found)


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


def read_members(paths, identity, defaults):
    """The logs of a series, {seed: log}: all if they are of this identity's settings, else one.

    The runs of a series have the same settings, so one tells. A folder may hold thousands.
    """
    members = {}
    for log in filter(None, (read_log(path, defaults) for path in paths)):
        members[log["seed"]] = log
        if find_differences(log, identity).keys() - {"probe"}:
            break
    return members


def find_runs(args, identity, changed, defaults, compute_probe):
    """The runs that a command line of main.py asks for, a list; makes their folders.

    identity: without seed and probe. changed: the recipe's fields that flags changed. defaults:
    see Place. compute_probe(): called if no log of equal settings and equal code tells the probe.
    Raises RunError if the runs cannot have a name, or the folders cannot be made.
    """
    place = Place(args.log_dir, args.checkpoint_dir, defaults)
    for folder in (place.log_dir, place.checkpoint_dir):
        files.make_folder(folder)
    logged = {series: read_members(paths, identity, defaults)
              for series, paths in find_logs(place.log_dir)[0].items()}

    def read_saved(name):
        path = place.checkpoint_dir / f"{name}.pt"
        with contextlib.suppress(RunError):  # a damaged one is refused when it is restored
            return read_checkpoint(path, defaults) if path.exists() else None

    probes = [log["probe"] for members in logged.values() for log in members.values()
              if "probe" in log and (log.get("code"), log["recipe"]) == (
                  identity["code"], identity["recipe"])]
    identity = {**identity, "probe": probes[0] if probes else compute_probe()}
    seeds = range(args.seeds) if args.seeds else [args.seed or 0]
    try:
        series = args.child or choose_name(identity, logged, read_saved, seeds, changed, args.name,
                                           args.folder, args.restart)
    except OSError as error:  # the name is too long
        raise RunError(f"{error.filename}: {error.strerror}") from None
    if not args.child and series not in logged:
        for other, members in logged.items():
            shorter = find_differences(next(iter(members.values()), identity), identity)
            if shorter.keys() == {"epochs"}:
                print(f"{series}: begins anew and does not continue {other}, since the learning "
                      f"rate follows a plan for {identity['recipe']['epochs']} epochs")
    return [Run(place, f"{series}-seed{seed}", {**identity, "seed": seed},
                restart=args.restart) for seed in seeds]
