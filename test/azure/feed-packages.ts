/**
 * Small packages as real clients want them: a tarball of npm, a wheel of Python, a package of NuGet and a JAR. Made here, byte by byte,
 * so that a test needs none of those tools to have something to install.
 */
import { createHash } from 'node:crypto';
import { crc32, gzipSync } from 'node:zlib';

type Files = Readonly<Record<string, string>>;

/** What `npm install` unpacks; `require(name)` gives the version. */
export function npmTarball(name: string, version: string): Buffer {
  const manifest = JSON.stringify({ name, version, main: 'index.js', license: 'MIT' });
  return gzipSync(tarOf({ 'package/package.json': manifest, 'package/index.js': `module.exports = ${JSON.stringify(version)};\n` }));
}

/** A wheel of a module with one constant, `VERSION`. Source: PyPA binary distribution format. */
export function wheel(name: string, version: string): Buffer {
  const info = `${name}-${version}.dist-info`;
  const files: Record<string, string> = {
    [`${name}.py`]: `VERSION = ${JSON.stringify(version)}\n`,
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n`,
    [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nGenerator: emulator\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
  };
  const rows = Object.entries(files).map(([file, text]) => {
    const hash = createHash('sha256').update(text).digest('base64url');
    return `${file},sha256=${hash},${Buffer.byteLength(text)}\n`;
  });
  return zipOf({ ...files, [`${info}/RECORD`]: `${rows.join('')}${info}/RECORD,,\n` });
}

export function nupkg(id: string, version: string): Buffer {
  const nuspec = `<?xml version="1.0"?><package><metadata><id>${id}</id><version>${version}</version><authors>Emulator</authors><description>Sample</description></metadata></package>`;
  return zipOf({ [`${id}.nuspec`]: nuspec, 'content/sample.txt': 'sample\n' });
}

export function jar(): Buffer {
  return zipOf({ 'META-INF/MANIFEST.MF': 'Manifest-Version: 1.0\n\n' });
}

/** Source: POSIX pax, ustar interchange format. */
function tarOf(files: Files): Buffer {
  const parts = Object.entries(files).flatMap(([name, text]) => {
    const bytes = Buffer.from(text);
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000644\0', 100);
    header.write('0000000\0', 108);
    header.write('0000000\0', 116);
    header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        ', 148);
    header.write('0', 156);
    header.write('ustar\x0000', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** Nothing compressed. Source: APPNOTE.TXT of PKWARE, 4.3. */
function zipOf(files: Files): Buffer {
  const locals: Buffer[] = [];
  const entries: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const [bytes, label] = [Buffer.from(text), Buffer.from(name)];
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x21, 8);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(bytes.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(label.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, label, bytes]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE((0o100644 << 16) >>> 0, 6);
    tail.writeUInt32LE(offset, 10);
    entries.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x03', 'latin1'), common, tail, label]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}
