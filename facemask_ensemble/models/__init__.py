"""Classifiers: flat graphs from raw pixels to class probabilities."""
