# Adds the Debian packages of realm.packages to the image of a run.
ARG BASE
FROM ${BASE}
USER root
ARG PACKAGES
RUN command -v apt-get > /dev/null || { echo 'realm: it has no apt-get'; exit 1; }; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update \
 && apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io ${PACKAGES} \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
ARG REALM_WITH=
LABEL realm.with="${REALM_WITH}"
