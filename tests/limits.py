"""How long tests wait for what must come.

No test measures time: a limit is there to end a wait for something that never comes, loudly, on the slowest machine
that the suite may meet. So there is one for all, far beyond what any of them needs, and below pytest's own limit for
a whole test, which would not say what was waited for.
"""

LIMIT_S = 600.0
