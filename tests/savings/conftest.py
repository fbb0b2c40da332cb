from tests.savings.databases import database, database_url, emptied, migrated

__all__ = ["database", "database_url", "emptied", "migrated"]
