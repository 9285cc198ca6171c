/**
 * What Entra tokens are for. Azure DevOps has an application id, the same in every tenant, and an older name as a URI.
 *
 * Source: Azure DevOps, "Use service principals and managed identities"; Microsoft identity platform, "Scopes and permissions" (`/.default`).
 */

/** Azure DevOps in the Entra directory, the same in every tenant. */
export const AZURE_DEVOPS_RESOURCE = '499b84ac-1321-427f-aa17-267ca6975798';
const AZURE_DEVOPS_URI = 'https://app.vssps.visualstudio.com';

const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether a resource or an audience is Azure DevOps. */
export function isAzureDevOps(resource: string): boolean {
  return plain(resource) === AZURE_DEVOPS_RESOURCE;
}

/**
 * Whether a token of this audience is for this resource. One may be an id and the other a URI of the same application, which only the
 * directory can tell: then nothing is held against it, unless one of them is Azure DevOps, of which both names are known.
 */
export function isFor(audience: string, resource: string): boolean {
  const [is, wanted] = [plain(audience), plain(resource)];
  if (is === wanted) return true;
  if (is === AZURE_DEVOPS_RESOURCE || wanted === AZURE_DEVOPS_RESOURCE) return false;
  return GUID.test(is) !== GUID.test(wanted);
}

/** Without what makes no difference: case, `/.default`, slashes at the end. */
function plain(resource: string): string {
  const bare = resource
    .toLowerCase()
    .replace(/\/\.default$/, '')
    .replace(/\/+$/, '');
  return bare === AZURE_DEVOPS_URI ? AZURE_DEVOPS_RESOURCE : bare;
}
