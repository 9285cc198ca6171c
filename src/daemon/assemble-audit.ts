/** The audit as a part of the house. What assemble.ts joins, on a page of its own. */
import type { AuditState } from '../model/audit.js';
import type { AuditTrail, Clock, Logger } from '../model/ports.js';
import type { Settings } from '../model/settings.js';
import { auditPlaces } from '../store/audit-files.js';
import { AuditWriter } from '../store/audit-writer.js';
import { redact } from './redaction.js';

/** The audit, with its life. */
export interface Audit extends AuditTrail {
  /** Takes other limits, from the next record on. */
  adjust(settings: Settings['audit']): void;
  start(): Promise<void>;
  close(): Promise<void>;
  state(): AuditState;
}

/** Where this process keeps its audit and the sign-ins; the state directory is the user's, which outlasts one that a process has for itself. */
export interface AuditHome {
  readonly stateDirectory: string;
  /** Two processes never write one chain: each kind of process has a name of its own. */
  readonly chain: string;
}

/** The audit of a house: that of the house before it while it writes to the same place, because two do not write one chain. */
export function auditOf(
  { audit: settings }: Settings,
  surroundings: { clock: Clock; logger: Logger; audit: AuditHome; previous?: { readonly audit: Audit } | undefined },
): Audit {
  if (!settings.isOn) {
    return {
      write: () => undefined,
      refusal: () => undefined,
      adjust: () => undefined,
      start: () => Promise.resolve(),
      close: () => Promise.resolve(),
      state: () => ({ kind: 'off' }),
    };
  }
  const { clock, logger, audit, previous } = surroundings;
  const places = auditPlaces(audit.stateDirectory, settings.directory);
  const before = previous?.audit;
  const state = before?.state();
  if (before !== undefined && state?.kind === 'on' && state.directory === places.directory) return before;
  return new AuditWriter({ places, chain: audit.chain, settings, clock, logger, redact });
}
