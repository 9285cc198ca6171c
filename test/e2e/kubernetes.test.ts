/**
 * Promise: what stands in config/kubernetes is taken by Kubernetes as it is, says of Postern what Postern understands, and its pods
 * work: with the users, rights and volumes of the manifests, an agent that holds nothing gets its repository and nothing else.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadSettings } from '../../src/config/load-settings.js';
import { leaseRulesFor } from '../../src/cli/gitconfig/lease-rules.js';
import type { Settings } from '../../src/model/settings.js';
import {
  configFile,
  type Container,
  containersOf,
  faultsOf,
  KUBERNETES,
  type PodTemplate,
  templatesIn,
  variants,
} from '../support/manifests.js';
import { build, readResources, type Resource, sorted } from '../support/kustomize.js';
import { enter, ENTRYPOINT, makeVolumes, type Pod, putInto } from '../support/pod-space.js';
import { type Ran, run, RunningDaemon, Scene } from '../support/scene.js';

const IS_ROOT = process.getuid?.() === 0;
/** Directories with a Postern in them. */
const WITH_POSTERN = ['deployment', 'daemonset', 'sidecar', 'sidecar-native', 'sidecar-lease'];
/** Of a resource that comes with the Prometheus operator; Kubernetes has no schema of it. */
const FOREIGN = ['monitoring.coreos.com/v1'];
/** Few machines have it, and none needs it for the rest. */
const IS_WITH_KUBECTL = process.env['POSTERN_TEST_KUBECTL'] === 'on';
const KEYS = `00000000000000aa ${Buffer.alloc(32, 9).toString('base64')}\n`;

const built = new Map<string, readonly Resource[]>();
const of = (variant: string): readonly Resource[] => built.get(variant) ?? [];
let scratch: string;
beforeAll(async () => {
  for (const variant of variants()) built.set(variant, build(join(KUBERNETES, variant)));
  scratch = await mkdtemp(join(tmpdir(), 'postern-manifests-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

function podOf(variant: string): PodTemplate {
  const [template, ...others] = templatesIn(of(variant));
  if (template === undefined || others.length > 0) throw new Error(`${variant} has not one kind of pod`);
  return template;
}

function containerOf(variant: string, name: string): Container {
  const found = containersOf(podOf(variant).spec).find((container) => container.name === name);
  if (found === undefined) throw new Error(`${variant} has no container ${name}`);
  return found;
}

/** The settings of a variant's Postern, by our own loader, with the variables of its container. */
async function settingsOf(variant: string): Promise<Settings> {
  const environment = Object.fromEntries((containerOf(variant, 'postern').env ?? []).map(({ name, value = '' }) => [name, value]));
  const file = join(scratch, `${variant}.yaml`);
  await writeFile(file, configFile(of(variant), 'postern', 'config.yaml'));
  const { settings, warnings } = await loadSettings({ file, system: false, flags: {}, environment, home: '/', workingDirectory: '/' });
  expect(warnings, variant).toEqual([]);
  return settings;
}

describe('the manifests', () => {
  test.runIf(IS_WITH_KUBECTL)('are built by kubectl to the same', () => {
    for (const [variant, resources] of built) {
      const text = execFileSync('kubectl', ['kustomize', join(KUBERNETES, variant)], { encoding: 'utf8' });
      expect(sorted(readResources(text), 'resources'), variant).toEqual(sorted(resources, 'resources'));
    }
  });

  test('are built, every one of them, and no file is left over', async () => {
    expect([...built.keys()].sort()).toEqual(['base', 'job', 'monitoring', ...WITH_POSTERN].sort());
    for (const [variant, resources] of built) expect(resources.length, variant).toBeGreaterThan(0);
    for (const variant of variants()) {
      const used = JSON.stringify(parse(await readFile(join(KUBERNETES, variant, 'kustomization.yaml'), 'utf8')));
      for (const file of await readdir(join(KUBERNETES, variant)))
        if (file !== 'kustomization.yaml') expect(used, `${variant}/${file}`).toContain(`"${file}"`);
    }
  });

  test('are what the schemas of Kubernetes allow, with no field that they do not have', () => {
    const all = [...built].flatMap(([variant, resources]) =>
      resources.map((resource) => ({ name: `${variant}: ${resource.kind} ${resource.metadata.name}`, resource })),
    );
    const known = all.filter(({ resource }) => !FOREIGN.includes(resource.apiVersion));
    expect(all.length - known.length).toBe(1);
    expect(known.length).toBeGreaterThan(25);
    expect(faultsOf(known)).toEqual([]);
  });

  test('that are misspelled would be found: a field, a value and what is missing', () => {
    const [deployment] = of('deployment').filter(({ kind }) => kind === 'Deployment');
    const changed = (from: string, to: string): { name: string; resource: Resource } => {
      const text = JSON.stringify(deployment).replace(from, to);
      expect(text).not.toBe(JSON.stringify(deployment));
      return { name: to, resource: JSON.parse(text) as Resource };
    };
    const faults = faultsOf([
      changed('"readOnlyRootFilesystem"', '"readOnlyRootFileSystem"'),
      changed('"terminationGracePeriodSeconds":330', '"terminationGracePeriodSeconds":"330s"'),
      changed('"name":"postern","image"', '"image"'),
      changed('"periodSeconds"', '"periodSecond"'),
    ]);
    expect(faults).toEqual(
      expect.arrayContaining([
        expect.stringContaining(`'"readOnlyRootFileSystem"' does not exist in type`),
        expect.stringContaining('terminationGracePeriodSeconds must be integer'),
        expect.stringContaining('must have required property name'),
        expect.stringContaining(`'"periodSecond"' does not exist in type`),
      ]),
    );
  });

  test('hold no Secret, and name only what is there or what docs/KUBERNETES.md has one make', async () => {
    const guide = await readFile('docs/KUBERNETES.md', 'utf8');
    for (const [variant, resources] of built) {
      expect(
        resources.filter(({ kind }) => kind === 'Secret'),
        variant,
      ).toEqual([]);
      const has = (kind: string, name: string): boolean =>
        resources.some((each) => each.kind === kind && each.metadata.name === name) ||
        (guide.includes(name) && ['Secret', 'ConfigMap'].includes(kind) && name !== 'postern');
      for (const { spec } of templatesIn(resources)) {
        const volumes = new Set(spec.volumes?.map(({ name }) => name));
        for (const { volumeMounts = [], name } of containersOf(spec))
          for (const mount of volumeMounts) expect(volumes, `${variant}: ${name}`).toContain(mount.name);
        for (const { configMap, secret, persistentVolumeClaim: claim } of spec.volumes ?? []) {
          if (configMap !== undefined) expect(has('ConfigMap', configMap.name), configMap.name).toBe(true);
          if (secret !== undefined) expect(has('Secret', secret.secretName), secret.secretName).toBe(true);
          if (claim !== undefined) expect(has('PersistentVolumeClaim', claim.claimName), claim.claimName).toBe(true);
        }
        if (spec.serviceAccountName !== undefined) expect(has('ServiceAccount', spec.serviceAccountName)).toBe(true);
      }
    }
  });

  test.each(['deployment', 'daemonset'])('%s: Service, policy and budget lead to its pods and ports', (variant) => {
    const { labels } = podOf(variant).metadata;
    const ports = (containerOf(variant, 'postern').ports ?? []).map(({ name }) => name);
    for (const { kind, spec } of of(variant).filter((each) => 'spec' in each)) {
      const {
        selector,
        podSelector,
        ports: served = [],
        ingress = [],
      } = spec as Record<string, never> & {
        selector?: Record<string, string> | { matchLabels: Record<string, string> };
        podSelector?: { matchLabels: Record<string, string> };
        ports?: { targetPort: string }[];
        ingress?: { ports: { port: string }[] }[];
      };
      if (kind === 'Service') for (const { targetPort } of served) expect(ports).toContain(targetPort);
      if (kind === 'NetworkPolicy') for (const { port } of ingress.flatMap((each) => each.ports)) expect(ports).toContain(port);
      const wanted = kind === 'NetworkPolicy' ? podSelector : selector;
      if (wanted === undefined) continue;
      expect(labels, kind).toMatchObject('matchLabels' in wanted ? (wanted.matchLabels as object) : wanted);
    }
  });
});

describe.each(WITH_POSTERN)('Postern in %s', (variant) => {
  test('has a configuration that it takes, and time enough to stop', async () => {
    const { spec } = podOf(variant);
    const settings = await settingsOf(variant);
    const grace = (spec.terminationGracePeriodSeconds ?? 30) * 1000;
    expect(grace).toBeGreaterThan(settings.drain.max);
    const isService = of(variant).some(({ kind }) => kind === 'Service');
    // Kubernetes tells the nodes that a pod ends while it tells the pod.
    if (isService) expect(settings.drain.min).toBeGreaterThanOrEqual(5_000);
    // Postern does not start with variables of its prefix that it does not know, and Kubernetes makes some for a Service of its name.
    expect(spec.enableServiceLinks).toBe(false);
    const names = of(variant).find(({ kind }) => kind === 'Service')?.metadata;
    if (names !== undefined) expect(settings.listen.names).toContain(`${names.name}.${names.namespace ?? ''}.svc`);
    for (const { host } of settings.listen.http) expect(host).toBe(isService ? '0.0.0.0' : '127.0.0.1');
    if (isService) expect(settings.access).toMatchObject({ local: 'lease', remote: 'lease', revocations: '/srv/postern/revoked.json' });
  });

  test('has files where its configuration says, in whole volumes, since what is mounted by subPath never changes', async () => {
    const { leaseKey, revocations } = (await settingsOf(variant)).access;
    const { tls } = (await settingsOf(variant)).listen;
    const mounts = containerOf(variant, 'postern').volumeMounts ?? [];
    const paths = [
      '/etc/postern/config.yaml',
      ...(leaseKey?.kind === 'file' ? [leaseKey.path] : []),
      ...(revocations === undefined ? [] : [revocations]),
      ...(tls.kind === 'files' ? [tls.certificate, tls.key] : []),
      '/var/lib/postern/state/leases.json',
    ];
    for (const path of paths)
      expect(
        mounts.some(({ mountPath }) => path.startsWith(`${mountPath}/`)),
        path,
      ).toBe(true);
    expect(JSON.stringify(mounts)).not.toContain('subPath');
  });

  test('may do as little as it can, and is asked by the three probes at its own port', async () => {
    const { spec } = podOf(variant);
    const container = containerOf(variant, 'postern');
    expect(container.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    const user = container.securityContext?.runAsUser ?? spec.securityContext?.runAsUser ?? 0;
    expect(user).toBeGreaterThan(0);
    expect(spec.automountServiceAccountToken).toBe(false);
    expect(container.resources?.limits).toHaveProperty('memory');
    expect(container.args).toEqual(['start']);
    const { listen } = (await settingsOf(variant)).telemetry;
    const ports = container.ports ?? [];
    expect(ports.find(({ name }) => name === 'telemetry')?.containerPort).toBe(listen[0]?.port);
    // The kubelet asks at the pod's address, not at its loopback.
    expect(listen.map(({ host }) => host)).toEqual(['0.0.0.0']);
    const { startupProbe, readinessProbe, livenessProbe } = container;
    expect([startupProbe, readinessProbe, livenessProbe].map((probe) => probe?.httpGet)).toEqual(
      ['/startup', '/readiness', '/liveness'].map((path) => ({ path, port: 'telemetry' })),
    );
  });
});

describe.each(['sidecar', 'sidecar-native', 'sidecar-lease'])('the agent beside it in %s', (variant) => {
  test('mounts nothing of Postern, gets no token of the webhook, and is another user', async () => {
    const { metadata, spec } = podOf(variant);
    const [agent, postern] = [containerOf(variant, 'agent'), containerOf(variant, 'postern')];
    const mounted = (container: Container): string[] => (container.volumeMounts ?? []).map(({ name }) => name);
    expect(mounted(agent).filter((name) => mounted(postern).includes(name))).toEqual([]);
    expect(metadata.labels).not.toHaveProperty('azure.workload.identity/use');
    expect(spec.shareProcessNamespace).toBe(false);
    const uid = agent.securityContext?.runAsUser;
    expect(uid).not.toBe(postern.securityContext?.runAsUser);
    const { access } = await settingsOf(variant);
    if (variant === 'sidecar-lease') expect(access).toMatchObject({ local: 'lease', uids: [] });
    else expect(access).toMatchObject({ local: 'uid', uids: [uid] });
    expect(postern.restartPolicy).toBe(variant === 'sidecar' ? undefined : 'Always');
    expect(spec.containers.map(({ name }) => name)).toEqual(variant === 'sidecar' ? ['agent', 'postern'] : ['agent']);
  });
});

test('the rules for the agent are those that a lease comes with', async () => {
  const file = join(KUBERNETES, 'sidecar', 'gitconfig');
  const ran = await run('git', ['config', '--file', file, '--get-regexp', '^url\\..*\\.insteadof$'], {
    env: { PATH: process.env['PATH'] ?? '' },
  });
  const rules = leaseRulesFor({
    base: 'http://127.0.0.1:8417',
    repos: [{ hostKind: 'azure-services', parts: ['dev.azure.com', 'contoso', '**'] }],
    organisations: [],
  });
  expect(ran.stdout.trim().split('\n')).toEqual(rules.map(({ base, insteadOf }) => `url.${base}.insteadof ${insteadOf}`));
});

describe.skipIf(!IS_ROOT)('a pod, with its users, rights and volumes (as root, who alone can be several users)', () => {
  let scene: Scene;
  let outer: string;
  const daemons: RunningDaemon[] = [];
  beforeAll(async () => {
    scene = await Scene.open();
    await scene.emulator.createRepository('contoso/Payments/web', { commits: 2 });
    outer = await mkdtemp(join(tmpdir(), 'postern-pods-'));
  });
  afterAll(async () => {
    for (const daemon of daemons) await daemon.kill();
    await scene.close();
    await rm(outer, { recursive: true, force: true });
  });

  /** The manifest's configuration, with Azure played by the emulator and ports that are free. */
  function forEmulator(text: string): string {
    const { emulator } = scene;
    const { tenant, federatedClient } = emulator.sts.samples;
    const changed = text
      .replace('127.0.0.1:8417', '127.0.0.1:0')
      .replace('0.0.0.0:8417', '127.0.0.1:0')
      .replace('listen: 0.0.0.0:9417', 'listen: off')
      .replace('kind: workload-identity }', `kind: workload-identity, authority: '${emulator.sts.origin}', ca: /etc/postern/emulator.pem }`)
      .replace(
        'tenant: contoso.onmicrosoft.com',
        `tenant: ${tenant}\n    authority: '${emulator.sts.origin}'\n    ca: /etc/postern/emulator.pem`,
      )
      .replace('clientId: 11111111-2222-3333-4444-555555555555', `clientId: ${federatedClient.clientId}`)
      .replace('identity: pod }', `identity: pod, upstream: '${emulator.git.origin}', ca: /etc/postern/emulator.pem }`);
    expect(changed).toContain('upstream:');
    return changed;
  }

  async function start(variant: string, secrets: Pod['secrets'], claims?: Pod['claims']): Promise<{ pod: Pod; daemon: RunningDaemon }> {
    const directory = await mkdtemp(join(outer, `${variant}-`));
    const resources = of(variant).map((resource) =>
      resource.kind === 'ConfigMap' && resource.metadata.name === 'postern'
        ? { ...resource, data: { 'config.yaml': forEmulator(configFile(of(variant), 'postern', 'config.yaml')) } }
        : resource,
    );
    const { spec } = podOf(variant);
    const token = await readFile(scene.emulator.sts.samples.federatedClient.tokenFile, 'utf8');
    const pod: Pod = {
      spec,
      resources,
      directory,
      ...(claims === undefined ? {} : { claims }),
      secrets: { 'azure-token': { 'azure-identity-token': token }, ...secrets },
    };
    await makeVolumes(pod);
    await putInto(pod, 'configuration', scene.emulator.caFile, 'emulator.pem');
    const container = containerOf(variant, 'postern');
    const { tenant, federatedClient } = scene.emulator.sts.samples;
    // What the image sets, and the webhook, where its label is.
    const env: Record<string, string> = { NODE_ENV: 'production', XDG_CONFIG_HOME: '/etc', POSTERN_DRAIN_MIN: '0s' };
    if ('azure.workload.identity/use' in podOf(variant).metadata.labels) {
      Object.assign(env, {
        AZURE_TENANT_ID: tenant,
        AZURE_CLIENT_ID: federatedClient.clientId,
        AZURE_FEDERATED_TOKEN_FILE: '/etc/postern/token',
      });
      await writeFile(join(directory, 'configuration', 'token'), token);
    }
    const [program = '', ...words] = [...(await enter(pod, container, env)), ...ENTRYPOINT, ...(container.args ?? [])];
    const daemon = new RunningDaemon(spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] }), {}, scene);
    daemons.push(daemon);
    await daemon.ready();
    return { pod, daemon };
  }

  /** `kubectl exec POD -c NAME -- ...` */
  async function exec(variant: string, pod: Pod, name: string, words: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
    const [program = '', ...rest] = [...(await enter(pod, containerOf(variant, name), env)), ...words];
    return run(program, rest, { env: { PATH: process.env['PATH'] ?? '' } });
  }

  async function withRules(pod: Pod, daemon: RunningDaemon): Promise<void> {
    const rules = (await readFile(join(pod.directory, 'git-rules', 'gitconfig'), 'utf8')).replaceAll('http://127.0.0.1:8417', daemon.base);
    await writeFile(join(pod.directory, 'git-rules', 'gitconfig'), rules);
  }

  const WEB = 'https://dev.azure.com/contoso/Payments/_git/web';

  test.each(['sidecar', 'sidecar-native'])(
    '%s: the agent is told by its uid, has its repository, and nothing that is secret',
    async (variant) => {
      const { pod, daemon } = await start(variant, {});
      await withRules(pod, daemon);
      expect(await exec(variant, pod, 'agent', ['git', 'ls-remote', WEB])).toMatchObject({ code: 0 });
      expect(await exec(variant, pod, 'agent', ['git', 'ls-remote', 'git@ssh.dev.azure.com:v3/contoso/Payments/web'])).toMatchObject({
        code: 0,
      });
      // Another user of the pod, as an image that does not keep to runAsUser would be.
      const stranger = { ...pod, spec: { ...pod.spec, securityContext: { ...pod.spec.securityContext, fsGroup: 4242 } } };
      const other = { ...containerOf(variant, 'agent'), securityContext: { runAsUser: 4242 } };
      const [program, ...rest] = [...(await enter(stranger, other)), 'git', 'ls-remote', WEB];
      const refused = await run(program, rest, { env: { PATH: process.env['PATH'] ?? '' } });
      expect(refused.stderr).toContain('This door does not serve the local user with uid 4242');
      const seen = await exec(variant, pod, 'agent', ['sh', '-c', 'env; ls -R /etc /var 2>&1; cat /var/run/secrets/azure/tokens/* 2>&1']);
      expect(seen.stdout).not.toContain('eyJ');
      expect(seen.stdout).toContain('No such file');
      // The root of Postern's container cannot be written, and the state can.
      const written = await exec(variant, pod, 'postern', [
        'sh',
        '-c',
        'touch /x /etc/x /tmp/x /etc/postern/x 2>&1; touch /var/lib/postern/x && id -u',
      ]);
      expect(written.stdout.match(/Read-only file system|No such file/g)).toHaveLength(4);
      expect(written.stdout.trim().endsWith('65532')).toBe(true);
      expect(await daemon.stop()).toBe(0);
    },
  );

  test('sidecar-lease: nothing without a lease; the lease comes in a Secret and is changed without a new container', async () => {
    const { pod, daemon } = await start('sidecar-lease', { 'postern-lease-keys': { keys: KEYS } });
    const words = [
      'lease',
      'create',
      '--repo',
      'contoso/**',
      '--allow',
      'fetch',
      '--for',
      '1h',
      '--format',
      'gitconfig',
      '--door',
      daemon.base,
    ];
    const made = await exec('sidecar-lease', pod, 'postern', [...ENTRYPOINT, ...words], { XDG_CONFIG_HOME: '/etc' });
    expect(made, made.stderr).toMatchObject({ code: 0 });
    const rules = made.stdout.replace(/extraHeader = X-Postern-Lease: .*/, 'extraHeader = X-Other: none');
    const secret = join(pod.directory, 'lease', 'gitconfig');
    await writeFile(secret, rules, { mode: 0o444 });
    const before = await exec('sidecar-lease', pod, 'agent', ['git', 'ls-remote', WEB]);
    expect(before.code).toBe(128);
    await writeFile(secret, made.stdout);
    expect(await exec('sidecar-lease', pod, 'agent', ['git', 'ls-remote', WEB])).toMatchObject({ code: 0 });
    expect(await daemon.stop()).toBe(0);
  });

  test('deployment: two replicas with one Secret and one volume take and refuse the same leases, over TLS', async () => {
    const certificates = join(outer, 'certificates');
    await mkdir(certificates);
    const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=postern'];
    const place = ['-addext', 'subjectAltName=DNS:postern.build.svc,IP:127.0.0.1', '-keyout', 'tls.key', '-out', 'tls.crt'];
    expect(await run('openssl', [...make, ...place], { cwd: certificates, env: { PATH: process.env['PATH'] ?? '' } })).toMatchObject({
      code: 0,
    });
    const [key, crt] = await Promise.all(['tls.key', 'tls.crt'].map((name) => readFile(join(certificates, name), 'utf8')));
    const secrets = { 'postern-lease-keys': { keys: KEYS }, 'postern-tls': { 'tls.key': key ?? '', 'tls.crt': crt ?? '' } };
    const a = await start('deployment', secrets);
    const b = await start('deployment', secrets, { 'postern-shared': join(a.pod.directory, 'shared') });
    expect(a.daemon.base).toMatch(/^https:/);
    const create = ['lease', 'create', '--repo', 'contoso/**', '--allow', 'fetch', '--for', '2d'];
    const made = await exec('deployment', a.pod, 'postern', [...ENTRYPOINT, ...create], { XDG_CONFIG_HOME: '/etc' });
    expect(made, made.stderr).toMatchObject({ code: 0 });
    expect(made.stderr).not.toContain('1 h');
    const git = ({ daemon: { base } }: typeof a): Promise<Ran> =>
      scene.git(['ls-remote', `${base}/dev.azure.com/contoso/Payments/_git/web`], {
        env: {
          GIT_SSL_CAINFO: join(certificates, 'tls.crt'),
          GIT_CONFIG_COUNT: '1',
          GIT_CONFIG_KEY_0: `http.${base}/.extraHeader`,
          GIT_CONFIG_VALUE_0: `X-Postern-Lease: ${made.stdout.trim()}`,
        },
      });
    for (const each of [a, b]) expect(await git(each)).toMatchObject({ code: 0 });
    const id = /^Lease ([0-9a-f]{16})/m.exec(made.stderr)?.[1] ?? '';
    const list = JSON.parse(await readFile(join(a.pod.directory, 'shared', 'revoked.json'), 'utf8')) as unknown;
    expect(list).toEqual({ version: 1, revoked: [] });
    const revoked = await exec('deployment', b.pod, 'postern', [...ENTRYPOINT, 'lease', 'revoke', id], { XDG_CONFIG_HOME: '/etc' });
    expect(revoked, revoked.stderr).toMatchObject({ code: 0 });
    for (const each of [a, b]) expect((await git(each)).stderr).toContain(`The lease ${id} was revoked`);
    for (const each of [a, b]) expect(await each.daemon.stop()).toBe(0);
  });
});
