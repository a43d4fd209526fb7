"""Text → document → checked → compiled. Everything wrong is reported at once, with its place.

What is odd gets a warning and loads; what cannot run gets an error (design 3).
"""

from nexus.core.compiler.definition import Compiled, load_definition, program_of

__all__ = ["Compiled", "load_definition", "program_of"]
