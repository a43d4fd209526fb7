"""What is odd about a definition, beyond what keeps it from compiling."""
