/** Who asks, as far as a door can tell. */
export interface Caller {
  readonly kind: 'loopback';
  /** The peer's address and port, for the log. */
  readonly address: string;
}
