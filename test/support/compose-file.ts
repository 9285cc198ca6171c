/**
 * Reads a compose file as far as ours go, and says how podman is to run one of its services: so that what is tried is what the
 * file says. A key that it does not know is a fault, because nothing would have tried it.
 *
 * Source: compose-spec, 05-services.md and 12-interpolation.md.
 */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';

export interface ComposeService {
  readonly user: string;
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly volumes?: readonly string[];
  readonly secrets?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly working_dir?: string;
  readonly tmpfs?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[]; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly [key: string]: unknown;
}

/** Keys that become arguments below. */
const USED = ['user', 'read_only', 'cap_drop', 'security_opt', 'volumes', 'secrets', 'environment', 'working_dir', 'tmpfs', 'healthcheck'];
/** Keys that whoever runs the service decides about, or that matter to compose alone. */
const LEFT = ['image', 'build', 'init', 'restart', 'stop_grace_period', 'networks', 'depends_on', 'entrypoint', 'command'];

/** `variables`: of the environment; `${NAME:-other}` is replaced. */
export async function readComposeFile(path: string, variables: Readonly<Record<string, string>>): Promise<ComposeFile> {
  const text = (await readFile(path, 'utf8')).replaceAll(
    /\$\{([A-Z_]+):-([^}]*)\}/g,
    (_whole, name: string, other: string) => variables[name] ?? other,
  );
  return parse(text) as ComposeFile; // checked against the schema in a test of its own
}

/**
 * Arguments of `podman run` for a service. `sources`: what each volume, secret and file of the host is here, by its name in the
 * compose file.
 */
export function runArguments(service: ComposeService, sources: Readonly<Record<string, string>>): string[] {
  const unknown = Object.keys(service).filter((key) => !USED.includes(key) && !LEFT.includes(key));
  if (unknown.length > 0) throw new Error(`the compose file has keys that are not tried: ${unknown.join(', ')}`);
  const source = (name: string): string => {
    const found = sources[name];
    if (found === undefined) throw new Error(`nothing stands for ${name} of the compose file`);
    return found;
  };
  const mount = (volume: string): string => {
    const [name = '', ...rest] = volume.split(':');
    return [source(name), ...rest].join(':');
  };
  return [
    ...['--user', service.user],
    // The engines differ in what they mount besides: none here, as with Docker and Kubernetes.
    ...(service.read_only ? ['--read-only', '--read-only-tmpfs=false'] : []),
    ...service.cap_drop.flatMap((name) => ['--cap-drop', name]),
    // podman has no value there: https://docs.podman.io/en/latest/markdown/podman-run.1.html#security-opt-option
    ...service.security_opt.flatMap((option) => ['--security-opt', option.replace(/:true$/, '')]),
    ...(service.volumes ?? []).flatMap((volume) => ['--volume', mount(volume)]),
    ...(service.secrets ?? []).flatMap((name) => ['--volume', `${source(name)}:/run/secrets/${name}:ro`]),
    ...Object.entries(service.environment ?? {}).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...(service.tmpfs ?? []).flatMap((mounted) => ['--tmpfs', mounted]),
    // podman adds the CMD of an array itself. The times are for an engine that asks by itself; here the stage asks.
    ...(service.healthcheck === undefined ? [] : ['--health-cmd', JSON.stringify(service.healthcheck.test.slice(1))]),
    ...(service.working_dir === undefined ? [] : ['--workdir', service.working_dir]),
  ];
}
