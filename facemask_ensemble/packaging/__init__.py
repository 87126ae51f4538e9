"""A shipped ensemble as a folder: description, members, rule and card."""
