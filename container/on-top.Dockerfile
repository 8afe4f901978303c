# Adds Claude Code and its hooks to the user's own image.
#
# This needs no network: everything is copied from realm's image.  Nothing in the user's
# image is replaced, not even a claude of its own.

ARG REALM=realm:latest
ARG BASE
FROM ${REALM} AS realm

FROM ${BASE}
USER root
COPY --from=realm /usr/local/bin/claude /usr/local/lib/realm/claude
COPY --from=realm /etc/claude-code/ /etc/claude-code/
# The authorities of realm's image, for Claude Code alone.
COPY --from=realm /etc/ssl/certs/ca-certificates.crt /usr/local/lib/realm/ca-certificates.crt
ENV NODE_EXTRA_CA_CERTS=/usr/local/lib/realm/ca-certificates.crt \
    DISABLE_AUTOUPDATER=1
RUN command -v git > /dev/null || { echo 'realm: it has no git'; exit 1; }; \
    command -v claude > /dev/null \
    || { mkdir -p /usr/local/bin && ln -s /usr/local/lib/realm/claude /usr/local/bin/claude; }; \
    HOME=/tmp claude --version || { echo "realm: Claude Code's program does not run in it"; exit 1; }
ARG USER_UID=1000
ARG USER_GID=1000
# ssh and other programs refuse to run for a user without a name.
RUN grep -q "^[^:]*:[^:]*:${USER_GID}:" /etc/group || echo "agent:x:${USER_GID}:" >> /etc/group; \
    grep -q "^[^:]*:[^:]*:${USER_UID}:" /etc/passwd \
    || echo "agent:x:${USER_UID}:${USER_GID}::/realm/home:/bin/sh" >> /etc/passwd; \
    mkdir -p /workspace /realm && chmod 1777 /workspace /realm
ARG CLAUDE_CODE_VERSION=
ARG REALM_ON=
LABEL realm.claude-version="${CLAUDE_CODE_VERSION}" realm.workspace="open" realm.on="${REALM_ON}"
