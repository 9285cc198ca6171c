/**
 * The shape of a configuration file: every key, its meaning, unit and default. What a single value may be is said by a parser
 * of its own; what concerns several values is in route-faults.ts.
 */
import { HOST_KINDS } from '../model/address.js';
import { LOG_LEVELS } from '../model/ports.js';
import { PERMISSIONS } from '../model/operation.js';
import { MOST_REF_GLOBS, parseRefGlob, REF_CHANGES } from '../model/refs.js';
import { accessSchema } from './access-settings.js';
import { auditSchema } from './audit-settings.js';
import { faultOf, type ShapeFault, typeName } from './fault.js';
import { identitySchema, pathKey } from './identity-schema.js';
import { lfsSchema } from './lfs-settings.js';
import { listenFaults } from './listen-address.js';
import { NAMES_SCHEMA } from './listen-names.js';
import { TLS_SCHEMA } from './listen-tls.js';
import { NOT_YET } from './not-yet.js';
import { parseProxy, parseUpstream } from './outside-url.js';
import { LOG_FORMATS, OPERATION_LEVELS, SCALARS } from './scalar-settings.js';
import type { ScalarPath } from './scalar-settings.js';
import { knownHostsFaults, parseFingerprint, parseSshUpstream, ROUTE_SSH_SCHEMA, routeSshFaults, sshListenFaults } from './ssh-settings.js';
import { checked, jsonSchemaOf, list, named, section, shapeFaults, text, word } from './schema-parts.js';

/** What a route allows when it does not say. */
export const DEFAULT_ALLOW = ['fetch', 'push', 'lfs'] as const;

const refsSchema = section('a map such as `{ protect: [refs/heads/main] }`', {
  allow: globs('Refs that may be touched, compared exactly. Default: every ref.', 'refs/heads/agent/*'),
  protect: globs('Refs that may not be touched, compared without case; wins over `allow`. Default: none.', 'refs/heads/main'),
  changes: list(
    'a list such as `[create, update]`',
    word(REF_CHANGES, 'update includes a rewrite (a forced push); tag is needed besides for whatever is done under refs/tags/.'),
  )
    .meta({ description: 'What may be done to refs. Default: all of it.', examples: [['create', 'update']] })
    .optional(),
});

const routeSchema = section(
  'a map such as `{ match: dev.azure.com/**, identity: azure-cli }`',
  {
    match: text({
      is: 'host/part/part, such as `dev.azure.com/contoso/**`',
      about:
        'Repositories the route is for: host/organisation/project/repository. Parts are compared whole, and without case but for ' +
        'hosts of kind `generic` other than github.com, gitlab.com and bitbucket.org; `*` is one part, `**` at the end any rest. The first route that matches wins.',
      examples: ['dev.azure.com/contoso/**'],
    }),
    identity: text({ is: 'the name of an identity', about: 'Name of the identity whose credential is added.', examples: ['me'] }),
    allow: list(
      'a list such as `[fetch, push, lfs]`',
      word(PERMISSIONS, 'fetch and push: the directions of git; lfs: LFS in those directions; api: the REST API.'),
    )
      .meta({ description: 'What may be done through the route.', default: [...DEFAULT_ALLOW] })
      .optional(),
    refs: refsSchema
      .meta({ description: 'What pushes through the route may touch; one refused ref refuses the push. Default: everything.' })
      .optional(),
    upstream: text({
      is: 'an https URL',
      about: 'Where requests go instead of the host in `match`: an https URL, may have a path; http to this machine only.',
      parse: parseUpstream,
      examples: ['https://tfs.example.com:8443'],
    }).optional(),
    host: word(
      HOST_KINDS,
      'Grammar of the host. Default: azure-services for dev.azure.com, ssh.dev.azure.com and *.visualstudio.com; generic for github.com, ' +
        'gitlab.com and bitbucket.org; azure-server otherwise.',
    ).optional(),
    ca: pathKey("PEM file of certificates trusted for the upstream besides the system's.", '/etc/ssl/corp.pem').optional(),
    proxy: text({
      is: 'an http URL, or `none`',
      about: 'Outgoing proxy, http(s)://host:port without password, or `none`. Wins over HTTPS_PROXY and NO_PROXY.',
      parse: parseProxy,
      examples: ['http://proxy.example.com:3128'],
    }).optional(),
    ssh: checked((raw) => (raw === undefined ? [] : routeSshFaults(raw)), ROUTE_SSH_SCHEMA).optional(),
    key: text({
      is: 'a fingerprint such as `SHA256:...`',
      about:
        'For `ssh: agent`: the one key that is offered, by its fingerprint as `ssh-add -l` shows it. Default: the only key that the agent holds.',
      parse: parseFingerprint,
      examples: ['SHA256:jHyuPbTqMkDEmkpaWaGT3CDtaRmMDR0QRBPUzaN7pGA'],
    }).optional(),
    knownHosts: checked((raw) => (raw === undefined ? [] : knownHostsFaults(raw)), {
      description: "For `ssh: agent`: known_hosts files, instead of the user's and the system's.",
      examples: ['~/.ssh/known_hosts.work'],
      anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }],
    }).optional(),
    sshUpstream: text({
      is: '`ssh://user@host:port`',
      about: 'For `ssh: agent`: where to connect instead of the host that the client names. Default user: git.',
      parse: parseSshUpstream,
      examples: ['ssh://git@tfs.example.com:2222'],
    }).optional(),
  },
  NOT_YET.route,
);

const addresses = { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }] };

const listenHttp = checked((raw) => (raw === undefined ? [] : listenFaults(raw)), {
  description:
    'Addresses of the HTTP door, each with port; port 0 lets the system choose. `localhost` is 127.0.0.1, and ::1 where the system has it. ' +
    'On any but loopback a lease is needed (`access.remote`).',
  default: SCALARS['listen.http'].fallback,
  anyOf: [
    ...addresses.anyOf,
    {
      type: 'object',
      properties: {
        address: { description: 'The same addresses, where other keys stand beside them.', ...addresses },
        names: NAMES_SCHEMA,
        tls: TLS_SCHEMA,
      },
      minProperties: 1,
      additionalProperties: false,
    },
  ],
});

const listenSsh = checked((raw) => (raw === undefined ? [] : sshListenFaults(raw)), {
  description:
    'Addresses of the SSH door, each with port, or `off`. On any but loopback a lease or a key of `access.keys` is needed (`access.remote`).',
  default: SCALARS['listen.ssh'].fallback,
  ...addresses,
});

const fileSchema = section(
  'a map of keys such as `routes:`',
  {
    listen: section('a map such as `{ http: 127.0.0.1:8417 }`', { http: listenHttp.optional(), ssh: listenSsh.optional() }, NOT_YET.listen)
      .meta({ description: 'Where callers are heard.' })
      .optional(),
    identities: named('a map of names and identities', identitySchema)
      .meta({ description: 'Credentials by name. `azure-cli` is always there: whoever is signed in to the Azure CLI.' })
      .optional(),
    routes: list('a list of routes, each beginning with `- match:`', routeSchema)
      .meta({ description: 'Which repository gets which identity; the first match wins. Default: dev.azure.com/** with azure-cli.' })
      .optional(),
    access: accessSchema,
    audit: auditSchema.optional(),
    drain: section('a map such as `{ max: 30s }`', {
      min: scalar('drain.min', 'How long new operations are still taken after a stop was asked for.'),
      max: scalar('drain.max', 'How long running transfers may still take after a stop was asked for; then they are cut.'),
    })
      .meta({ description: 'How the daemon stops. Durations: 500ms, 90s, 15m, 2h, 1d.' })
      .optional(),
    log: section('a map such as `{ level: info }`', {
      level: word(LOG_LEVELS, 'The least grave lines that are logged.', SCALARS['log.level'].fallback).optional(),
      format: word(LOG_FORMATS, 'human, json, or auto: human on a terminal, json otherwise.', SCALARS['log.format'].fallback).optional(),
      operations: word(
        OPERATION_LEVELS,
        'The level of the one line for each operation that went well; what went wrong is a warning.',
        SCALARS['log.operations'].fallback,
      ).optional(),
    })
      .meta({ description: 'The log.' })
      .optional(),
    lfs: lfsSchema,
    limits: section('a map such as `{ connections: 2048 }`', {
      connections: count('limits.connections', 'Connections that may be open at each door.'),
      operations: count(
        'limits.operations',
        'Operations that may run at once, on all doors together; the next ones are told to try again.',
      ),
    })
      .meta({ description: 'How much at once.' })
      .optional(),
    telemetry: section('a map such as `{ listen: 127.0.0.1:9417 }`', {
      listen: checked((raw) => (raw === undefined ? [] : telemetryFaults(raw)), {
        description:
          'Addresses for /metrics, /startup, /readiness and /liveness; `on` is 127.0.0.1:9417. They tell names of repositories to nobody.',
        default: SCALARS['telemetry.listen'].fallback,
        ...addresses,
      }).optional(),
    })
      .meta({ description: 'Measurements and probes.' })
      .optional(),
    timeouts: section('a map such as `{ stall: 15m }`', {
      connect: scalar('timeouts.connect', 'Limit for opening a connection upstream, tunnel and TLS included.'),
      stall: scalar('timeouts.stall', 'How long a transfer may pass no byte in either direction before it counts as dead.'),
      token: scalar('timeouts.token', 'Limit for one token request.'),
    })
      .meta({ description: 'Time limits. Durations: 500ms, 90s, 15m, 2h, 1d.' })
      .optional(),
  },
  NOT_YET.top,
).meta({ title: 'Postern configuration' });

/** All that is wrong with the shape of a configuration's root value. */
export function fileFaults(raw: unknown): ShapeFault[] {
  return shapeFaults(fileSchema, raw);
}

/** JSON Schema (draft-07) of the configuration file, for editors; `config/postern.schema.json` is this. */
export function settingsJsonSchema(): Record<string, unknown> {
  return jsonSchemaOf(fileSchema);
}

/** Globs of refs, of which there are only so many. */
function globs(about: string, example: string) {
  const is = `a list such as \`[${example}]\``;
  return list(
    is,
    text({ is: `a ref such as \`${example}\``, about: '`*` is any run without a slash, `**` any run.', parse: parseRefGlob }),
    MOST_REF_GLOBS,
  )
    .meta({ description: about, examples: [[example]] })
    .optional();
}

/** A number, with limits and default of the table. */
function count(path: 'limits.connections' | 'limits.operations', about: string) {
  const { is, parse, fallback } = SCALARS[path];
  const wrong = (raw: unknown): ShapeFault[] => {
    const fault = typeof raw === 'number' ? faultOf(parse, String(raw)) : `is ${typeName(raw)}; write ${is}`;
    return raw === undefined || fault === undefined ? [] : [{ path: [], on: 'value', text: fault }];
  };
  return checked(wrong, { description: about, type: 'integer', minimum: 1, maximum: 1_000_000, default: Number(fallback) }).optional();
}

/** What is wrong with the value of `telemetry.listen`. */
function telemetryFaults(raw: unknown): ShapeFault[] {
  const { is, parse } = SCALARS['telemetry.listen'];
  const pieces = Array.isArray(raw) ? (raw as unknown[]) : [raw];
  if (pieces.length === 0 || pieces.some((piece) => typeof piece !== 'string'))
    return [{ path: [], on: 'value', text: `is not ${is}; write one of them` }];
  const fault = faultOf(parse, pieces.join(','));
  return fault === undefined ? [] : [{ path: [], on: 'value', text: fault }];
}

/** A duration, with grammar and default of the table. */
function scalar(path: ScalarPath, about: string) {
  const { is, parse, fallback } = SCALARS[path];
  return text({ is, about, parse, fallback }).optional();
}
