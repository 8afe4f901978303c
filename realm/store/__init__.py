"""The project's repository; the only room that knows git and dulwich.

``repo`` finds the project and asks it things, ``refs`` moves and lists
sessions' refs, ``record`` reads and writes the record of runs, ``ingest``
takes in what came out of a sandbox, ``remote`` fetches and pushes.
"""
