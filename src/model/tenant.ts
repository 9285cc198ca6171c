/** Tenants by their ids: what counts as one, and what stands for none. */

/** The authority of accounts whatever their tenant: what signs in where an organisation belongs to none. */
export const ANY_TENANT = 'organizations';

const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const EMPTY_GUID = '00000000-0000-0000-0000-000000000000';

/** A tenant's id in lower case; ANY_TENANT for the empty one, as Azure DevOps writes that there is none; undefined for what is no id. */
export function readTenantId(text: string): string | undefined {
  if (!GUID.test(text)) return undefined;
  return text === EMPTY_GUID ? ANY_TENANT : text.toLowerCase();
}
