/**
 * What the REST API says of a repository's content and what it writes there, by real git on the bare repository: refs, items, commits,
 * a whole tree as a ZIP, and pushes made of a JSON body.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { cleanGitEnvironment } from './repositories.js';
import type { RestCall } from './rest-call.js';
import type { Repository } from './rest-catalog.js';
import { identityShape, repositoryShape } from './rest-shapes.js';

/** Longest output of a git that is read whole. */
const MOST_BYTES = 64 << 20;
const NOTHING = '0'.repeat(40);

export function git(
  path: string,
  args: readonly string[],
  options: { input?: Buffer; env?: Record<string, string> } = {},
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const env = { ...cleanGitEnvironment(path), ...AUTHOR, ...options.env };
    const child = execFile('git', ['-C', path, ...args], { env, encoding: 'buffer', maxBuffer: MOST_BYTES }, (fault, stdout) => {
      if (fault === null) resolve(stdout);
      else reject(new Error(`git ${args.join(' ')} failed`, { cause: fault }));
    });
    // A git that reads no input may have ended before it is written.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
  });
}

/** The commit that a ref or a prefix of a commit's name stands for. */
export async function commitOf(path: string, name: string): Promise<string | undefined> {
  const found = await git(path, ['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`]).catch(() => undefined);
  return found?.toString().trim();
}

/** `refs`, all or those below `filter`. */
export async function answerRefs(call: RestCall, path: string, repository: Repository): Promise<void> {
  const under = `refs/${call.query.get('filter') ?? ''}`;
  const text = (await git(path, ['for-each-ref', '--format=%(refname) %(objectname)'])).toString();
  const url = `${call.base()}${repository.project.id}/_apis/git/repositories/${repository.id}/refs`;
  const refs = text
    .split('\n')
    .filter((line) => line.startsWith(under))
    .map((line) => {
      const [name = '', objectId = ''] = line.split(' ');
      return { name, objectId, creator: identityShape(call, 'Ada Lovelace'), url: `${url}?filter=${encodeURIComponent(name.slice(5))}` };
    });
  call.list(refs);
}

/** `items`: a file's bytes, or its description where JSON is asked for; a tree as a ZIP; a list under `scopePath`. */
export async function answerItems(call: RestCall, path: string, repository: Repository): Promise<void> {
  const { query } = call;
  const wanted = query.get('path') ?? query.get('scopePath') ?? call.path.slice(5).join('/');
  const file = wanted.replace(/^\/+/, '');
  const version = query.get('versionDescriptor.version') ?? query.get('version') ?? 'main';
  const commit = await commitOf(path, version);
  if (commit === undefined) {
    call.error(
      404,
      `TF401175: The version descriptor <Branch: ${version} > could not be resolved to a version in the repository ${repository.name}`,
      'GitUnresolvableToCommitException',
    );
    return;
  }
  const accept = call.exchange.request.headers.accept ?? '';
  if (query.get('$format') === 'zip' || accept.includes('application/zip')) {
    const zip = await git(path, ['archive', '--format=zip', commit, ...(file === '' ? [] : [file])]);
    call.send(zip, 'application/zip', { headers: { 'Content-Disposition': `attachment; filename="${repository.name}.zip"` } });
    return;
  }
  const url = `${call.base()}${repository.project.id}/_apis/git/repositories/${repository.id}`;
  const line = (
    await git(path, ['ls-tree', '-z', ...(query.has('scopePath') ? ['-r'] : []), commit, '--', file === '' ? '.' : file])
  ).toString();
  const items = line
    .split('\0')
    .filter((each) => each !== '')
    .map((each) => {
      const [meta = '', name = ''] = each.split('\t');
      const [, type = '', objectId = ''] = meta.split(' ');
      return {
        objectId,
        gitObjectType: type,
        commitId: commit,
        path: `/${name}`,
        ...(type === 'tree' ? { isFolder: true } : {}),
        url: `${url}/items//${encodeURIComponent(name)}?versionType=Branch&version=${version}&versionOptions=None`,
      };
    });
  const [item] = items;
  if (item === undefined) {
    call.error(404, `TF401174: The item ${wanted} does not exist at version ${version}`, 'GitItemNotFoundException');
  } else if (query.has('scopePath')) {
    call.list(items);
  } else if (/json/.test(accept) && !/octet-stream|text\/plain/.test(accept) && query.get('download') !== 'true') {
    call.json({
      ...item,
      _links: { self: { href: item.url }, repository: { href: url }, blob: { href: `${url}/blobs/${item.objectId}` } },
    });
  } else {
    const bytes = await git(path, ['cat-file', 'blob', item.objectId]);
    call.send(bytes, accept.includes('text/plain') ? 'text/plain' : 'application/octet-stream');
  }
}

export async function answerCommits(call: RestCall, path: string, repository: Repository): Promise<void> {
  const url = `${call.base()}${repository.project.id}/_apis/git/repositories/${repository.id}/commits`;
  const version = call.query.get('searchCriteria.itemVersion.version') ?? 'main';
  const text = (await git(path, ['log', '--format=%H%x00%an%x00%ae%x00%aI%x00%s', '--max-count=100', version, '--'])).toString();
  const commits = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [commitId = '', name, email, date, comment] = line.split('\0');
      return { commitId, author: { name, email, date }, committer: { name, email, date }, comment, url: `${url}/${commitId}` };
    });
  call.list(commits);
}

interface Change {
  readonly changeType: string;
  readonly item: { readonly path: string };
  readonly newContent?: { readonly content: string; readonly contentType: string };
}

/** `POST pushes`: one commit on one ref, which must still be where the caller believes it is. */
export async function answerPush(call: RestCall, path: string, repository: Repository): Promise<void> {
  const { refUpdates, commits } = (await call.object()) as {
    refUpdates?: readonly { name: string; oldObjectId: string }[];
    commits?: readonly { comment: string; changes: readonly Change[] }[];
  }; // as the clients of this call write it
  const [update, commit] = [refUpdates?.[0], commits?.[0]];
  if (update === undefined || commit === undefined) {
    call.error(400, 'TF400813: The push has no ref update or no commit', 'GitReferenceStaleException');
    return;
  }
  const now = (await commitOf(path, update.name)) ?? NOTHING;
  if (now !== update.oldObjectId) {
    call.error(
      409,
      `TF401028: The reference '${update.name}' has already been updated by another client, so you cannot update it. Please try again.`,
      'GitReferenceStaleException',
    );
    return;
  }
  const made = await commitChanges(path, now, commit.comment, commit.changes);
  await git(path, ['update-ref', update.name, made, now]);
  call.json(
    {
      commits: [{ commitId: made, comment: commit.comment, url: `${call.base()}_apis/git/repositories/${repository.id}/commits/${made}` }],
      refUpdates: [{ repositoryId: repository.id, name: update.name, oldObjectId: now, newObjectId: made }],
      repository: repositoryShape(call, repository),
      pushedBy: identityShape(call, 'Ada Lovelace'),
      pushId: 1,
      date: new Date().toISOString(),
      url: `${call.base()}_apis/git/repositories/${repository.id}/pushes/1`,
    },
    { status: 201 },
  );
}

async function commitChanges(path: string, parent: string, message: string, changes: readonly Change[]): Promise<string> {
  const env = { GIT_INDEX_FILE: join(tmpdir(), `emulator-index-${randomUUID()}`) };
  try {
    if (parent !== NOTHING) await git(path, ['read-tree', parent], { env });
    for (const { changeType, item, newContent } of changes) {
      const file = item.path.replace(/^\/+/, '');
      if (/^delete$/i.test(changeType)) {
        await git(path, ['update-index', '--force-remove', file], { env });
        continue;
      }
      const bytes = Buffer.from(newContent?.content ?? '', newContent?.contentType === 'base64encoded' ? 'base64' : 'utf8');
      const blob = (await git(path, ['hash-object', '-w', '--stdin'], { input: bytes })).toString().trim();
      await git(path, ['update-index', '--add', '--cacheinfo', `100644,${blob},${file}`], { env });
    }
    const tree = (await git(path, ['write-tree'], { env })).toString().trim();
    const parents = parent === NOTHING ? [] : ['-p', parent];
    return (await git(path, ['commit-tree', tree, ...parents, '-m', message])).toString().trim();
  } finally {
    await rm(env.GIT_INDEX_FILE, { force: true });
  }
}

const AUTHOR = {
  GIT_AUTHOR_NAME: 'Ada Lovelace',
  GIT_AUTHOR_EMAIL: 'ada@example.com',
  GIT_COMMITTER_NAME: 'Ada Lovelace',
  GIT_COMMITTER_EMAIL: 'ada@example.com',
};
