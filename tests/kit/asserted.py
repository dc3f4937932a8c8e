"""Which finding codes a test insists on: a code in a comment, an input or a helper is none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

__all__ = ["asserted", "shown"]

CODE = re.compile(r"\bMM\d{3}\b")
#: As findings stand in golden files: text and JSON.
SHOWN = re.compile(r'\[(MM\d{3})\]|"code": "(MM\d{3})"')


def shown(golden: str) -> set[str]:
    """Return the codes of the findings in a golden file."""
    return {text or json for text, json in SHOWN.findall(golden)}


def asserted(source: str) -> set[str]:
    """Return the codes a test file asserts, by themselves or as a parametrized value."""
    tree = ast.parse(source)
    tables = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    found: set[str] = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            names = dict(parametrized(function, tables))
            for node in ast.walk(function):
                if isinstance(node, ast.Assert):
                    found |= codes(node.test, names)
                elif isinstance(node, ast.keyword) and node.arg == "match":
                    found |= codes(node.value, names)
    return found


def parametrized(
    function: ast.FunctionDef | ast.AsyncFunctionDef, tables: Mapping[str, ast.expr]
) -> Iterator[tuple[str, set[str]]]:
    """Yield parameter → the codes it takes; a table made elsewhere counts for each of its names."""
    for call in function.decorator_list:
        if not (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "parametrize"
        ):
            continue
        given, values = call.args[:2]
        words = [part.value for part in ast.walk(given) if isinstance(part, ast.Constant)]
        names = [name for word in words for name in re.findall(r"\w+", str(word))]
        rows = values.elts if isinstance(values, ast.List | ast.Tuple) else []
        for at, name in enumerate(names):
            if rows:
                cells = [
                    row.elts[at] if len(names) > 1 and isinstance(row, ast.Tuple) else row
                    for row in rows
                ]
                yield name, {code for cell in cells for code in codes(cell, {})}
            elif isinstance(values, ast.Name) and values.id in tables:
                yield name, codes(tables[values.id], {})


def codes(node: ast.AST, names: Mapping[str, set[str]]) -> set[str]:
    """Return the codes in an expression; what is said not to be there does not count."""
    if isinstance(node, ast.Compare) and any(
        isinstance(op, ast.NotIn | ast.NotEq) for op in node.ops
    ):
        return set()
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return set()
    if isinstance(node, ast.Constant):
        return set(CODE.findall(node.value)) if isinstance(node.value, str) else set()
    if isinstance(node, ast.Name):
        return names.get(node.id, set())
    return {code for child in ast.iter_child_nodes(node) for code in codes(child, names)}
