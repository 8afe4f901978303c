"""The way out of a sandbox without a network: by name, through a sidecar's proxies.

::

    sandbox (no network at all)                 sidecar (one a project; nobody, read-only)
    127.0.0.1:3128 ─ socat ─┐                  ┌─ socat ─ 127.0.0.1:3128 squid: hosts by name
    127.0.0.1:3129 ─ socat ─┤  /egress/run/    ├─ socat ─ 127.0.0.1:3129 nginx: the model's API
                            └ TOKEN/{proxy,api} ┘          dnsmasq: names, for squid alone

``/egress`` is a volume of the sidecar's that sandboxes mount read-only.  It holds the
sockets, and a socat that runs in any image.  Each run has a token, the name of its
sockets' directory, which nobody can list; its connections reach the proxies from a
loopback address of its own (:class:`ticket.Ticket`).  So refusals belong to a run, and
no program inside needs to know a password.

A run that the user lends an ssh agent has a third socket, ``agent``, whose requests go to the realm process
that holds the run (``container/egress/lend``, :mod:`realm.session.lending`).

- :mod:`rules` makes the proxies' configuration from the allowed hosts, and alone knows its
  syntax.  It is a mapping of file names to contents, which :func:`sidecar.join` writes
  into the sidecar's ``/run/realm/conf`` (a tmpfs, mode 700) through an ``exec``'s standard
  input; the proxies reload it when it changes.
- If a file ``nginx.conf`` is among them, nginx is started, listens at 127.0.0.1:3129, and gives
  each run the socket ``api``; the sandbox's entry script then listens at 127.0.0.1:3129 too.
- A run that reads registries with the user's logins has a port of its own in squid, at its address
  (:mod:`registries`).
- :mod:`sidecar` creates, finds, updates and removes sidecars.  One is removed with the last
  sandbox that has its name in the label ``realm.egress``.
"""
