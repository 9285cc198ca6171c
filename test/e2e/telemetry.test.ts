/** Measurements, probes, traces and log lines of the real program, made by real git at the emulator. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closedPort } from '../support/closed-port.js';
import { type Exposed, readExposition, valueOf } from '../support/exposition.js';
import { succeed } from '../support/failure-stage.js';
import { ask } from '../support/plain-request.js';
import { type LogLine, type RunningDaemon, Scene } from '../support/scene.js';

type Families = ReadonlyMap<string, Exposed>;

let scene: Scene;
let daemon: RunningDaemon;

const WEB = 'dev.azure.com/contoso/Payments/_git/web';
const TELEMETRY = 'telemetry: { listen: 127.0.0.1:0 }\n';
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`;

beforeAll(async () => {
  scene = await Scene.open();
  const { emulator, servicePrincipal } = scene;
  for (const name of ['contoso/Payments/web', 'contoso/Payments/kept', 'slow/Payments/web', 'late/Payments/web'])
    await emulator.createRepository(name);
  const route = (match: string, more: string): string =>
    `  - { match: ${match}, upstream: '${emulator.git.origin}', ca: ${emulator.caFile}, ${more} }\n`;
  daemon = await scene.daemon(
    scene.plainConfiguration
      .replace('listen: { http: 127.0.0.1:0 }', 'listen: { http: 127.0.0.1:0, ssh: 127.0.0.1:0 }')
      .replace('identities:\n', `identities:\n  late: ${servicePrincipal}\n`)
      .replace(
        'routes:\n',
        `routes:\n${route('dev.azure.com/late/**', 'identity: late')}${route('dev.azure.com/contoso/Payments/kept', 'identity: sp, refs: { protect: [refs/heads/main] }')}`,
      )
      .replace('format: json }', 'format: json, operations: info }')
      .replace('level: debug', 'level: info') + TELEMETRY,
  );
});
afterAll(() => scene.close());

async function metrics(of: RunningDaemon = daemon): Promise<Families> {
  const { status, body } = await ask(`${of.telemetry}/metrics`);
  expect(status).toBe(200);
  return readExposition(body.toString());
}

/** What `run` adds to a value. */
async function added(run: () => Promise<unknown>): Promise<(name: string, labels?: Readonly<Record<string, string>>) => number> {
  const before = await metrics();
  await run();
  const after = await metrics();
  return (name, labels) => valueOf(after, name, labels) - valueOf(before, name, labels);
}

const phase = (name: string): Readonly<Record<string, string>> => ({
  door: 'http',
  operation: 'fetch',
  step: 'advertisement',
  phase: name,
});
const SUM = 'postern_operation_phase_seconds_sum';

describe('/metrics', () => {
  test('counts what git did, and how many bytes that was', async () => {
    const clone = join(scene.directory, 'clone');
    const more = await added(async () => {
      await succeed(scene.git(['clone', '-q', daemon.url(WEB), clone]));
      await succeed(scene.git(['commit', '-q', '--allow-empty', '-m', 'new'], { cwd: clone }));
      await succeed(scene.git(['push', '-q'], { cwd: clone }));
    });
    const passed = { door: 'http', verdict: 'passed', identity: 'sp' };
    expect(more('postern_operations_total', { ...passed, operation: 'fetch', step: 'advertisement' })).toBe(1);
    expect(more('postern_operations_total', { ...passed, operation: 'fetch', step: 'exchange' })).toBe(2);
    expect(more('postern_operations_total', { ...passed, operation: 'push', step: 'exchange' })).toBe(1);
    expect(more('postern_operation_duration_seconds_count', { door: 'http', operation: 'push', step: 'exchange' })).toBe(1);
    const finished = (kind: string): LogLine[] =>
      daemon.log.filter(({ event, operation }) => event === 'request-finished' && operation === kind);
    await expect.poll(() => finished('push').length).toBe(2);
    const logged = finished('fetch');
    const sum = (field: string): number => logged.reduce((all, line) => all + Number(line[field]), 0);
    expect(more('postern_operation_bytes_total', { door: 'http', operation: 'fetch', direction: 'down' })).toBe(sum('bytesDown'));
    expect(more('postern_operation_bytes_total', { door: 'http', operation: 'fetch', direction: 'up' })).toBe(sum('bytesUp'));
    expect(sum('bytesDown')).toBeGreaterThan(500);
    expect(more('postern_token_fetches_total', { identity: 'sp', result: 'success' })).toBe(1);
    const now = await metrics();
    const lifeSeconds =
      valueOf(now, 'postern_token_expiry_timestamp_seconds', { identity: 'sp' }) -
      valueOf(now, 'postern_token_obtained_timestamp_seconds', { identity: 'sp' });
    expect(Math.round(lifeSeconds / 60)).toBe(60);
    expect(valueOf(now, 'postern_upstream_connections', { identity: 'sp', state: 'idle' })).toBeGreaterThan(0);
  });

  test('adds the phases of operations up to the whole of their time', async () => {
    const more = await added(() => succeed(scene.git(['ls-remote', daemon.url(WEB)])));
    const phases = ['own', 'caller', 'token', 'throttle', 'connect', 'upstream', 'transfer'].map((name) => more(SUM, phase(name)));
    const whole = more('postern_operation_duration_seconds_sum', { door: 'http', operation: 'fetch', step: 'advertisement' });
    expect(whole).toBeGreaterThan(0);
    expect(phases.reduce((all, each) => all + each, 0)).toBeCloseTo(whole, 6);
  });

  test('shows a slow upstream as the upstream’s time, and the pause that it asked for as such, and neither as ours', async () => {
    scene.emulator.git.faults.set('slow/Payments/web', { kind: 'soft-throttle', delayMs: 2000, times: 1 });
    const url = daemon.url('dev.azure.com/slow/Payments/_git/web');
    // The list of refs comes late and with a wish; what git asks for next has to wait for that.
    const more = await added(() => succeed(scene.git(['ls-remote', url])));
    const next = (name: string): number => more(SUM, { ...phase(name), step: 'exchange' });
    expect(more(SUM, phase('upstream'))).toBeGreaterThan(1.9);
    expect(more(SUM, phase('throttle'))).toBe(0);
    expect(next('throttle')).toBeGreaterThan(0.5);
    expect(next('upstream')).toBeLessThan(1);
    expect(more(SUM, phase('own')) + next('own')).toBeLessThan(1);
    expect(more('postern_log_events_total', { level: 'info', event: 'throttle-waiting' })).toBe(1);
  });

  test('shows a slow sign-in service as waiting for the token', async () => {
    scene.emulator.sts.delayMs = 1500;
    const more = await added(() => succeed(scene.git(['ls-remote', daemon.url('dev.azure.com/late/Payments/_git/web')])));
    scene.emulator.sts.delayMs = 0;
    expect(more(SUM, phase('token'))).toBeGreaterThan(1.4);
    expect(more(SUM, phase('upstream'))).toBeLessThan(1);
    expect(more(SUM, phase('own'))).toBeLessThan(1);
    expect(more('postern_token_requests_total', { identity: 'late' })).toBe(1);
  });

  test('counts what was refused under its code', async () => {
    const clone = join(scene.directory, 'kept');
    await succeed(scene.git(['clone', '-q', daemon.url('dev.azure.com/contoso/Payments/_git/kept'), clone]));
    await succeed(scene.git(['commit', '-q', '--allow-empty', '-m', 'new'], { cwd: clone }));
    const more = await added(async () => {
      const pushed = await scene.git(['push', '-q', '--force', 'origin', 'HEAD~1:refs/heads/x', ':refs/heads/main'], { cwd: clone });
      expect(pushed.code).toBe(1);
      await scene.git(['ls-remote', daemon.url('github.com/nobody/nothing')]);
    });
    const refused = { door: 'http', verdict: 'refused' };
    expect(more('postern_operation_errors_total', { ...refused, operation: 'push', code: 'ref-refused' })).toBe(1);
    expect(more('postern_operation_errors_total', { ...refused, operation: 'fetch', code: 'no-route' })).toBe(1);
  });

  test('counts the SSH door apart, with the requests of a session in one', async () => {
    const env = await scene.sshEnvironment();
    const url = daemon.sshUrl('ssh.dev.azure.com/v3/contoso/Payments/web');
    const more = await added(() => succeed(scene.git(['clone', '-q', url, join(scene.directory, 'by-ssh')], { env })));
    const session = { door: 'ssh', operation: 'fetch', step: 'session' };
    expect(more('postern_operations_total', { ...session, verdict: 'passed', identity: 'sp' })).toBe(1);
    for (const name of ['own', 'token', 'connect', 'upstream', 'transfer'])
      expect(more('postern_operation_phase_seconds_count', { ...session, phase: name }), name).toBe(1);
    expect(more('postern_operation_bytes_total', { door: 'ssh', operation: 'fetch', direction: 'down' })).toBeGreaterThan(500);
  });

  test('tells of no repository, no caller, no secret, and is what is served to curl', async () => {
    const { body } = await ask(`${daemon.telemetry}/metrics`);
    const text = body.toString();
    expect(text).toContain('# TYPE postern_operations_total counter\n');
    expect(text).toContain('\npostern_ready 1\n');
    for (const word of ['contoso', 'Payments', 'web', 'nothing', 'refs/', '127.0.0.1', scene.emulator.sts.samples.secretClient.secret])
      expect(text).not.toContain(word);
  });
});

describe('traces', () => {
  const seen = (): (Readonly<Record<string, unknown>> | undefined)[] => scene.emulator.git.seen.map(({ headers }) => ({ ...headers }));
  const lines = (id: string): LogLine[] => daemon.log.filter(({ trace }) => trace === id);

  test('of real git go upstream as they came, and stand in the log and in the audit', async () => {
    scene.emulator.git.seen.length = 0;
    const headers = [`traceparent: ${TRACEPARENT}`, 'tracestate: rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'];
    const config = headers.flatMap((header) => ['-c', `http.extraHeader=${header}`]);
    await succeed(scene.git([...config, 'clone', '-q', daemon.url(WEB), join(scene.directory, 'traced')]));
    const up = seen().map((each) => [each?.['traceparent'], each?.['tracestate']]);
    expect(up).toEqual(Array.from({ length: 3 }, () => [TRACEPARENT, 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE']));
    await expect.poll(() => lines(TRACE).length).toBe(3);
    expect(lines(TRACE).map(({ event, step, level }) => [event, step, level])).toEqual([
      ['request-finished', 'advertisement', 'info'],
      ['request-finished', 'exchange', 'info'],
      ['request-finished', 'exchange', 'info'],
    ]);
    const audit = await daemon.postern(['audit', '--json']);
    const records = audit.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { trace?: string });
    expect(records.filter(({ trace }) => trace === TRACE)).toHaveLength(3);
  });

  test('that keep to no form go nowhere, and what is refused is logged with its trace', async () => {
    scene.emulator.git.seen.length = 0;
    const wrong = TRACEPARENT.toUpperCase();
    await succeed(
      scene.git(['-c', `http.extraHeader=traceparent: ${wrong}`, '-c', 'http.extraHeader=tracestate: a=1', 'ls-remote', daemon.url(WEB)]),
    );
    expect(seen()).toHaveLength(2);
    for (const name of ['traceparent', 'tracestate']) for (const each of seen()) expect(each).not.toHaveProperty(name);
    const other = '4bf92f3577b34da6a3ce929d0e0e4736';
    await scene.git(['-c', `http.extraHeader=traceparent: 00-${other}-b7ad6b7169203331-00`, 'ls-remote', daemon.url('github.com/a/b')]);
    await expect.poll(() => lines(other).length).toBe(1);
    expect(lines(other)).toMatchObject([{ event: 'request-refused', level: 'warn', code: 'no-route' }]);
  });

  test('come over SSH as variables', async () => {
    scene.emulator.git.seen.length = 0;
    const id = 'a3ce929d0e0e47364bf92f3577b34da6';
    const env = {
      ...(await scene.sshEnvironment({ settings: ['SendEnv TRACEPARENT TRACESTATE'] })),
      TRACEPARENT: `00-${id}-b7ad6b7169203331-01`,
      TRACESTATE: 'a=1',
    };
    await succeed(scene.git(['ls-remote', daemon.sshUrl('ssh.dev.azure.com/v3/contoso/Payments/web')], { env }));
    expect(seen().length).toBeGreaterThan(0);
    for (const each of seen()) expect(each).toMatchObject({ traceparent: env.TRACEPARENT, tracestate: 'a=1' });
    await expect.poll(() => lines(id).length).toBe(1);
    expect(lines(id)).toMatchObject([{ event: 'request-finished', door: 'ssh', step: 'session' }]);
  });
});

describe('log.operations: info', () => {
  test('has one line for each operation, with where its time went', async () => {
    const before = daemon.log.length;
    await succeed(scene.git(['ls-remote', daemon.url(WEB)]));
    // What it prints comes by a pipe of its own.
    await expect.poll(() => daemon.log.length).toBe(before + 2);
    const lines = daemon.log.slice(before);
    expect(lines.map(({ level, event, step }) => [level, event, step])).toEqual([
      ['info', 'request-finished', 'advertisement'],
      ['info', 'request-finished', 'exchange'],
    ]);
    for (const line of lines) {
      for (const field of ['ms', 'ownMs', 'upstreamMs', 'bytesDown']) expect(Number(line[field]), field).toBeGreaterThan(0);
      // The whole is told in whole ms.
      expect(Number(line['ownMs']) + Number(line['upstreamMs'])).toBeLessThan(Number(line['ms']) + 2);
    }
  });

  test('is not how it is by default', async () => {
    const quiet = await scene.daemon(scene.plainConfiguration.replace('level: debug', 'level: info'));
    await succeed(scene.git(['ls-remote', quiet.url(WEB)]));
    await succeed(scene.git(['ls-remote', quiet.url(WEB)]));
    expect(quiet.log.filter(({ event }) => event === 'request-finished')).toEqual([]);
    await quiet.stop();
  });
});

describe('probes', () => {
  const told = async (of: RunningDaemon, path: string): Promise<string> => {
    const { status, body } = await ask(of.telemetry + path);
    return `${status} ${body.toString()}`;
  };

  test('can be asked before any door is open, and are logged and shown where they are', async () => {
    const opened = daemon.log.filter(({ event }) => event === 'listening').map(({ door }) => door);
    expect(opened).toEqual(['telemetry', 'http', 'ssh']);
    expect((await daemon.status()).listen.telemetry).toEqual([daemon.telemetry]);
    expect((await daemon.postern(['status'])).stdout).toContain(`  telemetry      ${daemon.telemetry}\n`);
    expect(await told(daemon, '/startup')).toBe('200 started\n');
    expect(await told(daemon, '/readiness')).toBe('200 ready\n');
  });

  test('a daemon that drains is not ready from the first moment on, and alive to the last', async () => {
    const draining = await scene.daemon(`${scene.plainConfiguration}${TELEMETRY}drain: { max: 60s }\n`);
    scene.emulator.git.faults.set('contoso/Payments/web', { kind: 'stall-before-answer' });
    const running = scene.git(['ls-remote', draining.url(WEB)]);
    await expect.poll(async () => valueOf(await metrics(draining), 'postern_operations_running', { operation: 'fetch' })).toBe(1);
    const ended = draining.stop();
    await draining.logged(({ event }) => event === 'stopping');
    expect(await told(draining, '/readiness')).toBe('503 not ready: stopping, running operations may finish\n');
    expect(await told(draining, '/liveness')).toBe('200 alive\n');
    expect(await told(draining, '/startup')).toBe('200 started\n');
    expect(valueOf(await metrics(draining), 'postern_ready')).toBe(0);
    // A second signal ends what is left.
    void draining.stop();
    expect(await ended).toBe(143);
    expect((await running).code).toBe(128);
    scene.emulator.git.faults.clear();
    await expect(ask(`${draining.telemetry}/liveness`)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('do not ask the upstream, whose trouble is not theirs', async () => {
    scene.emulator.git.faults.set('*', { kind: 'unavailable-503' });
    scene.emulator.git.seen.length = 0;
    expect((await scene.git(['ls-remote', daemon.url(WEB)])).code).toBe(128);
    const asked = scene.emulator.git.seen.length;
    expect(await told(daemon, '/readiness')).toBe('200 ready\n');
    expect(await told(daemon, '/liveness')).toBe('200 alive\n');
    expect(scene.emulator.git.seen.length).toBe(asked);
    scene.emulator.git.faults.clear();
  });

  test('a port in use ends the start with the key to change', async () => {
    const { port } = new URL(daemon.telemetry);
    const starting = scene.daemon(scene.plainConfiguration + TELEMETRY.replace(':0', `:${port}`));
    await expect(starting).rejects.toThrow(
      `The telemetry listener cannot listen on 127.0.0.1:${port} (in use by node (pid ${daemon.pid}))`,
    );
    await expect(starting).rejects.toThrow('or set `telemetry.listen` to another one');
  });

  test('`postern exec` leaves the address to the service', async () => {
    const { port } = new URL(daemon.telemetry);
    const file = await scene.writeConfiguration(scene.plainConfiguration + TELEMETRY.replace(':0', `:${port}`));
    const ran = await scene.postern(['exec', '--config', file, '--', 'git', 'ls-remote', `https://${WEB}`], {
      env: { SP_SECRET: scene.emulator.sts.samples.secretClient.secret },
    });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain('refs/heads/main');
  });
});

describe('a reload', () => {
  test('turns telemetry on and off, and is counted; one that fails leaves it where it is', async () => {
    const plain = scene.plainConfiguration.replace('level: debug', 'level: info');
    const changing = await scene.daemon(plain);
    const file = String((await changing.status()).configuration);
    const reload = async (text: string): Promise<number> => {
      await writeFile(file, text);
      return (await changing.postern(['reload'])).code;
    };
    expect((await changing.status()).listen.telemetry).toEqual([]);
    expect(
      await reload(plain.replace('format: json', 'format: json, operations: info') + TELEMETRY.replace(':0', `:${await closedPort()}`)),
    ).toBe(0);
    const before = changing.telemetry;
    await succeed(scene.git(['ls-remote', changing.url(WEB)]));
    await expect.poll(() => changing.log.filter(({ event }) => event === 'request-finished').length).toBe(2);
    const counted = await metrics(changing);
    expect(valueOf(counted, 'postern_operations_started_total', { door: 'http' })).toBe(2);
    // The file is watched too, so each change may be read twice.
    expect(valueOf(counted, 'postern_configuration_reloads_total', { result: 'success' })).toBeGreaterThanOrEqual(1);

    const busy = new URL(daemon.telemetry).port;
    expect(await reload(plain + TELEMETRY.replace(':0', `:${busy}`))).not.toBe(0);
    const failed = await metrics(changing);
    expect(valueOf(failed, 'postern_configuration_last_reload_successful')).toBe(0);
    expect(valueOf(failed, 'postern_configuration_reloads_total', { result: 'failure' })).toBeGreaterThanOrEqual(1);
    expect(valueOf(failed, 'postern_operations_started_total', { door: 'http' })).toBe(2);
    expect((await changing.status()).listen.telemetry).toEqual([before]);

    expect(await reload(plain)).toBe(0);
    await expect.poll(() => ask(`${before}/liveness`).catch((fault: unknown) => (fault as { code?: string }).code)).toBe('ECONNREFUSED');
    await changing.stop();
  });
});

test('the memory of the numbers is that of the process', async () => {
  const resident = valueOf(await metrics(), 'process_resident_memory_bytes');
  const status = await readFile(`/proc/${daemon.pid}/status`, 'utf8');
  const kilobytes = Number(/^VmRSS:\s+([0-9]+) kB/m.exec(status)?.[1]);
  expect(Math.abs(resident / 1024 - kilobytes) / kilobytes).toBeLessThan(0.3);
});
