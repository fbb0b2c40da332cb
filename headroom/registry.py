"""Every kind of tool output and the function that knows shorter ways to write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headroom.shrinkers import (
    blob,
    build_output,
    chatter,
    code,
    command,
    config,
    diff,
    echo,
    gist,
    git_blame,
    git_log,
    html,
    json_values,
    logs,
    numbered,
    path_list,
    prose,
    search,
    shared_start,
    shared_words,
    stub,
    table,
    terminal,
    test_events,
    test_output,
    xml_report,
)
from headroom.values import Form, Source

SHRINKERS: dict[str, Callable[[Source], Iterable[Form]]] = {
    "blob": blob.forms,
    "build_output": build_output.forms,
    "chatter": chatter.forms,
    "code": code.forms,
    "command": command.forms,
    "config": config.forms,
    "diff": diff.forms,
    "echo": echo.forms,
    "gist": gist.forms,
    "git_blame": git_blame.forms,
    "git_log": git_log.forms,
    "html": html.forms,
    "json": json_values.forms,
    "logs": logs.forms,
    "numbered": numbered.forms,
    "path_list": path_list.forms,
    "prose": prose.forms,
    "search": search.forms,
    "shared_start": shared_start.forms,
    "shared_words": shared_words.forms,
    "stub": stub.forms,
    "table": table.forms,
    "terminal": terminal.forms,
    "test_events": test_events.forms,
    "test_output": test_output.forms,
    "xml_report": xml_report.forms,
}
