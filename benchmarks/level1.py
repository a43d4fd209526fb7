"""What Level 1 costs: `python -m benchmarks.level1`. No server, no database, no network.

To reach: adding a contact to a plain object below 150 µs; a guarded transition at most 10 times
what the `transitions` library takes for its trigger with the same guard (ours also validates,
authorises and keeps history); `can` below 20 µs; the first use of a class below 10 ms and later
ones nothing; importing `nexus.crm` below 120 ms.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from transitions import Machine

from nexus.crm import HasCrm

ROUNDS = 7
JOHN = {"name": "John", "email": "j@example.com"}


class User(HasCrm):
    """Contacts, as the requirements have them."""

    crm_definition: ClassVar[Mapping[str, Any]] = {
        "entities": {"contact": {"fields": ["name", "email"]}}
    }


class Deal(HasCrm):
    """Two stages to go back and forth between, each way with a guard."""

    crm_definition: ClassVar[Mapping[str, Any]] = {
        "entities": {"lead": {"stages": ["cold", "warm", {"id": "won", "final": True}]}},
        "transitions": {
            "warm_up": {"from": "cold", "to": "warm", "guard": lambda lead: lead.score > 50},
            "cool_down": {"from": "warm", "to": "cold", "guard": lambda lead: lead.score > 50},
            "win": {"from": ["cold", "warm"], "to": "won"},
        },
    }


class Plain:
    """The same, for `transitions`."""

    score = 60

    def is_rich(self) -> bool:
        """The guard."""
        return self.score > 50


def microseconds(work: Callable[[], object], count: int) -> float:
    """One call of it, on average over `count` calls in a row."""
    before = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - before) / count * 1e6


def told(what: str, took: list[float], aim: float, unit: str) -> bool:
    """Print a figure with its aim; whether it is reached."""
    median = statistics.median(took)
    print(f"{what}: {median:.3g} {unit} ({min(took):.3g} to {max(took):.3g})   < {aim:g}")
    return median < aim


def adding() -> bool:
    """The first contact of an object, the second, and one beside a hundred others."""

    def first() -> None:
        User().crm().add_contact(JOHN)

    user = User()
    user.crm().add_contact(JOHN)
    kept: Any = user.crm_data  # type: ignore[attr-defined]

    def second() -> None:
        user.crm_data = kept  # type: ignore[attr-defined]
        user.crm().add_contact(JOHN)

    full = User()
    for _ in range(100):
        full.crm().add_contact(JOHN)
    hundred: Any = full.crm_data  # type: ignore[attr-defined]

    def one_more() -> None:
        full.crm_data = hundred  # type: ignore[attr-defined]
        full.crm().add_contact(JOHN)

    good = True
    for name, work in (("first", first), ("second", second), ("hundred and first", one_more)):
        took = [microseconds(work, 500) for _ in range(ROUNDS)]
        good &= told(f"add_contact, the {name} of an object", took, 150, "µs")
    return good


def transitions() -> bool:
    """A guarded transition, turn by turn with the library's."""
    deal, plain = Deal(), Plain()
    deal.crm().add("lead", {"score": 60})
    kept: Any = deal.crm_data  # type: ignore[attr-defined]
    there_and_back = [
        {"trigger": "warm_up", "source": "cold", "dest": "warm", "conditions": "is_rich"},
        {"trigger": "cool_down", "source": "warm", "dest": "cold", "conditions": "is_rich"},
    ]
    Machine(plain, states=["cold", "warm"], initial="cold", transitions=there_and_back)

    def ours() -> None:
        deal.crm().act("warm_up")
        deal.crm().act("cool_down")

    def theirs() -> None:
        plain.warm_up()  # type: ignore[attr-defined]
        plain.cool_down()  # type: ignore[attr-defined]

    ratios, took = [], []
    for _ in range(ROUNDS):
        deal.crm_data = kept  # type: ignore[attr-defined]
        own = microseconds(ours, 200) / 2
        took.append(own)
        ratios.append(own / (microseconds(theirs, 1_000) / 2))
    told("a guarded transition", took, float("inf"), "µs")
    return told("against the library's", ratios, 10, "times")


def asking() -> bool:
    """`can`, with a guard and without."""
    user, deal = User(), Deal()
    user.crm().add_contact(JOHN)
    deal.crm().add("lead", {"score": 60})
    good = True
    for name, work in (
        ("can edit", lambda: user.crm().can("edit")),
        ("can, with a guard", lambda: deal.crm().can("warm_up")),
    ):
        took = [microseconds(work, 2_000) for _ in range(ROUNDS)]
        good &= told(name, took, 20, "µs")
    return good


_FIRST = """
import time
from nexus.crm import HasCrm
class User(HasCrm):
    def crm(self):
        return {"entities": {"contact": {"fields": ["name", "email"]}}}
user = User()
before = time.perf_counter()
user.crm()
first = time.perf_counter()
user.crm()
print((first - before) * 1e3, (time.perf_counter() - first) * 1e3)
"""


def first_use() -> bool:
    """The first use of a class in a process, and the second."""
    first, later = [], []
    for _ in range(ROUNDS):
        done = subprocess.run(
            [sys.executable, "-c", _FIRST], capture_output=True, text=True, check=True
        )
        one, other = map(float, done.stdout.split())
        first.append(one)
        later.append(other)
    good = told("first use of a class", first, 10, "ms")
    return told("later uses", later, 0.1, "ms") and good


def importing() -> bool:
    """Importing, without the interpreter's own start."""

    # Compiled, as whatever was installed is.
    compiled = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}

    def milliseconds(program: str) -> float:
        before = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True, env=compiled)
        return (time.perf_counter() - before) * 1e3

    milliseconds("import nexus.crm")

    bare, whole, standard = [], [], []
    for _ in range(ROUNDS * 3):
        bare.append(milliseconds("pass"))
        whole.append(milliseconds("import nexus.crm"))
        standard.append(milliseconds("import msgspec, dataclasses, inspect, pathlib"))
    start = statistics.median(bare)
    took = [one - start for one in whole]
    good = told("import nexus.crm", took, 120, "ms")
    told("of which msgspec and the standard library", [s - start for s in standard], 120, "ms")
    return good


def main() -> int:
    """Measure, print, and end with 1 where an aim is missed."""
    warnings.simplefilter("ignore")
    results = [adding(), transitions(), asking(), first_use(), importing()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
