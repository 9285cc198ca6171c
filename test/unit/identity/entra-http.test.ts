import type { HttpHeaders, PipelineRequest } from '@azure/core-rest-pipeline';
import { expect, it } from 'vitest';
import { nothingSeen } from '../../../src/identity/authority-talk.js';
import { httpClientOver } from '../../../src/identity/entra-http.js';
import type { SignInRequest } from '../../../src/model/sign-in.js';

function request(body: unknown): PipelineRequest {
  const headers = { toJSON: () => ({ 'content-type': 'x', 'accept-encoding': 'gzip,deflate' }) } as unknown as HttpHeaders; // what is read of it
  return { url: 'https://login.contoso.example/t/token?x=1', method: 'POST', headers, body } as unknown as PipelineRequest;
}

it('httpClientOver() carries a request of the library, asks for no compressed answer, and gives the answer whole', async () => {
  const sent: SignInRequest[] = [];
  const client = httpClientOver({
    seen: nothingSeen(),
    exchange: (each) => {
      sent.push(each);
      return Promise.resolve({ status: 400, headers: { date: 'today' }, body: '{}' });
    },
  });
  const asked = request('a=b');
  const answer = await client.sendRequest(asked);
  expect(sent).toEqual([
    { method: 'POST', url: new URL(asked.url), headers: { 'content-type': 'x', 'accept-encoding': 'identity' }, body: 'a=b' },
  ]);
  expect(answer).toMatchObject({ status: 400, bodyAsText: '{}', request: asked });
  expect([answer.headers.get('Date'), answer.headers.has('DATE'), [...answer.headers]]).toEqual(['today', true, [['date', 'today']]]);
  await expect(client.sendRequest(request(new Uint8Array(1)))).rejects.toThrow(TypeError);
});
