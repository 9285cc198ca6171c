/**
 * What a call of the REST API does: it asks where things are, reads, writes, or writes without touching a ref of a repository. GET, HEAD and OPTIONS read.
 * A POST reads where it stands in the first table, because what is asked for does not fit an address. Whatever else there is writes,
 * also what nobody here has heard of.
 *
 * Source: learn.microsoft.com/rest/api/azure/devops, and the addresses that Microsoft's own clients use
 * (github.com/microsoft/azure-devops-extension-api).
 */
import type { ApiStep } from '../model/operation.js';
import { type ApiCall, isCall } from './api-call.js';

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** POSTs that change nothing. */
export const READING_POSTS: readonly string[] = [
  // Boards
  '_apis/wit/wiql',
  '_apis/wit/workitemsbatch',
  '_apis/wit/queriesbatch',
  '_apis/wit/artifacturiquery',
  '_apis/wit/reporting/workitemrevisions',
  '_apis/wit/workitemtypecolorandicon',
  '_apis/work/workitemstatecolor',
  '_apis/work/workitemtypecolor',
  // Repos
  '_apis/git/repositories/*/commitsbatch',
  '_apis/git/repositories/*/itemsbatch',
  '_apis/git/repositories/*/pullrequestquery',
  '_apis/git/repositories/*/filediffs',
  '_apis/git/repositories/*/stats/branches',
  '_apis/tfvc/changesetsbatch',
  '_apis/tfvc/itembatch',
  '_apis/wiki/wikis/*/pagesbatch',
  '_apis/alert/repositories/*/alertsbatch',
  '_apis/alert/repositories/*/alerts/metadatabatch',
  // Search
  '_apis/search/codesearchresults',
  '_apis/search/packagesearchresults',
  '_apis/search/wikisearchresults',
  '_apis/search/workitemsearchresults',
  // People and what they may
  '_apis/graph/memberlookup',
  '_apis/graph/subjectlookup',
  '_apis/graph/subjectquery',
  '_apis/security/permissionevaluationbatch',
  '_apis/featuremanagement/featurestatesquery/**',
  '_apis/notification/subscriptionquery',
  '_apis/notification/eventtypes/*/fieldvaluesquery',
  '_apis/extensionmanagement/installedextensionquery',
  // Pipelines, releases and tests
  '_apis/build/builds/*/workitems',
  '_apis/distributedtask/taskgroupsquery',
  '_apis/pipelines/checks/queryconfigurations',
  '_apis/release/artifacts/versions',
  '_apis/release/deployments',
  '_apis/test/linkedworkitemsquery',
  '_apis/test/points',
  '_apis/test/results',
  '_apis/test/results/history',
  '_apis/test/results/resultmetadata',
  '_apis/test/results/testhistory',
  '_apis/test/resultsummarybyrelease',
  '_apis/test/resultsummarybyrequirement',
  '_apis/test/resulttrendbybuild',
  '_apis/test/resulttrendbyrelease',
  '_apis/testresults/codecoverage/filecoverage',
  '_apis/testresults/results',
  '_apis/testresults/results/history',
  '_apis/testresults/results/query',
  '_apis/testresults/results/resultmetadata/**',
  '_apis/testresults/results/testhistory',
  '_apis/testresults/resultsummarybyrelease',
  '_apis/testresults/resultsummarybyrequirement',
  '_apis/testresults/resulttrendbybuild',
  '_apis/testresults/resulttrendbyrelease',
  // Packages: numbers about them, and what `npm audit` asks. Not `packagesbatch`, which changes many at once.
  '_apis/packaging/feeds/*/packagemetricsbatch',
  '_apis/packaging/feeds/*/packages/*/versionmetricsbatch',
  '_packaging/*/npm/registry/-/npm/v1/security/**',
];

/**
 * Writes after which every ref of every repository is what it was. Not here, because they move refs or may: refs, pushes, the completion
 * of a pull request (a PATCH of it, as is everything else about it), conflicts, cherry-picks, reverts, merges, imports, forks, tags, wiki
 * pages (a wiki is a repository), and whatever starts a pipeline.
 */
export const WRITES_BESIDE_REFS: readonly { readonly call: string; readonly methods?: readonly string[] }[] = [
  { call: '_apis/git/repositories/*/pullrequests', methods: ['POST'] },
  ...['attachments', 'labels', 'properties', 'reviewers', 'share', 'statuses', 'threads', 'iterations/*/statuses'].map((part) => ({
    call: `_apis/git/repositories/*/pullrequests/*/${part}/**`,
  })),
  { call: '_apis/git/repositories/*/commits/*/statuses', methods: ['POST'] },
  { call: '_apis/wit/attachments/**' },
  { call: '_apis/wit/workitems/**' },
  // A feed has no refs: packages are published, deprecated and deleted.
  { call: '_packaging/**' },
];

/** Where things are: what a client of Azure DevOps asks of an organisation or a collection before anything else. */
export const DISCOVERIES: readonly string[] = ['_apis/connectiondata', '_apis/resourceareas/**', '_apis/servicedefinitions/**'];

/** What a call does. `isOfAccount`: it is asked of an organisation or a collection as a whole. */
export function stepOf(method: string, call: ApiCall, isOfAccount: boolean): ApiStep {
  const isDiscovery = isOfAccount && (method === 'OPTIONS' || DISCOVERIES.some((pattern) => isCall(call, pattern)));
  if (READS.has(method)) return isDiscovery ? 'discovery' : 'read';
  if (method === 'POST' && READING_POSTS.some((pattern) => isCall(call, pattern))) return 'read';
  const isBesideRefs = WRITES_BESIDE_REFS.some((row) => row.methods?.includes(method) !== false && isCall(call, row.call));
  return isBesideRefs ? 'write-beside-refs' : 'write';
}
