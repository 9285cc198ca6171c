/** Exit codes that some commands have besides 0, 1 and 2, for docs/CLI.md. */
import { CHECK_CLASSES } from '../../src/model/check.js';

export interface ExitCode {
  readonly code: string;
  readonly meaning: string;
}

/** What every command has. */
export const EXIT_CODES: readonly ExitCode[] = [
  { code: '0', meaning: 'done' },
  { code: '1', meaning: 'failure; stderr says what, what to do, and where to read on' },
  { code: '2', meaning: 'wrong usage, or a configuration that cannot be used' },
];

/** By the words of the command. */
export const OWN_EXIT_CODES: Readonly<Record<string, readonly ExitCode[]>> = {
  start: [
    { code: '0', meaning: 'stopped by `postern stop` or SIGTERM, and nothing was cut' },
    { code: '130', meaning: 'ended by SIGINT' },
    { code: '143', meaning: 'SIGTERM, and running transfers had to be cut' },
  ],
  exec: [
    { code: 'any', meaning: 'that of its command' },
    { code: '126', meaning: 'the command cannot be run' },
    { code: '127', meaning: 'the command was not found' },
    { code: '128 + N', meaning: 'signal N ended the command' },
  ],
  login: [{ code: '130', meaning: 'given up with Ctrl-C' }],
  reload: [{ code: '2', meaning: 'the configuration cannot be used; the one before stays in force' }],
  setup: [{ code: '1', meaning: 'also: something of `--undo` was left, because it was changed since' }],
  'route explain': [{ code: '1', meaning: 'no route matches' }],
  'audit verify': [{ code: '1', meaning: 'something was done to the audit' }],
  'lease explain': [{ code: '1', meaning: 'the daemon says that the lease is not valid' }],
  'ssh-key create': [{ code: '1', meaning: 'also: the key was made, and no agent took it' }],
  'ssh-key show': [{ code: '1', meaning: 'an agent does not answer, or holds no key that its routes need' }],
  'service status': [{ code: '1', meaning: 'it is not installed' }],
  'service uninstall': [{ code: '1', meaning: 'also: a file was changed since, and stays' }],
  doctor: [
    { code: '0', meaning: 'nothing failed; there may be warnings' },
    ...Object.entries(CHECK_CLASSES).map(([name, code]) => ({
      code: String(code),
      meaning: `the first failure is in the part \`${name}\``,
    })),
  ],
};
