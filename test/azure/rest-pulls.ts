/**
 * Pull requests, kept in memory: listed, opened, read, changed, with threads of comments.
 */
import type { RestCall } from './rest-call.js';
import type { PullRequest, Repository } from './rest-catalog.js';
import { commitOf } from './rest-git.js';
import { identityShape, pullShape } from './rest-shapes.js';

/** @param rest of the path after `pullRequests`; `path` of the repository on disk */
export async function answerPulls(call: RestCall, path: string, repository: Repository, rest: readonly string[]): Promise<void> {
  const { pulls } = call.collection;
  const shape = async (pull: PullRequest): Promise<object> =>
    pullShape(call, pull, { source: await commitOf(path, pull.source), target: await commitOf(path, pull.target) });
  const [number, part] = rest;
  if (number === undefined) {
    if (call.method === 'POST') {
      await open(call, path, repository, shape);
      return;
    }
    const status = (call.query.get('searchCriteria.status') ?? 'active').toLowerCase();
    const wanted = pulls.filter(
      (pull) => pull.repository === repository && (status === 'all' || status === '4' || STATES[status] === pull.status),
    );
    call.list(await Promise.all(wanted.map(shape)));
    return;
  }
  const pull = pulls.find(({ id, repository: of }) => id === Number(number) && of === repository);
  if (pull === undefined) {
    call.error(404, `TF401180: The requested pull request was not found.`, 'GitPullRequestNotFoundException');
  } else if (part?.toLowerCase() === 'threads') {
    await answerThreads(call, pull);
  } else if (call.method === 'PATCH') {
    const { title, description, status } = await call.object();
    if (typeof title === 'string') pull.title = title;
    if (typeof description === 'string') pull.description = description;
    pull.status = STATES[String(status)] ?? pull.status;
    call.json(await shape(pull));
  } else {
    call.json(await shape(pull));
  }
}

/** The SDK sends the number of a state, people its name. */
const STATES: Readonly<Record<string, PullRequest['status'] | undefined>> = {
  '1': 'active',
  active: 'active',
  '2': 'abandoned',
  abandoned: 'abandoned',
  '3': 'completed',
  completed: 'completed',
};

async function open(call: RestCall, path: string, repository: Repository, shape: (pull: PullRequest) => Promise<object>): Promise<void> {
  const { sourceRefName: source, targetRefName: target, title, description, isDraft } = await call.object();
  if (typeof source !== 'string' || typeof target !== 'string' || typeof title !== 'string') {
    call.error(400, 'Invalid argument value. Parameter name: pullRequest', 'InvalidArgumentValueException');
    return;
  }
  for (const name of [source, target]) {
    if ((await commitOf(path, name)) !== undefined) continue;
    call.error(
      400,
      `TF401398: The pull request cannot be activated because the branch ${name} no longer exists.`,
      'GitPullRequestStaleException',
    );
    return;
  }
  const pull: PullRequest = {
    id: call.collection.pulls.length + 1,
    repository,
    createdAt: new Date(),
    title,
    description: typeof description === 'string' ? description : '',
    status: 'active',
    source,
    target,
    isDraft: isDraft === true,
    threads: [],
  };
  call.collection.pulls.push(pull);
  call.json(await shape(pull), { status: 201 });
}

async function answerThreads(call: RestCall, pull: PullRequest): Promise<void> {
  const shape = (thread: PullRequest['threads'][number]): object => ({
    id: thread.id,
    status: 'active',
    comments: thread.comments.map((content, index) => ({
      id: index + 1,
      content,
      commentType: 'text',
      author: identityShape(call, 'Ada Lovelace'),
    })),
    _links: { repository: { href: `${call.base()}_apis/git/repositories/${pull.repository.id}` } },
  });
  if (call.method !== 'POST') {
    call.list(pull.threads.map(shape));
    return;
  }
  const { comments } = await call.object();
  const texts = (Array.isArray(comments) ? comments : []).map((each: { content?: string }) => each.content ?? '');
  const thread = { id: pull.threads.length + 1, comments: texts };
  pull.threads.push(thread);
  call.json(shape(thread));
}
