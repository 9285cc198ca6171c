/**
 * Which examples of the help are executed in docs/CLI.md, and what they find there. Everything runs in one shell, in the order of the
 * page; docs/decisions/0033-documentation-that-runs.md describes the machine.
 */

export interface Staging {
  /** Shell that a reader does not see, before the examples. */
  readonly prepare?: string;
  /** Examples that cannot run, by a part of their line, and why. */
  readonly except?: Readonly<Record<string, string>>;
}

/** Where the page begins: a configuration, a daemon, git that is led to it, and a clone to stand in. */
export const FIRST = `mkdir -p ~/.config/postern
cat >~/.config/postern/config.yaml <<'END'
identities:
  me: { kind: browser }
  onprem: { kind: pat, secret: { env: STAGE_PAT } }
routes:
  - { match: dev.azure.com/contoso/**, identity: azure-cli, allow: [fetch, push, lfs, api] }
  - { match: dev.azure.com/fabrikam/**, identity: me }
  - { match: tfs.example.com/tfs/**, identity: onprem }
END
postern start >daemon.log 2>&1 &
postern wait
postern setup
git clone https://dev.azure.com/contoso/web/_git/app
cd app`;

const LEASE = `unset \${!GIT_CONFIG_@}
POSTERN_LEASE=$(postern lease create --repo contoso/web/app --allow fetch,push --ref 'refs/**' --for 1h)
export POSTERN_LEASE`;

/** By the words of the command. A command that is not here only shows its examples. */
export const STAGED: Readonly<Record<string, Staging>> = {
  status: { except: { '--watch': 'goes on until Ctrl-C' } },
  wait: {},
  reload: {},
  'log-level': {},
  setup: {},
  env: {},
  exec: {
    prepare: `unset \${!GIT_CONFIG_@}
postern setup
rm -rf ~/job && git clone https://dev.azure.com/contoso/web/_git/app ~/job && cd ~/job
printf '#!/bin/sh\\n' >build.sh && chmod +x build.sh`,
  },
  doctor: { except: { '--fix': 'asks before each change' } },
  explain: {},
  'config check': { prepare: 'cp ~/.config/postern/config.yaml postern.yaml' },
  'config show': {},
  'config schema': {},
  audit: { except: { '--follow': 'goes on until Ctrl-C' } },
  'audit verify': {},
  'route explain': {},
  login: {},
  logout: {},
  'lease create': {},
  'lease narrow': { prepare: LEASE },
  'lease list': {},
  'lease explain': { prepare: 'printf %s "$POSTERN_LEASE" >lease' },
  'lease rotate': {},
  'pat create': { except: { docker: 'needs Docker' } },
  'pat list': {},
  repos: {},
};

/** Why the examples of a command are only shown. */
export const SHOWN: Readonly<Record<string, string>> = {
  start: 'runs until it is stopped',
  dashboard: 'opens a page in a browser',
  stop: 'would end the daemon of this page',
  kill: 'needs an operation that runs',
  'audit why': 'needs a record of that number',
  'lease revoke': 'needs a lease of that id',
  'pat revoke': 'needs a token of that id',
  'ssh-key create': 'asks for a passphrase',
  'ssh-key show': 'needs an ssh-agent',
  'service install': 'needs systemd',
  'service uninstall': 'needs systemd',
  'service status': 'needs systemd',
};
