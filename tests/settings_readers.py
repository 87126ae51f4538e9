"""Who reads which field of the settings, found in the source: a light inference of types from annotations."""

import ast
import importlib
import pkgutil
import re
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import facemask_ensemble
from facemask_ensemble import settings

ROOT = Path(facemask_ensemble.__file__).parent


def groups():
    """Give every dataclass of the settings by its name."""
    found = {}
    for module in pkgutil.iter_modules(settings.__path__):
        for value in vars(importlib.import_module(f"facemask_ensemble.settings.{module.name}")).values():
            if isinstance(value, type) and is_dataclass(value) and value.__module__.startswith(settings.__name__):
                found[value.__name__] = value
    return found


def inner_groups(kind):
    """Give the dataclasses that an annotation is made of."""
    if get_origin(kind) is Annotated:
        return inner_groups(get_args(kind)[0])
    if isinstance(kind, type) and is_dataclass(kind):
        return [kind]
    return [group for argument in get_args(kind) for group in inner_groups(argument)]


def own_field(group, name):
    """Name the class that declares a field, and the field."""
    declared = [one for one in group.__mro__ if name in getattr(one, "__annotations__", {})]
    return (declared[-1].__name__, name) if declared else None


class Reads(ast.NodeVisitor):
    """Collects the fields that a module reads, as (class, field)."""

    def __init__(self, known, workers):
        self.known, self.workers, self.found, self.names, self.owner = known, workers, set(), {}, None

    def visit_ClassDef(self, node):
        before, self.owner = self.owner, self.known.get(node.name)
        self.generic_visit(node)
        self.owner = before

    def visit_FunctionDef(self, node):
        before, self.names = self.names, dict(self.names)
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            kinds = self.annotated(argument.annotation)
            if argument.arg == "self" and self.owner:
                kinds = [self.owner]
            self.names[argument.arg] = kinds
        self.generic_visit(node)
        self.names = before

    def visit_Assign(self, node):
        self.generic_visit(node)
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            for name, value in pairs:
                if (key := self.key(name)) and (kinds := self.kinds(value)):
                    self.names[key] = kinds

    def visit_Attribute(self, node):
        self.kinds(node)
        self.generic_visit(node)

    def annotated(self, annotation):
        if annotation is None:
            return []
        text = annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
        words = set(str(text).replace('"', "").replace("|", " ").replace("[", " ").replace("]", " ").split())
        if "Asked" in words:
            words |= {"PredictSettings", "WebcamSettings"}
        return [self.known[word] for word in sorted(words & set(self.known))]

    def key(self, node):
        if isinstance(node, ast.Name):
            return node.id
        return ast.unparse(node) if isinstance(node, ast.Attribute) else None

    def kinds(self, node):
        """Tell which settings an expression gives, and note what it reads."""
        if (key := self.key(node)) in self.names:
            return self.names[key]
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("read_settings", "read", "replace") and node.args:
                given = ast.unparse(node.args[0])
                return [self.known[given]] if given in self.known else self.kinds(node.args[0])
            return self.workers.get(called.rpartition(".")[2], [])
        if not isinstance(node, ast.Attribute):
            return []
        found = []
        for group in self.kinds(node.value):
            if field := own_field(group, node.attr):
                self.found.add(field)
                found += inner_groups(get_type_hints(group, include_extras=True)[node.attr])
            elif isinstance(method := getattr(group, node.attr, None), property):
                found += inner_groups(get_type_hints(method.fget).get("return"))
        return found


@cache
def modules():
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))}


@cache
def fields_shown():
    """Find the fields of a task that templates read, and the page, which holds its task in an attribute."""
    shown = [*ROOT.rglob("*.j2"), *(ROOT / "page").glob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in shown]
    by_name = {"BoxWords": r"\bwords\.(\w+)", "Task": r"\.task\.(\w+)"}
    return {(kind, name) for kind, wanted in by_name.items() for text in texts for name in re.findall(wanted, text)}


@cache
def fields_read():
    """Find every (class, field) that the package reads, the settings' own methods included."""
    known = {**groups(), **plans()}
    trees = modules()
    workers = {}
    for tree in trees.values():  # functions and attributes by their annotated results
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (kinds := Reads(known, {}).annotated(node.returns)):
                workers[node.name] = kinds
    found = set()
    for tree in trees.values():
        reads = Reads(known, workers)
        reads.names |= annotated_attributes(tree, reads)
        reads.visit(tree)
        found |= reads.found
    return found


def annotated_attributes(tree, reads):
    """Give what `self.NAME` is, from the fields of dataclasses and from `__init__`."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and (kinds := reads.annotated(line.annotation)):
                    found[f"self.{line.target.id}"] = kinds
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            given = {argument.arg: reads.annotated(argument.annotation) for argument in node.args.args}
            several = [line for line in ast.walk(node) if isinstance(line, ast.Assign) and is_tuple(line.value)]
            pairs = (pair for line in several for pair in zip(line.targets[0].elts, line.value.elts, strict=True))
            for name, value in pairs:
                if isinstance(value, ast.Name) and given.get(value.id):
                    found[ast.unparse(name)] = given[value.id]
    return found


def is_tuple(node):
    return isinstance(node, ast.Tuple)


def plans():
    """Give other dataclasses of the package that hold settings."""
    from facemask_ensemble.models.throughput import Workload
    from facemask_ensemble.tuning.plan import Plan

    return {"Plan": Plan, "Workload": Workload}


def all_fields():
    """Name every field of the settings, as (class, field)."""
    return {own_field(group, field.name) for group in groups().values() for field in fields(group)}
