/**
 * A container of a pod as far as files, users and rights matter: a root of its own that cannot be written, with the volumes of
 * its manifest in their places, the user that the manifest names, no capability, and the variables of the manifest and no other.
 * The network is that of the test, as the containers of a pod share theirs. For root, who alone can be several users.
 */
import { chmod, chown, cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Resource } from './kustomize.js';
import type { Container, PodSpec, Volume } from './manifests.js';
import { configFile } from './manifests.js';

/** Where the container sees the checkout, as in the image. */
const APP = '/app';

export interface Pod {
  readonly spec: PodSpec;
  readonly resources: readonly Resource[];
  /** Content of Secrets and of the projected token, by name and file. */
  readonly secrets: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Directories of claims that another pod has already. */
  readonly claims?: Readonly<Record<string, string>>;
  /** Where the volumes are made. */
  readonly directory: string;
}

/**
 * Makes the volumes, with the owners and modes that kubelet gives them where `fsGroup` is set: of root and the group; what
 * can be written is open to the group, set-group-ID.
 */
export async function makeVolumes({ spec, resources, secrets, claims = {}, directory }: Pod): Promise<void> {
  const group = spec.securityContext?.fsGroup ?? 0;
  for (const volume of spec.volumes ?? []) {
    const path = join(directory, volume.name);
    const claimed = claims[volume.persistentVolumeClaim?.claimName ?? ''];
    if (claimed !== undefined) {
      await symlink(claimed, path);
      continue;
    }
    const files = filesOf(volume, resources, secrets);
    await mkdir(path, { recursive: true });
    await chown(path, 0, group);
    await chmod(path, files === undefined ? 0o2775 : 0o755);
    for (const [name, text] of Object.entries(files ?? {})) {
      await writeFile(join(path, name), text);
      await chown(join(path, name), 0, group);
      await chmod(join(path, name), volume.secret?.defaultMode ?? volume.projected?.defaultMode ?? 0o644);
    }
  }
}

/** Files of a volume that is filled from elsewhere; undefined for one that is empty and may be written. */
function filesOf(volume: Volume, resources: readonly Resource[], secrets: Pod['secrets']): Readonly<Record<string, string>> | undefined {
  if (volume.configMap !== undefined) {
    const { name } = volume.configMap;
    const map = resources.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name);
    if (map === undefined) throw new Error(`There is no ConfigMap ${name}`);
    return Object.fromEntries(Object.keys(map['data'] as object).map((key) => [key, configFile(resources, name, key)]));
  }
  const secret = volume.secret?.secretName ?? (volume.projected === undefined ? undefined : volume.name);
  if (secret === undefined) return undefined;
  const files = secrets[secret];
  if (files === undefined && volume.secret?.optional !== true) throw new Error(`Nothing was said of the Secret ${secret}`);
  return files ?? {};
}

/** The words before a program and its arguments that have it run in that container of the pod. */
export async function enter(
  { spec, directory }: Pod,
  container: Container,
  env: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> {
  const user = String(container.securityContext?.runAsUser ?? spec.securityContext?.runAsUser);
  const groups = spec.securityContext?.fsGroup === undefined ? ['--clear-groups'] : ['--groups', String(spec.securityContext.fsGroup)];
  const root = join(directory, `root-${container.name}`);
  await mkdir(root, { recursive: true });
  const mounts = (container.volumeMounts ?? []).flatMap(({ name, mountPath, readOnly }) => [
    join(directory, name),
    mountPath,
    readOnly === true ? 'ro' : 'rw',
  ]);
  const variables = { PATH: '/node/bin:/usr/bin:/bin', ...ownVariables(container), ...env };
  return [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-euc',
    MOUNT,
    root,
    process.cwd(),
    dirname(dirname(process.execPath)),
    user,
    String(groups.length),
    ...groups,
    String(mounts.length / 3),
    ...mounts,
    'env',
    '-i',
    ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
  ];
}

/** The program of the image's ENTRYPOINT, as words. */
export const ENTRYPOINT: readonly string[] = ['/node/bin/node', `${APP}/dist/postern.js`];

function ownVariables({ env = [] }: Container): Record<string, string> {
  return Object.fromEntries(env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])));
}

/** Copies what a container is to find in a volume before it starts. */
export async function putInto(pod: Pod, volume: string, from: string, name: string): Promise<void> {
  await cp(from, join(pod.directory, volume, name));
  await chmod(join(pod.directory, volume, name), 0o644);
}

const MOUNT = `
root=$0; app=$1; node=$2; user=$3; shift 3
count=$1; shift
groups=; while [ "$count" -gt 0 ]; do groups="$groups $1"; shift; count=$((count - 1)); done
mount -t tmpfs -o mode=755 tmpfs "$root"
for d in /usr /etc/ssl; do mkdir -p "$root$d"; [ ! -d "$d" ] || { mount --rbind "$d" "$root$d"; mount -o remount,bind,ro "$root$d"; }; done
for d in /bin /sbin /lib /lib64; do
  if [ -L "$d" ]; then cp -P "$d" "$root$d"; elif [ -d "$d" ]; then mkdir "$root$d"; mount --rbind "$d" "$root$d"; fi
done
mkdir "$root/proc" "$root/dev" "$root/app" "$root/node"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$app" "$root/app"; mount -o remount,bind,ro "$root/app"
mount --bind "$node" "$root/node"; mount -o remount,bind,ro "$root/node"
count=$1; shift
while [ "$count" -gt 0 ]; do
  mkdir -p "$root$2"; mount --bind "$1" "$root$2"; mount -o "remount,bind,$3" "$root$2"
  shift 3; count=$((count - 1))
done
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid "$user" --regid "$user" $groups --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
`;
