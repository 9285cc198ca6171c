/**
 * Projects, repositories and pull requests as Azure DevOps writes them: every address in them is absolute and on the real host.
 * Source of the shapes: the interfaces of azure-devops-node-api (CoreInterfaces, GitInterfaces).
 */
import type { RestCall } from './rest-call.js';
import { guidOf, type Project, type PullRequest, type Repository } from './rest-catalog.js';

export function projectShape(call: RestCall, project: Project): object {
  return {
    id: project.id,
    name: project.name,
    description: project.description,
    url: `${call.base()}_apis/projects/${project.id}`,
    state: project.state,
    revision: 11,
    visibility: project.visibility,
    lastUpdateTime: '2026-01-05T08:00:00.000Z',
  };
}

export function repositoryShape(call: RestCall, repository: Repository, isAlone = false): object {
  const { id, name, project } = repository;
  const { kind, organization } = call.address;
  const base = call.base();
  const url = `${base}${project.id}/_apis/git/repositories/${id}`;
  const web = `${base}${encodeURIComponent(project.name)}/_git/${encodeURIComponent(name)}`;
  const isServer = kind === 'server';
  const place = [organization, project.name, name].map(encodeURIComponent).join('/');
  return {
    id,
    name,
    url,
    project: projectShape(call, project),
    defaultBranch: 'refs/heads/main',
    size: 728,
    remoteUrl: isServer ? web : web.replace('https://', `https://${encodeURIComponent(organization)}@`),
    sshUrl: isServer ? web.replace('https://', 'ssh://') : `git@ssh.dev.azure.com:v3/${place}`,
    webUrl: web,
    isDisabled: repository.isDisabled,
    isInMaintenance: false,
    ...(isAlone
      ? {
          _links: {
            self: { href: url },
            project: { href: `${base}_apis/projects/${project.id}` },
            web: { href: web },
            commits: { href: `${url}/commits` },
            refs: { href: `${url}/refs` },
            pullRequests: { href: `${url}/pullRequests` },
            items: { href: `${url}/items` },
            pushes: { href: `${url}/pushes` },
          },
        }
      : {}),
  };
}

/** @param commits heads of source and target, of which a branch that has gone has none */
export function pullShape(
  call: RestCall,
  pull: PullRequest,
  commits: { source?: string | undefined; target?: string | undefined },
): object {
  const { repository } = pull;
  const base = call.base();
  const url = `${base}${repository.project.id}/_apis/git/repositories/${repository.id}`;
  const commit = (id: string | undefined): object => (id === undefined ? {} : { commitId: id, url: `${url}/commits/${id}` });
  return {
    repository: repositoryShape(call, repository),
    pullRequestId: pull.id,
    codeReviewId: pull.id,
    status: pull.status,
    createdBy: identityShape(call, 'Ada Lovelace'),
    creationDate: pull.createdAt.toISOString(),
    title: pull.title,
    description: pull.description,
    sourceRefName: pull.source,
    targetRefName: pull.target,
    mergeStatus: 'succeeded',
    isDraft: pull.isDraft,
    mergeId: guidOf('merge', String(pull.id)),
    lastMergeSourceCommit: commit(commits.source),
    lastMergeTargetCommit: commit(commits.target),
    reviewers: [],
    labels: [],
    url: `${url}/pullRequests/${pull.id}`,
    _links: {
      self: { href: `${url}/pullRequests/${pull.id}` },
      repository: { href: url },
      commits: { href: `${url}/pullRequests/${pull.id}/commits` },
      createdBy: { href: `${call.base('vssps')}_apis/Identities/${guidOf('Ada Lovelace')}` },
    },
    supportsIterations: true,
  };
}

export function identityShape(call: RestCall, name: string): object {
  const id = guidOf(name);
  return {
    displayName: name,
    url: `${call.base('vssps')}_apis/Identities/${id}`,
    _links: { avatar: { href: `${call.base()}_apis/GraphProfile/MemberAvatars/aad.${id}` } },
    id,
    uniqueName: `${name.split(' ')[0]?.toLowerCase() ?? 'someone'}@example.com`,
    imageUrl: `${call.base()}_api/_common/identityImage?id=${id}`,
    descriptor: `aad.${id}`,
  };
}
