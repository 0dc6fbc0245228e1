"""Small changes of a module, as mutmut makes them: each with the function that it changes and the lines it is about."""

from __future__ import annotations

import ast
import difflib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any


@dataclass(frozen=True)
class Change:
    """One change of one function. `line` and `changed` are the first lines that differ; `lines` run with the change."""

    module: str
    line: str
    changed: str
    path: str
    lines: frozenset[int]
    function: tuple[str, int]
    code: CodeType


def changes_of(name: str) -> Iterator[Change]:
    """Yield the changes of a module that its functions can take once it is loaded; `name` is its path in the tree.

    What is reckoned while the module is loaded is left as it is.
    """
    import libcst
    from libcst.metadata import MetadataWrapper
    from mutmut.mutation.file_mutation import MutationVisitor
    from mutmut.mutation.mutators import mutation_operators
    from mutmut.mutation.pragma_handling import IgnoredCode

    path = Path(name).resolve()
    source = path.read_text()
    statements = _statements(ast.parse(source))
    as_it_is = _codes(compile(source, str(path), "exec"))
    visitor = MutationVisitor(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper = MetadataWrapper(libcst.parse_module(source))
    wrapper.visit(visitor)
    functions = dict(_functions(wrapper.module))
    for each in visitor.mutations:
        function = each.contained_by_top_level_function
        if function not in functions:
            continue
        key, put = functions[function]
        changed = put(function.deep_replace(each.original_node, each.mutated_node)).code
        code = _codes(compile(changed, str(path), "exec"))[key]
        if code == as_it_is[key]:
            continue
        number, line, other = _difference(source, changed)
        module = name.removesuffix(".py").replace("/", ".")
        yield Change(module, line, other, str(path), _around(statements, number), key, code)


def _functions(module: Any) -> Iterator[tuple[Any, tuple[tuple[str, int], Callable[[Any], Any]]]]:
    """Yield each function and method of a module, with its key and what puts another one in its place."""
    import libcst

    met: Counter[str] = Counter()

    def key_of(name: str) -> tuple[str, int]:
        met[name] += 1
        return name, met[name] - 1

    for each in module.body:
        if isinstance(each, libcst.FunctionDef):
            yield each, (key_of(each.name.value), partial(_replaced, module, None, each))
        elif isinstance(each, libcst.ClassDef):
            for method in each.body.body:
                if isinstance(method, libcst.FunctionDef):
                    yield (
                        method,
                        (
                            key_of(f"{each.name.value}.{method.name.value}"),
                            partial(_replaced, module, each, method),
                        ),
                    )


def _replaced(module: Any, owner: Any, old: Any, new: Any) -> Any:
    """Return a module with a function, or with a method of the class `owner`, replaced."""
    if owner is not None:
        methods = [new if each is old else each for each in owner.body.body]
        old, new = owner, owner.with_changes(body=owner.body.with_changes(body=methods))
    return module.with_changes(body=[new if each is old else each for each in module.body])


def _codes(code: CodeType) -> dict[tuple[str, int], CodeType]:
    """Return the code of functions and methods that stand in a module, by qualified name and the place among equals."""
    found: dict[tuple[str, int], CodeType] = {}

    def look(parent: CodeType) -> None:
        for each in parent.co_consts:
            if not isinstance(each, CodeType):
                continue
            is_class = not each.co_flags & 0x2  # the body of a class has no fast locals
            if is_class:
                look(each)
                continue
            number = sum(name == each.co_qualname for name, _ in found)
            found[each.co_qualname, number] = each

    look(code)
    return found


def _difference(source: str, changed: str) -> tuple[int, str, str]:
    """Return the number of the first line that differs, and both lines."""
    old, new = source.splitlines(), changed.splitlines()
    for kind, first, last, other, other_last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            return (
                first + 1,
                old[first].strip() if first < last else "",
                new[other].strip() if other < other_last else "",
            )
    raise ValueError("nothing differs")


def _statements(tree: ast.AST) -> list[tuple[int, int, int]]:
    """Return first line, last line and last line of the head of each statement, the innermost first."""
    found = []
    for each in ast.walk(tree):
        if isinstance(each, ast.stmt):
            body = getattr(each, "body", None)
            end = each.end_lineno or each.lineno
            head = max(each.lineno, body[0].lineno - 1) if isinstance(body, list) and body else end
            found.append((each.lineno, end, head))
    return sorted(found, key=lambda each: each[1] - each[0])


def _around(statements: list[tuple[int, int, int]], number: int) -> frozenset[int]:
    for first, last, head in statements:
        if first <= number <= last:
            return frozenset((number, *range(first, head + 1)))
    return frozenset((number,))
