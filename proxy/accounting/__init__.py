"""What a request would have cost without us: a small model, for every conversation, of what its provider has cached."""
