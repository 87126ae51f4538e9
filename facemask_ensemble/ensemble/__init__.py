"""Members and the rules by which they vote."""
