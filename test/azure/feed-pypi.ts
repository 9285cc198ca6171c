/**
 * A feed as a Python package index. Source: PEP 503 (the simple index).
 */
import { createHash } from 'node:crypto';
import { wheel } from './feed-packages.js';
import type { Feed, FeedCall, FeedFile } from './feeds.js';

/** Puts a package there without a request. */
export function addWheel(feed: Feed, name: string, version: string): FeedFile {
  const made: FeedFile = { protocol: 'pypi', name, version, file: `${name}-${version}-py3-none-any.whl`, bytes: wheel(name, version) };
  feed.files.push(made);
  return made;
}

export async function answerPypi({ call, feed, rest, guidBase, give }: FeedCall): Promise<void> {
  const [part, name = '', version, file] = rest;
  const files = feed.files.filter((each) => each.protocol === 'pypi' && each.name === name.replace(/-/g, '_'));
  if (part === 'upload' && call.method === 'POST') {
    feed.files.push({ protocol: 'pypi', name: 'uploaded', version: '1', file: 'uploaded-1.tar.gz', bytes: await call.body() });
    call.exchange.answer(200, {});
  } else if (part === 'download') {
    await give(files.find((each) => each.version === version && each.file === file));
  } else if (part !== 'simple' || files.length === 0) {
    call.error(404, 'The package cannot be found.', 'PackageNotFoundException');
  } else {
    const links = files.map((each) => {
      const hash = createHash('sha256').update(each.bytes).digest('hex');
      return `<a href="${guidBase}/download/${each.name}/${each.version}/${each.file}#sha256=${hash}" data-requires-python="&gt;=3.6">${each.file}</a><br/>`;
    });
    call.send(
      `<!DOCTYPE html><html><head><title>Links for ${name}</title></head><body><h1>Links for ${name}</h1>${links.join('\n')}</body></html>`,
      'text/html',
    );
  }
}
