"""The container files say what they should. No Docker engine is needed: they are read, and the commands in them parsed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from celery.bin.celery import celery as celery_command

from headroom_site import cli, settings
from headroom_site.celery import app as celery_app

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("web", "worker", "beat", "migrate")
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PINNED = re.compile(r"[\w./-]+:\d+\.\d+(\.\d+)?(-[\w.]+)?")


def instructions(name: str) -> list[str]:
    """The arguments of every instruction of the Dockerfile with that name."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.split(None, 1)[1] for line in joined.splitlines() if line.startswith(f"{name} ")]


def seconds(duration: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([smh])", duration).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def test_the_five_services_and_the_migration_are_there():
    assert set(SERVICES) == {"web", "worker", "beat", "migrate", "postgres", "redis"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_image_is_pinned(name):
    assert PINNED.fullmatch(SERVICES[name]["image"]), SERVICES[name]["image"]


def test_base_images_are_pinned():
    assert [base for base in instructions("FROM") if not PINNED.match(base.split()[0])] == []


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
def test_service_has_a_health_check_and_comes_back(name):
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL") and len(check["test"]) > 1
    assert check["retries"] >= 1 and seconds(check["timeout"]) <= seconds(check["interval"])
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_migration_runs_once_before_whatever_needs_it():
    assert SERVICES["migrate"]["restart"] == "no"
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("web", "worker", "beat"):
        assert SERVICES[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "redis": {"condition": "service_healthy"},
        }


def parse(command: click.Command, arguments: list[str]) -> None:
    """Raise click.UsageError unless the command takes these arguments; nothing is run."""
    context = command.make_context("command", list(arguments), resilient_parsing=False)
    if isinstance(command, click.Group):
        name, subcommand, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert name is not None and subcommand is not None
        subcommand.make_context(name, rest, parent=context)


@pytest.mark.parametrize("name", ["web", "migrate"])
def test_command_is_one_of_ours(name):
    assert "entrypoint" not in SERVICES[name]
    parse(cli.main, SERVICES[name]["command"])


def test_a_flag_that_does_not_exist_would_be_noticed():
    with pytest.raises(click.UsageError):
        parse(cli.main, ["proxy", "--no-such-flag"])


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_celery_takes_the_command(name):
    program, *options = SERVICES[name]["entrypoint"]
    assert program == "celery"
    assert options == ["--app", "headroom_site.celery"]
    assert celery_app.main == "headroom"
    command = celery_command.commands[SERVICES[name]["command"][0]]
    context = click.Context(command, obj=None)
    values, leftovers, _ = command.make_parser(context).parse_args(list(SERVICES[name]["command"][1:]))
    assert values and leftovers == []


def test_what_must_survive_is_on_volumes():
    mounted = {place for service in SERVICES.values() for place in service.get("volumes", [])}
    assert mounted == {"workspace:/var/lib/headroom", "postgres:/var/lib/postgresql/data", "redis:/data"}
    assert {place.partition(":")[0] for place in mounted} == set(COMPOSE["volumes"])
    assert "HEADROOM_WORKSPACE_DIR=/var/lib/headroom" in DOCKERFILE


def test_secrets_come_from_files_only():
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|DATABASE_URL", variable):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert value.removeprefix("/run/secrets/") in service["secrets"], f"{name}: {variable}"
            assert "@" not in value, f"{name}: {variable} holds a password"
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    assert {secret for service in SERVICES.values() for secret in service.get("secrets", [])} == set(COMPOSE["secrets"])
    assert not re.search("KEY|SECRET|PASSWORD", " ".join(instructions("ENV") + instructions("ARG")))


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_one_that_we_read(name):
    source = Path(settings.__file__).read_text()
    variables = {variable.removesuffix("_FILE") for variable in SERVICES[name]["environment"]}
    assert [variable for variable in variables if f'"{variable}"' not in source] == []


def test_running_answers_are_given_time_to_finish():
    web = SERVICES["web"]
    assert seconds(web["stop_grace_period"]) > int(web["environment"]["HEADROOM_DRAIN_TIMEOUT_SECONDS"])


def test_nothing_but_the_proxy_is_published_and_that_on_loopback():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"web"}
    assert all(port.startswith("127.0.0.1:") and port.endswith(":8787") for port in published["web"])


def test_image_runs_as_nobody_in_particular_and_checks_its_health():
    assert instructions("USER") == ["headroom"]
    assert "/livez" in instructions("HEALTHCHECK")[0]
    assert "HEADROOM_HOST=0.0.0.0" in instructions("ENV")[-1]
    assert instructions("ENTRYPOINT") == ['["headroom"]']


def test_secrets_are_kept_out_of_git_and_of_the_image():
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored and not any(line.startswith("!secrets") for line in ignored)
