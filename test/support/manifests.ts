/**
 * The manifests of config/kubernetes, and the shape that Kubernetes gives them. Values
 * are judged by the validators that kubernetes-models is generated with from Kubernetes' own schemas; they pass over fields that
 * do not exist, which its types do not, so each resource is also type-checked as the literal that it is.
 */
import { createRequire } from 'node:module';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import type { Resource } from './kustomize.js';

export const KUBERNETES = join(process.cwd(), 'config', 'kubernetes');

/** Directories that can be applied; `base` is in the others. */
export function variants(): string[] {
  return readdirSync(KUBERNETES, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
}

const require = createRequire(import.meta.url);

/** Everything that the schemas say against the resources, in one go; `name` is theirs in the texts. */
export function faultsOf(resources: readonly { readonly name: string; readonly resource: Resource }[]): string[] {
  return [...valueFaults(resources), ...fieldFaults(resources)];
}

function valueFaults(resources: readonly { readonly name: string; readonly resource: Resource }[]): string[] {
  return resources.flatMap(({ name, resource }) => {
    try {
      const models = require(moduleOf(resource)) as Record<string, new (data: object) => { validate(): void }>;
      const Model = models[resource.kind];
      if (Model === undefined) return [`${name}: no such kind: ${resource.kind}`];
      new Model(resource).validate();
      return [];
    } catch (thrown) {
      return [`${name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`];
    }
  });
}

function fieldFaults(resources: readonly { readonly name: string; readonly resource: Resource }[]): string[] {
  const file = join(import.meta.dirname, 'manifests-as-literals.ts');
  const lines = resources.map(({ resource }, n) => {
    const type = `import('${moduleOf(resource)}').I${resource.kind}`;
    return `export const r${n}: ${type} = ${JSON.stringify(resource)};`;
  });
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.Node16,
    moduleResolution: ts.ModuleResolutionKind.Node16,
  };
  const host = ts.createCompilerHost(options);
  const real = ts.createCompilerHost(options);
  const text = lines.join('\n');
  host.getSourceFile = (name, language, ...rest) =>
    name === file ? ts.createSourceFile(name, text, language) : real.getSourceFile(name, language, ...rest);
  host.fileExists = (name) => name === file || real.fileExists(name);
  host.readFile = (name) => (name === file ? text : real.readFile(name));
  const program = ts.createProgram([file], options, host);
  return ts.getPreEmitDiagnostics(program).map((found) => {
    const line = found.file?.getLineAndCharacterOfPosition(found.start ?? 0).line ?? -1;
    return `${resources[line]?.name ?? found.file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(found.messageText, ' ')}`;
  });
}

/** `apps/v1` Deployment: kubernetes-models/apps/v1/Deployment. */
function moduleOf({ apiVersion, kind }: Resource): string {
  return `kubernetes-models/${apiVersion}/${kind}`;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly restartPolicy?: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly envFrom?: readonly unknown[];
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly securityContext?: Readonly<Record<string, unknown>> & { readonly runAsUser?: number };
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
  readonly resources?: { readonly limits?: object; readonly requests?: object };
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
  readonly periodSeconds?: number;
  readonly failureThreshold?: number;
}

export interface Volume {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly secret?: { readonly secretName: string; readonly defaultMode?: number; readonly optional?: boolean };
  readonly projected?: { readonly defaultMode?: number; readonly sources: readonly Readonly<Record<string, unknown>>[] };
  readonly emptyDir?: object;
  readonly persistentVolumeClaim?: { readonly claimName: string };
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Volume[];
  readonly securityContext?: { readonly runAsUser?: number; readonly fsGroup?: number; readonly runAsNonRoot?: boolean };
  readonly terminationGracePeriodSeconds?: number;
  readonly enableServiceLinks?: boolean;
  readonly automountServiceAccountToken?: boolean;
  readonly shareProcessNamespace?: boolean;
  readonly serviceAccountName?: string;
  readonly hostNetwork?: boolean;
}

export interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: PodSpec;
}

/** The pods that the resources lead to. */
export function templatesIn(resources: readonly Resource[]): PodTemplate[] {
  return resources.flatMap(({ spec }) => {
    const { template } = (spec ?? {}) as { readonly template?: PodTemplate };
    return template === undefined ? [] : [template];
  });
}

/** All containers of a pod, side-cars first. */
export function containersOf({ initContainers = [], containers }: PodSpec): Container[] {
  return [...initContainers, ...containers];
}

/** A file of a ConfigMap. */
export function configFile(resources: readonly Resource[], name: string, key: string): string {
  const map = resources.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name);
  const text = (map?.['data'] as Readonly<Record<string, string>> | undefined)?.[key];
  if (text === undefined) throw new Error(`There is no ${key} in the ConfigMap ${name}`);
  return text;
}
