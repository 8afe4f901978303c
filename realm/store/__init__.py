"""The project's repository: the only room that knows how git keeps things.

Its modules, for the use-cases:

- ``repo`` finds the project, answers simple questions and counts, ``stores`` where its objects lie,
  ``worktree`` what the user has in hand, ``remote`` fetches and pushes.
- ``refs`` has the names and moves of sessions, ``listing`` all of them in one look,
  ``record`` what is kept of each run (``schema``: the grammar of every field).
- ``ingest`` takes in what a sandbox made: unpacked in a ``quarantine``, looked at by
  ``verify``, rewritten by ``commits`` with ``objects``. Nothing reaches the project in any other way.

``batch`` reads objects; git itself is run by :mod:`realm.git` alone.
"""
