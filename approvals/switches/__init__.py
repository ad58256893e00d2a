"""Kill switches: an operator stops a tool, an agent, a company or everything, and lets it go on again.

`turning` has the two verbs; `reach` knows what a switch stops, at the door and in a worker; `clocks` holds the
deadlines of what is stopped.
"""

from approvals.switches.clocks import (
    Clocks,
    deadline,
    is_held,
    status_in_words,
    tend,
    time_from,
    time_is_up,
)
from approvals.switches.reach import (
    IN_TIME,
    STILL_ON,
    check,
    check_filing,
    check_goes_on,
    covered,
    filed_too_late,
    files,
    in_the_way,
    on,
    over,
    tools,
    waits,
)
from approvals.switches.turning import OPERATOR, PLATFORM_OPERATOR, may_operate, turn_off, turn_on

__all__ = [
    "IN_TIME",
    "OPERATOR",
    "PLATFORM_OPERATOR",
    "STILL_ON",
    "Clocks",
    "check",
    "check_filing",
    "check_goes_on",
    "covered",
    "deadline",
    "filed_too_late",
    "files",
    "in_the_way",
    "is_held",
    "may_operate",
    "on",
    "over",
    "status_in_words",
    "tend",
    "time_from",
    "time_is_up",
    "tools",
    "turn_off",
    "turn_on",
    "waits",
]
