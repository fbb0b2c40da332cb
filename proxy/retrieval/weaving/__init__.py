"""Answers with our calls taken out, and the rounds behind them joined into one: for each dialect, streamed or whole."""
