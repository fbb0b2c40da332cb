"""Programming languages: which one a file is in, its grammar when that is installed, and what folds in it."""

from __future__ import annotations

import importlib
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import tree_sitter

Name = Literal[
    "bash",
    "c",
    "c_sharp",
    "cpp",
    "css",
    "go",
    "java",
    "javascript",
    "php",
    "python",
    "ruby",
    "rust",
    "tsx",
    "typescript",
]

_EXTENSIONS: dict[str, Name] = {
    "bash": "bash",
    "c": "c",
    "cc": "cpp",
    "cjs": "javascript",
    "cpp": "cpp",
    "cs": "c_sharp",
    "css": "css",
    "cts": "typescript",
    "cxx": "cpp",
    "go": "go",
    "h": "cpp",
    "hh": "cpp",
    "hpp": "cpp",
    "java": "java",
    "js": "javascript",
    "jsx": "javascript",
    "mjs": "javascript",
    "mts": "typescript",
    "php": "php",
    "py": "python",
    "pyi": "python",
    "rb": "ruby",
    "rs": "rust",
    "sh": "bash",
    "ts": "typescript",
    "tsx": "tsx",
}
_PATH = re.compile(r"[\w@.~+-]*[\w+-]\.([A-Za-z]{1,4})\b(?![\w/.(])")

# What says a language when no file name does: the first rule with enough hits wins.
_MIN_TELLTALES = 3
_TELLTALES: tuple[tuple[Name, re.Pattern[str]], ...] = (
    ("php", re.compile(r"(?m)^<\?php|^\s*(?:public|private|protected)? ?function \w+\(.*\$\w+")),
    ("go", re.compile(r"(?m)^(?:package \w+$|func (?:\(\w+ \*?\w+\) )?\w+\(|import \($|type \w+ (?:struct|interface) \{)|\s:= ")),
    ("rust", re.compile(r"(?m)^\s*(?:pub(?:\(\w+\))? )?(?:fn \w+.*[{(]$|impl\b.*\{$|use \w+(?:::\w+)+|mod \w+;)|^\s*let mut |#\[\w+")),
    ("python", re.compile(r"(?m)^\s*(?:async )?def \w+\(.*|^class \w+.*:$|^from [\w.]+ import |^\s*(?:if|for|elif|else|try|except)\b.*:$")),
    ("java", re.compile(r"(?m)^import (?:static )?[a-z]\w+(?:\.\w+)+;|^package [\w.]+;|^\s*(?:public|private|protected) (?:final |static |abstract )*(?:class|[\w<>\[\], ]+ \w+\()|^\s*@Override")),
    ("c_sharp", re.compile(r"(?m)^using [A-Z]\w+(?:\.\w+)*;|^namespace [\w.]+|\{ get; (?:private |init|set)")),
    ("tsx", re.compile(r"(?m)^\s*(?:export )?(?:default )?(?:async )?function\b|^\s*const [\w{}, ]+ = |require\(['\"]|=> \{$|module\.exports|^(?:export )?(?:interface|type|enum) \w+.*[{=]|^import .* from ['\"]|===")),
    ("cpp", re.compile(r"(?m)^#include [<\"]|^(?:template ?<|namespace \w+ \{|class \w+)|\w+::\w+\(|^(?:static |const |inline )*\w[\w *]+\b\w+\([^;]*\)?\s*\{?$")),
    ("ruby", re.compile(r"(?m)^\s*(?:def \w+[?!]?|module [A-Z]\w+|class [A-Z]\w+(?: < \S+)?|require(?:_relative)? ['\"].*|end)$")),
    ("bash", re.compile(r"(?m)^#!.*\b(?:ba|z|da)?sh\b|^\s*(?:if \[+ |fi$|done$|esac$|\w+\(\) \{$)")),
)  # fmt: skip


# A program parses in linear time, garbage that looks like one does not, in neither time nor memory: texts are parsed
# in parts of this size, and a parse is given up when it takes more than twice the steps of the densest real program.
MAX_PARSED_BYTES = 32_000
_MAX_STEPS_PER_BYTE = 1.05
_SPARE_STEPS = 4_000
_STEPS_PER_REPORT = 100  # fixed by the library
_MAX_NAME_BYTES = 200


@dataclass(frozen=True, slots=True)
class Span:
    """Where a part of a program stands, in 0-based rows, both included; `name` only where one was asked for."""

    start: int
    start_column: int
    end: int
    name: str


@dataclass(frozen=True, slots=True)
class Syntax:
    """What a parse found: definitions (`def`, `body`, mostly `name`) and long literals, in the order of the text."""

    is_clean: bool
    parts: tuple[dict[str, Span], ...]


_LITERALS_JS = "(object) @literal (array) @literal (template_string) @literal"
_FOLDS_JS = f"""
(function_declaration name: (_) @name body: (statement_block) @body) @def
(generator_function_declaration name: (_) @name body: (statement_block) @body) @def
(method_definition name: (_) @name body: (statement_block) @body) @def
(variable_declarator name: (_) @name value: (arrow_function body: (statement_block) @body)) @def
(variable_declarator name: (_) @name value: (function_expression body: (statement_block) @body)) @def
(assignment_expression left: (_) @name right: (_ body: (statement_block) @body)) @def
(pair key: (_) @name value: (_ body: (statement_block) @body)) @def
(call_expression arguments: (arguments . [(string) (template_string)] @name (_ body: (statement_block) @body))) @def
(export_statement value: (_ body: (statement_block) @body)) @def
{_LITERALS_JS}
"""
_FOLDS_TS = _FOLDS_JS + "(public_field_definition name: (_) @name value: (_ body: (statement_block) @body)) @def"
_FOLDS_C = """
(function_definition declarator: (_) @name body: (compound_statement) @body) @def
(initializer_list) @literal
"""

_FOLDS: dict[Name, str] = {
    "bash": "(function_definition name: (_) @name body: (compound_statement) @body) @def (heredoc_body) @literal",
    "c": _FOLDS_C,
    "c_sharp": """
        (method_declaration name: (_) @name body: (block) @body) @def
        (constructor_declaration name: (_) @name body: (block) @body) @def
        (local_function_statement name: (_) @name body: (block) @body) @def
        (accessor_declaration body: (block) @body) @def
        (initializer_expression) @literal (raw_string_literal) @literal (verbatim_string_literal) @literal
    """,
    "cpp": _FOLDS_C + "(raw_string_literal) @literal",
    "css": "(rule_set (selectors) @name (block) @body) @def",
    "go": """
        (function_declaration name: (_) @name body: (block) @body) @def
        (method_declaration name: (_) @name body: (block) @body) @def
        (composite_literal body: (literal_value) @literal) (raw_string_literal) @literal
    """,
    "java": """
        (method_declaration name: (_) @name body: (block) @body) @def
        (constructor_declaration name: (_) @name body: (constructor_body) @body) @def
        (static_initializer (block) @body) @def
        (array_initializer) @literal
    """,
    "javascript": _FOLDS_JS,
    "php": """
        (function_definition name: (_) @name body: (compound_statement) @body) @def
        (method_declaration name: (_) @name body: (compound_statement) @body) @def
        (array_creation_expression) @literal (heredoc) @literal
    """,
    "python": """
        (function_definition name: (_) @name body: (block) @body) @def
        (string) @literal (dictionary) @literal (list) @literal (tuple) @literal (set) @literal
    """,
    "ruby": """
        (method name: (_) @name body: (body_statement) @body) @def
        (singleton_method name: (_) @name body: (body_statement) @body) @def
        (hash) @literal (array) @literal (heredoc_body) @literal
    """,
    "rust": """
        (function_item name: (_) @name body: (block) @body) @def
        (array_expression) @literal (raw_string_literal) @literal (string_literal) @literal
    """,
    "tsx": _FOLDS_TS,
    "typescript": _FOLDS_TS,
}


def by_path(arguments: str) -> Name | None:
    """Return the language of the last source file that a call's arguments name, None when they name none."""
    found = [_EXTENSIONS.get(path[1].lower()) for path in _PATH.finditer(arguments[:4_000])]
    return next((name for name in reversed(found) if name), None)


def by_text(text: str) -> Name | None:
    """Return the language that a text without a file name looks most like, None when it looks like none."""
    head = text[:20_000]
    hits = {name: len(set(telltale.findall(head))) for name, telltale in _TELLTALES}
    best = max(hits, key=lambda name: hits[name])
    return best if hits[best] >= _MIN_TELLTALES else None


def parse(text: str, name: Name) -> Syntax | None:
    """Return what folds in a program, None when its grammar is not installed, it is too long, or no program at all."""
    known = _grammar(name)
    program = text.encode("utf-8", "replace")
    if known is None or len(program) > MAX_PARSED_BYTES:
        return None
    library, language, folds = known
    reports = 0

    def is_hopeless(at_byte: int, _: bool) -> bool:
        nonlocal reports
        reports += 1
        return reports * _STEPS_PER_REPORT > _SPARE_STEPS + at_byte * _MAX_STEPS_PER_BYTE

    parser = library.Parser(language)
    try:
        tree = parser.parse(lambda at_byte, _: program[at_byte:], encoding="utf8", progress_callback=is_hopeless)
    except ValueError:  # how the library says that it was told to stop
        return None
    found = library.QueryCursor(folds).matches(tree.root_node)
    parts = ({label: _span(nodes[0], label) for label, nodes in captures.items()} for _, captures in found)
    return Syntax(not tree.root_node.has_error, tuple(parts))


def missing() -> tuple[str, ...]:
    """Return the languages whose grammar is not installed, without loading those that are."""
    has_library = _is_installed("tree_sitter")
    return tuple(name for name in _FOLDS if not (has_library and _is_installed(_wheel(name)[0])))


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def _span(node: tree_sitter.Node, label: str) -> Span:
    name = (node.text or b"")[:_MAX_NAME_BYTES].decode("utf-8", "replace") if label == "name" else ""
    return Span(node.start_point.row, node.start_point.column, node.end_point.row, name)


@cache
def _grammar(name: Name) -> tuple[_Library, tree_sitter.Language, tree_sitter.Query] | None:
    module, entry = _wheel(name)
    try:
        library: _Library = importlib.import_module("tree_sitter")
        language = library.Language(getattr(importlib.import_module(module), entry)())
    except ImportError:
        return None
    return library, language, library.Query(language, _FOLDS[name])


def _wheel(name: Name) -> tuple[str, str]:
    if name in ("typescript", "tsx"):
        return "tree_sitter_typescript", f"language_{name}"
    return f"tree_sitter_{name}", "language_php" if name == "php" else "language"


class _Library(Protocol):
    """The parts of the tree-sitter package in use; it is imported when the first program is parsed."""

    Language: type[tree_sitter.Language]
    Parser: type[tree_sitter.Parser]
    Query: type[tree_sitter.Query]
    QueryCursor: type[tree_sitter.QueryCursor]
