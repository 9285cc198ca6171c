#!/bin/sh
# Records what git sends to git-receive-pack: see README.md. Writes *.bin beside itself; needs git 2.31 or newer.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cd "$work"

export HOME="$work" GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_AUTHOR_DATE='1700000000 +0000'
export GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.com GIT_COMMITTER_DATE='1700000000 +0000'

# Stands for git-receive-pack, and keeps what it is sent.
cat > receive <<'END'
#!/bin/sh
tee "$CAPTURE" | git-receive-pack "$@"
END
# Stands for gpg: the signature is not looked at, only where it stands.
cat > gpg <<'END'
#!/bin/sh
cat > /dev/null
printf '[GNUPG:] SIG_CREATED ' >&2
printf -- '-----BEGIN PGP SIGNATURE-----\n\nbm8gc2lnbmF0dXJl\n-----END PGP SIGNATURE-----\n'
END
chmod +x receive gpg

# push NAME ARGUMENTS...: pushes from ./client to ./server
push() {
  name=$1
  shift
  CAPTURE="$here/$name.bin" git -C client push --quiet --receive-pack="$work/receive" ../server "$@" 2>/dev/null || true
}

# scene FORMAT: a server with nothing, and a client with one commit
scene() {
  rm -rf client server
  git init --quiet --bare --object-format="$1" --initial-branch=main server
  git -C server config receive.advertisePushOptions true
  git -C server config receive.certNonceSeed seed
  git init --quiet --object-format="$1" --initial-branch=main client
  git -C client commit --quiet --allow-empty --message one
}

scene sha1
push create main main:refs/heads/topic/ä
git -C client commit --quiet --allow-empty --message two
git -C client tag v1
push update-delete-tag main :refs/heads/topic/ä v1
push delete-only :refs/tags/v1
git -C client commit --quiet --allow-empty --message three
push options --push-option=reviewer=jane --push-option=draft --atomic main
git -C client commit --quiet --allow-empty --message four
git -C client config gpg.program "$work/gpg"
push signed --signed=if-asked main
rm -rf deep
mv client deep
git clone --quiet --depth 1 "file://$work/deep" client
git -C client commit --quiet --allow-empty --message five
push shallow main:refs/heads/shallow
scene sha256
push sha256 main
