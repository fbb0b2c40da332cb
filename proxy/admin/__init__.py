"""The administration of what is learned and decided about conversations. For owners: it is about everybody's traffic."""
