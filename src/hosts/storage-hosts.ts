/**
 * The storage behind each kind of host: whither an address of an object may lead that is not on the host itself. What is not in the
 * table is for the configuration to list (`lfs.hosts`). In all of these anybody may have an account: nothing of ours is sent there but what
 * the caller sends, and only because the upstream named it.
 *
 * Sources: learn.microsoft.com/azure/devops/organizations/security/allow-list-ip-url (`*.windows.net`, `*.vsassets.io`, `*.vsblob.visualstudio.com`);
 * learn.microsoft.com/azure/storage/common/storage-account-overview (endpoints, also with DNS zones),
 * learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure, learn.microsoft.com/azure/china/resources-developer-guide;
 * docs.github.com, self-hosted runners (hosts of Git LFS). `lfs.github.com` is what github.com's answers name for `verify`.
 */
import type { HostKind } from '../model/address.js';

/** `*` is one label. Azure DevOps Services hands out its own blob hosts, and those of Azure Storage in whichever cloud. */
const AZURE_STORAGE: readonly string[] = [
  '*.blob.core.windows.net',
  '*.*.blob.storage.azure.net',
  '*.vsblob.vsassets.io',
  '*.vsblob.visualstudio.com',
  '*.blob.core.usgovcloudapi.net',
  '*.blob.core.chinacloudapi.cn',
];

/** By the host that serves the repository, for hosts whose kind says nothing. */
const WELL_KNOWN: Readonly<Record<string, readonly string[]>> = {
  'github.com': ['github-cloud.githubusercontent.com', 'github-cloud.s3.amazonaws.com', 'lfs.github.com'],
};

/** Whether `host` (as a URL has it: lower case, with a port only if it is not 443) is storage of `served`, the host of a repository. */
export function isStorageHost(kind: HostKind, served: string, host: string): boolean {
  return storageOf(kind, served).some((pattern) => covers(pattern, host));
}

function storageOf(kind: HostKind, served: string): readonly string[] {
  switch (kind) {
    case 'azure-services':
      return AZURE_STORAGE;
    case 'azure-server':
      // It keeps objects in its own database.
      return [];
    case 'generic':
      return Object.hasOwn(WELL_KNOWN, served) ? (WELL_KNOWN[served] ?? []) : [];
  }
}

/** Compares whole labels. */
function covers(pattern: string, host: string): boolean {
  const wanted = pattern.split('.');
  const labels = host.split('.');
  return (
    labels.length === wanted.length &&
    labels.every((label, index) => (wanted[index] === '*' ? /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(label) : label === wanted[index]))
  );
}
