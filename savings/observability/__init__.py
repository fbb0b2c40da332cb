"""What leaves the ledger for other tools: Prometheus, OpenTelemetry, Langfuse, a log file, anonymous aggregates.

Each module listens: it is told of the calls that were really booked, after their transaction, by the thread that books
them. So nothing here costs the road anything, and what it counts is what the ledger holds.
"""
