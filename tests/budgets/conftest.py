from tests.live.conftest import _provider, http, provider, start_proxy
from tests.savings.databases import database, database_url

__all__ = ["_provider", "database", "database_url", "http", "provider", "start_proxy"]
