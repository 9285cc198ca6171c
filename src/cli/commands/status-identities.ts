/** What `postern status` says of identities: each with its tokens, whose they are, and where that may be a surprise. */
import type { DaemonStatus } from '../../daemon/status.js';
import { columns } from '../amounts.js';
import { loginLines } from '../login-text.js';

type Identity = DaemonStatus['identities'][number];
type Variant = Identity['variants'][number];

/** Rows of one kind that a person is shown; `--json` has all. */
const ROWS_SHOWN = 10;

/** `now` in ms since the epoch. */
export function identityLines(
  identity: Identity,
  { tenantDifferences, logins }: Pick<DaemonStatus, 'tenantDifferences' | 'logins'>,
  now: number,
): string[] {
  const { name, kind, state, variants } = identity;
  const [only] = variants.length === 1 ? variants : [];
  const lines = [`  ${name}  ${kind}  ${state}${lifeText(identity.expiresAt, now)}${only === undefined ? '' : whose(only)}`];
  if (identity.note !== undefined) lines.push(`    ${identity.note}`);
  if (identity.failure !== undefined) lines.push(`    ${identity.failure}`, `    what to do: ${identity.todo ?? 'see the log'}`);
  if (only === undefined) {
    lines.push(
      ...variants
        .slice(0, ROWS_SHOWN)
        .map((each) => `    for ${each.variant || 'no tenant'}: ${each.state}${lifeText(each.expiresAt, now)}${whose(each)}`),
    );
    if (variants.length > ROWS_SHOWN) lines.push(`    and ${variants.length - ROWS_SHOWN} more, which --json lists`);
  }
  lines.push(...loginLines(name, logins));
  const odd = tenantDifferences.filter((each) => each.identity === name);
  for (const { organisation, tokenTenant, organisationTenant } of odd.slice(0, ROWS_SHOWN))
    lines.push(
      `    its token is of tenant ${tokenTenant}, and ${organisation} belongs to tenant ${organisationTenant}: right for a guest, else set \`tenant\` of the identity`,
    );
  return lines;
}

/** Organisations and their tenants, as far as they were looked up. */
export function tenantLines(tenants: DaemonStatus['tenants'], bold: (text: string) => string): string[] {
  if (tenants.length === 0) return [];
  const rows = tenants.slice(-ROWS_SHOWN).map(({ organisation, upstream, tenant }) => [`  ${organisation}`, `at ${upstream}`, tenant]);
  const lines = [bold('tenants of organisations, as their upstream tells them'), ...columns(rows)];
  return tenants.length > ROWS_SHOWN ? [...lines, `  and ${tenants.length - ROWS_SHOWN} more, which --json lists`] : lines;
}

/** Dates are text once they have been through JSON. */
function lifeText(expiresAt: Date | string | undefined, now: number): string {
  const ends = expiresAt === undefined ? undefined : new Date(expiresAt).getTime();
  return ends === undefined ? '' : `, token good for ${Math.max(0, Math.round((ends - now) / 1000))} s`;
}

function whose({ account, tenant }: Variant): string {
  return account === undefined ? '' : `, as ${account}${tenant === undefined ? '' : ` of tenant ${tenant}`}`;
}
