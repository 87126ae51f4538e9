"""Faces in pictures: found, cut out, asked about one by one, and drawn on."""
