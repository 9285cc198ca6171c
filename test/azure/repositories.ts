/**
 * The bare repositories on disk. Names are canonical (see addresses.ts); a repository lives at `<root>/<name>.git`.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, cp, mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { randomBytes } from 'node:crypto';
import { hostKind, repositoryName } from './addresses.js';

export interface RepositoryOptions {
  readonly objectFormat?: 'sha1' | 'sha256';
  /** Commits on main; 0 leaves the repository empty. Default 3. */
  readonly commits?: number;
  /** Size of an incompressible file in the last commit, bytes. Default none. */
  readonly largeFileBytes?: number;
}

/** The environment of every git that the emulator runs: nothing of the machine's own settings gets in. */
export function cleanGitEnvironment(home: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: home,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
  };
}

export class Repositories {
  readonly root: string;
  readonly #making = new Map<string, Promise<string>>();

  constructor(root: string) {
    this.root = root;
  }

  path(name: string): string {
    return join(this.root, `${repositoryName(name)}.git`);
  }

  exists(name: string): boolean {
    return existsSync(join(this.path(name), 'HEAD'));
  }

  /** Makes a bare repository with commits and returns its path. */
  async create(name: string, options: RepositoryOptions = {}): Promise<string> {
    const path = this.path(name);
    await mkdir(dirname(path), { recursive: true });
    await this.#git(['init', '--quiet', '--bare', `--object-format=${options.objectFormat ?? 'sha1'}`, '--initial-branch=main', path]);
    const azure = hostKind(repositoryName(name).split('/')[0] ?? '') === undefined;
    await appendFile(join(path, 'config'), azure ? GENERIC_SETTINGS + AZURE_SETTINGS : GENERIC_SETTINGS);
    // Compressing what is random already would take most of the time.
    await this.#git(['-C', path, '-c', 'core.compression=0', 'fast-import', '--quiet', '--done'], Readable.from(history(options)));
    return path;
  }

  /** Like create(), but only the first call for a name does anything: all wait for it. Small content, copied from one model. */
  ensure(name: string): Promise<string> {
    const key = repositoryName(name);
    let making = this.#making.get(key);
    if (!making) {
      making = this.exists(name) ? Promise.resolve(this.path(name)) : this.#copyModel(this.path(name));
      this.#making.set(key, making);
    }
    return making;
  }

  async #copyModel(path: string): Promise<string> {
    const model = await this.#model();
    const draft = `${path}.draft`;
    await mkdir(dirname(path), { recursive: true });
    await cp(model, draft, { recursive: true });
    await rename(draft, path);
    return path;
  }

  #model(): Promise<string> {
    let making = this.#making.get('');
    if (!making) {
      const name = 'model/model/model';
      // A directory used before holds it already.
      making = this.exists(name) ? Promise.resolve(this.path(name)) : this.create(name);
      this.#making.set('', making);
    }
    return making;
  }

  async #git(args: readonly string[], input?: Readable): Promise<void> {
    const child = spawn('git', args, { env: cleanGitEnvironment(this.root), stdio: [input ? 'pipe' : 'ignore', 'ignore', 'pipe'] });
    let complaint = '';
    child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    // A git that fails early closes its input; its own message says more than EPIPE.
    if (input && child.stdin) await pipeline(input, child.stdin).catch(() => undefined);
    const code = await ended;
    if (code !== 0) throw new Error(`git ${args.join(' ')} ended with ${String(code)}: ${complaint}`);
  }
}

const GENERIC_SETTINGS = `[http]
	receivepack = true
[uploadpack]
	allowFilter = true
	allowAnySHA1InWant = true
`;

/** Azure Repos knows the filters blob:none and tree:0 only, and offers no atomic push. */
const AZURE_SETTINGS = `[uploadpackfilter]
	allow = false
[uploadpackfilter "blob:none"]
	allow = true
[uploadpackfilter "tree"]
	allow = true
	maxDepth = 0
[receive]
	advertiseAtomic = false
`;

/** A stream for git fast-import; yields the large file piece by piece, so that its size does not matter here. */
function* history(options: RepositoryOptions): Generator<string | Buffer> {
  const commits = options.commits ?? 3;
  for (let number = 1; number <= commits; number += 1) {
    const text = `line ${number}\n`;
    const message = `Commit ${number}\n`;
    yield `commit refs/heads/main\ncommitter Emulator <emulator@example.com> ${1_700_000_000 + number * 60} +0000\n`;
    yield `data ${message.length}\n${message}`;
    yield `M 100644 inline file-${number}.txt\ndata ${text.length}\n${text}\n`;
    if (number === 1) yield `M 100644 inline README.md\ndata 9\n# Sample\n\n`;
    if (number === commits && options.largeFileBytes) {
      yield `M 100644 inline large.bin\ndata ${options.largeFileBytes}\n`;
      for (let left = options.largeFileBytes; left > 0; left -= 1 << 20) yield randomBytes(Math.min(left, 1 << 20));
      yield '\n';
    }
  }
  yield 'done\n';
}
