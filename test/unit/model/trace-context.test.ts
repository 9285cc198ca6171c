import { describe, expect, it } from 'vitest';
import { readTraceContext, traceHeaders } from '../../../src/model/trace-context.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const GOOD = `00-${TRACE}-b7ad6b7169203331-01`;

describe('readTraceContext()', () => {
  it('reads the example of the specification, and passes both headers on as they came', () => {
    const trace = readTraceContext(GOOD, 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE');
    expect(trace).toEqual({ traceparent: GOOD, tracestate: 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE', traceId: TRACE });
    expect(traceHeaders(trace)).toEqual({ traceparent: GOOD, tracestate: 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE' });
    expect(traceHeaders(readTraceContext(GOOD, undefined))).toEqual({ traceparent: GOOD });
    expect(traceHeaders(undefined)).toEqual({});
  });

  it.each([
    ['flags that have no meaning yet', `00-${TRACE}-b7ad6b7169203331-ff`],
    ['a later version', `cc-${TRACE}-b7ad6b7169203331-01`],
    ['a later version with more behind it', `cc-${TRACE}-b7ad6b7169203331-01-what-the-future-will-be-like`],
  ])('takes %s', (_what, text) => {
    expect(readTraceContext(text, undefined)).toMatchObject({ traceparent: text, traceId: TRACE });
  });

  it.each([
    ['nothing', undefined],
    ['an empty one', ''],
    ['capitals', GOOD.toUpperCase()],
    ['a trace of zeros', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`],
    ['a parent of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['the version that must not be', `ff-${TRACE}-b7ad6b7169203331-01`],
    ['more behind version 00', `${GOOD}-more`],
    ['more behind a later version without a dash', `cc-${TRACE}-b7ad6b7169203331-01more`],
    ['too short a trace', `00-${TRACE.slice(1)}-b7ad6b7169203331-01`],
    ['no flags', `00-${TRACE}-b7ad6b7169203331`],
    ['two of them, as Node joins what comes twice', `${GOOD}, ${GOOD}`],
    ['one without end', `cc-${TRACE}-b7ad6b7169203331-01-${'x'.repeat(300)}`],
    ['a line break', `cc-${TRACE}-b7ad6b7169203331-01-a\r\nx-evil: 1`],
  ])('drops %s', (_what, text) => {
    expect(readTraceContext(text, 'a=1')).toBeUndefined();
  });

  it.each([
    ['spaces between members', 'a=1 , b=2,\tc=3', 'a=1,b=2,c=3'],
    ['empty members', 'a=1,,b=2,', 'a=1,b=2'],
    ['a tenant', 'fw529a3039@dt=FfffffFF', 'fw529a3039@dt=FfffffFF'],
    ['a value with spaces inside', 'a=x y', 'a=x y'],
    ['32 members', members(32), members(32)],
  ])('takes a state with %s', (_what, text, kept) => {
    expect(readTraceContext(GOOD, text)?.tracestate).toBe(kept);
  });

  it.each([
    ['33 members', members(33)],
    ['a key twice', 'a=1,a=2'],
    ['a key in capitals', 'A=1'],
    ['no value', 'a='],
    ['no equals sign', 'a'],
    ['an equals sign in its value', 'a=b=c'],
    ['what is not ASCII', 'a=\u00e9'],
    ['a control character', 'a=\u0001'],
    ['no member', ' , '],
    ['too long a key', `${'k'.repeat(257)}=1`],
    ['too much of it', `a=${'v'.repeat(200)},${members(30, 'v'.repeat(200))}`],
  ])('goes on without a state of %s', (_what, text) => {
    expect(readTraceContext(GOOD, text)).toEqual({ traceparent: GOOD, tracestate: undefined, traceId: TRACE });
  });
});

function members(count: number, value = '1'): string {
  return Array.from({ length: count }, (_each, index) => `k${index}=${value}`).join(',');
}
