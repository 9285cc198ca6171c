#!/bin/sh
# .devcontainer/lease.sh: makes the lease of a development container, on your machine. Run it again for a new one; git in the container
# takes it up by itself.
set -eu
directory=$HOME/.local/share/postern-devcontainer
mkdir -p "$directory"
chmod 700 "$directory"
# The certificate of the door's authority; it is no secret.
cp "${XDG_STATE_HOME:-$HOME/.local/state}/postern/door-ca.pem" "$directory/ca.pem"
# Yours: the repositories, what may be done, and for how long.
postern lease create --repo 'contoso/Payments/*' --allow fetch,push --ref 'refs/heads/agent/*' --for 12h --label devcontainer \
  --format gitconfig --door https://host.docker.internal:8417 --ca-path /run/postern/ca.pem --output "$directory/gitconfig"
