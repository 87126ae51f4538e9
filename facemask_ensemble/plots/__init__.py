"""Plots drawn with Matplotlib, without a global state."""
