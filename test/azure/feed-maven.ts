/**
 * A feed as a Maven repository: directories and files, read and written at the same address, with the checksums beside them that
 * Maven asks for. Source: Maven's repository layout.
 */
import { createHash } from 'node:crypto';
import { jar } from './feed-packages.js';
import type { Feed, FeedCall, FeedFile } from './feeds.js';

/** Puts an artifact and its POM there without a request; `group` with dots. */
export function addMaven(feed: Feed, group: string, artifact: string, version: string): void {
  const directory = [...group.split('.'), artifact, version].join('/');
  const pom = `<project><modelVersion>4.0.0</modelVersion><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></project>`;
  keep(feed, `${directory}/${artifact}-${version}.pom`, Buffer.from(pom));
  keep(feed, `${directory}/${artifact}-${version}.jar`, jar());
}

export async function answerMaven({ call, feed, rest, give }: FeedCall): Promise<void> {
  const [version, ...path] = rest;
  const file = path.join('/');
  const sum = /^(.+)\.(sha1|md5|sha256|sha512)$/.exec(file);
  const named = (wanted: string): FeedFile | undefined => feed.files.findLast((each) => each.protocol === 'maven' && each.file === wanted);
  if (version !== 'v1') {
    call.error(404, 'The resource cannot be found.', 'HttpException');
  } else if (call.method === 'PUT') {
    keep(feed, file, await call.body());
    call.exchange.answer(202, {});
  } else if (sum !== null && named(file) === undefined) {
    const of = named(sum[1] ?? '');
    if (of === undefined) await give(undefined);
    else
      call.send(
        createHash(sum[2] ?? 'sha1')
          .update(of.bytes)
          .digest('hex'),
        'text/plain',
      );
  } else {
    await give(named(file));
  }
}

function keep(feed: Feed, file: string, bytes: Buffer): void {
  feed.files.push({ protocol: 'maven', name: file.split('/').slice(0, -2).join('/'), version: file.split('/').at(-2) ?? '', file, bytes });
}
