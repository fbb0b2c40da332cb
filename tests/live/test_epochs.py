"""What came of epochs is there for whoever looks, also when the proxy ran for a minute only."""

from __future__ import annotations

from pathlib import Path

from tests.live import proxies
from tests.live.provider import Provider
from tests.proxy import sessions


def test_what_came_of_epochs_outlives_a_proxy_that_ran_for_a_moment(provider: Provider, tmp_path: Path) -> None:
    bodies = sessions.bodies(sessions.long_session(24), "openai")
    with proxies.running(tmp_path / "workspace", provider.url) as proxy:
        for body in bodies:
            proxies.post(f"{proxy.v1}/chat/completions", content=body).raise_for_status()
        proxy.stop()
        with proxies.connect_writing(proxy.workspace / proxies.DATABASE) as connection:
            epochs = connection.execute("SELECT turn, last_turn FROM proxy_epochrecord ORDER BY turn").fetchall()
    assert epochs, "nothing ever got old"
    assert {last_turn for _, last_turn in epochs} == {len(bodies) - 1}
