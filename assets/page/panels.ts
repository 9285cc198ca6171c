/** The parts of the page that are lists. */
import { bytesText, spanText } from '../../src/cli/amounts.js';
import type { PageToken, PageView } from '../../src/model/page-view.js';
import { type Child, el, more, nothing, number, prose, svg, table } from './elements.js';

export function attention({ attention }: PageView): Child[] {
  return attention.map(({ what, todo }) =>
    el(
      'li',
      {},
      el('strong', {}, ...prose(what)),
      todo === undefined ? undefined : el('span', { class: 'todo' }, ...prose(`What to do: ${todo}`)),
    ),
  );
}

export function running({ running: { rows, more: left, between } }: PageView): Child[] {
  const waiting = between === 0 ? undefined : el('p', { class: 'quiet' }, `${between} more between two requests of git.`);
  if (rows.length === 0) return [nothing('Nothing runs.'), waiting];
  return [
    table(
      'Running operations',
      ['Operation', 'What', 'Repository', 'For', 'Down', 'Up', 'Age'],
      rows.map(({ id, kind, step, repository, who, bytesDown, bytesUp, ageMs }) => [
        String(id),
        step === 'advertisement' ? `${kind} (asking for refs)` : kind,
        { text: repository, class: 'name' },
        who,
        number(bytesText(bytesDown)),
        number(bytesText(bytesUp)),
        number(spanText(ageMs)),
      ]),
    ),
    more(left),
    waiting,
    el('p', { class: 'quiet' }, 'In a terminal, ', el('code', {}, 'postern kill ID'), ' ends one.'),
  ];
}

export function tokens({ identities, now }: PageView): Child[] {
  if (identities.length === 0) return [nothing('No identity is configured.')];
  return identities.map(({ name, kind, state, failure, todo, tokens }) =>
    el(
      'div',
      { class: 'identity' },
      el('h3', {}, name, el('span', { class: 'kind' }, kind), el('span', { class: `word ${state}` }, state)),
      failure === undefined ? undefined : el('p', {}, ...prose(failure)),
      failure === undefined ? undefined : el('p', { class: 'todo' }, ...prose(`What to do: ${todo ?? 'see the log'}`)),
      tokens.length === 0 && failure === undefined
        ? nothing(state === 'unused' ? 'Not asked for yet.' : 'It has no token that ends.')
        : undefined,
      ...tokens.map((token) => life(token, now)),
    ),
  );
}

/** The life of a token as a bar: how much of it is over, and where it is renewed. */
function life({ variant, account, obtainedAt, renewsAt, expiresAt }: PageToken, now: number): HTMLElement {
  const whole = Math.max(1, expiresAt - obtainedAt);
  const part = (at: number): number => Math.min(100, Math.max(0, (100 * (at - obtainedAt)) / whole));
  const ends = expiresAt > now ? `ends in ${spanText(expiresAt - now)}` : 'has ended';
  const renews =
    renewsAt === undefined || renewsAt >= expiresAt ? '' : renewsAt > now ? `, renewed in ${spanText(renewsAt - now)}` : ', to be renewed';
  const text = `Token${variant === '' ? '' : ` for ${variant}`}${account === undefined ? '' : ` of ${account}`}: ${spanText(now - obtainedAt)} old${renews}, ${ends}`;
  return el(
    'div',
    { class: 'life' },
    svg(
      'svg',
      { viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      svg('rect', { class: 'whole', width: 100, height: 8 }),
      svg('rect', { class: expiresAt > now ? 'over' : 'over ended', width: part(now).toFixed(2), height: 8 }),
      renewsAt === undefined || renewsAt >= expiresAt
        ? undefined
        : svg('rect', { class: 'renewal', x: (part(renewsAt) - 0.4).toFixed(2), width: 0.8, height: 8 }),
    ),
    el('p', {}, text),
  );
}

export function failures({ failures, now }: PageView): Child[] {
  if (failures.length === 0) return [nothing('None since the start.')];
  return [
    el(
      'ol',
      { class: 'failures' },
      ...failures.map(({ at, kind, repository, code, what, todo, route, identity, activityId }) => {
        const where = [
          route === undefined ? '' : `route ${route}`,
          identity === undefined ? '' : `identity ${identity}`,
          activityId === undefined ? '' : `ActivityId ${activityId}`,
        ].filter((text) => text !== '');
        return el(
          'li',
          {},
          el(
            'p',
            { class: 'what' },
            el('time', { datetime: new Date(at).toISOString() }, agoText(now - at)),
            ' ',
            el('span', { class: 'kind' }, kind),
            ' ',
            el('span', { class: 'name' }, repository),
          ),
          el('p', {}, ...prose(what), ' ', el('code', { class: 'code' }, code)),
          where.length === 0 ? undefined : el('p', { class: 'quiet' }, where.join(', ')),
          el('p', { class: 'todo' }, ...prose(`What to do: ${todo}`)),
        );
      }),
    ),
  ];
}

export function leases({ leases: { rows, more: left }, now }: PageView): Child[] {
  if (rows.length === 0) return [nothing('None.')];
  return [
    table(
      'Leases that were used',
      ['Lease', 'Held by', 'Ends', 'Running', 'Last used'],
      rows.map(({ id, label, endsAt, running, lastSeenAt }) => [
        id,
        label ?? '',
        endsAt === undefined ? 'never' : endsAt <= now ? 'ended' : `in ${spanText(endsAt - now)}`,
        number(String(running)),
        running > 0 ? 'now' : agoText(now - lastSeenAt),
      ]),
    ),
    more(left),
  ];
}

export function throttles({ throttled: { rows, more: left } }: PageView): Child[] {
  if (rows.length === 0) return [nothing('None.')];
  return [
    table(
      'Upstreams that asked for less',
      ['Upstream and identity', 'For another'],
      rows.map(({ key, waitMs }) => [key.trim(), number(`${Math.ceil(waitMs / 1000)} s`)]),
    ),
    more(left),
  ];
}

export function doors({ doors, certificateEndsAt, configuration, now }: PageView): Child[] {
  const rows = doors.map(({ name, address }) => [name, { text: address, class: 'name' }] as const);
  return [
    table('Addresses of the doors', ['Door', 'Address'], rows),
    certificateEndsAt === undefined
      ? undefined
      : el('p', { class: 'quiet' }, `The certificate is good for ${spanText(certificateEndsAt - now)}.`),
    el('p', { class: 'quiet' }, 'Configuration: ', el('span', { class: 'name' }, configuration ?? 'none, built-in defaults')),
  ];
}

export function counts({ counts }: PageView): Child[] {
  const told = Object.entries(counts).filter(([, count]) => count > 0);
  if (told.length === 0) return [nothing('No operation has ended.')];
  return [
    el(
      'ul',
      { class: 'counts' },
      ...told.map(([verdict, count]) => el('li', {}, el('strong', {}, String(count)), ` ${VERDICTS[verdict] ?? verdict}`)),
    ),
  ];
}

const VERDICTS: Readonly<Record<string, string>> = {
  passed: 'went well',
  refused: 'refused',
  failed: 'failed',
  broken: 'broke off',
  'client-gone': 'given up by who asked',
  killed: 'ended by hand',
};

function agoText(ms: number): string {
  return ms < 1000 ? 'just now' : `${spanText(ms)} ago`;
}
