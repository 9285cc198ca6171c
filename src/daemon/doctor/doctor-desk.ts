/** The daemon's half of `postern doctor`: identity, network and upstream, by the roads of the house itself. */
import type { RouteTable } from '../../gate/route-table.js';
import { parseRepoAddress } from '../../hosts/repo-address.js';
import { readSpelling } from '../../hosts/repo-spelling.js';
import type { CheckOutcome } from '../../model/check.js';
import { inferHostKind } from '../../model/host-name.js';

export interface DoctorParts {
  readonly routes: RouteTable;
}

/** What a check of the daemon is about. */
export interface DoctorQuestion {
  /** As a person wrote it, in any spelling that git takes. */
  readonly address: string;
}

/** A check by its id. */
export type DaemonCheck = (question: DoctorQuestion, parts: DoctorParts) => Promise<CheckOutcome> | CheckOutcome;

/** By the ids that the command line asks for. */
export const DAEMON_CHECKS = {
  route: ({ address: text }, { routes }) => {
    const spelled = readSpelling(text);
    const kind = spelled && (routes.kindOf(spelled.host) ?? inferHostKind(spelled.host));
    const parsed = spelled && kind && parseRepoAddress(kind, spelled.host, spelled.path);
    if (parsed === undefined || parsed.kind === 'fault')
      return {
        verdict: 'failed',
        text: `That is no address of a repository${parsed === undefined ? '' : `: ${parsed.what}`}`,
        todo: 'give the address that git clone would be given',
        code: 'request-malformed',
      };
    const route = routes.find(parsed.address);
    if (route === undefined)
      return {
        verdict: 'failed',
        text: `No route matches ${parsed.address.display}`,
        todo: `add one to the configuration; \`postern route explain ${text}\` says why each was passed by`,
        code: 'no-route',
      };
    return { verdict: 'ok', text: `${route.match}, identity ${route.identity}` };
  },
} as const satisfies Readonly<Record<string, DaemonCheck>>;

export type DaemonCheckId = keyof typeof DAEMON_CHECKS;
