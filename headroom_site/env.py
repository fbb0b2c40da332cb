"""Read the environment, loudly: a bad value names the variable, what it held and what it may hold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from urllib.parse import urlsplit

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


class BadEnvironment(ValueError):
    """A variable of the environment (or the flag that sets it) holds a value that means nothing."""

    def __init__(self, name: str, value: str, expected: str) -> None:
        super().__init__(f"{name}={value!r} is not valid: expected {expected}")


def text(name: str, default: str = "") -> str:
    """The variable as it stands, or what the file named by `<name>_FILE` holds (for secrets in containers)."""
    path = os.environ.get(f"{name}_FILE", "")
    if path and not os.environ.get(name):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise BadEnvironment(f"{name}_FILE", path, f"a readable file ({exc.strerror})") from exc
    return os.environ.get(name, "") or default


def integer(name: str, default: int, *, minimum: int = 0, maximum: int = 2**31) -> int:
    """A whole number within bounds, both included."""
    value = os.environ.get(name, "").strip()
    if not value:
        return default
    if not value.lstrip("-").isdigit() or not minimum <= int(value) <= maximum:
        raise BadEnvironment(name, value, f"a whole number from {minimum} to {maximum}")
    return int(value)


def usd(name: str) -> Decimal | None:
    """An amount of dollars, `None` where the variable is not set."""
    value = os.environ.get(name, "").strip().removeprefix("$")
    if not value:
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise BadEnvironment(name, value, "an amount of US dollars such as 5 or 2.50")
    return amount


def boolean(name: str, default: bool) -> bool:
    """1/true/yes/on or 0/false/no/off, in any case."""
    value = os.environ.get(name, "").strip().lower()
    if not value:
        return default
    if value not in TRUE | FALSE:
        raise BadEnvironment(name, value, "1, true, yes, on or 0, false, no, off")
    return value in TRUE


def optional_boolean(name: str) -> bool | None:
    """Like `boolean`, and `None` where the variable is not set."""
    return boolean(name, False) if os.environ.get(name, "").strip() else None


def choice(name: str, default: str, choices: Sequence[str]) -> str:
    """One of the given words."""
    value = os.environ.get(name, "").strip() or default
    if value not in choices:
        raise BadEnvironment(name, value, "one of " + ", ".join(choices))
    return value


def words(name: str) -> list[str]:
    """A comma-separated list, blanks dropped."""
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


def pairs(name: str, choices: Sequence[str]) -> dict[str, str]:
    """A comma-separated list of `name=choice`, in its order."""
    found: dict[str, str] = {}
    for word in words(name):
        key, mark, choice = (part.strip() for part in word.partition("="))
        if not key or not mark or choice not in choices:
            raise BadEnvironment(name, word, f"NAME=CHOICE, separated by commas, with a choice of {', '.join(choices)}")
        found.setdefault(key, choice)
    return found


def mapping(name: str) -> dict[str, str]:
    """A comma-separated list of `name=value`, as OpenTelemetry's variables have them."""
    found: dict[str, str] = {}
    for word in text(name).split(","):
        key, mark, value = (part.strip() for part in word.partition("="))
        if word.strip() and not (key and mark):
            raise BadEnvironment(name, word, "name=value, separated by commas")
        if key:
            found[key] = value
    return found


def share(name: str) -> float | None:
    """A number above 0 and at most 1, `None` where the variable is not set."""
    value = os.environ.get(name, "").strip()
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1:
        raise BadEnvironment(name, value, "a number above 0 and at most 1, such as 0.3")
    return number


def address(name: str) -> str:
    """An http(s) address, "" where the variable is not set."""
    value = text(name)
    if value and value.partition("://")[0] not in {"http", "https"}:
        raise BadEnvironment(name, value, "an http:// or https:// address")
    return value


def hostname(url: str) -> frozenset[str]:
    """The name in an address, as a set; of no address, the empty set."""
    name = urlsplit(url).hostname
    return frozenset({name}) if name else frozenset()


def base_url(name: str, default: str) -> str:
    """An http(s) address without a trailing `/` or `/v1`, as clients differ in which of them they add."""
    value = text(name, default).rstrip("/").removesuffix("/v1").rstrip("/")
    if not value and not default:
        return ""
    scheme, _, rest = value.partition("://")
    if scheme not in {"http", "https"} or not rest or any(c in value for c in " \t\r\n?#@"):
        raise BadEnvironment(name, value, "an http:// or https:// address without credentials or query")
    return value
