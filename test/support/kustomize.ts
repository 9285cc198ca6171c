/**
 * As much of kustomize as config/kubernetes uses, so that its manifests are built in a test without the program, which is in no
 * package that every platform can have. What is not known here is an error, never passed over; `npm run test:kubectl` compares it with kubectl.
 *
 * Source: kustomization.yaml and strategic merge patches as kubectl 1.32 (kustomize 5.5) builds them.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';

export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [key: string]: unknown;
}

type Value = unknown;
type Map = Readonly<Record<string, Value>>;

interface Kustomization {
  readonly namespace?: string;
  readonly resources?: readonly string[];
  readonly configMapGenerator?: readonly { readonly name: string; readonly behavior?: string; readonly files: readonly string[] }[];
  readonly generatorOptions?: { readonly disableNameSuffixHash: boolean };
  readonly images?: readonly { readonly name: string; readonly newName: string; readonly newTag: string }[];
  readonly patches?: readonly { readonly path: string }[];
}

const KNOWN = ['apiVersion', 'kind', 'namespace', 'resources', 'configMapGenerator', 'generatorOptions', 'images', 'patches'];

/** By which field the entries of a list are the same ones; lists without one are replaced whole (kubectl explain, x-kubernetes-patch-merge-key). */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  env: 'name',
  ports: 'containerPort',
  volumeMounts: 'mountPath',
  volumes: 'name',
};

/** What `kubectl kustomize DIRECTORY` prints, in another order. @throws Error for a file that is not there, or what is not known here */
export function build(directory: string): Resource[] {
  const file = join(directory, 'kustomization.yaml');
  const kustomization = parse(readFileSync(file, 'utf8')) as Kustomization & Map;
  const unknown = Object.keys(kustomization).filter((key) => !KNOWN.includes(key));
  if (unknown.length > 0) throw new Error(`${file}: not known here: ${unknown.join(', ')}`);
  const { namespace, resources = [], configMapGenerator = [], generatorOptions, images = [], patches = [] } = kustomization;
  if (configMapGenerator.length > 0 && generatorOptions?.disableNameSuffixHash !== true)
    throw new Error(`${file}: hashes are not known here`);

  let all = resources.flatMap((name) => {
    const path = join(directory, name);
    return statSync(path).isDirectory() ? build(path) : readResources(readFileSync(path, 'utf8'));
  });
  for (const { name, behavior, files } of configMapGenerator) {
    const data = Object.fromEntries(files.map((each) => [each, readFileSync(join(directory, each), 'utf8')]));
    const former = all.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name);
    if ((former !== undefined) !== (behavior === 'merge')) throw new Error(`${file}: ConfigMap ${name} is there already, or not there`);
    all = all.filter((each) => each !== former);
    all.push({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name },
      ...former,
      data: { ...(former?.['data'] as Map | undefined), ...data },
    });
  }
  for (const { path } of patches)
    for (const patch of readResources(readFileSync(join(directory, path), 'utf8'))) {
      const target = all.findIndex(({ kind, metadata }) => kind === patch.kind && metadata.name === patch.metadata.name);
      if (target === -1) throw new Error(`${path}: there is no ${patch.kind} ${patch.metadata.name}`);
      all[target] = merge(all[target], patch) as Resource; // a patch of a resource leaves one
    }
  return all.map((resource) => {
    const named = withImages(resource, images) as Resource; // changes texts alone
    return namespace === undefined ? named : { ...named, metadata: { ...named.metadata, namespace } };
  });
}

export function readResources(text: string): Resource[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw new Error(document.errors.map(({ message }) => message).join('\n'));
    return document.toJS() as Resource;
  });
}

function merge(former: Value, patch: Value, key = ''): Value {
  if (isMap(former) && isMap(patch)) {
    const merged: Record<string, Value> = { ...former };
    for (const [name, value] of Object.entries(patch))
      merged[name] = name in former ? merge(former[name], value, name) : withoutDeleted(value);
    return merged;
  }
  const by = MERGE_KEYS[key];
  if (by === undefined || !Array.isArray(former) || !Array.isArray(patch)) return patch;
  const same = (a: Value, b: Value): boolean => (a as Map)[by] === (b as Map)[by];
  const kept = former.flatMap((entry: Value) => {
    const change = (patch as Value[]).find((each) => same(each, entry)) as Map | undefined;
    if (change === undefined) return [entry];
    return change['$patch'] === 'delete' ? [] : [merge(entry, change)];
  });
  const added = patch.filter((entry: Value) => !former.some((each: Value) => same(each, entry)));
  return [...kept, ...(withoutDeleted(added) as Value[])];
}

/** A patch that deletes what is not there would be a slip. */
function withoutDeleted(value: Value): Value {
  if (JSON.stringify(value).includes('"$patch"')) throw new Error(`There is nothing to delete: ${JSON.stringify(value)}`);
  return value;
}

function withImages(value: Value, images: NonNullable<Kustomization['images']>): Value {
  if (Array.isArray(value)) return value.map((each: Value) => withImages(each, images));
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const image = key === 'image' ? images.find(({ name }) => name === inner) : undefined;
      return [key, image === undefined ? withImages(inner, images) : `${image.newName}:${image.newTag}`];
    }),
  );
}

/** The same for both orders of lists whose entries have a name, and of the resources themselves. */
export function sorted(value: Value, key = ''): Value {
  if (Array.isArray(value)) {
    const by = MERGE_KEYS[key];
    const all = value.map((each: Value) => sorted(each));
    return by === undefined && key !== 'resources' ? all : all.sort((a, b) => (name(a, by) < name(b, by) ? -1 : 1));
  }
  return isMap(value) ? Object.fromEntries(Object.entries(value).map(([each, inner]) => [each, sorted(inner, each)])) : value;
}

function name(value: Value, by: string | undefined): string {
  if (by !== undefined) return String((value as Map)[by]);
  const { kind, metadata } = value as Resource;
  return `${kind} ${metadata.name}`;
}

function isMap(value: Value): value is Map {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
