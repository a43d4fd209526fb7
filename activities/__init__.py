"""What workflows ask to have done outside: writing projections, reading tokens."""
