/** Promise: what is judged is what is done. The attack: a harmless POST that a header or the query makes a DELETE of something else. */
import { describe, expect, it } from 'vitest';
import { overrideOf } from '../../../src/hosts/api-override.js';

const CALL = ['_apis', 'wit', 'wiql'];

describe('overrideOf()', () => {
  it.each(['x-http-method-override', 'x-http-method', 'x-method-override', 'x_http_method_override', 'x-httpmethod-override'])(
    'finds the header %s',
    (name) => {
      expect(overrideOf(CALL, undefined, ['accept', name])).toBe(`the header ${name}`);
    },
  );

  it.each([
    'X-HTTP-Method-Override=DELETE',
    'api-version=7.1&x-http-method-override=DELETE',
    'api-version=7.1;x-http-method-override=DELETE',
    'x%2Dhttp-method-override=DELETE',
    '%58-HTTP-Method-Override=DELETE',
    '+x-http-method-override+=DELETE',
    'x-http-method=DELETE',
    'x-method-override=DELETE',
    'httpMethod=DELETE',
    'methodOverride=DELETE',
    '_method=DELETE',
    'x-http-method-override',
    '$batch',
    '%24batch=1',
    '%zz=1',
    '%ff=1',
  ])('finds the query %s', (query) => {
    expect(overrideOf(CALL, query, [])).toBeDefined();
  });

  it.each([
    [['_apis', 'wit', '$batch']],
    [['_apis', 'wit', '$Batch']],
    [['_apis', 'wit', '\uff04batch']],
    [['_apis', 'wit', '$batch;x']],
    [['_apis', '$batch', 'x']],
  ])('finds %j', (call) => {
    expect(overrideOf(call, undefined, [])).toBe('`$batch`');
  });

  it.each(['api-version=7.1-preview.1', '$top=5&searchCriteria.status=active', 'method=x', 'path=/%24batch', '', 'a=100%'])(
    'lets the query %j be',
    (query) => {
      expect(overrideOf(['_apis', 'wit', 'workitems', '$Bug'], query, ['accept', 'x-tfs-session'])).toBeUndefined();
    },
  );
});
