"""The tests; read them as documentation of what is promised."""
