/**
 * Azure DevOps git hosting and Microsoft Entra in one process, for tests and for trying the daemon by hand. Everything listens on
 * 127.0.0.1 and lives below one directory.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeCertificates } from './certificates.js';
import { AppService } from './app-service.js';
import { BlobStorage } from './blob-storage.js';
import { ConnectProxy } from './connect-proxy.js';
import { FakeAz } from './fake-az.js';
import { FakeAzd } from './fake-azd.js';
import { FakePwsh } from './fake-pwsh.js';
import { GitHosts } from './git-hosts.js';
import { Imds } from './imds.js';
import { Lfs } from './lfs.js';
import { Doorkeeper } from './loopback.js';
import { Pipelines } from './pipelines.js';
import { Repositories, type RepositoryOptions } from './repositories.js';
import { makeSamples } from './samples.js';
import { SshHost } from './ssh-host.js';
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
  readonly ports?: { readonly git?: number; readonly ssh?: number; readonly sts?: number; readonly proxy?: number; readonly imds?: number };
}

type Parts = Pick<
  Emulator,
  | 'directory'
  | 'caFile'
  | 'doorkeeper'
  | 'git'
  | 'lfs'
  | 'storage'
  | 'ssh'
  | 'sts'
  | 'imds'
  | 'proxy'
  | 'az'
  | 'azd'
  | 'pwsh'
  | 'pipelines'
  | 'appService'
>;

export class Emulator {
  readonly directory: string;
  /** PEM of the emulator's own authority. */
  readonly caFile: string;
  /** Of the git hosts, the storage account and the proxy. */
  readonly doorkeeper: Doorkeeper;
  readonly git: GitHosts;
  /** LFS on the git hosts. */
  readonly lfs: Lfs;
  /** Where large things are kept. */
  readonly storage: BlobStorage;
  readonly ssh: SshHost;
  readonly sts: Sts;
  readonly imds: Imds;
  readonly proxy: ConnectProxy;
  readonly az: FakeAz;
  readonly azd: FakeAzd;
  readonly pwsh: FakePwsh;
  readonly pipelines: Pipelines;
  readonly appService: AppService;
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
    const doorkeeper = new Doorkeeper();
    const storage = new BlobStorage(join(directory, 'storage'), certificates, doorkeeper);
    const lfs = new Lfs(storage);
    const git = new GitHosts({ book, repositories, certificates, lfs, storage, doorkeeper, passProtocol: options.protocol !== 'v0' });
    const ssh = new SshHost(repositories, options.protocol !== 'v0');
    const sts = new Sts(book, samples, certificates, options.tokenLifeSeconds ?? 3600);
    for (const [clientId, registration] of registrations) sts.clients.set(clientId, registration);
    const imds = new Imds(book, sts.tokenLifeSeconds);
    const az = new FakeAz(book, join(directory, 'az'), sts.tokenLifeSeconds);
    const pipelines = new Pipelines(git.jobs, certificates.good);
    sts.clients.set(pipelines.clientId, { federated: pipelines.federation });
    const appService = new AppService(book, sts.tokenLifeSeconds);
    const azd = new FakeAzd(book, join(directory, 'azd'), sts.tokenLifeSeconds);
    const pwsh = new FakePwsh(book, join(directory, 'pwsh'), sts.tokenLifeSeconds);
    const proxy = new ConnectProxy(
      {
        gitPort: () => git.port,
        stsPort: () => sts.port,
        storagePort: () => storage.port,
        noteProxied: (localPort) => git.noteProxied(localPort),
      },
      doorkeeper,
    );
    const emulator = new Emulator(
      { directory, caFile, doorkeeper, git, lfs, storage, ssh, sts, imds, proxy, az, azd, pwsh, pipelines, appService },
      repositories,
    );
    try {
      await Promise.all([
        git.listen(ports.git ?? 0),
        storage.listen(0),
        ssh.listen(ports.ssh ?? 0),
        sts.listen(ports.sts ?? 0),
        imds.listen(ports.imds ?? 0),
        proxy.listen(ports.proxy ?? 0),
        az.start(),
        azd.start(),
        pwsh.start(),
        pipelines.listen(0),
        appService.listen(0),
      ]);
    } catch (error) {
      await emulator.stop();
      throw error;
    }
    return emulator;
  }

  private constructor(parts: Parts, repositories: Repositories) {
    this.directory = parts.directory;
    this.caFile = parts.caFile;
    this.doorkeeper = parts.doorkeeper;
    this.git = parts.git;
    this.lfs = parts.lfs;
    this.storage = parts.storage;
    this.ssh = parts.ssh;
    this.sts = parts.sts;
    this.imds = parts.imds;
    this.proxy = parts.proxy;
    this.az = parts.az;
    this.azd = parts.azd;
    this.pwsh = parts.pwsh;
    this.pipelines = parts.pipelines;
    this.appService = parts.appService;
    this.#repositories = repositories;
  }

  /** Ends every server, socket and child. The directory stays. */
  async stop(): Promise<void> {
    const { git, storage, ssh, sts, imds, proxy, az, azd, pwsh, pipelines, appService } = this;
    await Promise.all([git, storage, ssh, sts, imds, proxy, az, azd, pwsh, pipelines, appService].map((part) => part.close()));
  }

  /** Where the bare repositories of a generic host are, such as `git.example.com`: another server can have them as its own. */
  repositoriesOf(host: string): string {
    return join(this.#repositories.root, host);
  }

  /** Makes a bare repository and returns its path; see repositoryName() for the forms of a name. */
  createRepository(name: string, options: RepositoryOptions = {}): Promise<string> {
    this.git.rest.catalog.add(name);
    return this.#repositories.create(name, options);
  }
  /** Whether the repository is there; a directory used before may hold it already. */
  repositoryExists(name: string): boolean {
    return this.#repositories.exists(name);
  }
}
