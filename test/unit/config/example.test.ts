/** The files in config/ are part of the loader: what they say must be so. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { settingsJsonSchema } from '../../../src/config/file-schema.js';
import { loadSettings } from '../../../src/config/load-settings.js';
import { load, request } from './loading.js';

const EXAMPLE = readFileSync(new URL('../../../config/postern.example.yaml', import.meta.url), 'utf8');
/** The example with everything switched on: what has no blank, or more than one, after its `#`. */
const FULL = EXAMPLE.replace('  http: localhost:8417\n', '').replace(/^( *)#(?! \S)(?=.)/gm, '$1');

describe('config/postern.example.yaml', () => {
  it('is what Postern does without a file', async () => {
    const loaded = await load(EXAMPLE);
    const bare = await loadSettings(request());
    expect({ ...loaded.settings, file: undefined }).toEqual(bare.settings);
    expect(loaded.warnings).toEqual([]);
  });

  it('is valid with everything switched on', async () => {
    const { settings, warnings } = await load(FULL);
    expect(warnings).toEqual([]);
    expect(settings.routes).toHaveLength(20);
  });

  it('shows every key, every kind of identity and every form of secret', () => {
    const missing: string[] = [];
    const visit = (schema: unknown): void => {
      if (typeof schema !== 'object' || schema === null) return;
      for (const [name, inner] of Object.entries(schema)) {
        if (name === 'properties')
          for (const key of Object.keys(inner as object))
            if (!new RegExp(`\\b${key}: `).test(FULL) && !new RegExp(`^ *${key}:$`, 'm').test(FULL)) missing.push(key);
        if (name === 'const' && !FULL.includes(`kind: ${String(inner)}\n`)) missing.push(String(inner));
        visit(inner);
      }
    };
    visit(settingsJsonSchema());
    expect(missing).toEqual([]);
  });

  it('names the schema beside it', () => {
    expect(EXAMPLE.split('\n')[0]).toBe('# yaml-language-server: $schema=./postern.schema.json');
  });
});

describe('config/postern.schema.json', () => {
  it('is what `npm run docs` writes', () => {
    const committed = readFileSync(new URL('../../../config/postern.schema.json', import.meta.url), 'utf8');
    expect(committed).toBe(`${JSON.stringify(settingsJsonSchema(), null, 2)}\n`);
  });

  it('describes every key', () => {
    const bare: string[] = [];
    const visit = (schema: unknown, path: string): void => {
      if (typeof schema !== 'object' || schema === null) return;
      for (const [name, inner] of Object.entries(schema)) {
        if (name === 'properties') {
          for (const [key, value] of Object.entries(inner as Record<string, object>)) {
            if (!('description' in value) && key !== 'address') bare.push(`${path}.${key}`);
          }
        }
        visit(inner, `${path}.${name}`);
      }
    };
    visit(settingsJsonSchema(), '');
    expect(bare).toEqual([]);
  });
});
