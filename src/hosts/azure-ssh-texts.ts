/**
 * What Azure DevOps says on stderr over SSH before it ends a command. It takes any key at first and looks whose it is only when the
 * command names the organisation, so that a key that nobody knows is told here and not at the sign-in.
 *
 * Source: the page on SSH keys of its documentation; texts that people have reported.
 */
import type { ErrorCode } from '../model/errors.js';
import { findAzureText } from './azure-texts.js';

/** What a command came to, without its route. */
export interface SshFailure {
  readonly code: ErrorCode;
  readonly status: number;
  readonly what: string;
  readonly todo: string;
}

/** Reads the beginning of stderr of a command that failed. `key`: the key that signed, as texts show it. Undefined when nothing known is in it. */
export function readAzureSshText(text: string, key: string): SshFailure | undefined {
  const rejected = { code: 'upstream-unauthenticated', status: 502 } as const;
  if (/ssh key has expired/i.test(text)) {
    return {
      ...rejected,
      what: `Azure DevOps says that the SSH key ${key} has expired`,
      todo: 'renew it under User settings > SSH public keys (https://aka.ms/ado-ssh-public-key-expired), or set `key` of the route to another one',
    };
  }
  if (/ssh-rsa that is unsupported/i.test(text)) {
    return {
      ...rejected,
      what: `Azure DevOps refused a signature with SHA-1 by the key ${key}`,
      todo: 'take `legacy: true` out of `ssh` of the route, and use an agent that signs RSA with SHA-2',
    };
  }
  if (/public key authentication failed/i.test(text)) {
    return {
      ...rejected,
      what: `Azure DevOps does not know the SSH key ${key} in this organisation`,
      todo: 'add its public half (`ssh-add -L` prints it; RSA only) under User settings > SSH public keys, or set `key` of the route to one that is there',
    };
  }
  return findAzureText(text);
}
