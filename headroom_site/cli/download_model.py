"""`headroom download-model`: fetch the model of the [ml] extra."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from headroom_site.cli import setup


@click.command("download-model")
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--endpoint", metavar="URL", help="A mirror of the hub.  [default: HF_ENDPOINT, else https://huggingface.co]"
)
def command(folder: Path | None, endpoint: str | None) -> None:
    """Fetch the Kompress model (about 260 MB) into FOLDER, by default models/kompress in the workspace.

    This is the only command that uses the network for it. To switch it on, start the proxy with
    HEADROOM_ML_MODEL_DIR=FOLDER.
    """
    settings = setup.django()
    target = folder or settings.WORKSPACE_DIR / "models" / "kompress"
    downloads, model = import_module("proxy.ml.download"), import_module("proxy.ml.model")
    try:
        downloads.fetch(target, endpoint=endpoint)
        model.load(target)
    except (downloads.DownloadFailed, model.BadModel, OSError) as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"{target} holds the model. Switch it on: HEADROOM_ML_MODEL_DIR={target}")
