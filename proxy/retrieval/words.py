"""How a marker says where an original can be had, and how that is recognised when somebody goes there."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from django.conf import settings

from headroom.values import ToolCall

TOOL_NAME = "headroom_retrieve"

_PLAIN_OWNER = re.compile(r"[a-z0-9_-]{1,32}")
_SPACE = re.compile(r"[\x00-\x1f\x7f]")
_HASH = r"([0-9a-f]{24})"
_FILE = re.compile(rf"/originals/[a-z0-9_-]+/{_HASH}\.txt")
_NAME = re.compile(rf"(?<![0-9a-f]){_HASH}(?![0-9a-f])")


def way_back(owner: str) -> str:
    """What the markers of an owner say, with `{hash}` where the original's name belongs: the cheapest way there is."""
    return by_file(owner, "{hash}") if are_files_offered() else by_route("{hash}")


def are_files_offered() -> bool:
    """Whether originals lie in the workspace for agents on this machine to read."""
    return settings.ORIGINAL_FILES and not _SPACE.search(str(settings.WORKSPACE_DIR))


def by_file(owner: str, hash: str) -> str:
    """The words that name an original's file."""
    return f"full text: file {folder(owner) / hash}.txt"


def by_route(hash: str) -> str:
    """The words that name an original's address."""
    host = f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST
    where = f"http://{host}:{settings.PORT}" if settings.IS_LOOPBACK else ""
    return f"full text: GET {where}/v1/retrieve/{hash}"


def by_tool(hash: str) -> str:
    """The words for a model that has our tool."""
    return f"full text: {TOOL_NAME}, hash {hash}"


def root() -> Path:
    """The folder of all originals."""
    return _absolute(settings.WORKSPACE_DIR) / "originals"


def folder(owner: str) -> Path:
    """The folder of one owner's originals."""
    return _folder(settings.WORKSPACE_DIR, owner)


@lru_cache(maxsize=1024)
def _folder(workspace: Path, owner: str) -> Path:
    return _absolute(workspace) / "originals" / _folder_name(owner)


@lru_cache(maxsize=1)
def _absolute(workspace: Path) -> Path:
    """Agents work elsewhere: what they are told must hold from anywhere."""
    return workspace.absolute()


def _folder_name(owner: str) -> str:
    return owner if _PLAIN_OWNER.fullmatch(owner) else sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def file_read(call: ToolCall) -> str:
    """The hash of the original whose file a tool call read, "" for any other call."""
    found = _FILE.search(call.arguments) if "/originals/" in call.arguments else None
    return found.group(1) if found else ""


def is_retrieval(call: ToolCall) -> bool:
    """Whether a tool call went to get an original back: what it brought is wanted in full and never shortened."""
    return (
        call.name.endswith(TOOL_NAME)
        or bool(file_read(call))
        or ("/v1/retrieve" in call.arguments and bool(_NAME.search(call.arguments)))
    )


def is_name(hash: str) -> bool:
    """Whether an original can have this name. Databases take no text whatever: some characters are an error there."""
    return bool(_NAME.fullmatch(hash))


def hashes(marker: str) -> list[str]:
    """The names of originals in a marker."""
    return _NAME.findall(marker)
