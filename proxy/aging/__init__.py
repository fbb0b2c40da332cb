"""Old results, shortened further: in batches, when the provider's bill says so, and never otherwise."""
