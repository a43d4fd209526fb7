"""The functional core: definitions, decisions, conditions. It does no I/O at all.

    decide(program, state, command, now) -> events      # or raises Rejected
    evolve(state, event) -> state

`program` is a compiled definition (`load_definition`), a command is something
that happened, and the events are the facts that follow. Nothing here reads a
clock, a database or the network, and nothing here imports another part of the
project: the Temporal workflow, the in-process shell and the simulator are
shells around it.
"""

from nexus.core.compiler import Compiled, load_definition, program_of
from nexus.core.decide import can, decide, step
from nexus.core.errors import DefinitionError, NexusError, Problem, Rejected
from nexus.core.evolve import evolve
from nexus.core.program import Program
from nexus.core.state import State

__all__ = [
    "Compiled",
    "DefinitionError",
    "NexusError",
    "Problem",
    "Program",
    "Rejected",
    "State",
    "can",
    "decide",
    "evolve",
    "load_definition",
    "program_of",
    "step",
]
