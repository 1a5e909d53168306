"""Fault injection and the history checker."""
