/** What `postern status` says of identities: each with its tokens, whose they are, and where that may be a surprise. */
import type { DaemonStatus } from '../../daemon/status.js';
import { columns, spanText } from '../amounts.js';
import { loginLines } from '../login-text.js';

type Identity = DaemonStatus['identities'][number];
type Variant = Identity['variants'][number];

/** `now` in ms since the epoch; `most`: rows of one kind. */
export function identityLines(
  identity: Identity,
  { tenantDifferences, logins }: Pick<DaemonStatus, 'tenantDifferences' | 'logins'>,
  now: number,
  most: number,
): string[] {
  const { name, kind, state, variants } = identity;
  const [only] = variants.length === 1 ? variants : [];
  const lines = [`  ${name}  ${kind}  ${state}${lifeText(identity, now)}${only === undefined ? '' : whose(only)}`];
  if (identity.note !== undefined) lines.push(`    ${identity.note}`);
  if (identity.failure !== undefined) lines.push(`    ${identity.failure}`, `    what to do: ${identity.todo ?? 'see the log'}`);
  if (only === undefined) {
    lines.push(
      ...variants.slice(0, most).map((each) => `    for ${each.variant || 'no tenant'}: ${each.state}${lifeText(each, now)}${whose(each)}`),
    );
    if (variants.length > most) lines.push(`    and ${variants.length - most} more, which --all shows`);
  }
  lines.push(...loginLines(name, logins));
  const odd = tenantDifferences.filter((each) => each.identity === name);
  for (const { organisation, tokenTenant, organisationTenant } of odd.slice(0, most))
    lines.push(
      `    its token is of tenant ${tokenTenant}, and ${organisation} belongs to tenant ${organisationTenant}: right for a guest, else set \`tenant\` of the identity`,
    );
  return lines;
}

/** Organisations and their tenants, as far as they were looked up. */
export function tenantLines(tenants: DaemonStatus['tenants'], bold: (text: string) => string, most: number): string[] {
  if (tenants.length === 0) return [];
  const rows = tenants.slice(-most).map(({ organisation, upstream, tenant }) => [`  ${organisation}`, `at ${upstream}`, tenant]);
  const lines = [bold('tenants of organisations, as their upstream tells them'), ...columns(rows)];
  return tenants.length > most ? [...lines, `  and ${tenants.length - most} more, which --all shows`] : lines;
}

/** Dates are text once they have been through JSON. */
function lifeText({ expiresAt, renewsAt }: Pick<Variant, 'expiresAt' | 'renewsAt'>, now: number): string {
  if (expiresAt === undefined) return '';
  const left = (at: Date | string): number => new Date(at).getTime() - now;
  if (left(expiresAt) <= 0) return ', token has ended';
  const renewal =
    renewsAt === undefined || left(renewsAt) >= left(expiresAt)
      ? ''
      : left(renewsAt) <= 0
        ? ', to be renewed'
        : `, renewed in ${spanText(left(renewsAt))}`;
  return `, token good for ${spanText(left(expiresAt))}${renewal}`;
}

function whose({ account, tenant }: Variant): string {
  return account === undefined ? '' : `, as ${account}${tenant === undefined ? '' : ` of tenant ${tenant}`}`;
}
