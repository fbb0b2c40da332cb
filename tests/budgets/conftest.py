from tests.live.conftest import _provider, http, provider, start_proxy
from tests.savings.databases import database, database_url, migrated_postgres_url

__all__ = ["_provider", "database", "database_url", "http", "migrated_postgres_url", "provider", "start_proxy"]
