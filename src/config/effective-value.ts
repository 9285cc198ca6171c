/** Values in force and where they came from, as `config show --origin` tells them. Nothing here is a secret. */

/** A reference to a secret is shown as the map it is. */
export type ShownValue = string | readonly string[] | Readonly<Record<string, string | readonly string[]>>;

export interface EffectiveValue {
  /** Key path as in the file: `log.level`, `routes[0].match`. */
  readonly path: string;
  readonly value: ShownValue;
  /** `flag --log-level`, `environment POSTERN_LOG_LEVEL`, `/path/config.yaml:12:10`, or `default`. */
  readonly origin: string;
}
