"""The dashboard: what went through, what it cost, what was saved, and what became of each request."""
