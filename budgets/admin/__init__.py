"""The administration: who may, how much, at which price, and what was done. One module for each kind of rows.

Nothing is decided here. Every change goes through the module that writes those rows, as it does from the command line
and the API; what somebody sees is said by `budgets.access`.
"""
