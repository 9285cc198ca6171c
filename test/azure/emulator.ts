/**
 * Azure DevOps git hosting and Microsoft Entra in one process, for tests and for trying the daemon by hand. Everything listens on
 * 127.0.0.1 and lives below one directory.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeCertificates } from './certificates.js';
import { GitHosts } from './git-hosts.js';
import { Repositories, type RepositoryOptions } from './repositories.js';
import { makeSamples } from './samples.js';
import { Sts } from './sts.js';
import { TokenBook } from './token-book.js';

export interface EmulatorOptions {
  /** Scratch root; authority, repositories and the fake az live below it. Made when absent, never removed. */
  readonly directory: string;
  /** `v0` plays a server that ignores Git-Protocol. Default `v2`. */
  readonly protocol?: 'v0' | 'v2';
  /** Default 3600. */
  readonly tokenLifeSeconds?: number;
  /** Default 0 each: any free port. */
  readonly ports?: { readonly git?: number; readonly sts?: number; readonly proxy?: number; readonly imds?: number };
}

export class Emulator {
  readonly directory: string;
  /** PEM of the emulator's own authority. */
  readonly caFile: string;
  readonly git: GitHosts;
  readonly sts: Sts;
  readonly #repositories: Repositories;

  /** Starts every server; resolves when all listen. */
  static async start(options: EmulatorOptions): Promise<Emulator> {
    const { directory, ports = {} } = options;
    await mkdir(directory, { recursive: true });
    const book = new TokenBook();
    const [certificates, { samples, registrations }] = await Promise.all([makeCertificates(), makeSamples(join(directory, 'clients'))]);
    const caFile = join(directory, 'ca.pem');
    await writeFile(caFile, `${certificates.ca}\n`);
    const repositories = new Repositories(join(directory, 'repositories'));
    const git = new GitHosts(book, repositories, certificates, options.protocol !== 'v0');
    const sts = new Sts(book, samples, certificates.good, options.tokenLifeSeconds ?? 3600);
    for (const [clientId, registration] of registrations) sts.clients.set(clientId, registration);
    await Promise.all([git.listen(ports.git ?? 0), sts.listen(ports.sts ?? 0)]);
    return new Emulator(directory, caFile, git, sts, repositories);
  }

  private constructor(directory: string, caFile: string, git: GitHosts, sts: Sts, repositories: Repositories) {
    this.directory = directory;
    this.caFile = caFile;
    this.git = git;
    this.sts = sts;
    this.#repositories = repositories;
  }

  /** Ends every server, socket and child. */
  async stop(): Promise<void> {
    await Promise.all([this.git.close(), this.sts.close()]);
  }

  /** Makes a bare repository and returns its path; see repositoryName() for the forms of a name. */
  createRepository(name: string, options: RepositoryOptions = {}): Promise<string> {
    return this.#repositories.create(name, options);
  }
}
