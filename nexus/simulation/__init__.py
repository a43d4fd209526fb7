"""The simulator: a compiled definition on a virtual clock, where nothing is sent.

It is a second shell around the same core as the platform's workflow, so what
happens in here is what will happen there.

    simulation = Simulation(program)
    simulation.give(Start(actor=Actor("ann"), subject=Subject("lead", "1")))
    simulation.advance(simulation.now + timedelta(days=90))

`scenarios` are written expectations of such runs, which `playing` runs and
`coverage` adds up.
"""

from nexus.simulation.simulator import START, Answer, MadeCall, Simulation, TooLong

__all__ = ["START", "Answer", "MadeCall", "Simulation", "TooLong"]
