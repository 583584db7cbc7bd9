"""Linearizability of the history of one container: the model, one step at a time, and the searches over orders."""
