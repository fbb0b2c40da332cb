"""The only writer of `UpstreamCredential`: providers' own credentials that are put in for keys of ours."""

from __future__ import annotations

from django.db import transaction

from budgets import keys, sealing, trail
from budgets.models import ApiKey, Team, UpstreamCredential

PROVIDERS = ("anthropic", "openai")
MAX_CHARS = 4000


class BadCredential(ValueError):
    """Not a provider, or nothing that fits in a header."""


class NoSuchCredential(LookupError):
    """There is none for this provider and owner."""


def put(
    provider: str,
    secret: str,
    *,
    key: ApiKey | None = None,
    team: Team | None = None,
    by: str = trail.COMMAND_LINE,
) -> UpstreamCredential:
    """Store a provider's credential for a key, a team or every key; it takes the place of one that is there."""
    secret = checked(secret)
    if provider not in PROVIDERS:
        raise BadCredential(f"a provider is one of {', '.join(PROVIDERS)}, not {provider!r}")
    with transaction.atomic():
        credential, is_new = UpstreamCredential.objects.update_or_create(
            provider=provider, key=key, team=team, defaults={"sealed": sealing.seal(secret, provider)}
        )
        trail.record("stored" if is_new else "replaced", credential, by=by)
        keys.changed()
    return credential


def checked(secret: str) -> str:
    """The credential without blanks around it. Raises BadCredential, which does not repeat it."""
    secret = secret.strip()
    if not secret or len(secret) > MAX_CHARS or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise BadCredential("a credential is one word of printable ASCII")
    if secret.startswith(keys.MARK):
        raise BadCredential("that is a key of this proxy and not one of a provider")
    return secret


def remove(provider: str, *, key: ApiKey | None = None, team: Team | None = None, by: str = trail.COMMAND_LINE) -> None:
    """Forget it."""
    with transaction.atomic():
        credential = UpstreamCredential.objects.filter(provider=provider, key=key, team=team).first()
        if credential is None:
            raise NoSuchCredential(f"there is no credential for {provider} there")
        trail.record("forgotten", credential, by=by)
        credential.delete()
        keys.changed()


def opened() -> tuple[dict[tuple[str, str], str], list[str]]:
    """All credentials by owner (as in `snapshot.Key.owner`, "" for every key) and provider, and what could not be read."""
    found: dict[tuple[str, str], str] = {}
    problems = []
    for row in UpstreamCredential.objects.all():
        owner = f"key:{row.key_id}" if row.key_id else f"team:{row.team_id}" if row.team_id else ""
        try:
            found[owner, row.provider] = sealing.open_sealed(row.sealed, row.provider)
        except sealing.Unreadable as exc:
            problems.append(f"{row.provider} for {owner or 'every key'}: {exc}")
    return found, problems
