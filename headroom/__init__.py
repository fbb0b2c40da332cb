"""Headroom's engine: shorter tool results with the facts intact. Plain functions, no I/O, same input, same bytes."""

from headroom.messages import Block, Result, compress
from headroom.pipeline import shrink
from headroom.values import Attempt, Policy, Scope, Shrunk, ToolCall

__all__ = ["Attempt", "Block", "Policy", "Result", "Scope", "Shrunk", "ToolCall", "compress", "shrink"]
