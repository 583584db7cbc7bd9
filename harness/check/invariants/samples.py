"""For each invariant the smallest history that breaks it, beside a neighbour that does not."""

from harness.check.invariants.sample import Sample

SAMPLES: dict[str, Sample] = {
    "durable": Sample(
        bad="""
            A#1     lock    0-1 granted
            server  restart 2-3 granted
            B#1     get     4-5 granted state=Queued
            """,
        good="""
            A#1     lock    0-1 granted
            server  restart 2-3 granted
            B#1     get     4-5 granted state=Locked
            """,
    ),
    "no_server_error": Sample(
        bad="A#1 lock 0- indeterminate status=500",
        good="A#1 lock 0-1 limited status=503",
    ),
    "error_shape": Sample(
        bad="A#1 lock 0-1 refused status=422 problem=not_JSON",
        good="A#1 lock 0-1 refused status=422",
    ),
    "no_secret_leak": Sample(
        bad="A#1 get 0-1 granted state=Queued leaks=shared",
        good="A#1 get 0-1 granted state=Queued",
    ),
    "single_winner": Sample(
        bad="""
            A#1 lock 0-2 granted
            B#1 lock 1-3 granted
            """,
        good="""
            A#1 lock   0-2 granted
            B#1 lock   1-3 granted
            C#1 unlock 1-2 granted
            """,
    ),
    "lock_only_queued": Sample(
        bad="""
            A#1 lock 0-1 granted
            B#1 lock 2-3 granted
            """,
        good="""
            A#1 lock   0-1 granted
            A#1 unlock 1-  indeterminate
            B#1 lock   2-3 granted
            """,
    ),
    "foreign_token_refused": Sample(
        bad="""
            A#1 lock   0-1 granted in_full
            X#1 unlock 2-3 granted token=stranger in_full
            """,
        good="""
            A#1 lock   0-1 granted in_full
            X#1 unlock 2-3 forbidden token=stranger
            """,
    ),
    "unlock_only_locked": Sample(
        bad="""
            A#1 create 0-1 granted
            A#1 unlock 2-3 granted
            """,
        good="""
            A#1 create 0-1 granted
            B#1 lock   2-4 granted
            A#1 unlock 3-5 granted
            """,
    ),
    "only_holder_starts": Sample(
        bad="""
            A#1 lock   0-1 granted in_full run_auth=ra
            B#1 update 2-3 granted asks.state=Running
            """,
        good="""
            A#1 lock   0-1 granted in_full run_auth=ra
            B#1 update 2-3 forbidden asks.state=Running
            A#1 update 4-5 granted asks.state=Running with=ra
            """,
    ),
    "late_unlock_harmless": Sample(
        bad="""
            A#1 lock   0-1 granted in_full run_auth=ra
            A#1 unlock 2-3 granted in_full with=ra
            B#1 lock   4-5 granted in_full auth=auth2 run_auth=rb
            A#1 unlock 6-7 granted in_full with=ra
            """,
        good="""
            A#1 lock   0-1 granted in_full run_auth=ra
            A#1 unlock 2-3 granted in_full with=ra
            B#1 lock   4-5 granted in_full auth=auth2 run_auth=rb
            A#1 unlock 6-7 forbidden with=ra
            """,
    ),
    "told_of_loss": Sample(
        bad="""
            A#1 lock   0-1 granted in_full run_auth=ra
            B#1 unlock 2-3 granted in_full
            B#1 lock   4-5 granted in_full auth=auth2 run_auth=rb
            A#1 auth   6-7 granted with=ra auth=auth2 secret=s2
            """,
        good="""
            A#1 lock   0-1 granted in_full run_auth=ra
            B#1 unlock 2-3 granted in_full
            B#1 lock   4-5 granted in_full auth=auth2 run_auth=rb
            A#1 auth   6-7 forbidden with=ra
            """,
    ),
    "legal_transitions": Sample(
        bad="""
            A#1 create 0-1 granted
            A#1 update 2-3 granted asks.state=Running
            """,
        good="""
            A#1 create 0-1 granted
            A#1 update 2-4 granted asks.state=Running
            B#1 lock   3-5 granted
            """,
    ),
    "fields_protected": Sample(
        bad="""
            A#1 create 0-1 granted
            A#1 update 2-3 granted asks.locked_by_uuid=uuid-of-shared
            """,
        good="""
            A#1 create 0-1 granted
            A#1 update 2-3 granted asks.locked_by_uuid=null
            """,
    ),
    "refusal_changes_nothing": Sample(
        bad="""
            A#1 lock   0-1 granted
            X#1 unlock 2-3 refused token=stranger
            A#1 get    4-5 granted state=Queued
            """,
        good="""
            A#1 lock   0-1 granted
            X#1 unlock 2-3 granted token=stranger
            A#1 get    4-5 granted state=Queued
            """,
    ),
    "no_lost_container": Sample(
        bad="""
            A#1 create 0-1 granted
            A#1 get    2-3 missing
            """,
        good="""
            A#1 get    0-1 missing
            A#1 create 0-1 granted
            """,
    ),
    "fresh_auth_per_lock": Sample(
        bad="""
            A#1 auth   0-1 granted secret=s1
            B#1 unlock 2-3 granted
            B#1 lock   4-5 granted
            B#1 auth   6-7 granted secret=s1
            """,
        good="""
            A#1 auth   0-1 granted secret=s1
            B#1 unlock 2-3 granted
            B#1 lock   4-5 granted
            B#1 auth   6-7 granted secret=s2
            """,
    ),
    "owner_recorded": Sample(
        bad="""
            A#1 lock 0-1 granted
            B#1 get  2-3 granted state=Locked locked_by=null
            """,
        good="""
            A#1 lock 0-1 granted
            B#1 get  2-3 granted state=Locked locked_by=uuid-of-shared
            """,
    ),
    "unlock_clears": Sample(
        bad="""
            A#1 unlock 0-1 granted
            B#1 get    2-3 granted state=Queued locked_by=uuid-of-shared
            """,
        good="""
            A#1 unlock 0-1 granted
            B#1 get    2-3 granted state=Queued locked_by=null
            """,
    ),
    "lock_counted": Sample(
        bad="""
            A#1 create 0-1 granted lock_count=0
            A#1 lock   2-3 granted in_full
            A#1 get    4-5 granted state=Locked lock_count=0
            """,
        good="""
            A#1 create 0-1 granted lock_count=0
            A#1 lock   2-5 granted in_full
            A#1 get    3-4 granted state=Queued lock_count=0
            """,
    ),
    "attempt_limit": Sample(
        bad="""
            A#1 create 0-1 granted
            A#1 lock   2-3 granted in_full
            A#1 unlock 4-5 granted in_full
            """,
        good="""
            A#1 create 0-1 granted
            A#1 lock   2-3 granted in_full
            A#1 unlock 4-5 granted in_full state=Cancelled
            A#1 get    6-7 granted state=Cancelled error=gave_up
            """,
        limit=1,
    ),
    "revoked_auth_dead": Sample(
        bad="""
            A#1 auth   0-1 granted secret=s1
            B#1 unlock 2-3 granted
            A#1 use    4-5 granted sends=s1
            """,
        good="""
            A#1 auth   0-1 granted secret=s1
            B#1 unlock 2-4 granted
            A#1 use    3-5 granted sends=s1
            """,
    ),
    "auth_works": Sample(
        bad="""
            A#1 auth   0-1 granted secret=s1
            A#1 use    2-3 unauthenticated sends=s1
            """,
        good="""
            A#1 auth   0-1 granted secret=s1
            B#1 unlock 2-  indeterminate
            A#1 use    2-3 unauthenticated sends=s1
            """,
    ),
    "auth_only_holder": Sample(
        bad="""
            A#1 lock   0-1 granted
            X#1 auth   2-3 granted token=stranger
            """,
        good="""
            A#1 lock   0-1 granted
            X#1 auth   2-3 forbidden token=stranger
            """,
    ),
    "single_holder": Sample(
        bad="""
            A#1 lock 0-1 granted in_full run_auth=ra
            A#1 auth 2-3 granted with=ra auth=auth1 secret=s1
            B#1 auth 4-5 granted auth=auth1 secret=s1
            """,
        good="""
            A#1 lock 0-1 granted in_full run_auth=ra
            A#1 auth 2-3 granted with=ra auth=auth1 secret=s1
            B#1 auth 4-5 forbidden
            """,
    ),
    "recoverable": Sample(
        bad="""
            A#1 lock   0-1 granted
            B#1 unlock 2-3 refused
            """,
        good="""
            A#1 lock   0-1 granted
            B#1 unlock 2-3 refused
            A#1 unlock 2-3 granted
            """,
    ),
    "transition_granted": Sample(
        bad="""
            A#1 lock   0-1 granted
            A#1 update 2-3 refused asks.state=Running
            """,
        good="""
            A#1 lock   0-1 granted
            B#1 unlock 2-4 granted
            A#1 update 3-5 refused asks.state=Running
            """,
    ),
    "list_complete": Sample(
        bad="""
            A#1 lock   0-1 granted
            A#1 list   2-3 granted asks.state=Locked found=c2
            """,
        good="""
            A#1 lock   0-1 granted
            A#1 list   2-3 granted asks.state=Locked found=c1
            """,
    ),
    "read_your_writes": Sample(
        bad="""
            A#1 lock   0-1 granted
            B#1 get    2-3 granted state=Queued
            """,
        good="""
            A#1 lock   0-2 granted
            B#1 get    1-3 granted state=Queued
            """,
    ),
    "no_deadlock": Sample(
        bad="""
            A#1 lock   0-  indeterminate problem=timeout
            B#1 lock   1-  indeterminate problem=timeout on=c2
            C#1 get    5-6 granted status=200 state=Queued
            """,
        good="""
            A#1 lock   0-  indeterminate problem=timeout
            B#1 lock   1-  indeterminate problem=timeout on=c2
            C#1 get    3-6 granted status=200 state=Queued
            """,
    ),
    "linearizable": Sample(
        bad="""
            A#1 get    0-1 granted state=Locked auth=auth1
            B#1 unlock 2-3 granted
            C#1 lock   4-5 granted
            A#1 get    6-7 granted state=Locked auth=auth1
            """,
        good="""
            A#1 get    0-1 granted state=Locked auth=auth1
            B#1 unlock 2-3 granted
            C#1 lock   4-5 granted
            A#1 get    6-7 granted state=Locked auth=auth2
            """,
    ),
    "ran_once": Sample(
        bad="""
            A#1 create 0-1 granted
            A#1 lock   2-3 granted
            B#1 lock   4-5 granted
            A#1 update 6-7 granted asks.state=Running
            B#1 update 8-9 granted asks.state=Running
            """,
        good="""
            A#1 create 0-1 granted
            A#1 lock   2-3 granted
            C#1 unlock 3-4 granted
            B#1 lock   4-5 granted
            A#1 update 6-7 granted asks.state=Running
            B#1 update 8-9 granted asks.state=Running
            """,
    ),
}
"""Every invariant's sample, by its name."""
