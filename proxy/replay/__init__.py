"""Recorded sessions priced again, offline: turn by turn as their provider bills, without this proxy and with it."""
