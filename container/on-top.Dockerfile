# Claude Code and its hooks on top of an image of the user's own.
#
# Needs no network: all of it comes out of realm's image.  What the user's image
# has of its own stays what it is, a claude of its own included.

ARG REALM=realm:latest
ARG BASE
FROM ${REALM} AS realm

FROM ${BASE}
USER root
COPY --from=realm /usr/local/bin/claude /usr/local/lib/realm/claude
COPY --from=realm /etc/claude-code/ /etc/claude-code/
# The authorities that realm's image knows, for Claude Code alone.
COPY --from=realm /etc/ssl/certs/ca-certificates.crt /usr/local/lib/realm/ca-certificates.crt
ENV NODE_EXTRA_CA_CERTS=/usr/local/lib/realm/ca-certificates.crt \
    DISABLE_AUTOUPDATER=1
RUN command -v git > /dev/null || { echo 'realm: it has no git'; exit 1; }; \
    command -v claude > /dev/null \
    || { mkdir -p /usr/local/bin && ln -s /usr/local/lib/realm/claude /usr/local/bin/claude; }; \
    HOME=/tmp claude --version || { echo "realm: Claude Code's program does not run in it"; exit 1; }
ARG USER_UID=1000
ARG USER_GID=1000
# A name for the user's number: ssh and others refuse to run without one.
RUN grep -q "^[^:]*:[^:]*:${USER_GID}:" /etc/group || echo "agent:x:${USER_GID}:" >> /etc/group; \
    grep -q "^[^:]*:[^:]*:${USER_UID}:" /etc/passwd \
    || echo "agent:x:${USER_UID}:${USER_GID}::/realm/home:/bin/sh" >> /etc/passwd; \
    mkdir -p /workspace /realm && chmod 1777 /workspace /realm
ARG CLAUDE_CODE_VERSION=
ARG REALM_ON=
LABEL realm.claude-version="${CLAUDE_CODE_VERSION}" realm.workspace="open" realm.on="${REALM_ON}"
