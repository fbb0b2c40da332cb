"""How pages write dates and numbers, in place of Django's own ways."""
