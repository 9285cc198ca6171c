/**
 * A feed as a NuGet source, version 3. Source: NuGet's server API (service index, package base address, registrations, search, push).
 */
import { nupkg } from './feed-packages.js';
import type { Feed, FeedCall, FeedFile } from './feeds.js';

/** Puts a package there without a request. */
export function addNuget(feed: Feed, name: string, version: string): FeedFile {
  const made: FeedFile = {
    protocol: 'nuget',
    name: name.toLowerCase(),
    version,
    file: `${name}.${version}.nupkg`.toLowerCase(),
    bytes: nupkg(name, version),
  };
  feed.files.push(made);
  return made;
}

export async function answerNuget({ call, feed, rest, guidBase, give }: FeedCall): Promise<void> {
  const [version, part = '', id = '', ...path] = rest;
  const base = `${guidBase}/v3`;
  const files = feed.files.filter((each) => each.protocol === 'nuget' && each.name === id.toLowerCase());
  if (version === 'v2' && call.method === 'PUT') {
    const made: FeedFile = { protocol: 'nuget', name: 'pushed', version: '1.0.0', file: 'pushed.1.0.0.nupkg', bytes: await call.body() };
    feed.files.push(made);
    call.exchange.answer(202, {});
  } else if (version !== 'v3') {
    call.error(404, 'The resource cannot be found.', 'HttpException');
  } else if (part === 'index.json') {
    call.json({ version: '3.0.0-beta', resources: resources(base, guidBase) });
  } else if (part === 'query2') {
    const all = feed.files.filter((each) => each.protocol === 'nuget');
    call.json({ totalHits: all.length, data: all.map((each) => found(base, each)) });
  } else if (files.length === 0) {
    call.error(404, 'The package cannot be found.', 'PackageNotFoundException');
  } else if (part === 'flat2' && path[0] === 'index.json') {
    call.json({ versions: files.map((each) => each.version) });
  } else if (part === 'flat2') {
    await give(files.find((each) => each.version === path[0] && each.file === path[1]?.toLowerCase()));
  } else {
    call.json(registration(base, id, files));
  }
}

function resources(base: string, guidBase: string): readonly object[] {
  return [
    { '@id': `${base}/flat2/`, '@type': 'PackageBaseAddress/3.0.0', comment: 'Base URL of package content' },
    { '@id': `${base}/registrations2/`, '@type': 'RegistrationsBaseUrl/3.0.0-beta', comment: 'Registrations' },
    { '@id': `${base}/registrations2-semver2/`, '@type': 'RegistrationsBaseUrl/3.6.0', comment: 'Registrations, SemVer 2' },
    { '@id': `${base}/query2/`, '@type': 'SearchQueryService/3.5.0', comment: 'Search' },
    { '@id': `${guidBase}/v2/`, '@type': 'PackagePublish/2.0.0', comment: 'Push and delete' },
  ];
}

function found(base: string, { name, version }: FeedFile): object {
  const at = `${base}/registrations2-semver2/${name}`;
  return {
    '@id': `${at}/index.json`,
    registration: `${at}/index.json`,
    id: name,
    version,
    versions: [{ '@id': `${at}/${version}.json`, version }],
  };
}

function registration(base: string, id: string, files: readonly FeedFile[]): object {
  const at = `${base}/registrations2-semver2/${id.toLowerCase()}`;
  const items = files.map(({ version, file }) => {
    const packageContent = `${base}/flat2/${id.toLowerCase()}/${version}/${file}`;
    const catalogEntry = { '@id': `${at}/${version}.json`, id, version, packageContent, listed: true };
    return { '@id': `${at}/${version}.json`, catalogEntry, packageContent, registration: `${at}/index.json` };
  });
  const [first, last] = [files[0]?.version, files.at(-1)?.version];
  const page = { '@id': `${at}/index.json#page/${first ?? ''}`, count: items.length, lower: first, upper: last, items };
  return { '@id': `${at}/index.json`, count: 1, items: [page] };
}
