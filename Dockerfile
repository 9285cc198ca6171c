# Postern in a container; docs/CONTAINERS.md says how it is run.
#
#   docker build -t postern .
#   podman build --format docker -t postern .        (the OCI format has no HEALTHCHECK)
#
# Each step is in exec form and runs node: neither of the two images needs a shell.

# What the program runs in: Node.js 20.19 or newer, as `node` on the PATH. A digest makes it one image for good.
ARG NODE_IMAGE=docker.io/library/node:24-slim
# What it is built in: Node.js with npm; or without npm, where /src/node_modules has the packages of package-lock.json already.
ARG BUILD_IMAGE=docker.io/library/node:24-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
COPY scripts ./scripts
RUN ["node", "scripts/ready.mjs", "--packages"]
COPY LICENSE tsconfig.json ./
COPY src ./src
COPY docs/ERRORS.md ./docs/ERRORS.md
COPY assets ./assets
RUN ["node", "scripts/image.mjs", "/image"]

FROM ${NODE_IMAGE}
COPY --from=build /image/ /

# The configuration is /etc/postern/config.yaml, if there is one. What has to outlive a run is below /var/lib/postern, where any
# user may make a directory.
ENV NODE_ENV=production \
    XDG_CONFIG_HOME=/etc \
    POSTERN_STATE_DIRECTORY=/var/lib/postern/state
# So a place that can be written is there even with `--read-only`.
VOLUME /var/lib/postern
WORKDIR /var/lib/postern

# A number, so that Kubernetes can see that it is not root (runAsNonRoot). Any other will do: `--user 12345`.
USER 65532:65532

EXPOSE 8417 8422
# The daemon waits for running transfers (drain.max, 30 s); give the container a little longer (docker stop --time 35).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 CMD ["node", "/app/dist/postern.js", "wait", "--timeout", "2s"]

ENTRYPOINT ["node", "/app/dist/postern.js"]
CMD ["start"]

LABEL org.opencontainers.image.title="Postern" \
      org.opencontainers.image.description="A gate between git and Azure Repos: it adds the credential, so that no git client ever holds one" \
      org.opencontainers.image.licenses="MIT"
