/** What the SSH host saw, and what it can be told to do wrong. */

export type SshFault =
  /** The connection dies once so many bytes of the answer are sent. */
  | { readonly kind: 'die'; readonly afterBytes: number }
  /** The command is taken and never answered. */
  | { readonly kind: 'silent' }
  /** The connection is taken and nothing is ever said. */
  | { readonly kind: 'mute' }
  /** Signed in, but no channel is opened. */
  | { readonly kind: 'no-channel' }
  /** The connection is closed when the client has signed in. */
  | { readonly kind: 'close-at-sign-in' };

export interface SeenAttempt {
  readonly method: string;
  /** Of the key, `SHA256:...`; undefined for other methods. */
  readonly fingerprint: string | undefined;
  /** `ssh-rsa` means a signature with SHA-1. */
  readonly algorithm: string | undefined;
  /** False for the question whether the key would do. */
  readonly isSigned: boolean;
}

export interface SeenCommand {
  readonly command: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Undefined until it has ended, and when its client went before. */
  exitCode: number | undefined;
  /** Bytes that the client sent. */
  receivedBytes: number;
}

/** One connection. */
export interface SeenConnection {
  readonly at: number;
  readonly user: string;
  /** What the client calls itself, such as `OpenSSH_9.2p1`. */
  readonly software: string;
  readonly attempts: readonly SeenAttempt[];
  /** Of the key that it signed in with. */
  readonly key: string | undefined;
  readonly commands: readonly SeenCommand[];
  readonly isOpen: boolean;
}
