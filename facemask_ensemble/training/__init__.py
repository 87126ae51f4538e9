"""Fitting one member, in a process of its own."""
