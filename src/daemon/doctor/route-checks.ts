/** Which route and which identity an address gets. */
import type { CheckOutcome } from '../../model/check.js';
import { type DaemonCheck, roadOf } from './doctor-parts.js';

export const ROUTE_CHECKS = {
  route: (question, parts) => {
    const { address, route } = roadOf(question, parts);
    const details = parts.routes.passedBy(address).length;
    if (!route.allow.includes('fetch')) {
      return {
        verdict: 'failed',
        text: `The route ${route.match} of ${address.display} does not allow fetching`,
        todo: `add \`fetch\` to \`allow\` of the route ${route.match}, or a route for this repository before it`,
        code: 'not-allowed',
      };
    }
    const passed = details === 0 ? '' : `, ${details === 1 ? 'one route' : `${details} routes`} before it passed by`;
    return { verdict: 'ok', text: `${address.display} takes ${route.match} (${route.allow.join(', ')}${passed})` };
  },
  identity: (question, parts): CheckOutcome => {
    const { identity } = roadOf(question, parts);
    const state = parts.vault.states().find(({ name }) => name === identity.name);
    return {
      verdict: 'ok',
      text: `${identity.name} (${identity.kind})${state?.note === undefined ? '' : `: ${state.note}`}`,
      details: state?.failure === undefined ? [] : [`the last time that it was needed: ${state.failure}`],
    };
  },
} as const satisfies Readonly<Record<string, DaemonCheck>>;
