"""The code that a run runs: a digest of each function, class and constant that it reaches, by name.

What a run reaches is found in the text of the files, not tried out: from where the run begins,
every name is followed to where it is defined. Comments, docstrings and layout do not count. What
reads the data, keeps the run and prints does not either (readers/ and lab/): data have checksums.
"""

from lab.start import ROOT, SOURCES, find_file, in_notebook, is_ours

import ast
import functools
import hashlib
import itertools
import sys

from lab.files import RunError

LEFT_OUT = {"main.RECIPES", "main.Recipe"}  # their values are in the identity of a run
ASIDE = [ROOT / "lab", ROOT / "readers"]  # no name is followed into these
DEFINITIONS = (ast.FunctionDef, ast.ClassDef)


class Source:
    """The text of a module: where each of its names is bound, and what else it does."""

    def __init__(self, module):
        self.path, self.module = find_file(module), module
        self.name = (".".join(self.path.relative_to(ROOT).with_suffix("").parts)
                     if self.path.is_relative_to(ROOT) else module.__name__)
        text = self.path.read_bytes()
        fresh = in_notebook() and module.__name__ == "__main__"  # %run has just read it
        if not fresh and text != SOURCES.setdefault(self.path, text):
            raise RunError(f"{self.path.name} has been edited since it was loaded; start again")
        self.bound, self.deeds = {}, []  # {name: [statement, ...]}, and statements that bind none
        for statement in strip(ast.parse(text)).body:
            names = find_bound(statement)
            for name in names:
                self.bound.setdefault(name, []).append(statement)
            if not names and not is_guard(statement):
                self.deeds.append(statement)

    def find(self, name):
        """What a name of this module is bound to: Sources of modules, and pairs (Source, name)."""
        found = []
        for statement in self.bound.get(name, ()):
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                found += self.find_imported(statement, name)
            else:
                found.append((self, name))
        for statement in self.bound.get("*", ()) if not found else ():
            found += self.find_imported(statement, name)
        return found

    def find_imported(self, statement, name):
        """The same for a name that an import statement binds; nothing if that is not followed."""
        if isinstance(statement, ast.Import):
            wanted = [alias.name if alias.asname else name for alias in statement.names
                      if (alias.asname or alias.name.partition(".")[0]) == name]
            return [source for each in wanted if (source := self.enter(each))]
        package = getattr(self.module, "__package__", None) or ""
        parents = package.split(".")[:len(package.split(".")) + 1 - statement.level]
        home = ".".join(filter(None, [*(parents if statement.level else []), statement.module]))
        original = next((alias.name for alias in statement.names
                         if (alias.asname or alias.name) == name), name)
        if submodule := self.enter(f"{home}.{original}"):
            return [submodule]
        source = self.enter(home)
        return source.find(original) if source else []

    def enter(self, name):
        """The Source of a module, or None if it is not followed."""
        path = find_file(sys.modules.get(name))
        if path is None or not is_ours(path) or any(map(path.is_relative_to, ASIDE)):
            return None
        return read(sys.modules[name])


@functools.cache
def read(module):
    return Source(module)


def digest_code(*roots):
    """{name: digest} of all that the functions and classes `roots` run, as {"main.train": "3f..."}.

    Raises RunError if a file has been edited since it was loaded, or if a root is in no file.
    """
    read.cache_clear()  # the files may have been edited
    found, waiting = {}, []
    for root in roots:
        name = root.__qualname__.partition(".")[0]
        module = sys.modules[root.__module__]
        if find_file(module) is None or not read(module).bound.get(name):
            raise RunError(f"{root.__name__}: no file defines it, so its runs could not be told "
                           "from others; write it into a file and import it from there")
        waiting.append((read(module), name))
    while waiting:
        source, name = waiting.pop()
        key = f"{source.name}.{name}"
        if key in found or key in LEFT_OUT:
            continue
        statements = source.bound[name]
        found[key] = digest(statements)
        if source.deeds:
            found[f"{source.name}.(top level)"] = digest(source.deeds)
        for statement in (*statements, *source.deeds):
            for parts in find_names(statement):
                waiting += follow(source, parts)
            for node in ast.walk(statement):  # imports within functions
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    for alias in node.names:
                        waiting += [pair for pair in source.find_imported(
                            node, alias.asname or alias.name) if isinstance(pair, tuple)]
    return dict(sorted(found.items()))


def follow(source, parts):
    """The definitions (Source, name) that a dotted name leads to; `parts`: ["nets", "make_net"]."""
    first, *rest = parts
    found = []
    for thing in source.find(first):
        if isinstance(thing, tuple):
            found.append(thing)
        elif rest:
            inner = thing.enter(f"{thing.module.__name__}.{rest[0]}")
            found += follow(thing, rest) or (follow(inner, rest[1:]) if inner and rest[1:] else [])
    return found


def find_names(statement):
    """The names in a statement, dotted as they stand there: ["nets", "make_net"]."""
    for node in ast.walk(statement):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            yield [node.id, *parts]


def find_bound(statement):
    """The names that a statement at the top of a module binds; "*" for all of another module."""
    if isinstance(statement, DEFINITIONS):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
    if is_guard(statement):
        return set()
    targets = [*getattr(statement, "targets", ()), getattr(statement, "target", None),
               *(item.optional_vars for item in getattr(statement, "items", ()))]
    names = {node.id for target in filter(None, targets) for node in ast.walk(target)
             if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return names.union(*(find_bound(part) for part in ast.iter_child_nodes(statement)
                         if isinstance(part, (ast.stmt, ast.excepthandler))))


def is_guard(statement):
    """Whether a statement is `if __name__ == "__main__":`, or a text without effect."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)


def strip(tree):
    """A syntax tree without its docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, *DEFINITIONS)) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:]
    return tree


def digest(statements):
    """A checksum (text) of statements, which is the same in every version of Python."""
    return hashlib.sha256(repr(list(map(outline, statements))).encode()).hexdigest()[:16]


def outline(node):
    """A syntax tree as nested lists, without what is empty or only some versions of Python have."""
    if isinstance(node, list):
        return [outline(each) for each in node]
    if not isinstance(node, ast.AST):
        return node
    if isinstance(node, ast.JoinedStr):  # Python 3.12 leaves the texts of f"a" f"b" apart
        groups = itertools.groupby(node.values, lambda part: isinstance(part, ast.Constant))
        parts = ("".join(text.value for text in each) if is_text else outline(list(each))
                 for is_text, each in groups)
        return ["JoinedStr", *filter(None, parts)]
    return [type(node).__name__, *(
        [name, outline(value)] for name, value in ast.iter_fields(node)
        if value not in (None, []) and name not in ("ctx", "type_params", "type_comment"))]
