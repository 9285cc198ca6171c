/**
 * A feed as an npm registry. Source: the registry's API as npm's own clients use it (package metadata, publishing, advisories).
 */
import { createHash } from 'node:crypto';
import type { Feed, FeedCall, FeedFile } from './feeds.js';
import { npmTarball } from './feed-packages.js';

/** Puts a package there without a request. */
export function addNpm(feed: Feed, name: string, version: string): FeedFile {
  return keep(feed, name, version, npmTarball(name, version));
}

export async function answerNpm({ call, feed, rest, base, give }: FeedCall): Promise<void> {
  const [registry, ...path] = rest;
  // A name with a scope is one part of the path to some clients and two to others.
  const name = path[0]?.startsWith('@') === true && !path[0].includes('/') ? path.splice(0, 2).join('/') : (path.shift() ?? '');
  const [dash, file] = path;
  const files = feed.files.filter((each) => each.protocol === 'npm' && each.name === name);
  if (registry !== 'registry' || name === '') {
    call.error(404, 'The resource cannot be found.', 'HttpException');
  } else if (name === '-') {
    call.json({});
  } else if (call.method === 'PUT') {
    await publish(feed, name, await call.object());
    call.json({ ok: true }, { status: 201 });
  } else if (dash === '-') {
    await give(files.find((each) => each.file === file));
  } else if (files.length === 0) {
    call.json({ error: 'not_found', reason: `Package '${name}' cannot be found in feed '${feed.name}'` }, { status: 404 });
  } else {
    call.json(metadata(name, files, `${base}/registry`));
  }
}

function metadata(name: string, files: readonly FeedFile[], registry: string): object {
  const versions = files.map(({ version, file, bytes }) => [
    version,
    {
      name,
      version,
      main: 'index.js',
      _id: `${name}@${version}`,
      dist: {
        tarball: `${registry}/${name}/-/${file}`,
        shasum: createHash('sha1').update(bytes).digest('hex'),
        integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
      },
    },
  ]);
  return {
    _id: name,
    name,
    'dist-tags': { latest: files.at(-1)?.version },
    versions: Object.fromEntries(versions) as object,
    readme: 'See https://example.com/ and https://pkgs.dev.azure.com.evil.example/ for more',
  };
}

async function publish(feed: Feed, name: string, body: Readonly<Record<string, unknown>>): Promise<void> {
  const attachments = body['_attachments'] as Readonly<Record<string, { data: string }>>; // as npm writes it
  const [version = ''] = Object.keys(body['versions'] as object); // the same
  for (const { data } of Object.values(attachments)) keep(feed, name, version, Buffer.from(data, 'base64'));
}

function keep(feed: Feed, name: string, version: string, bytes: Buffer): FeedFile {
  const made: FeedFile = { protocol: 'npm', name, version, file: `${name.replace(/^.*\//, '')}-${version}.tgz`, bytes };
  feed.files.push(made);
  return made;
}
