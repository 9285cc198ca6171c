/** A script in the place of a browser: it opens an address, follows where it is sent, and notes the page at the end. */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { request as plainRequest } from 'node:http';
import { join } from 'node:path';

/** Follows redirects from a sign-in page. `isStopping`: not to the last one, which leads back to the machine that signs in. */
export async function visit(
  address: string,
  ca: string,
  { isStopping = false } = {},
): Promise<{ readonly address: string; readonly page: string }> {
  const url = new URL(address);
  if (isStopping && url.protocol === 'http:') return { address, page: '' };
  const { location, page } = await new Promise<{ location: string | undefined; page: string }>((resolve, reject) => {
    const send = url.protocol === 'http:' ? plainRequest : request;
    send(url, { ca, agent: false }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (body += chunk));
      answer.on('end', () => resolve({ location: answer.headers.location, page: body }));
      answer.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
  return location === undefined ? { address, page } : visit(new URL(location, address).href, ca, { isStopping });
}

export interface BrowserScript {
  /** For the variable BROWSER. */
  readonly program: string;
  /** The last page that it showed. */
  readonly shown: () => Promise<string>;
}

export async function browserScript(directory: string, caFile: string): Promise<BrowserScript> {
  const program = join(directory, 'browser.mjs');
  const notes = join(directory, 'browser.html');
  await writeFile(
    program,
    `#!${process.execPath}
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
const ca = readFileSync(${JSON.stringify(caFile)});
const go = (address) => {
  const { get } = address.startsWith('http:') ? http : https;
  get(address, { ca, agent: false }, (answer) => {
    let page = '';
    answer.on('data', (chunk) => (page += chunk));
    answer.on('end', () => {
      if (answer.headers.location) go(new URL(answer.headers.location, address).href);
      else writeFileSync(${JSON.stringify(notes)}, page);
    });
  });
};
go(process.argv[2]);
`,
  );
  await chmod(program, 0o755);
  return { program, shown: () => readFile(notes, 'utf8') };
}
