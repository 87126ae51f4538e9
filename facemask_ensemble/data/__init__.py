"""Labelled images: where they come from, their checks, splits and reading."""
